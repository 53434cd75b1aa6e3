"""Labels and a prediction in, the shift between them out: are the labels where the buildings are?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.fft import irfft2, next_fast_len, rfft2

from jointnet.data.scene import Dataset, Scene
from jointnet.evaluate.counts import as_masks
from jointnet.evaluate.inputs import Prediction, find_predictions, read_strips, with_halo

MAX_SHIFT = 10  # pixels


@dataclass(frozen=True)
class Shift:
    """How far labels would have to be moved to fit a prediction best.

    Attributes:
        rows: pixels down; negative is up.
        cols: pixels right; negative is left.
        iou: IoU after the move; pixels that leave the scene count as unmatched.
        iou_in_place: IoU without it.
    """

    rows: int
    cols: int
    iou: float
    iou_in_place: float


def best_shift(
    truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray | None = None, max_shift: int = MAX_SHIFT
) -> Shift:
    """The whole-pixel shift of the labels with the highest IoU; of equally good ones, the shortest.

    Args:
        truth: labels (height, width).
        predicted: prediction (height, width).
        valid: where pixels count; everywhere without it.
        max_shift: farthest shift that is tried, in pixels along rows and columns.
    """
    truth, predicted, valid = as_masks(truth, predicted, valid)
    truth, predicted = truth & valid, predicted & valid
    shared = _shared(truth, np.pad(predicted, max_shift))
    return _best(shared, int(truth.sum()), int(predicted.sum()))


def scene_shift(
    scene: Scene, prediction: Prediction, class_name: str = "buildings", threshold: float | None = None,
    max_shift: int = MAX_SHIFT,
) -> Shift:
    """`best_shift` of a scene, read strip by strip. Arguments and errors as `evaluate`."""
    size = 2 * max_shift + 1
    shared, truth_pixels, predicted_pixels = np.zeros((size, size), np.int64), 0, 0
    strips = read_strips(scene, prediction, class_name, threshold, probabilities=False)
    for strip, rows in with_halo(strips, max_shift):
        truth, predicted = strip.truth & strip.valid, strip.predicted & strip.valid
        above, below = max_shift - rows.start, max_shift - (len(truth) - rows.stop)
        shared += _shared(truth[rows], np.pad(predicted, ((above, below), (max_shift, max_shift))))
        truth_pixels += int(truth[rows].sum())
        predicted_pixels += int(predicted[rows].sum())
    return _best(shared, truth_pixels, predicted_pixels)


def shift_table(
    predictions: str | Path | Mapping[str, str | Path | Prediction], dataset: Dataset, class_name: str = "buildings",
    threshold: float | None = None, max_shift: int = MAX_SHIFT,
) -> pd.DataFrame:
    """One row per tile: its best shift in pixels, its length in metres (NaN without a gsd), IoU before and after.

    Tiles of one flight that are all shifted one way tell of labels out of place, not of a network in error. Arguments
    and errors as `evaluate`.
    """
    found = find_predictions(predictions, dataset)
    rows = []
    for scene in dataset:
        if scene.name in found and class_name in scene.labels:
            shift = scene_shift(scene, found[scene.name], class_name, threshold, max_shift)
            metres = np.hypot(shift.rows, shift.cols) * (np.nan if scene.gsd is None else scene.gsd)
            rows.append({"tile": scene.name, "city": scene.city, "rows": shift.rows, "cols": shift.cols,
                         "metres": metres, "iou_in_place": shift.iou_in_place, "iou": shift.iou})
    columns = ["tile", "city", "rows", "cols", "metres", "iou_in_place", "iou"]
    return pd.DataFrame(rows, columns=columns).set_index("tile")


def _shared(truth: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Pixels that labels share with the prediction, for every shift: int64 (2 m + 1, 2 m + 1).

    `around` is the prediction with a margin of m on each side. The transform need not be longer than it: what wraps
    around lies beyond the shifts that are kept.
    """
    shape = tuple(next_fast_len(n, real=True) for n in around.shape)
    spectrum = rfft2(around.astype(float), shape)
    spectrum *= rfft2(truth.astype(float), shape).conj()
    size = around.shape[0] - truth.shape[0] + 1
    return np.rint(irfft2(spectrum, shape)[:size, :size]).astype(np.int64)


def _best(shared: np.ndarray, truth_pixels: int, predicted_pixels: int) -> Shift:
    middle = len(shared) // 2
    if truth_pixels == 0 or predicted_pixels == 0:
        iou = float(truth_pixels == predicted_pixels)  # with nothing to move, every place is as good
        return Shift(0, 0, iou, iou)
    ious = shared / (truth_pixels + predicted_pixels - shared)
    rows, cols = np.indices(shared.shape) - middle
    best = min(np.flatnonzero(ious == ious.max()), key=lambda i: rows.flat[i] ** 2 + cols.flat[i] ** 2)
    return Shift(int(rows.flat[best]), int(cols.flat[best]), float(ious.flat[best]), float(ious[middle, middle]))
