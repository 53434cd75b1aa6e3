"""One labelled scene and its prediction in, everything that is counted on it out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jointnet.data.scene import Scene
from jointnet.evaluate.boundary import BOUNDARY_WIDTH, RHO, boundary_counts, relaxed_counts
from jointnet.evaluate.counts import Counts, MatchedCounts, count_pixels
from jointnet.evaluate.inputs import Prediction, read_strips, with_halo
from jointnet.evaluate.objects import ObjectCounts, count_objects, find_overlaps
from jointnet.evaluate.thresholds import ProbabilityCounts, count_probabilities


@dataclass(frozen=True)
class TileScores:
    """What was counted on one scene; everything in it adds up. What was not asked for, or cannot be had, is None.

    Attributes:
        name: name of the scene.
        city: city that the scene belongs to.
        pixels: pixel counts.
        relaxed: pixels within rho of the other mask.
        boundary: pixel counts of the bands along the outlines.
        objects: objects by area class.
        probabilities: histogram of probabilities, where a probability raster was there.
    """

    name: str
    city: str
    pixels: Counts
    relaxed: MatchedCounts | None = None
    boundary: Counts | None = None
    objects: ObjectCounts | None = None
    probabilities: ProbabilityCounts | None = None


def score_scene(
    scene: Scene,
    prediction: Prediction,
    class_name: str = "buildings",
    threshold: float | None = None,
    rho: float = RHO,
    boundary_width: float = BOUNDARY_WIDTH,
    boundary_edge: bool = True,
    detail: bool = True,
) -> TileScores:
    """The counts of one scene. Arguments and errors as `evaluate`."""
    pixels, relaxed, boundary, probabilities = Counts(), MatchedCounts(), Counts(), None
    masks = np.zeros((2, *(scene.info.shape if detail else (0, 0))), bool)  # of a whole scene, for its objects
    halo = math.ceil(max(rho, boundary_width)) if detail else 0  # so that a strip's end is not taken for the edge
    for strip, rows in with_halo(read_strips(scene, prediction, class_name, threshold), halo):
        truth, predicted, valid = strip.truth, strip.predicted, strip.valid
        pixels += count_pixels(truth[rows], predicted[rows], valid[rows])
        if strip.probability is not None:
            counted = count_probabilities(strip.probability[rows], truth[rows], valid[rows])
            probabilities = counted if probabilities is None else probabilities + counted
        if detail:
            relaxed += relaxed_counts(truth, predicted, valid, rho, rows)
            boundary += boundary_counts(truth, predicted, valid, boundary_width, rows, boundary_edge)
            masks[:, strip.row : strip.row + len(truth)] = truth & valid, predicted & valid
    if not detail:
        return TileScores(scene.name, scene.city, pixels, probabilities=probabilities)
    objects = count_objects(find_overlaps(masks[0], masks[1]), scene.gsd and scene.gsd**2)
    return TileScores(scene.name, scene.city, pixels, relaxed, boundary, objects, probabilities)
