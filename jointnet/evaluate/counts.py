"""Masks in, integer counts out: the sums that every pooled score is a ratio of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jointnet.data.raster import binary_mask
from jointnet.errors import InputError

SCORES = ("iou", "accuracy", "background_accuracy", "precision", "recall", "f1")


class Counts(NamedTuple):
    """Pixels (or objects) found, invented, missed and rightly left alone. Counts add up; scores do not.

    Scores are always defined. With no pixel at all each is NaN. With nothing to find and nothing predicted IoU, F1,
    precision and recall are 1. Precision of no claim where there was something to find is 0, and so is
    recall of nothing to find where something was predicted.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: Counts) -> Counts:  # type: ignore[override]  # pools, where a tuple appends
        """Both counts pooled."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def total(self) -> int:
        """Pixels that count."""
        return sum(self)

    @property
    def iou(self) -> float:
        """Intersection over union of the foreground."""
        return self._ratio(self.tp, self.tp + self.fp + self.fn, 1.0)

    @property
    def accuracy(self) -> float:
        """Share of pixels that are right, background included."""
        return self._ratio(self.tp + self.tn, self.total, math.nan)

    @property
    def background_accuracy(self) -> float:
        """The accuracy that claiming nothing at all would have had."""
        return self._ratio(self.fp + self.tn, self.total, math.nan)

    @property
    def precision(self) -> float:
        """Share of what is predicted that is there."""
        return self._ratio(self.tp, self.tp + self.fp, float(self.fn == 0))

    @property
    def recall(self) -> float:
        """Share of what is there that was found."""
        return self._ratio(self.tp, self.tp + self.fn, float(self.fp == 0))

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, equal to the Dice coefficient."""
        return self._ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn, 1.0)

    @property
    def cover(self) -> float:
        """Share of pixels that are foreground in the labels."""
        return self._ratio(self.tp + self.fn, self.total, math.nan)

    def scores(self) -> dict[str, float]:
        """Every score by name."""
        return {name: getattr(self, name) for name in SCORES}

    def _ratio(self, part: int, whole: int, empty: float) -> float:
        if self.total == 0:
            return math.nan
        return part / whole if whole else empty


class MatchedCounts(NamedTuple):
    """Pixels, objects or metres of a prediction and of the truth, and how many of each have a match on the other side.

    The two sides are counted apart, since with a tolerance one predicted pixel need not match one labelled pixel. They
    add up. The precision of an empty prediction is 1 if the truth is empty, too, and 0 otherwise; recall likewise.
    """

    predicted_matched: float = 0
    predicted: float = 0
    truth_matched: float = 0
    truth: float = 0

    def __add__(self, other: MatchedCounts) -> MatchedCounts:  # type: ignore[override]  # pools, where a tuple appends
        """Both pooled."""
        return MatchedCounts(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def precision(self) -> float:
        """Share of the prediction that matches the truth."""
        return self.predicted_matched / self.predicted if self.predicted else float(self.truth == 0)

    @property
    def recall(self) -> float:
        """Share of the truth that the prediction matches."""
        return self.truth_matched / self.truth if self.truth else float(self.predicted == 0)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def scores(self) -> dict[str, float]:
        """Precision, recall and F1 by name."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


def count_pixels(truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray | None = None) -> Counts:
    """Counts of two masks of the same shape.

    Args:
        truth: labels: bool, {0, 1} or {0, 255}.
        predicted: prediction, the same.
        valid: where pixels count; everywhere without it.

    Raises:
        ValueError: if the shapes differ, or a mask holds other values.
    """
    truth, predicted, valid = as_masks(truth, predicted, valid)
    total, positives, found = valid.sum(), (truth & valid).sum(), (predicted & valid).sum()
    tp = (truth & predicted & valid).sum()
    return Counts(int(tp), int(found - tp), int(positives - tp), int(total - positives - found + tp))


def as_masks(
    truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three as bool arrays of one shape.

    Raises:
        ValueError: if the shapes differ, or a mask holds other values than 0 and 1, or 0 and 255.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    valid = np.ones(truth.shape, bool) if valid is None else np.asarray(valid)
    check_shapes(truth, predicted, valid)
    return _as_mask(truth, "labels"), _as_mask(predicted, "the prediction"), valid != 0


def check_shapes(truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray) -> None:
    """Raises ValueError unless the three have one shape."""
    if not truth.shape == predicted.shape == valid.shape:
        raise InputError(
            f"labels {truth.shape}, prediction {predicted.shape} and valid pixels {valid.shape} must have one shape; "
            f"put them on the image's grid first"
        )


def _as_mask(values: np.ndarray, name: str) -> np.ndarray:
    """A mask as bool; probabilities, object numbers and other values than a mask's are refused."""
    return values if values.dtype == bool else binary_mask(values, name) > 0


def bootstrap_interval(
    tiles: Sequence[Counts], score: str = "iou", level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of a pooled score over bootstrap samples of the tiles (Efron 1979).

    Tiles, not pixels, are resampled: neighbouring pixels are not independent. Fewer than two tiles with pixels give
    (NaN, NaN), since nothing is known of how tiles vary.

    Args:
        tiles: counts of each tile.
        score: name of a `Counts` score.
        level: share of the bootstrap samples inside the interval.
        resamples: number of bootstrap samples, each of as many tiles, chosen with replacement.
        seed: start of the random choice; the same seed gives the same interval.
    """
    tiles = [t for t in tiles if t.total]
    if len(tiles) < 2:
        return math.nan, math.nan
    from scipy.stats import bootstrap  # takes a moment to load, and most counts are never resampled

    def pooled(*sampled: np.ndarray, axis: int) -> np.ndarray:
        sums = np.stack([part.sum(axis=axis) for part in sampled], axis=-1)  # (resamples, 4)
        return np.array([getattr(Counts(*map(int, row)), score) for row in sums])

    found = bootstrap(np.array(tiles, dtype=np.int64).T, pooled, paired=True, confidence_level=level,
                      n_resamples=resamples, method="percentile", random_state=np.random.default_rng(seed))
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
