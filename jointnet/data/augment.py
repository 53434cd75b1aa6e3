"""What augmentation may do to a patch: exact flips and turns, and colours; never interpolation of a mask."""

from __future__ import annotations

import numpy as np

from jointnet.data.nodata import valid_pixels

SYMMETRIES = 8  # the square's: four turns, each as it is or mirrored


def turn(array: np.ndarray, symmetry: int) -> np.ndarray:
    """One of the eight symmetries of a square patch, by array operations alone.

    Args:
        array: (side, side) or (side, side, channels).
        symmetry: 0 to 7: quarter turns (symmetry % 4), mirrored left to right from 4 on. 0 changes nothing.
    """
    turned = np.rot90(array, symmetry % 4)
    return turned[:, ::-1] if symmetry >= 4 else turned


def turn_back(array: np.ndarray, symmetry: int) -> np.ndarray:
    """Undoes `turn` of the same symmetry."""
    flat = array[:, ::-1] if symmetry >= 4 else array
    return np.rot90(flat, -(symmetry % 4))


def jitter_colours(image: np.ndarray, rng: np.random.Generator, strength: float = 0.2) -> np.ndarray:
    """The image under another light: gain, offset, contrast curve and colour cast chosen at random.

    Args:
        image: uint8 (height, width, bands). Pixels that are 0 in all bands stay 0, as they may mean no-data.
        rng: where the random numbers come from.
        strength: how far they may lie from no change; 0 changes nothing, 0.2 is a hazy day, 0.4 another sensor.

    Returns:
        uint8, the same shape.
    """
    return recoloured(image, colour_table(rng, image.shape[-1], strength)) if strength else image


def colour_table(rng: np.random.Generator, bands: int, strength: float = 0.2) -> np.ndarray:
    """What `jitter_colours` makes of each value in each band: uint8 (256, bands)."""
    gain = (1 + rng.uniform(-strength, strength)) * (1 + rng.uniform(-strength / 2, strength / 2, bands))
    gamma = 2 ** rng.uniform(-strength, strength)
    offset = rng.uniform(-strength, strength) / 4
    levels = np.linspace(0, 1, 256)[:, None] ** gamma * gain + offset
    return (np.clip(levels, 0, 1) * 255).round().astype(np.uint8)


def recoloured(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """An image with its values exchanged by `colour_table`; pixels that are 0 in all bands stay 0."""
    changed = np.stack([table[image[..., b], b] for b in range(image.shape[-1])], axis=-1)
    changed[~valid_pixels(image, "black")] = 0
    return changed
