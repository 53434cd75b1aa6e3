"""Predictions and labelled scenes in, the patches that cost most out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pandas as pd

from jointnet.data.scene import Dataset, Scene
from jointnet.evaluate.counts import Counts
from jointnet.evaluate.error_rasters import ERROR_CODES, error_codes
from jointnet.evaluate.inputs import Prediction, find_predictions, read_strips

PATCH = 256  # pixels


def patch_counts(
    scene: Scene, prediction: Prediction, class_name: str = "buildings", threshold: float | None = None,
    size: int = PATCH,
) -> np.ndarray:
    """tp, fp, fn and tn of every patch: int64 (rows, columns, 4). Patches at the far edges may be smaller.

    Args:
        scene: a scene with labels of `class_name`.
        prediction: its files.
        class_name: class of the labels.
        threshold: as in `evaluate`.
        size: side of a patch in pixels.
    """
    height, width = scene.info.shape
    counts = np.zeros((-(-height // size), -(-width // size), 4), np.int64)
    columns = np.arange(0, width, size)
    for strip in read_strips(scene, prediction, class_name, threshold, probabilities=False):
        codes = error_codes(strip.truth, strip.predicted, strip.valid)
        patch_of_row = (strip.row + np.arange(len(codes))) // size
        patches, starts = np.unique(patch_of_row, return_index=True)
        for k, name in enumerate(("TP", "FP", "FN", "TN")):
            by_column = np.add.reduceat(codes == ERROR_CODES[name], columns, axis=1, dtype=np.int64)
            counts[patches, :, k] += np.add.reduceat(by_column, starts, axis=0)
    return counts


def worst_patches(
    predictions: str | Path | Mapping[str, str | Path | Prediction],
    dataset: Dataset,
    class_name: str = "buildings",
    threshold: float | None = None,
    size: int = PATCH,
    count: int = 20,
) -> pd.DataFrame:
    """The patches without which the pooled IoU would gain most, worst first.

    `lost_iou` is how much the IoU of all scenes together would rise if this patch alone were right everywhere. `row`
    and `col` are its top left pixel, `height` and `width` its size.

    Args:
        predictions: folder or mapping, as in `evaluate`.
        dataset: scenes with their labels.
        class_name: class of the labels.
        threshold: as in `evaluate`.
        size: side of a patch in pixels.
        count: rows to give at most; patches without an error are never among them.

    Raises:
        ValueError: as `evaluate`.
    """
    found = find_predictions(predictions, dataset)
    rows = []
    for scene in (s for s in dataset if s.name in found and class_name in s.labels):
        table = patch_counts(scene, found[scene.name], class_name, threshold, size)
        rows += [_row(scene, r * size, c * size, size, table[r, c]) for r, c in np.ndindex(table.shape[:2])]
    whole = reduce(add, (Counts(*(row[n] for n in Counts._fields)) for row in rows), Counts())
    for row in rows:
        mended = Counts(whole.tp + row["fn"], whole.fp - row["fp"], whole.fn - row["fn"], whole.tn + row["fp"])
        row["lost_iou"] = mended.iou - whole.iou
    columns = ["scene", "city", "row", "col", "height", "width", *Counts._fields, "iou", "lost_iou"]
    table = pd.DataFrame([row for row in rows if row["fp"] or row["fn"]], columns=columns)
    return table.sort_values("lost_iou", ascending=False, kind="stable").head(count).reset_index(drop=True)


def _row(scene: Scene, row: int, col: int, size: int, numbers: np.ndarray) -> dict:
    counts = Counts(*map(int, numbers))
    height, width = (min(size, n - start) for n, start in zip(scene.info.shape, (row, col), strict=True))
    return {"scene": scene.name, "city": scene.city, "row": row, "col": col, "height": height, "width": width,
            **counts._asdict(), "iou": counts.iou}
