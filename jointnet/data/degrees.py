"""Shapes in any CRS in; longitude and latitude out, cut where the longitudes jump from 180 to -180 degrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj
import shapely

if TYPE_CHECKING:
    import geopandas as gpd

WGS84 = "EPSG:4326"


def on_earth(crs: pyproj.CRS | None) -> bool:
    """Whether a CRS says where on the earth it lies; a site grid (engineering CRS) does not."""
    return crs is not None and (crs.is_geographic or crs.is_projected)


def to_degrees(shapes: gpd.GeoSeries) -> gpd.GeoSeries:
    """Shapes in WGS 84, those across 180 degrees in two parts, as RFC 7946 wants (section 3.1.9).

    Shapes without a place on the earth stay as they are.
    """
    if not on_earth(shapes.crs):
        return shapes
    placed = shapes.to_crs(WGS84)
    box = placed.bounds.to_numpy()
    across = (box[:, 2] - box[:, 0] > 180) | (box[:, 2] > 180) | (box[:, 0] < -180)
    if not across.any():
        return placed
    import geopandas as gpd

    geometry = placed.to_numpy().copy()
    geometry[across] = [_cut(shape) for shape in _eastward(geometry[across])]
    return gpd.GeoSeries(geometry, index=placed.index, crs=WGS84)


def past_180(shapes: gpd.GeoSeries) -> gpd.GeoSeries:
    """Shapes in WGS 84 in one piece, those west of Greenwich beyond 180 degrees: for a map around that meridian."""
    import geopandas as gpd

    placed = shapes.to_crs(WGS84)
    return gpd.GeoSeries(_eastward(placed.to_numpy()), index=placed.index, crs=WGS84)


def _eastward(shapes: np.ndarray) -> np.ndarray:
    """Shapes whose longitudes run from 0 to 360 degrees."""
    return shapely.transform(shapes, lambda xy: np.column_stack([xy[:, 0] % 360, xy[:, 1]]))


def _cut(shape: shapely.Geometry) -> shapely.Geometry:
    """A shape with longitudes of 0 to 360 degrees, cut at 180, the part beyond brought back to below 0."""
    shape = shape if shape.is_valid else shapely.make_valid(shape)
    west = shapely.intersection(shape, shapely.box(0, -90, 180, 90))
    east = shapely.intersection(shape, shapely.box(180, -90, 360, 90))
    east = shapely.transform(east, lambda xy: xy - (360, 0))
    parts = shapely.get_parts(shapely.get_parts([west, east]))
    dimension = shapely.get_dimensions(shape)
    parts = parts[(shapely.get_dimensions(parts) == dimension) & ~shapely.is_empty(parts)]
    if len(parts) == 1:
        return parts[0]
    return (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)[dimension](parts)
