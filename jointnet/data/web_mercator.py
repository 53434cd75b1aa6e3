"""A raster in, the picture out that a web map can lay down without shear."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader, MemoryFile
from rasterio.transform import Affine, array_bounds
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform

from jointnet.data.grid import Grid
from jointnet.data.image_grid import grid_of_dataset
from jointnet.data.raster import open_raster
from jointnet.data.raster_errors import RasterError

WEB_MERCATOR = CRS.from_epsg(3857)
WEB_MERCATOR_180 = CRS.from_proj4("+proj=merc +a=6378137 +b=6378137 +lon_0=180 +units=m +nadgrids=@null +no_defs")
MERCATOR_RADIUS = 6_378_137.0  # of Web Mercator's sphere, in metres


def warp_to_web_mercator(
    source: str | Path | np.ndarray,
    grid: Grid | None = None,
    max_size: int = 2048,
    resampling: str = "bilinear",
    bands: Sequence[int] | None = None,
    expand: bool = False,
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float, float]]:
    """The picture that a web map can lay down without shear: pixels, where they are valid, and their corners.

    A raster in another projection than the map's is turned and stretched against it; laid between its corners as it
    is, a tile of 1.5 km would be off by metres.

    Args:
        source: raster file, or an array (height, width) or (height, width, bands) on `grid`.
        grid: where an array lies; of a file, the part of it that is wanted (see `Grid.crop`), the whole without it.
        max_size: longest side of the picture in pixels; a smaller raster keeps its resolution.
        resampling: name of a rasterio `Resampling`; "nearest" for masks.
        bands: 1-based band numbers of a file; without it, every band that is not alpha.
        expand: whether a paletted file is shown in its colours, as an image is.

    Returns:
        Pixels (height, width, bands), valid bool (height, width), and (south, west, north, east) in degrees.

    Raises:
        RasterError: if the raster has no georeference, or an array comes without its grid.
    """
    if isinstance(source, np.ndarray):
        if grid is None:
            raise RasterError("an array has no place on a map; pass the grid of its scene, scene.info")
        with MemoryFile() as memory:
            _write_to_memory(memory, source, grid)
            with memory.open() as dataset:
                return _warp(dataset, grid, max_size, resampling, range(1, dataset.count + 1))
    with open_raster(source, expand=expand) as raster:
        grid, bands = grid or raster.info, raster.band_indexes(bands)
        return _warp(raster.dataset, grid, max_size, resampling, bands, raster.source)


def _write_to_memory(memory: MemoryFile, data: np.ndarray, grid: Grid) -> None:
    """An uncompressed GeoTIFF of an array."""
    data = data[..., None] if data.ndim == 2 else data
    data = data.astype(np.uint8) if data.dtype == bool else data
    if data.shape[:2] != grid.shape:
        raise RasterError(f"the array is {data.shape[:2]} px, its grid {grid.shape} px; they must be equal")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(
            driver="GTiff", width=grid.width, height=grid.height, count=data.shape[-1], dtype=str(data.dtype),
            crs=grid.crs, transform=grid.transform, bigtiff="if_safer",
        ) as dataset:
            dataset.write(np.moveaxis(data, -1, 0))


def _warp(
    dataset: DatasetReader, grid: Grid, max_size: int, resampling: str, bands: Sequence[int], placed: Grid | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float, float]]:
    """`warp_to_web_mercator` of an open dataset, over the ground of `grid`."""
    if not grid.on_earth:
        raise RasterError(f"{dataset.name} has no georeference, so it has no place on a map")
    around, middle = (WEB_MERCATOR_180, 180.0) if grid.crosses_180 else (WEB_MERCATOR, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # rasterio's own use of affine
        transform, width, height = calculate_default_transform(
            grid.crs, around, grid.width, grid.height, *grid.bounds
        )
    shrink = max(1.0, width / max_size, height / max_size)
    columns, rows = math.ceil(width / shrink), math.ceil(height / shrink)
    transform = transform @ Affine.scale(width / columns, height / rows)
    whole = grid_of_dataset(dataset) if placed is None else placed
    plain = whole.alpha is None and dataset.nodata is None
    with WarpedVRT(
        dataset, src_crs=grid.crs, src_transform=whole.transform, crs=around, transform=transform, width=columns,
        height=rows, resampling=Resampling[resampling], add_alpha=plain,
    ) as warped:
        pixels = np.ascontiguousarray(np.moveaxis(warped.read(list(bands)), 0, -1))
        valid = warped.dataset_mask() > 0
    left, bottom, right, top = array_bounds(rows, columns, transform)
    (south, west), (north, east) = _degrees(left, bottom), _degrees(right, top)
    return pixels, valid, (south, west + middle, north, east + middle)


def _degrees(x: float, y: float) -> tuple[float, float]:
    """(latitude, longitude) of a point in Web Mercator metres."""
    return math.degrees(math.atan(math.sinh(y / MERCATOR_RADIUS))), math.degrees(x / MERCATOR_RADIUS)
