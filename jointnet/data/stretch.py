"""Images of more than 8 bits, or of fractions, in; the 0 to 255 that a network is shown out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jointnet.data.raster import RasterReader, open_raster
from jointnet.data.scene import Dataset, Scene
from jointnet.errors import InputError

PERCENTILES = (2.0, 98.0)
SAMPLE = 1024  # rows and columns of an image that are looked at
WAYS = ("dataset", "scene")


@dataclass(frozen=True)
class Stretch:
    """What becomes 0 and what 255 in each band; values between are spread evenly, those beyond cut off.

    Attributes:
        low, high: the value of each band that becomes 0, and the one that becomes 255, in units of the file.
        per: "dataset" where all images share them, "scene" where each has its own.
        dtype: data type of the files whose values these are.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    per: str = "dataset"
    dtype: str = "uint16"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 of an image (height, width, bands); what is no number becomes 0."""
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        shares = (image.astype(np.float32) - low) / np.maximum(high - low, 1e-9)
        return np.rint(np.clip(np.nan_to_num(shares), 0, 1) * 255).astype(np.uint8)

    def of(self, bands: Sequence[int]) -> Stretch:
        """The stretch of some of the bands, by their numbers from 1."""
        low, high = (tuple(part[b - 1] for b in bands) for part in (self.low, self.high))
        return replace(self, low=low, high=high)

    def on_card(self) -> dict[str, Any]:
        """What a card keeps of it: the limits, or where each scene has its own, how they are found."""
        if self.per == "scene":
            return {"per": "scene", "percentiles": list(PERCENTILES)}
        return {"per": "dataset", "dtype": self.dtype, "low": list(self.low), "high": list(self.high)}


def stretched(dataset: Dataset, stretch: str | Sequence[float]) -> Dataset:
    """The dataset with scenes whose images are read as 0 to 255.

    Args:
        dataset: a dataset whose images have one data type.
        stretch: "dataset" - from the 2nd to the 98th percentile of each band over all training scenes; "scene" - over
            each image by itself; or two numbers, what becomes 0 and what 255 in every band.

    Raises:
        InputError: if it is something else, or the images are of several types.
    """
    if isinstance(stretch, str):
        if stretch not in WAYS:
            raise InputError(f"stretch={stretch!r} is unknown; choose 'dataset', 'scene' or two numbers (low, high)")
        if stretch == "scene":
            return replace(dataset, scenes=tuple(replace(s, stretch=_of_samples([s], "scene")) for s in dataset))
        learnt_from = [s for s in dataset if s.split == "train"] or list(dataset)
        limits = _of_samples(learnt_from, "dataset")
    else:
        low, high = _two_numbers(stretch)
        first = dataset[0].info
        limits = Stretch((low,) * first.bands, (high,) * first.bands, "dataset", first.dtype)
    for scene in dataset:
        if scene.info.dtype != limits.dtype:
            raise InputError(f"{scene.image} holds {scene.info.dtype} values and other images {limits.dtype}: one "
                             f"stretch does not fit both; convert it, or use stretch='scene'")
    return replace(dataset, scenes=tuple(replace(s, stretch=limits) for s in dataset))


def _two_numbers(stretch: Any) -> tuple[float, float]:
    """What becomes 0 and what becomes 255.

    Raises:
        InputError: if these are not two numbers, the smaller first.
    """
    try:
        low, high = map(float, stretch)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"stretch={stretch!r} must be 'dataset', 'scene' or two numbers: what becomes 0 and what "
                         f"becomes 255, the smaller first")
    return low, high


def in_bytes(scene: Scene) -> Scene:
    """A scene whose image is read as 0 to 255: as it is, or stretched by itself where nobody has said how."""
    if scene.info.dtype == "uint8" or scene.stretch is not None:
        return scene
    return replace(scene, stretch=_of_samples([scene], "scene"))


def of_card(kept: Mapping[str, Any], image: RasterReader, bands: Sequence[int]) -> Stretch:
    """The stretch that a card asks for, for the bands of an image that the network is shown.

    Raises:
        InputError: if its limits are of another type of file.
    """
    if kept["per"] == "scene":
        return _limits([_sample(image, bands)], "scene", image.info.dtype)
    if image.info.dtype != kept["dtype"]:
        raise InputError(f"{image.path} holds {image.info.dtype} values and the network was trained on {kept['dtype']} "
                         f"values, stretched from {kept['low']} to {kept['high']}; convert the image")
    return Stretch(tuple(kept["low"]), tuple(kept["high"]), "dataset", kept["dtype"])


def _of_samples(scenes: Sequence[Scene], per: str) -> Stretch:
    """The limits of the percentiles over some scenes."""
    samples = []
    for path in dict.fromkeys(scene.image for scene in scenes):
        with open_raster(path, expand=True) as image:
            samples.append(_sample(image, image.band_indexes(None)))
    return _limits(samples, per, scenes[0].info.dtype)


def _limits(samples: Sequence[np.ndarray], per: str, dtype: str) -> Stretch:
    counts = {sample.shape[-1] for sample in samples}
    if len(counts) > 1:
        raise InputError(f"the images have {sorted(counts)} bands; one stretch is for images of as many bands")
    pixels = np.concatenate(samples)
    if not len(pixels):
        pixels = np.array([[0.0], [1.0]]).repeat(counts.pop(), axis=1)  # nothing to look at: whatever it is, it fits
    low, high = np.percentile(pixels, PERCENTILES, axis=0)
    return Stretch(tuple(low.tolist()), tuple(high.tolist()), per, dtype)


def _sample(image: RasterReader, bands: Sequence[int]) -> np.ndarray:
    """Valid pixels (n, bands) on a lattice over a whole image; black ones are taken for no imagery."""
    height, width = image.info.shape
    lines = [int(row) for row in np.unique(np.linspace(0, height - 1, min(height, SAMPLE)).astype(int))]
    step = max(1, width // SAMPLE)
    rows = []
    for row in lines:
        window = (row, 0, 1, width)
        pixels = image.read(window, bands)[0, ::step]
        rows.append(pixels[image.read_valid(window)[0, ::step] & (pixels != 0).any(axis=-1)])
    found = np.concatenate(rows).astype(np.float64)
    return found[np.isfinite(found).all(axis=-1)]
