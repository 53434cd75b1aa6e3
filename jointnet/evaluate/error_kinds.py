"""The objects of two masks in, the errors among them and their kinds out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jointnet.evaluate.objects import Overlaps

KINDS = ("missed", "invented", "merged", "split", "too large", "too small", "shifted")
POOR_IOU = 0.1  # below it, two objects that overlap are not taken for the same building
GOOD_IOU = 0.7  # from here on a pair is no error
SIZE = 1.25  # areas that differ by more than this factor are too large or too small


@dataclass(frozen=True)
class Error:
    """One error before it has a place: `source` is "label" or "predicted", `number` the object in that mask."""

    kind: str
    source: str
    number: int
    label_px: int
    predicted_px: int
    iou: float


def sort_errors(overlaps: Overlaps) -> list[Error]:
    """The errors among the objects of two masks, each object in at most one of them, by these rules in order.

    1. merged: a predicted object covers at least half of each of several labelled ones.
    2. split: a labelled object holds at least half of each of several predicted ones, and those beside the largest
       cover at least a tenth of it. A speck of roof beside the roof is no split.
    3. missed: less than half of a labelled object is covered, and no predicted one fits it with an IoU of 0.1.
    4. A labelled object left over is compared with the predicted one that fits it best. IoU of 0.7: no error. Else
       too large or too small if the larger area is more than 1.25 times the smaller, and shifted if not.
    5. invented: a predicted object that answers to no label, and lies more off the labels than on them.
    """
    t, p, shared = overlaps.pairs.T
    truth_areas, predicted_areas = overlaps.truth_areas, overlaps.predicted_areas
    covered = np.bincount(t, shared, len(truth_areas))
    on_labels = np.bincount(p, shared, len(predicted_areas))
    in_merged = np.isin(p, overlaps.merged) & (2 * shared >= truth_areas[t])
    done = np.zeros(len(truth_areas), bool)
    done[t[in_merged]] = True
    used = np.zeros(len(predicted_areas), bool)
    used[overlaps.merged] = True

    errors = [
        Error("merged", "predicted", n, int(truth_areas[t[in_merged & (p == n)]].sum()), int(predicted_areas[n]),
              float(overlaps.ious[p == n].max()))
        for n in map(int, overlaps.merged)
    ]
    for n in (int(n) for n in overlaps.split if not done[n]):
        parts = (t == n) & overlaps.parts
        errors.append(Error("split", "label", n, int(truth_areas[n]), int(predicted_areas[p[parts]].sum()),
                            float(overlaps.ious[t == n].max())))
        done[n], used[p[parts]] = True, True
    fits = np.zeros(len(truth_areas))
    np.maximum.at(fits, t, overlaps.ious)
    missed = ~done & (2 * covered < truth_areas) & (fits < POOR_IOU)
    errors += [Error("missed", "label", int(n), int(truth_areas[n]), 0, 0.0) for n in np.flatnonzero(missed)]
    errors += _misfits(overlaps, done | missed, used)
    invented = ~used & (2 * on_labels < predicted_areas)
    return errors + [
        Error("invented", "predicted", int(n), 0, int(predicted_areas[n]), 0.0) for n in np.flatnonzero(invented)
    ]


def _misfits(overlaps: Overlaps, done: np.ndarray, used: np.ndarray) -> list[Error]:
    """Errors of rule 4; marks the predicted objects that answer to a label in `used`."""
    errors = []
    order = np.lexsort((-overlaps.ious, overlaps.pairs[:, 0]))
    numbers, first = np.unique(overlaps.pairs[order, 0], return_index=True)
    for n, row in zip(map(int, numbers), order[first], strict=True):
        if done[n]:
            continue
        partner, iou = int(overlaps.pairs[row, 1]), float(overlaps.ious[row])
        used[partner] = True
        if iou < GOOD_IOU:
            label_px, predicted_px = int(overlaps.truth_areas[n]), int(overlaps.predicted_areas[partner])
            kind = "shifted"
            if predicted_px > SIZE * label_px:
                kind = "too large"
            elif label_px > SIZE * predicted_px:
                kind = "too small"
            errors.append(Error(kind, "label", n, label_px, predicted_px, iou))
    return errors
