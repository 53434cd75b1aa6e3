"""Where the shapes of a vector file lie: file in, box out."""

from __future__ import annotations

from pathlib import Path

import pyogrio
from rasterio.crs import CRS
from rasterio.warp import transform_bounds


def bounds_in(path: Path, crs: CRS) -> tuple[float, float, float, float] | None:
    """(left, bottom, right, top) of every shape of a vector file's first layer, in `crs`; None for an empty file.

    Raises:
        ValueError: if the file cannot be read, or states no CRS.
    """
    try:
        info = pyogrio.read_info(path, force_total_bounds=True)
    except pyogrio.errors.DataSourceError as error:
        raise ValueError(f"{path} is not a vector file that GDAL can read; save it as GeoPackage ({error})") from error
    if info["total_bounds"] is None:
        return None
    if info["crs"] is None:
        raise ValueError(f"{path} states no CRS, so its place is unknown; save it with one, or name it after its image")
    return transform_bounds(CRS.from_user_input(info["crs"]), crs, *info["total_bounds"])
