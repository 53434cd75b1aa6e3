"""Masks in, connected objects and how they overlap out: footprints found, merged and split."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.ndimage import label

from jointnet.errors import InputError
from jointnet.evaluate.counts import MatchedCounts, as_masks

MATCH_IOU = 0.5
SPECKS = 0.1  # a labelled object is split only if its parts other than the largest cover this share of it, or more
AREA_CLASSES = {"< 50 m2": (0.0, 50.0), "50-500 m2": (50.0, 500.0), "> 500 m2": (500.0, math.inf)}
ANY_SIZE = "all"


@dataclass(frozen=True)
class Overlaps:
    """The objects of two masks and the pixels that they share.

    Objects are numbered from 1 as their labels are; index 0 of the areas is the background, with area 0. Pixels that
    touch only at a corner belong to different objects, as in polygons.

    Attributes:
        truth: int32 (height, width), number of the labelled object or 0.
        predicted: int32 (height, width), number of the predicted object or 0.
        truth_areas: pixels of each labelled object.
        predicted_areas: pixels of each predicted object.
        pairs: int64 (n, 3): labelled object, predicted object, pixels shared; sorted by both.
    """

    truth: np.ndarray = field(repr=False)
    predicted: np.ndarray = field(repr=False)
    truth_areas: np.ndarray
    predicted_areas: np.ndarray
    pairs: np.ndarray

    @cached_property
    def ious(self) -> np.ndarray:
        """IoU of each pair."""
        t, p, shared = self.pairs.T
        return shared / (self.truth_areas[t] + self.predicted_areas[p] - shared)

    def matches(self, iou: float = MATCH_IOU) -> np.ndarray:
        """Rows of `pairs` that are matched one to one with at least this IoU, which must be 0.5 or more.

        Above 0.5 no object can have two such partners; at exactly 0.5 an object has two only if they are its halves,
        and then the first is taken.
        """
        if not 0.5 <= iou <= 1:
            raise InputError(f"a match at IoU {iou} need not be one to one; choose 0.5 to 1")
        rows = np.flatnonzero(self.ious >= iou)
        for column in (0, 1):
            rows = rows[np.unique(self.pairs[rows, column], return_index=True)[1]]
        return np.sort(rows)

    @cached_property
    def merged(self) -> np.ndarray:
        """Predicted objects that cover at least half of each of several labelled objects."""
        t, p, shared = self.pairs.T
        held = p[2 * shared >= self.truth_areas[t]]
        return np.flatnonzero(np.bincount(held, minlength=len(self.predicted_areas)) > 1)

    @cached_property
    def split(self) -> np.ndarray:
        """Labelled objects that hold at least half of each of several predicted objects.

        The parts beside the largest must together cover a tenth of the object: a speck in it does not split it.
        """
        t, _, shared = self.pairs[self.parts].T
        parts = np.bincount(t, minlength=len(self.truth_areas))
        covered = np.bincount(t, shared, len(self.truth_areas))
        largest = np.zeros(len(self.truth_areas))
        np.maximum.at(largest, t, shared)
        return np.flatnonzero((parts > 1) & (covered - largest >= SPECKS * self.truth_areas))

    @property
    def parts(self) -> np.ndarray:
        """bool (n,): pairs whose predicted object lies at least half in the labelled one."""
        _, p, shared = self.pairs.T
        return 2 * shared >= self.predicted_areas[p]


@dataclass(frozen=True)
class ObjectCounts:
    """Labelled and predicted objects by area class, and how many were merged and split. Counts add up.

    Attributes:
        by_class: area class -> matched and all predicted objects of that area, matched and all labelled ones. A pair
            may lie in two classes: precision goes by the predicted area, recall by the labelled one.
        merged: predicted objects that cover several labelled ones.
        split: labelled objects that hold several predicted ones.
    """

    by_class: dict[str, MatchedCounts]
    merged: int = 0
    split: int = 0

    def __add__(self, other: ObjectCounts) -> ObjectCounts:
        """Both pooled."""
        names = [*self.by_class, *(n for n in other.by_class if n not in self.by_class)]
        pooled = {n: self.by_class.get(n, MatchedCounts()) + other.by_class.get(n, MatchedCounts()) for n in names}
        return ObjectCounts(pooled, self.merged + other.merged, self.split + other.split)

    @property
    def all(self) -> MatchedCounts:
        """Objects of any size."""
        return self.by_class.get(ANY_SIZE, MatchedCounts())


def find_overlaps(truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray | None = None) -> Overlaps:
    """The objects of two masks (height, width) and their overlaps; pixels without imagery belong to none."""
    truth, predicted, valid = as_masks(truth, predicted, valid)
    truth_labels, truth_count = label(truth & valid)
    predicted_labels, predicted_count = label(predicted & valid)
    both = (truth_labels > 0) & (predicted_labels > 0)
    keys = truth_labels[both].astype(np.int64) * (predicted_count + 1) + predicted_labels[both]
    keys, shared = np.unique(keys, return_counts=True)
    pairs = np.stack([*np.divmod(keys, predicted_count + 1), shared], axis=1)
    truth_areas, predicted_areas = _areas(truth_labels, truth_count), _areas(predicted_labels, predicted_count)
    return Overlaps(truth_labels, predicted_labels, truth_areas, predicted_areas, pairs)


def count_objects(overlaps: Overlaps, pixel_area: float | None = None, iou: float = MATCH_IOU) -> ObjectCounts:
    """Labelled and predicted objects, matched one to one at `iou`.

    Args:
        overlaps: the objects of labels and prediction, and what they share.
        pixel_area: square metres of a pixel; without it there are no area classes.
        iou: least overlap of a match.
    """
    rows = overlaps.matches(iou)
    sides = []
    for areas, column in ((overlaps.predicted_areas, 1), (overlaps.truth_areas, 0)):
        matched = np.zeros(len(areas), bool)
        matched[overlaps.pairs[rows, column]] = True
        sides.append((areas[1:], matched[1:]))
    by_class = {ANY_SIZE: MatchedCounts(*_count_between(sides, 0.0, math.inf))}
    if pixel_area is not None:
        for name, (low, high) in AREA_CLASSES.items():
            by_class[name] = MatchedCounts(*_count_between(sides, low / pixel_area, high / pixel_area))
    return ObjectCounts(by_class, len(overlaps.merged), len(overlaps.split))


def _areas(labels: np.ndarray, count: int) -> np.ndarray:
    areas = np.zeros(count + 1, np.int64)
    for rows in np.array_split(labels, max(1, labels.size // 2**22)):  # bincount widens to int64
        areas += np.bincount(rows.ravel(), minlength=count + 1)
    areas[0] = 0
    return areas


def _count_between(sides: list[tuple[np.ndarray, np.ndarray]], low: float, high: float) -> list[int]:
    """Matched and all objects of each side whose area in pixels is at least `low` and less than `high`."""
    counts = []
    for areas, matched in sides:
        inside = (areas >= low) & (areas < high)
        counts += [int((matched & inside).sum()), int(inside.sum())]
    return counts
