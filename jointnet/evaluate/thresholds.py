"""Probabilities against labels in, one small histogram out; from it every threshold's scores, curve and choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from jointnet.errors import InputError
from jointnet.evaluate.counts import SCORES, Counts, as_masks, check_shapes
from jointnet.predict.rasters import LEVELS

THRESHOLDS = tuple(round(0.01 * i, 2) for i in range(1, 100))
ROUNDING = 1e-5  # probabilities may lie this far outside 0 to 1: they are sums of float32 weights


@dataclass(frozen=True, eq=False)
class ProbabilityCounts:
    """How often each of 255 probabilities was given to foreground and to background. Counts add up over scenes.

    Everything that depends on probabilities alone - thresholds, curves, calibration - is computed from these few
    integers, exactly for the uint8 rasters that `predict_scene` writes.

    Attributes:
        positives: int64 (255,), foreground pixels of each level.
        negatives: int64 (255,), background pixels of each level.
        probabilities: float64 (255,), the probability of each level, rising.
    """

    positives: np.ndarray = field(default_factory=lambda: np.zeros(LEVELS + 1, np.int64))
    negatives: np.ndarray = field(default_factory=lambda: np.zeros(LEVELS + 1, np.int64))
    probabilities: np.ndarray = field(default_factory=lambda: np.arange(LEVELS + 1) / LEVELS, repr=False)

    def __add__(self, other: ProbabilityCounts) -> ProbabilityCounts:
        """Both pooled.

        Raises:
            ValueError: if their levels stand for different probabilities.
        """
        if not np.array_equal(self.probabilities, other.probabilities):
            raise InputError("these counts belong to different temperatures; pool them first, then apply one")
        return ProbabilityCounts(
            self.positives + other.positives, self.negatives + other.negatives, self.probabilities
        )

    @property
    def total(self) -> int:
        """Pixels that count."""
        return int(self.positives.sum() + self.negatives.sum())

    def counts_at(self, threshold: float) -> Counts:
        """Pixel counts if every probability of at least `threshold` is called foreground."""
        found = self.probabilities >= threshold
        tp, fp = int(self.positives[found].sum()), int(self.negatives[found].sum())
        return Counts(tp, fp, int(self.positives.sum()) - tp, int(self.negatives.sum()) - fp)

    def sweep(self, thresholds: Sequence[float] = THRESHOLDS) -> pd.DataFrame:
        """One row per threshold: its scores and counts."""
        rows = []
        for threshold in thresholds:
            counts = self.counts_at(threshold)
            rows.append({"threshold": threshold, **counts.scores(), **counts._asdict()})
        return pd.DataFrame(rows).set_index("threshold")

    def precision_recall(self) -> pd.DataFrame:
        """Precision and recall at each level that occurs, from the highest probability down."""
        levels = np.flatnonzero(self.positives + self.negatives)[::-1]
        tp, fp = np.cumsum(self.positives[levels]), np.cumsum(self.negatives[levels])
        total = self.positives.sum()
        recall = tp / total if total else np.full(len(tp), math.nan)
        columns = {"threshold": self.probabilities[levels], "precision": tp / (tp + fp), "recall": recall}
        return pd.DataFrame(columns)

    @property
    def average_precision(self) -> float:
        """Sum over levels of precision x gain in recall, as scikit-learn defines it; NaN without foreground."""
        curve = self.precision_recall()
        if curve.empty or curve["recall"].isna().any():
            return math.nan
        return float((curve["precision"] * curve["recall"].diff().fillna(curve["recall"].iloc[0])).sum())

    def best_threshold(self, score: str = "iou", thresholds: Sequence[float] = THRESHOLDS) -> float:
        """The threshold with the highest score; of several equally good ones, the middle one.

        Choose it on validation scenes: chosen on the scenes that are then scored, it flatters.

        Raises:
            ValueError: if the score is unknown, or there is no foreground to choose by.
        """
        if score not in SCORES:
            raise InputError(f"score {score!r} is unknown; choose one of {', '.join(SCORES)}")
        if not self.positives.any():
            raise InputError("these labels hold no foreground, so no threshold is better than another; add scenes")
        values = self.sweep(thresholds)[score]
        best = values.index[values == values.max()]
        return float(best[len(best) // 2])


def count_probabilities(
    probability: np.ndarray, truth: np.ndarray, valid: np.ndarray | None = None
) -> ProbabilityCounts:
    """The histogram of probabilities (height, width) in [0, 1], rounded to the levels of stored rasters.

    NaN, where a prediction saw no imagery but the scene has some, counts as 0. Blended windows may give a hair over 1.

    Raises:
        ValueError: if the shapes differ, or a probability lies outside 0 to 1.
    """
    truth, _, valid = as_masks(truth, truth, valid)
    probability = np.nan_to_num(probability, nan=0.0)
    check_shapes(truth, probability, valid)
    if probability.size and not (probability.min() >= -ROUNDING and probability.max() <= 1 + ROUNDING):
        raise InputError(f"probabilities must lie in 0 to 1, these in {probability.min():g} to {probability.max():g}")
    levels = np.rint(np.clip(probability, 0, 1) * LEVELS).astype(np.uint8)
    positives, negatives = (
        np.bincount(levels[valid & side], minlength=LEVELS + 1).astype(np.int64) for side in (truth, ~truth)
    )
    return ProbabilityCounts(positives, negatives)
