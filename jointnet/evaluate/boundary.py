"""Masks in, scores of their outlines out: agreement within a few pixels."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
from scipy.ndimage import distance_transform_edt

from jointnet.evaluate.counts import Counts, MatchedCounts, as_masks, count_pixels

RHO = 3.0  # pixels, as in Mnih's thesis
BOUNDARY_WIDTH = 3.0  # pixels
FAR = 12.0  # pixels from which on the distance transform is faster


def relaxed_counts(
    truth: np.ndarray,
    predicted: np.ndarray,
    valid: np.ndarray | None = None,
    rho: float = RHO,
    rows: slice = slice(None),
) -> MatchedCounts:
    """Pixels that lie within `rho` of a pixel of the other mask.

    Relaxed precision is the share of predicted pixels with a label within rho, relaxed recall the share of labelled
    pixels with a prediction within rho (Mnih, Machine Learning for Aerial Image Labeling, 2013). Pixels without imagery
    neither count nor help.

    Args:
        truth: labels (height, width).
        predicted: prediction (height, width).
        valid: where pixels count; everywhere without it.
        rho: tolerance in pixels, Euclidean between centres.
        rows: rows that are counted; the others only give their neighbourhood.
    """
    truth, predicted, valid = as_masks(truth, predicted, valid)
    truth, predicted = truth & valid, predicted & valid
    predicted_matched = predicted & within(truth, rho)
    truth_matched = truth & within(predicted, rho)
    return MatchedCounts(*(int(m[rows].sum()) for m in (predicted_matched, predicted, truth_matched, truth)))


def boundary_counts(
    truth: np.ndarray,
    predicted: np.ndarray,
    valid: np.ndarray | None = None,
    width: float = BOUNDARY_WIDTH,
    rows: slice = slice(None),
    edge: bool = True,
) -> Counts:
    """Counts of the inner bands along both masks' outlines; their IoU is the boundary IoU (Cheng et al., CVPR 2021).

    As in the authors' program (bowenc0221/boundary-iou-api): the band is what as many 3 x 3 erosions as it is wide
    take away, so distances are chessboard's, and the image's edge is an outline. Cheng and others take a width of 2 %
    of the image's diagonal, meant for photographs of one object; on a scene of hundreds of buildings that would be
    whole buildings, so the width is in pixels here. Pixels without imagery make no outline.

    Args:
        truth: labels (height, width).
        predicted: prediction (height, width).
        valid: where pixels count; everywhere without it.
        width: width of the band in pixels, rounded down: rows or columns from the nearest background pixel.
        rows: rows that are counted; the others only give their neighbourhood, `width` of them at least.
        edge: whether what lies beyond the image's edge is background, as the authors have it. With False the edge
            makes no outline; such a score cannot be compared with published ones.
    """
    truth, predicted, valid = as_masks(truth, predicted, valid)
    actual, claimed = (mask & valid & _near_background(~mask & valid, int(width), edge) for mask in (truth, predicted))
    return count_pixels(actual[rows], claimed[rows], valid[rows])


def _near_background(background: np.ndarray, width: int, edge: bool) -> np.ndarray:
    """Where a background pixel lies within `width` rows and columns: bool (height, width).

    A square is a row of pixels moved over a column of them; what lies beyond the array is background or nothing.
    """
    near = np.pad(background, width, constant_values=edge)
    for axis, length in enumerate(background.shape):
        moved = [near[(slice(None),) * axis + (slice(k, k + length),)] for k in range(2 * width + 1)]
        near = reduce(np.logical_or, moved)
    return near


def within(mask: np.ndarray, distance: float) -> np.ndarray:
    """Where a pixel of the mask lies within `distance` pixels (Euclidean, between centres): bool, of the same shape.

    A few pixels are reached faster by moving the mask over a disc than by the distance transform, which gives the same.
    """
    if not mask.any():
        return np.zeros(mask.shape, bool)
    if distance >= FAR:
        return distance_transform_edt(~mask) <= distance
    height, width = mask.shape
    near, wide, reach = np.zeros(mask.shape, bool), mask.copy(), 0
    for down in range(min(int(distance), height - 1), -1, -1):  # rows of the disc, from its narrow ends to its middle
        half = min(math.isqrt(int(distance**2 - down**2)), width - 1)
        for by in range(reach + 1, half + 1):
            wide[:, by:] |= mask[:, :-by]
            wide[:, :-by] |= mask[:, by:]
        reach = half
        near[down:] |= wide[: height - down]
        near[: height - down] |= wide[down:]
    return near
