"""A grid of 1 m pixels at a known place, and shapes drawn in its columns and rows."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import rasterio.crs
import shapely
from rasterio.transform import Affine

from jointnet.data.raster import Grid

WEST, NORTH = 500_000.0, 5_200_000.0  # in UTM zone 33: on its central meridian


def grid_of(height=8, width=8, pixel=1.0, epsg=32633, west=WEST, north=NORTH) -> Grid:
    crs = None if epsg is None else rasterio.crs.CRS.from_epsg(epsg)
    transform = Affine.identity() if epsg is None else Affine(pixel, 0, west, 0, -pixel, north)
    return Grid(width, height, 3, "uint8", crs, transform)


def on_grid(*shapes, epsg=32633, west=WEST, north=NORTH) -> gpd.GeoSeries:
    """Shapes drawn in columns and rows of a grid of 1 m pixels, as a series in UTM."""
    place = lambda xy: np.column_stack([west + xy[:, 0], north - xy[:, 1]])  # noqa: E731
    return gpd.GeoSeries(shapely.transform(np.array(shapes, object), place), crs=epsg)


def rows(*lines: str) -> np.ndarray:
    return np.array([[int(c) for c in line] for line in lines], np.uint8)
