"""Scores of the same ground before and after in; the gain with its interval, and what got worse, out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pandas as pd

from jointnet.data.raster import RasterReader, kept_raster, read_info
from jointnet.data.scene import Dataset, Scene, Window
from jointnet.errors import InputError
from jointnet.evaluate.counts import Counts, count_pixels
from jointnet.evaluate.scores import Scores
from jointnet.predict.rasters import class_bands, is_probability, read_foreground

RESAMPLES = 2000
GRID_TOLERANCE = 0.01  # pixels by which the corners of a mask and its image may differ


@dataclass(frozen=True)
class Gain:
    """Two predictions of the same pieces of ground.

    Attributes:
        names: of the pieces.
        before, after: counts of each piece.
        level: share of the bootstrap samples inside the interval.
        seed: start of the random samples.
    """

    names: tuple[str, ...]
    before: tuple[Counts, ...]
    after: tuple[Counts, ...]
    level: float = 0.95
    seed: int = 0

    def of(self, score: str = "iou") -> float:
        """The pooled score after less the one before."""
        return _pooled(self.after, score) - _pooled(self.before, score)

    def interval(self, score: str = "iou") -> tuple[float, float]:
        """Of the gain, over bootstrap samples of the pieces: the same pieces before and after, so like with like.

        (NaN, NaN) with fewer than two pieces, which cannot tell how pieces vary. With few it is too narrow: where every
        piece gains, every sample does.
        """
        if len(self.names) < 2:
            return math.nan, math.nan
        drawn = np.random.default_rng(self.seed).integers(len(self.names), size=(RESAMPLES, len(self.names)))
        tables = [np.array(part, np.int64)[drawn].sum(axis=1) for part in (self.before, self.after)]
        gains = [getattr(Counts(*map(int, b)), score) - getattr(Counts(*map(int, a)), score)
                 for a, b in zip(*tables, strict=True)]
        low, high = np.quantile(gains, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)

    def table(self) -> pd.DataFrame:
        """One row a piece, the worst first, and one of all: IoU before and after, the gain, its interval."""
        rows: list[dict] = [{"piece": n, "before": b.iou, "after": a.iou, "gain": a.iou - b.iou}
                            for n, b, a in zip(self.names, self.before, self.after, strict=True)]
        low, high = self.interval()
        every = {"piece": "all, pooled", "before": _pooled(self.before, "iou"), "after": _pooled(self.after, "iou"),
                 "gain": self.of(), "low": low, "high": high}
        return pd.DataFrame([*sorted(rows, key=lambda row: row["gain"]), every]).set_index("piece")

    def says(self) -> str:
        """The verdict in a sentence, which claims no more than the interval does."""
        (low, high), gain, many = self.interval(), self.of(), f"{len(self.names)} pieces of ground"
        told = f"IoU {_pooled(self.before, 'iou'):.3f} before, {_pooled(self.after, 'iou'):.3f} after ({gain:+.3f}"
        if math.isnan(low):
            return f"{told}) on one piece of ground: too little to say whether that is more than chance"
        told = f"{told}, 95 % interval {low:+.3f} to {high:+.3f}, {many})"
        if low > 0:
            return f"{told}: better"
        return f"{told}: worse" if high < 0 else f"{told}: it may be chance"


def compare_blocks(before: str | Path, after: str | Path, blocks: Dataset, class_name: str = "buildings") -> Gain:
    """Two predicted masks of one image, on the blocks that validate.

    Args:
        before, after: mask rasters of the whole image, as `predict_scene(...).mask`.
        blocks: what `open_dataset("folder", ..., validation=...)` gives; its validation blocks are compared.
        class_name: class of the labels, and of the band of rasters that have several.

    Raises:
        InputError: if there is no validation block, or a raster is no mask of the whole image.
    """
    scenes = [s for s in blocks if s.split == "validation"]
    if not scenes:
        raise InputError(f"{blocks.name} has no scene of split 'validation'; open it with validation=0.25")
    boxes = [(scene, box) for scene in scenes for box in scene.counted or (scene.part or (0, 0, *scene.info.shape),)]
    parts = [[_count(path, scene, box, class_name) for scene, box in boxes] for path in (before, after)]
    return _paired([f"row {box[0]}, column {box[1]}" for _, box in boxes], *parts)


def compare_scores(before: Scores, after: Scores) -> Gain:
    """Two scores of the same scenes, as of what `evaluate` gives; a loss there is what a network forgot.

    Raises:
        InputError: if they are of different scenes.
    """
    names = [tile.name for tile in before.tiles]
    if names != [tile.name for tile in after.tiles] or not names:
        raise InputError("these are scores of different scenes; evaluate both networks on the same ones")
    return _paired(names, [t.pixels for t in before.tiles], [t.pixels for t in after.tiles])


def _paired(names: Sequence[str], before: Sequence[Counts], after: Sequence[Counts]) -> Gain:
    """The pieces of which a pixel counts."""
    kept = [i for i, counts in enumerate(before) if counts.total]
    if not kept:
        raise InputError("no pixel counts in any of these pieces of ground; mark more as done, or label other blocks")
    pick: Callable = lambda values: tuple(values[i] for i in kept)  # noqa: E731
    return Gain(pick(names), pick(before), pick(after))


def _count(path: str | Path, scene: Scene, window: Window, class_name: str) -> Counts:
    """Pixels of a window of a scene's image against a mask of the whole image."""
    raster = _mask_of(Path(path), scene)
    top, left = scene.part[:2] if scene.part else (0, 0)
    inside = (window[0] - top, window[1] - left, window[2], window[3])
    band = class_bands(path, class_name)[class_name] + 1
    predicted = read_foreground(raster, window, [band])[..., 0]
    return count_pixels(scene.read_labels(class_name, inside), predicted, scene.read_valid(inside, class_name))


def _mask_of(path: Path, scene: Scene) -> RasterReader:
    """The open mask of a scene's whole image; InputError if the raster is another's, or holds probabilities."""
    raster, image = kept_raster(path), read_info(scene.image)
    if raster.info.shape != image.shape or (raster.info.on_earth and not raster.info.transform.almost_equals(
            image.transform, GRID_TOLERANCE * abs(image.transform.a))):
        raise InputError(f"{path} is {raster.info.height} x {raster.info.width} px and does not lie on {scene.name}, "
                         f"whose image has {image.height} x {image.width} px; give the mask of the whole image")
    if is_probability(raster.info):
        raise InputError(f"{path} holds probabilities; give the mask that was predicted with them")
    return raster


def _pooled(counts: Sequence[Counts], score: str) -> float:
    return getattr(reduce(add, counts, Counts()), score)
