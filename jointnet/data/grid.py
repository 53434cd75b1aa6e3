"""Where a raster lies: its grid in pixels and on the ground, and boxes and points of one CRS in another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import Affine, array_bounds
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

METRES_PER_DEGREE = 111_195.0  # along a great circle of a sphere of 6,371 km
TRUE_TO_SCALE = 0.01  # share by which a map's metres may differ from those on the ground and still be taken for them


@dataclass(frozen=True)
class Grid:
    """The grid of a raster: size in pixels, bands, dtype, CRS, transform and no-data.

    `bands` counts image bands, alpha left out; `crs` is None where the file has no georeference.
    """

    width: int
    height: int
    bands: int
    dtype: str
    crs: CRS | None
    transform: Affine
    nodata: float | None = None
    alpha: int | None = None  # 1-based index of the alpha band
    tags: Mapping[str, str] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in units of the CRS, the smaller first; of a rotated raster, the box around it."""
        left, bottom, right, top = array_bounds(self.height, self.width, self.transform)
        return min(left, right), min(bottom, top), max(left, right), max(bottom, top)

    @property
    def on_earth(self) -> bool:
        """Whether the CRS says where on the earth the raster lies: a site grid (engineering CRS) does not."""
        return self.crs is not None and (self.crs.is_geographic or self.crs.is_projected)

    @property
    def crosses_180(self) -> bool:
        """Whether the raster lies across the meridian where longitudes jump from 180 to -180 degrees."""
        if not self.on_earth:
            return False
        box = project_box(self.bounds, self.crs, CRS.from_epsg(4326))
        return box is not None and (box[0] > box[2] or box[0] < -180 or box[2] > 180)

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """(height, width) of a pixel in metres on the ground, at the scene's centre; None where no CRS tells.

        Where the map's own metres are true to a hundredth, as in UTM and in any country's grid, they are taken as they
        are; in Web Mercator, whose metres shrink on the ground with the cosine of the latitude, they are not.
        """
        if self.crs is None:
            return None
        t = self.transform
        x, y = t @ (self.width / 2, self.height / 2)
        across, down = (t.a, t.d), (t.b, t.e)  # the ground vectors of one column and one row
        if self.crs.is_geographic:
            sx, sy = METRES_PER_DEGREE * math.cos(math.radians(y)), METRES_PER_DEGREE
        elif self.crs.is_projected:
            sx = sy = self.crs.linear_units_factor[1]
        else:
            sx = sy = _local_unit(self.crs.to_wkt())
        if not sx:
            return None
        sides = math.hypot(down[0] * sx, down[1] * sy), math.hypot(across[0] * sx, across[1] * sy)
        if not self.crs.is_projected:
            return sides
        ground = _ground_lengths(self.crs.to_wkt(), x, y, down, across)
        if not min(ground) > 0:  # a place that is not on the map
            return sides
        off = max(abs(ground[0] / sides[0] - 1), abs(ground[1] / sides[1] - 1))
        return (ground[0], ground[1]) if off > TRUE_TO_SCALE else sides

    @property
    def gsd(self) -> float | None:
        """Ground sample distance in metres per pixel (geometric mean of both sides), or None without a CRS."""
        size = self.pixel_size
        return None if size is None else math.sqrt(size[0] * size[1])

    def resized(self, height: int, width: int) -> Grid:
        """The same ground on a grid of another size in pixels."""
        scale = Affine.scale(self.width / width, self.height / height)
        return Grid(
            width, height, self.bands, self.dtype, self.crs, self.transform @ scale, self.nodata, self.alpha, self.tags
        )

    def crop(self, row: int, col: int, height: int, width: int) -> Grid:
        """The grid of a window that starts at (row, col), in pixels."""
        shifted = self.transform @ Affine.translation(col, row)
        return Grid(
            width, height, self.bands, self.dtype, self.crs, shifted, self.nodata, self.alpha, self.tags
        )


@lru_cache(maxsize=64)
def _local_unit(wkt: str) -> float:
    """Metres of a unit of an engineering CRS; 0 of one that has no plane, as a geocentric CRS."""
    crs = pyproj.CRS.from_wkt(wkt)
    return crs.axis_info[0].unit_conversion_factor if crs.is_engineering and crs.axis_info else 0.0


@lru_cache(maxsize=1024)
def _ground_lengths(wkt: str, x: float, y: float, *vectors: tuple[float, float]) -> tuple[float, ...]:
    """Metres along the ground of short vectors at (x, y) of a projected CRS; 0 or NaN off its map."""
    to_degrees = pyproj.Transformer.from_crs(wkt, "EPSG:4326", always_xy=True)
    ends = np.array([[(x - dx / 2, y - dy / 2), (x + dx / 2, y + dy / 2)] for dx, dy in vectors])
    lon, lat = to_degrees.transform(ends[..., 0].ravel(), ends[..., 1].ravel())
    return tuple(pyproj.Geod(ellps="WGS84").inv(lon[::2], lat[::2], lon[1::2], lat[1::2])[2].tolist())


def project_box(box: tuple[float, float, float, float], source: CRS, target: CRS
                ) -> tuple[float, float, float, float] | None:
    """The box around a box in another CRS, left > right across 180 degrees; None off the map of the other."""
    try:
        found = transform_bounds(source, target, *box)
    except RasterioError:
        return None
    return found if all(map(math.isfinite, found)) else None


def project_points(points: Sequence[tuple[float, float]], source: CRS, target: CRS) -> list[tuple[float, float]]:
    """Points (x, y) of one CRS in another; infinite where the other has no such place."""
    try:
        return list(zip(*transform_points(source, target, *zip(*points, strict=True)), strict=True))
    except RasterioError:
        return [(math.inf, math.inf)] * len(points)
