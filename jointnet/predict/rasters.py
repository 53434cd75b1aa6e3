"""Probabilities in; the pixels that a raster holds for them out, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jointnet.data.raster import open_raster

LEVELS = 254  # in a uint8 raster, 0 to 254 stand for 0 to 1
NODATA = 255  # and this for "no imagery"; in a float32 raster NaN does
_PROBABILITIES = np.append(np.arange(NODATA) / LEVELS, np.nan).astype(np.float32)  # value -> probability


def to_values(probability: np.ndarray, valid: np.ndarray, dtype: str = "uint8") -> np.ndarray:
    """The pixels of a probability raster.

    Args:
        probability: float (height, width, classes) in [0, 1].
        valid: bool (height, width), False where there is no imagery.
        dtype: "uint8" or "float32".
    """
    if dtype == "float32":
        return np.where(valid[..., None], probability, np.float32(np.nan)).astype(np.float32)
    return np.where(valid[..., None], np.rint(probability * LEVELS), NODATA).astype(np.uint8)


def to_probability(values: np.ndarray) -> np.ndarray:
    """The pixels of a probability raster as float32 in [0, 1], NaN where there is no imagery; same shape."""
    return _PROBABILITIES[values] if values.dtype == np.uint8 else values


def read_probability(path: str | Path, window: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """A probability raster as float32 (height, width, classes) in [0, 1], NaN where there is no imagery."""
    with open_raster(path) as raster:
        return to_probability(raster.read(window))


def with_temperature(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities whose logits are divided by `temperature` (Guo et al. 2017, arXiv:1706.04599), same shape."""
    if temperature == 1:
        return probability
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return (1 / (1 + (1 / p - 1) ** (1 / temperature))).astype(np.float32)
