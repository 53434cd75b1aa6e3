"""Checks of lesson 04: windows, blending, specks, and a sure mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np

from jointnet.data.labels import rasterize_polygons
from jointnet.data.scene import Scene
from jointnet.predict.windows import WindowGrid, stride_of
from jointnet.teach.checks import exercise, known_answer, wrong_keys

TILE = 5000  # pixels
SMALL = 10  # m2
SURE, ROOF = 0.8, 0.5  # mean probability from which a network is sure; share of a polygon that is roof


@exercise("04.1", "a table {0: windows, 0.25: windows, 0.5: windows}, each the number for the whole tile")
def window_counts(answer: Mapping[float, int], given: int) -> str | None:
    """Counts the windows; `given` is the side of a window in pixels."""
    grids = {share: WindowGrid(TILE, TILE, given, stride_of(given, share)) for share in (0, 0.25, 0.5)}
    if wrong := wrong_keys(answer, grids):
        return wrong
    sides = {share: (len(grid.tops), len(grid.lefts)) for share, grid in grids.items()}
    if all(answer[share] == rows * columns for share, (rows, columns) in sides.items()):
        return None
    if all(answer[share] == rows for share, (rows, _) in sides.items()):
        return "these windows fill one row; a tile has two directions"
    return ("windows hang over each border by half an overlap, so a line of them covers the tile and one overlap; a "
            "part of a window is a window")


@exercise("04.2", "two numbers between 0 and 1: the blend of the probabilities, the blend of the two masks")
def blended_pixel(answer: Sequence[float], given: None) -> str | None:
    """Compares with what is worked out by hand."""
    expected = known_answer("04.2")
    if len(answer) != 2:
        return f"{len(answer)} numbers were given"
    right = np.isclose(answer, expected, atol=1e-3)
    if right.all():
        return None
    if np.allclose(answer, expected[::-1], atol=1e-3):
        return "the order is probabilities first, masks second"
    wrong = " and ".join(name for name, ok in zip(("probabilities", "masks"), right, strict=True) if not ok)
    return f"the blend of the {wrong} is another: each window's answer times its weight, added up"


@exercise("04.3", f"(number, share): how many polygons have less than {SMALL} m2, and their share of the area, 0 to 1")
def speck_share(answer: tuple[int, float], given: gpd.GeoDataFrame) -> str | None:
    """Counts in the table that is given."""
    number, share = answer
    small = given["area_m2"] < SMALL
    expected = given.loc[small, "area_m2"].sum() / given["area_m2"].sum()
    if number != small.sum():
        return "the number is another"
    if np.isclose(share, expected, rtol=1e-3, atol=1e-6):
        return None
    if np.isclose(share, small.mean()):
        return "this is their share of the polygons, not of the area"
    return "the share is another: the area of the small ones by the area of all"


@exercise("04.4", "the label of a row of the table of polygons, a whole number")
def sure_mistake(answer: int, given: tuple[gpd.GeoDataFrame, Scene]) -> str | None:
    """Looks at the polygon's probability, and at the truth under it."""
    every, scene = given
    if answer not in every.index:
        return f"the table has no row {answer!r}; its rows are {every.index.min()} to {every.index.max()}"
    if "buildings" not in scene.labels:
        return "this scene has no truth to tell by; judge by eye"
    row: Any = every.loc[answer]
    if row["mean_probability"] < SURE:
        return f"of this one the network was not sure: {row['mean_probability']:.2f} on average, {SURE} is asked"
    under = rasterize_polygons(every.loc[[answer]], scene.info, empty_ok=True) > 0
    roof = scene.read_labels("buildings")[under].mean() if under.any() else 1.0
    return f"{roof:.0%} of this one is roof" if roof >= ROOF else None
