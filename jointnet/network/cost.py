"""A network in; what it holds and what it costs, block by block, out."""

from __future__ import annotations

import math

import keras

SIDE = 64  # of the image that shapes are worked out for, in pixels


def cost_by_block(model: keras.Model) -> dict[str, dict[str, float]]:
    """Parameters and multiply-adds per pixel of the image, of each block in order and under "all".

    A convolution costs one multiply-add for each entry of its kernel and each pixel of its output. Normalisation,
    activations and upsampling are a few operations per pixel and are left out.

    Args:
        model: built by `build_jointnet`: its layers are named `block_part`.
    """
    names = [layer.name for layer in model.layers if layer.weights]
    shapes = _output_shapes(model, names)
    table: dict[str, dict[str, float]] = {}
    for name in names:
        layer = model.get_layer(name)
        row = table.setdefault(name.split("_")[0], {"parameters": 0, "multiply_adds": 0.0})
        row["parameters"] += layer.count_params()
        if isinstance(layer, keras.layers.Conv2D):
            _, height, width, _ = shapes[name]
            row["multiply_adds"] += math.prod(layer.kernel.shape) * height * width / SIDE**2
    table["all"] = {key: sum(row[key] for row in table.values()) for key in ("parameters", "multiply_adds")}
    return table


def _output_shapes(model: keras.Model, names: list[str]) -> dict[str, tuple[int, ...]]:
    """Layer -> shape of its output for one image of `SIDE` px; nothing is computed."""
    taps = keras.Model(model.inputs, {name: model.get_layer(name).output for name in names})
    image = keras.KerasTensor((1, SIDE, SIDE, model.input_shape[-1]), dtype="uint8")
    return {name: tuple(out.shape) for name, out in taps.compute_output_spec(image).items()}
