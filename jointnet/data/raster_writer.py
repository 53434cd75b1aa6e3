"""Arrays in, Cloud-Optimized GeoTIFFs out, each under its name only when it is complete."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from jointnet.data.grid import Grid
from jointnet.data.raster_errors import RasterError
from jointnet.files import written_whole

BLOCK = 512  # side of the tiles inside every raster written here, in pixels


class RasterWriter:
    """Writes a raster window by window into a file aside; `finish` makes the Cloud-Optimized GeoTIFF of it.

    Use it through `create_raster`.
    """

    def __init__(self, dataset: rasterio.io.DatasetWriter) -> None:
        self._dataset = dataset
        self._sums: dict[Window, int] = {}

    def write(self, data: np.ndarray, row: int = 0, col: int = 0) -> None:
        """Writes `data`, (height, width) or (height, width, bands), with its first pixel at (row, col); none twice."""
        data = data[..., None] if data.ndim == 2 else data
        height, width = data.shape[:2]
        pixels, window = np.moveaxis(data, -1, 0), Window(col, row, width, height)
        self._dataset.write(pixels, window=window)
        self._sums[window] = _sum(pixels.astype(self._dataset.dtypes[0], copy=False))

    def check(self, path: Path) -> None:
        """Reads what was written back from the finished file: on a full disk GDAL may lose blocks without a word.

        Raises:
            OSError: if a pixel is another, or cannot be read.
        """
        with rasterio.open(path) as found:
            same = all(_sum(found.read(window=window)) == known for window, known in self._sums.items())
            levels = range(len(found.overviews(1)))
        if not same:
            raise OSError("it does not hold the pixels that were written")
        for level in levels:
            with rasterio.open(path, overview_level=level) as smaller:
                for band in smaller.indexes:
                    smaller.checksum(band)  # reads every block


@contextmanager
def create_raster(
    path: str | Path,
    grid: Grid,
    bands: int = 1,
    dtype: str = "uint8",
    nodata: float | None = None,
    tags: Mapping[str, str] | None = None,
    colormap: Mapping[int, tuple[int, int, int]] | None = None,
    overview: str = "average",
    photometric: str | None = None,
) -> Iterator[RasterWriter]:
    """A `RasterWriter` whose file appears at `path`, complete, when the block ends without an error.

    Args:
        path: where the Cloud-Optimized GeoTIFF goes; its folder is made.
        grid: size, CRS and transform of the raster.
        bands: bands to write.
        dtype: NumPy name of the pixels' type.
        nodata: value that means "no imagery here".
        tags: text stored in the file.
        colormap: value -> (red, green, blue), for one uint8 band.
        overview: resampling of the overviews: "average", "nearest" (masks), "mode".
        photometric: "RGB" for colour images.

    Raises:
        RasterError: if the folder cannot be written to or the disk is full; nothing is left behind.
    """
    path = Path(path)
    profile = _profile(grid, bands, dtype, nodata) | ({"photometric": photometric} if photometric else {})
    try:
        with written_whole(path) as draft:
            rows = draft.with_name(f"rows_{draft.name}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                with rasterio.open(rows, "w", **profile) as dataset:
                    dataset.update_tags(**(tags or {}))
                    if colormap:
                        dataset.write_colormap(1, dict(colormap))
                    writer = RasterWriter(dataset)
                    yield writer
                _finish_cog(rows, draft, overview)
                writer.check(draft)
    except (OSError, RasterioError, CPLE_BaseError) as error:
        raise RasterError(f"{path} cannot be written: check that {path.parent} is a folder that you may write "
                          f"to and that the disk is not full ({error})") from error


def write_raster(path: str | Path, data: np.ndarray, grid: Grid, **options: Any) -> Path:
    """Writes a whole array, (height, width) or (height, width, bands), and returns the path.

    Options and errors as `create_raster`; `bands` and `dtype` come from the array.
    """
    bands = 1 if data.ndim == 2 else data.shape[-1]
    if data.shape[:2] != grid.shape:
        raise RasterError(f"{path}: the array is {data.shape[:2]} px, its grid {grid.shape} px; they must be equal")
    with create_raster(path, grid, bands, str(data.dtype), **options) as raster:
        raster.write(data)
    return Path(path)


def _finish_cog(rows: Path, path: Path, overview: str) -> None:
    """Makes the Cloud-Optimized GeoTIFF out of a finished GeoTIFF."""
    copy_raster(
        rows, path, driver="COG", compress="deflate", predictor="yes", blocksize=BLOCK,
        overview_resampling=overview, bigtiff="if_safer", num_threads="2",
    )


def _sum(pixels: np.ndarray) -> int:
    """A checksum of pixels, (bands, height, width)."""
    return zlib.crc32(np.ascontiguousarray(pixels).data)


def _profile(grid: Grid, bands: int, dtype: str, nodata: float | None) -> dict:
    """rasterio's creation options of a tiled, lightly compressed draft."""
    return {
        "driver": "GTiff", "width": grid.width, "height": grid.height, "count": bands, "dtype": dtype,
        "crs": grid.crs, "transform": grid.transform, "nodata": nodata, "tiled": True,
        "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "zlevel": 1, "bigtiff": "if_safer",
    }
