"""The baseline that JointNet is compared with: a plain U-Net of the same number of parameters.

Ronneberger et al. 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI,
doi:10.1007/978-3-319-24574-4_28: two 3x3 convolutions at each size, four halvings by the largest of four pixels, and
as many doublings that join the features of the same size. Different from there: edges are padded, the doubling is
bilinear, and a normalisation follows each convolution, as in JointNet, so that the two differ in their form alone.

Shape trails are those of preset `base`.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import KerasTensor, layers

from jointnet.errors import InputError
from jointnet.network.model import Scaling, check_network, normalize, probabilities, upsample_and_join

# Four doublings, as in the original; the deepest width makes up JointNet's number of parameters to half a percent.
PRESETS = {
    "tiny": (8, 12, 24, 48, 104),
    "small": (12, 24, 48, 96, 208),
    "base": (24, 48, 96, 192, 420),
}
MULTIPLE = 16  # four halvings: height and width must divide by it


def build_unet(
    preset: str = "base",
    bands: int = 3,
    classes: int = 1,
    normalization: str = "group",
    widths: Sequence[int] | None = None,
    name: str = "unet",
) -> keras.Model:
    """A U-Net with random weights: (batch, H, W, bands) in [0, 255] -> (batch, H, W, classes) probabilities.

    Args:
        preset: "tiny", "small" or "base": as many parameters as the JointNet of that name.
        bands: bands of the image, alpha not counted.
        classes: probabilities per pixel, each a sigmoid of its own.
        normalization: "group" (4 channels a group), "batch" or "none".
        widths: channels at each of five sizes, in place of the preset's.
        name: name of the model.

    Raises:
        ValueError: if an argument is not one of the above.
    """
    check_network(preset, bands, classes, normalization)
    chosen = tuple(widths or PRESETS[preset])
    if len(chosen) != 5 or any(w < 4 or w % 4 for w in chosen):
        raise InputError(f"widths={chosen}; give five multiples of 4, one for each size")

    image = keras.Input((None, None, bands), name="image")
    x = Scaling(MULTIPLE, name="scaling")(image)
    skips = []
    for number, width in enumerate(chosen[:-1], 1):
        x = two_convolutions(x, width, normalization, f"encoder{number}")
        skips.append(x)  # (batch, H, W, 24), (batch, H/2, W/2, 48), (batch, H/4, W/4, 96), (batch, H/8, W/8, 192)
        x = layers.MaxPooling2D(2, name=f"encoder{number}_halve")(x)
    x = two_convolutions(x, chosen[-1], normalization, "bridge")  # (batch, H/16, W/16, 420)
    for number in (4, 3, 2, 1):
        x = upsample_and_join(x, skips[number - 1], f"decoder{number}")
        x = two_convolutions(x, chosen[number - 1], normalization, f"decoder{number}")
    model = keras.Model(image, probabilities(x, classes), name=name)
    model.built_with = {
        "architecture": "unet", "preset": preset, "normalization": normalization, "growth_rates": widths and chosen,
    }
    return model


def two_convolutions(x: KerasTensor, width: int, normalization: str, name: str) -> KerasTensor:
    """Twice [3x3 convolution -> ReLU -> normalisation]: (batch, h, w, c) -> (batch, h, w, width)."""
    for index in (1, 2):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"{name}_convolution{index}")(x)
        x = normalize(x, normalization, 4, f"{name}_norm{index}")
    return x
