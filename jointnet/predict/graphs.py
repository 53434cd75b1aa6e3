"""An OpenVINO graph in; the same graph with less copying out. Its answers are the same but for rounding.

A network of dense blocks joins its features anew before each convolution, and takes every second pixel before each
reduction. On a processor a fifth of a window's time went into copying these. Two equalities save most of it:

* a 1 x 1 convolution of every second pixel is one of stride 2;
* a convolution of features side by side is the sum of the convolutions of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

EVERY_SECOND = {"begin_mask": [1, 1, 1], "end_mask": [1, 1, 1], "new_axis_mask": [0, 0, 0],
                "shrink_axis_mask": [0, 0, 0], "ellipsis_mask": [0, 0, 0]}


def without_copies(graph: Any) -> Any:
    """An `openvino.Model` of windows, (1, size, size, bands), with its convolutions changed as above.

    Only features of the windows' own size are taken apart: of smaller ones it saves nothing, and loading takes longer.
    """
    size = graph.input(0).get_shape()[1]
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "Convolution":
            full_size = node.output(0).get_shape()[2] == size
            new = _sum_of_parts(node) if full_size else _of_stride_two(node)
            for target in node.output(0).get_target_inputs() if new is not None else ():
                target.replace_source_output(new.output(0))
    graph.validate_nodes_and_infer_types()
    return graph


def _of_stride_two(node: Any) -> Any:
    """A 1 x 1 convolution of every second pixel, which TensorFlow has last, as one of stride 2; None of any other."""
    from jointnet.predict.runtime import openvino

    first = node.input_value(0).get_node()
    thin = _above(first, "Transpose", [0, 3, 1, 2])
    last = _above(thin, "StridedSlice", [1, 2, 2])
    image = _above(last, "Transpose", [0, 2, 3, 1])
    if image is None or thin.get_attributes() != EVERY_SECOND:
        return None
    if list(node.input_value(1).get_shape())[2:] != [1, 1] or list(node.get_attributes()["strides"]) != [1, 1]:
        return None
    return openvino.opset11.convolution(last.input_value(0), node.input_value(1), [2, 2], [0, 0], [0, 0], [1, 1])


def _above(node: Any, type_name: str, setting: list[int]) -> Any:
    """The node that a node of this type, whose last input is this setting, is fed by; None where it is no such node."""
    if node is None or node.get_type_name() != type_name:
        return None
    given = node.input_value(node.get_input_size() - 1).get_node()
    same = given.get_type_name() == "Constant" and given.data.tolist() == setting
    return node.input_value(0).get_node() if same else None


def _sum_of_parts(node: Any) -> Any:
    """A convolution of features side by side as a sum of convolutions; None of any other."""
    from jointnet.predict.runtime import openvino

    opset11 = openvino.opset11

    parts, kernel = _parts(node.input_value(0)), _numbers(node.input_value(1).get_node())
    if len(parts) < 2 or kernel is None:
        return None
    how = node.get_attributes()
    ends = np.cumsum([part.get_shape()[1] for part in parts])[:-1]
    each = [opset11.convolution(part, opset11.constant(np.ascontiguousarray(some)), how["strides"], how["pads_begin"],
                                how["pads_end"], how["dilations"], how["auto_pad"])
            for part, some in zip(parts, np.split(kernel, ends, axis=1), strict=True)]
    total = each[0]
    for one in each[1:]:
        total = opset11.add(one, total)
    return total


def _parts(output: Any) -> list[Any]:
    """What lies side by side in the channels of an output, (1, channels, height, width); itself where nothing does."""
    node = output.get_node()
    if node.get_type_name() != "Concat" or node.get_attributes()["axis"] not in (1, -3):
        return [output]
    return [part for k in range(node.get_input_size()) for part in _parts(node.input_value(k))]


def _numbers(node: Any) -> np.ndarray | None:
    """The numbers of a constant, which may be kept as float16; None of anything else."""
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node.data.astype(np.float32) if node.get_type_name() == "Constant" else None
