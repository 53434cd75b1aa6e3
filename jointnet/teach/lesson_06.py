"""Checks of lesson 06: a width, gaps, a threshold for routes, and lines that see nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from jointnet.data.raster import Grid
from jointnet.evaluate.paths import path_score
from jointnet.evaluate.roads import line_counts
from jointnet.predict.vectors.centre_lines import Cleaning, centre_lines
from jointnet.teach.checks import exercise, known_answer

STEP = 50.0  # metres between the blind lines
Given = tuple[np.ndarray, Grid, gpd.GeoDataFrame]  # mask or probability, its grid, true lines


@exercise("06.1", "a width in pixels")
def halving_width(answer: float, given: None) -> str | None:
    """Compares, and says on which side a wrong width lies."""
    expected = known_answer("06.1")
    if np.isclose(answer, expected):
        return None
    return f"at that width the IoU is {'more' if answer > expected else 'less'} than a half"


@exercise("06.2", "a table {gap: (quality, path score)} for three or more gaps in metres")
def joined_gaps(answer: Mapping[float, tuple[float, float]], given: Given) -> str | None:
    """Joins the gaps again; `given` is (mask, grid, true lines)."""
    mask, grid, truth = given
    if len(answer) < 3:
        return f"that is {len(answer)} of three or more gaps"
    for gap, scores in answer.items():
        found = centre_lines(mask, grid, cleaning=Cleaning(gap=gap))
        expected = line_counts(truth, found).quality, path_score(truth, found).score
        if np.allclose(scores, expected[::-1], atol=1e-3) and not np.isclose(*expected, atol=1e-3):
            return "quality comes first, the path score second"
        if not np.allclose(scores, expected, atol=1e-3):
            return f"at a gap of {gap} m the scores are others. Lines: centre_lines(mask, grid, cleaning=...)"
    return None


@exercise("06.3", "a table {threshold: path score} for three or more thresholds, on both sides of the card's")
def path_threshold(answer: Mapping[float, float], given: tuple[np.ndarray, Grid, gpd.GeoDataFrame, float]
                   ) -> str | None:
    """Scores again; `given` is (probability, grid, true lines, the card's threshold)."""
    likely, grid, truth, card = given
    if len(answer) < 3 or not min(answer) < card < max(answer):
        return f"try three or more, below and above {card}"
    for threshold, score in answer.items():
        expected = path_score(truth, centre_lines(likely >= threshold, grid)).score
        if not np.isclose(score, expected, atol=1e-3):
            return f"at {threshold} the path score is another. Lines: centre_lines(probability >= threshold, grid)"
    return None


@exercise("06.4", "(completeness, path score), two numbers between 0 and 1")
def blind_lines(answer: tuple[float, float], given: tuple[gpd.GeoDataFrame, tuple[float, float, float, float]]
                ) -> str | None:
    """Draws the lines again; `given` is (true lines, bounds of the scene in the same CRS)."""
    truth, bounds = given
    lines = lines_every(STEP, bounds, truth.crs)
    expected = line_counts(truth, lines).completeness, path_score(truth, lines).score
    right = np.isclose(answer, expected, atol=1e-3)
    if right.all():
        return None
    if np.allclose(answer, expected[::-1], atol=1e-3):
        return "completeness comes first"
    wrong = "path score" if right[0] else "completeness"
    return f"the {wrong} is another. The first line lies 25 m above the lower bound"


def lines_every(step: float, bounds: tuple[float, float, float, float], crs: Any) -> gpd.GeoDataFrame:
    """Lines from west to east over the bounds, the first half a step above the lower bound.

    Args:
        step: between neighbouring lines, in the units of the CRS.
        bounds: left, bottom, right, top.
        crs: of the bounds.
    """
    left, bottom, right, top = bounds
    heights = np.arange(bottom + step / 2, top, step)
    return gpd.GeoDataFrame(geometry=[shapely.LineString([(left, y), (right, y)]) for y in heights], crs=crs)
