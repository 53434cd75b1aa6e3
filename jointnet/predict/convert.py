"""A Keras model in; its graph for other runtimes out. Keras must run on TensorFlow, which writes the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from jointnet.errors import JointNetError

LARGE = 64  # numbers in a constant; converting a smaller one is not worth an operation


class CompileError(JointNetError, RuntimeError):
    """A network that cannot be made ready for another runtime here; the message says why."""


def traced(model: Any, size: int) -> Any:
    """The network as a TensorFlow function of uint8 (n, size, size, bands), with the weights as they are now.

    They are constants of its graph, which oneDNN brings into its own order once and not at every call: a window of
    256 px takes two thirds of the time.
    """
    import tensorflow as tf

    trainable, other = ([v.numpy() for v in group]
                        for group in (model.trainable_variables, model.non_trainable_variables))

    def run(windows: Any) -> Any:
        weights = ([tf.constant(value) for value in group] for group in (trainable, other))
        return model.stateless_call(*weights, windows, training=False)[0]

    shape = (None, size, size, model.input_shape[-1])
    return tf.function(run, input_signature=[tf.TensorSpec(shape, tf.uint8)], autograph=False)


def openvino_model(model: Any, size: int) -> Any:
    """The network as an `openvino.Model` of uint8 (n, size, size, bands), scaling inside, with one output.

    Raises:
        CompileError: if OpenVINO has no equal of one of its layers.
    """
    from jointnet.predict.runtime import openvino

    function = traced(model, size).get_concrete_function()
    try:
        whole = openvino.convert_model(function)
    except (RuntimeError, openvino.frontend.OpConversionFailure) as error:
        why = " ".join(line[3:] for line in str(error).splitlines() if line.startswith("-- ")) or error
        raise CompileError(f"OpenVINO cannot take the network {model.name!r}: {why}") from error
    output = next(o for o in whole.outputs if o.get_element_type() == openvino.Type.f32)
    return openvino.Model([output], whole.get_parameters(), "jointnet")


def openvino_window(model: Any, size: int) -> Any:
    """As `openvino_model`, for exactly one window at a time: that runs faster than a model for any number of them."""
    graph = openvino_model(model, size)
    graph.reshape([1, size, size, model.input_shape[-1]])
    free_of_size(graph)
    return graph


def free_of_size(graph: Any) -> None:
    """Lets an `openvino.Model` be reshaped: what enlarges to a size does so by a factor, with the same answers."""
    makers = {"Interpolate": _by_factor, "Reshape": _by_turning}
    for node in graph.get_ordered_ops():
        make = makers.get(node.get_type_name())
        new = None if make is None else make(node)
        if new is not None:
            for target in node.output(0).get_target_inputs():
                target.replace_source_output(new.output(0))
    graph.validate_nodes_and_infer_types()


def _by_factor(node: Any) -> Any:
    """An enlargement to a size, as one by a factor; None of any other."""
    from jointnet.predict.runtime import openvino

    how = node.get_attributes()
    if how["shape_calculation_mode"] != "sizes" or node.get_input_size() != 3:
        return None
    image, size, axes = (node.input_value(k) for k in range(3))
    before = np.array(image.get_shape())[axes.get_node().data]
    return openvino.opset11.interpolate(
        image, (size.get_node().data / before).astype(np.float32), how["mode"], "scales", how["pads_begin"],
        how["pads_end"], how["coordinate_transformation_mode"], how["nearest_mode"], how["antialias"],
        how["cube_coeff"], axes)


def _by_turning(node: Any) -> Any:
    """A reshape of one channel from first to last, as OpenVINO writes it, as a transposition; None of any other."""
    from jointnet.predict.runtime import openvino

    before, after = list(node.input(0).get_shape()), list(node.output(0).get_shape())
    if len(before) != 4 or before[1] != 1 or after != [before[0], *before[2:], 1]:
        return None
    return openvino.opset11.transpose(node.input_value(0), np.array([0, 2, 3, 1], np.int32))


def halve_exactly(graph: Any) -> None:
    """Stores the constants of an `openvino.Model` as float16, where that changes none of their numbers."""
    from jointnet.predict.runtime import openvino

    opset8 = openvino.opset8

    for constant in graph.get_ops():
        if constant.get_type_name() != "Constant" or constant.get_element_type() != openvino.Type.f32:
            continue
        half = constant.data.astype(np.float16) if constant.data.size >= LARGE else None
        if half is None or not np.array_equal(half, constant.data):
            continue
        whole = opset8.convert(opset8.constant(half), "f32").output(0)
        for target in constant.output(0).get_target_inputs():
            target.replace_source_output(whole)
