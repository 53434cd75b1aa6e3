"""A network and images in; how much each pixel around really moves the answer in the middle, out.

The receptive field of `receptive_field.py` is what could be seen. What is seen is the gradient of one output pixel by
the pixels of the image: mostly the middle of that square (Luo et al. 2016, "Understanding the Effective Receptive Field
in Deep Convolutional Neural Networks", NeurIPS, arXiv:1701.04128).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import KerasTensor, ops

from jointnet.errors import InputError


def effective_field(model: keras.Model, images: np.ndarray, layer: str | None = None) -> np.ndarray:
    """Each pixel's share in what moves the output pixel in the middle: float32 (height, width), its sum 1.

    The size of the gradient, averaged over the images and added over bands and channels. The network is not changed.

    Args:
        model: a network, trained or not.
        images: (images, height, width, bands) in the range that the network takes, as uint8 patches of a scene.
        layer: whose output is looked at, at its middle; the network's logits (before the sigmoid) without it.

    Raises:
        ValueError: if the images are not such an array, or nothing in them moves the output.
    """
    images = np.asarray(images, "float32")
    if images.ndim != 4 or not len(images):
        raise InputError(f"images of shape {images.shape}; give (images, height, width, bands)")
    end = model.get_layer(layer or "logits").output
    part = keras.Model(model.inputs, end)
    flags = {each: each.trainable for each in part.layers}
    try:
        part.trainable = False
        fields = _gradients(part, images)
    finally:
        for each, trainable in flags.items():
            each.trainable = trainable
    total = fields.sum()
    if not total:
        raise InputError("no pixel moves this output: all paths to it are dead; choose other images or another layer")
    return (fields / total).astype("float32")


def side_holding(field: np.ndarray, share: float = 0.95) -> int:
    """Side in pixels, odd, of the smallest square around the middle that holds so much of the field.

    Args:
        field: from `effective_field`.
        share: share of the field's sum, in (0, 1].
    """
    row, col = field.shape[0] // 2, field.shape[1] // 2
    wanted = share * field.sum() * (1 - 1e-6)  # float32 sums are not exact
    for reach in range(max(field.shape)):
        square = field[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1]
        if square.sum() >= wanted:
            break
    return 2 * reach + 1


class Offset(keras.layers.Layer):
    """Adds a picture of numbers to the image, all zero at first: its gradient is that of the image."""

    def build(self, shape: Sequence[int | None]) -> None:
        """One number for each pixel and band."""
        self.picture = self.add_weight(shape=shape[1:], initializer="zeros", name="picture")

    def call(self, image: KerasTensor) -> KerasTensor:
        """The image with the numbers added."""
        return image + self.picture


def _gradients(part: keras.Model, images: np.ndarray) -> np.ndarray:
    """Mean over images of the gradient's size, (height, width).

    Each backend of Keras has its own way to a gradient, and one in common: after a step of plain descent at rate 1
    from zero, the offset *is* minus the gradient.
    """
    offset = Offset()
    image = keras.Input(images.shape[1:])
    probe = keras.Model(image, part(offset(image)))
    row, col = (side // 2 for side in probe.output_shape[1:3])
    on_tensorflow = keras.backend.backend() == "tensorflow"
    probe.compile(keras.optimizers.SGD(1.0), loss=lambda _, found: ops.sum(found[:, row, col]), jit_compile=False,
                  run_eagerly=on_tensorflow)  # a few steps: tracing would take longer than they do
    fields = []
    for one in images:
        offset.picture.assign(ops.zeros_like(offset.picture))
        probe.train_on_batch(one[None], np.zeros((1, *probe.output_shape[1:]), "float32"))
        fields.append(np.abs(ops.convert_to_numpy(offset.picture)).sum(-1))
    return np.mean(fields, axis=0)
