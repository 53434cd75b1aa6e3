"""Shapes in any CRS in, the same in an image's out, by one datum shift for the whole image, and how far to trust it."""

from __future__ import annotations

import math
import re
import warnings

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from pyproj.enums import TransformDirection
from pyproj.exceptions import ProjError

from jointnet.data.layers import LabelWarning
from jointnet.data.raster import Grid

GOOD_METRES, GOOD_PIXELS = 1.0, 3.0  # a shift that is right to either is used without a word


def way_from(grid: Grid, crs: pyproj.CRS) -> pyproj.Transformer:
    """The transformation from an image's CRS to another, x before y: what PROJ takes at the image's centre.

    PROJ left to itself chooses for each point, and for the way back perhaps otherwise: near Styria's border it knows
    two shifts of Austria's datum, 0.4 m apart. With one for the whole image, what was drawn on it comes back to where
    it was drawn.
    """
    known = pyproj.Transformer.from_crs(_flat(pyproj.CRS.from_user_input(grid.crs)), _flat(crs), always_xy=True)
    known.transform(*_centre(grid))
    try:
        return known.get_last_used_operation()
    except ProjError:  # there is but one
        return known


def to_image(shapes: gpd.GeoSeries, grid: Grid) -> gpd.GeoSeries:
    """Shapes in the CRS of an image; those without a CRS, and of an image without, as they are.

    Warns:
        LabelWarning: when the shift between the two datums is known to a few metres only, or not at all.
    """
    if grid.crs is None or shapes.crs is None:
        return shapes
    own = pyproj.CRS.from_user_input(grid.crs)
    if own == shapes.crs or not grid.on_earth:
        return shapes.to_crs(own)
    way = way_from(grid, shapes.crs)
    _say_if_coarse(way, grid, own, shapes.crs)
    placed = shapely.transform(shapes.to_numpy(), lambda xy: _columns(
        way.transform(xy[:, 0], xy[:, 1], direction=TransformDirection.INVERSE)))
    return gpd.GeoSeries(placed, index=shapes.index, crs=own)


def _columns(xy: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.column_stack(xy)


def _flat(crs: pyproj.CRS) -> pyproj.CRS:
    """A CRS without its heights, which shapes here have not."""
    return crs.to_2d() if len(crs.axis_info) > 2 else crs


def _centre(grid: Grid) -> tuple[float, float]:
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    return x, y


def _say_if_coarse(way: pyproj.Transformer, grid: Grid, own: pyproj.CRS, other: pyproj.CRS) -> None:
    """Warns of a shift between two datums that may put labels beside what they show.

    A published shift of nothing, as from NAD83 to WGS 84, is what every program takes, and is not told.
    """
    advice = ("look at them on the image, and where they are off, save them in the image's CRS with a program that has "
              "PROJ's grids for the place (projsync fetches them)")
    if re.search("ballpark geo", way.description, re.IGNORECASE):
        warnings.warn(f"labels in {other.name!r} are placed on an image in {own.name!r} as if both had one datum, "
                      f"since no shift between the two is known here: they may lie many metres off; {advice}",
                      LabelWarning, 5)
        return
    good = max(GOOD_METRES, GOOD_PIXELS * (grid.gsd or 0))
    if way.accuracy > good and not _is_nothing(way, grid, own, other):
        pixels = f", {way.accuracy / grid.gsd:.0f} px" if grid.gsd else ""
        warnings.warn(f"labels in {other.name!r} are placed on an image in {own.name!r} by a shift that is right to "
                      f"{way.accuracy:g} m{pixels}; {advice}", LabelWarning, 5)


def _is_nothing(way: pyproj.Transformer, grid: Grid, own: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Whether a place has the same degrees in both datums."""
    here, there = _centre(grid), way.transform(*_centre(grid))
    degrees = [pyproj.Transformer.from_crs(_flat(crs), _flat(crs.geodetic_crs), always_xy=True).transform(*xy)
               for crs, xy in ((own, here), (other, there)) if crs.geodetic_crs is not None]
    return len(degrees) == 2 and math.dist(*degrees) < 1e-8  # a millimetre
