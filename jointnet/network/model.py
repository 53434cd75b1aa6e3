"""The JointNet network: an image in [0, 255] in, a probability per pixel and class out.

Zhang & Wang 2019, "JointNet: A Common Neural Network for Road and Building Extraction", Remote Sensing 11(6), 696,
doi:10.3390/rs11060696. Pure Keras 3: the same code runs on TensorFlow, JAX and PyTorch.

Shape trails are those of preset `base` (g = 32, 64, 128).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from jointnet.errors import InputError

DILATION_RATES = (1, 2, 5, 1, 2, 5)
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"growth_rates": (8, 16, 32), "bridge": 64},
    "small": {"growth_rates": (16, 32, 64), "bridge": 128},
    "base": {"growth_rates": (32, 64, 128), "bridge": 256},
}
NORMALIZATIONS = ("group", "batch", "none")
MULTIPLE = 8  # three halvings: height and width must divide by it


def build_jointnet(
    preset: str = "base",
    bands: int = 3,
    classes: int = 1,
    reduction_from: str = "block",
    dilation_rates: Sequence[int] = DILATION_RATES,
    normalization: str = "group",
    growth_rates: Sequence[int] | None = None,
    name: str = "jointnet",
) -> keras.Model:
    """A JointNet with random weights: (batch, H, W, bands) in [0, 255] -> (batch, H, W, classes) probabilities.

    Args:
        preset: "tiny", "small" or "base": the width of every layer.
        bands: bands of the image, alpha not counted.
        classes: probabilities per pixel, each a sigmoid of its own (a pixel may be building and road).
        reduction_from: where the reduction output comes from: "block" (the distribution output, features flow down
            the encoder) or "input" (the block's input, as the Keras implementation this project descends from).
        dilation_rates: one dilation for each 3x3 convolution of every block.
        normalization: "group" (4 channels a group), "batch" or "none".
        growth_rates: three widths in place of the preset's; the bridge is twice the last.
        name: name of the model.

    Raises:
        ValueError: if an argument is not one of the above.
    """
    check_network(preset, bands, classes, normalization)
    if reduction_from not in ("block", "input"):
        raise InputError(f"reduction_from is {reduction_from!r}; choose 'block' or 'input'")
    if not dilation_rates or any(rate < 1 for rate in dilation_rates):
        raise InputError(f"dilation_rates={tuple(dilation_rates)}; give whole numbers from 1, as {DILATION_RATES}")
    widths = tuple(growth_rates or PRESETS[preset]["growth_rates"])
    if len(widths) != 3 or any(g < 4 or g % 4 for g in widths):
        raise InputError(f"growth_rates={widths}; give three multiples of 4, one for each encoder block")
    bridge = PRESETS[preset]["bridge"] if growth_rates is None else 2 * widths[-1]

    image = keras.Input((None, None, bands), name="image")
    x = Scaling(name="scaling")(image)
    skips = []
    for number, growth in enumerate(widths, 1):
        block_input = x
        features = dense_atrous_block(x, growth, dilation_rates, normalization, 4, f"encoder{number}")
        skips.append(features)  # (batch, H, W, 128), (batch, H/2, W/2, 256), (batch, H/4, W/4, 512)
        source = features if reduction_from == "block" else block_input
        x = reduction(source, growth, f"encoder{number}_reduction")
    x = layers.Conv2D(bridge, 1, activation="relu", name="bridge")(x)  # (batch, H/8, W/8, 256)
    x = decoder_step(x, skips[2], widths[2], "decoder3")  # (batch, H/4, W/4, 128)
    x = decoder_step(x, skips[1], widths[1], "decoder2")  # (batch, H/2, W/2, 64)
    x = upsample_and_join(x, skips[0], "decoder1")
    channels_per_group = 4 if reduction_from == "block" else 1
    x = dense_atrous_block(x, widths[0], dilation_rates, normalization, channels_per_group, "decoder1")
    model = keras.Model(image, probabilities(x, classes), name=name)
    model.built_with = {
        "architecture": "jointnet", "preset": preset, "reduction_from": reduction_from,
        "dilation_rates": tuple(dilation_rates), "normalization": normalization,
        "growth_rates": growth_rates and widths,
    }
    return model


def check_network(preset: str, bands: int, classes: int, normalization: str) -> None:
    """Refuses, with a sentence, what no builder can build."""
    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is unknown; choose from {', '.join(PRESETS)}")
    if normalization not in NORMALIZATIONS:
        raise InputError(f"normalization {normalization!r} is unknown; choose from {', '.join(NORMALIZATIONS)}")
    if bands < 1 or classes < 1:
        raise InputError(f"bands={bands} and classes={classes}; a network needs at least one of each")


def dense_atrous_block(
    x: KerasTensor, growth: int, dilation_rates: Sequence[int], normalization: str, channels_per_group: int, name: str
) -> KerasTensor:
    """A dense atrous convolution block: (batch, h, w, c) -> its distribution output, (batch, h, w, 4 * growth)."""
    features = [x]
    for index, rate in enumerate(dilation_rates, 1):
        joined = join(features, f"{name}_join{index}")
        y = layers.Conv2D(
            growth, 3, padding="same", dilation_rate=rate, activation="relu", name=f"{name}_atrous{index}"
        )(joined)
        features.append(normalize(y, normalization, channels_per_group, f"{name}_norm{index}"))
    joined = join(features, f"{name}_join{len(dilation_rates) + 1}")  # (batch, h, w, c + 6 * growth)
    return layers.Conv2D(4 * growth, 1, activation="relu", name=f"{name}_distribution")(joined)


def reduction(x: KerasTensor, growth: int, name: str) -> KerasTensor:
    """The reduction output, half the size: (batch, h, w, c) -> (batch, h/2, w/2, growth).

    A 1x1 convolution of stride 2, written as one of every second pixel: the oneDNN of TensorFlow 2.21 writes
    beyond its memory in the gradient of the former where the image has few bands.
    """
    return layers.Conv2D(growth, 1, activation="relu", name=name)(x[:, ::2, ::2])


def decoder_step(x: KerasTensor, skip: KerasTensor, width: int, name: str) -> KerasTensor:
    """Doubles the size, joins the skip and narrows: -> (batch, 2h, 2w, width)."""
    return layers.Conv2D(width, 1, activation="relu", name=f"{name}_narrow")(upsample_and_join(x, skip, name))


def upsample_and_join(x: KerasTensor, skip: KerasTensor, name: str) -> KerasTensor:
    """Bilinear doubling, then the encoder's features beside: -> (batch, 2h, 2w, c + c_skip)."""
    x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_upsample")(x)
    return layers.Concatenate(name=f"{name}_skip")([x, skip])


def probabilities(x: KerasTensor, classes: int) -> KerasTensor:
    """The network's end: -> (batch, h, w, classes), float32 in any precision."""
    logits = layers.Conv2D(classes, 1, name="logits")(x)
    return layers.Activation("sigmoid", dtype="float32", name="probability")(logits)


def join(features: Sequence[KerasTensor], name: str) -> KerasTensor:
    """All features side by side; a single one as it is."""
    return layers.Concatenate(name=name)(features) if len(features) > 1 else features[0]


def normalize(x: KerasTensor, normalization: str, channels_per_group: int, name: str) -> KerasTensor:
    """The chosen normalisation over `x`."""
    if normalization == "none":
        return x
    if normalization == "batch":
        return layers.BatchNormalization(name=name)(x)
    return GroupNormalization(x.shape[-1] // channels_per_group, epsilon=0.1, name=name)(x)


@keras.saving.register_keras_serializable("jointnet")
class Scaling(layers.Layer):
    """Brings bytes to [0, 1], and refuses an image whose sides do not divide by `multiple`."""

    def __init__(self, multiple: int = MULTIPLE, **layer_options: Any) -> None:
        super().__init__(**layer_options)
        self.multiple = multiple

    def get_config(self) -> dict[str, Any]:
        """Arguments to rebuild it."""
        return super().get_config() | {"multiple": self.multiple}

    def call(self, image: KerasTensor) -> KerasTensor:
        """Image in [0, 255], any dtype -> [0, 1] in the layer's compute dtype."""
        return ops.multiply(ops.cast(image, self.compute_dtype), 1 / 255)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Checks the size where it is known when the network is built."""
        self._check(input_shape)

    def compute_output_spec(self, image: KerasTensor) -> KerasTensor:
        """Same shape, compute dtype."""
        self._check(image.shape)
        return keras.KerasTensor(image.shape, dtype=self.compute_dtype)

    def __call__(self, image: KerasTensor, *args: Any, **kwargs: Any) -> KerasTensor:
        """Checks the size of every image that the network is shown."""
        self._check(image.shape)
        return super().__call__(image, *args, **kwargs)

    def _check(self, shape: Sequence[int | None]) -> None:
        height, width = shape[1], shape[2]
        step = self.multiple
        if any(isinstance(side, int) and side % step for side in (height, width)):
            raise InputError(
                f"the network takes images whose height and width divide by {step}, not {height} x {width} px; "
                f"jointnet.predict_array takes any size and pads it"
            )


@keras.saving.register_keras_serializable("jointnet")
class GroupNormalization(layers.GroupNormalization):
    """Group normalisation (Wu & He 2018) in two passes over memory where Keras' own makes many.

    The sums of x and x^2 give mean and variance per group in float32; both fold into one scale and one shift per
    channel. The same numbers as `keras.layers.GroupNormalization` up to rounding, with the same variables.
    """

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """(batch, h, w, channels) -> the same shape, each group with mean 0 and variance 1, then gamma and beta."""
        share = self._shares(inputs.shape[-1])
        wide = ops.cast(inputs, "float32")
        mean = ops.matmul(ops.mean(wide, axis=(1, 2)), share)  # (batch, channels), the same within a group
        square = ops.matmul(ops.mean(ops.square(wide), axis=(1, 2)), share)
        variance = ops.maximum(square - ops.square(mean), 0.0)
        scale = ops.rsqrt(variance + self.epsilon)
        if self.scale:
            scale = scale * ops.cast(self.gamma, "float32")
        shift = -mean * scale
        if self.center:
            shift = shift + ops.cast(self.beta, "float32")
        scale, shift = (ops.cast(v[:, None, None, :], inputs.dtype) for v in (scale, shift))
        return inputs * scale + shift

    def _shares(self, channels: int) -> np.ndarray:
        """(channels, channels) matrix that turns means per channel into means per group, repeated for each channel."""
        per_group = channels // self.groups
        return np.kron(np.eye(self.groups), np.full((per_group, per_group), 1 / per_group)).astype("float32")
