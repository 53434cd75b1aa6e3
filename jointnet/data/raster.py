"""Imagery in, arrays out: open rasters that are read by windows.

Arrays are (height, width, bands) everywhere outside the modules that this one brings together; rasterio's (bands,
height, width) stays inside.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import MaskFlags, Resampling
from rasterio.env import get_gdal_config
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from jointnet.data.addresses import is_remote, public_address
from jointnet.data.grid import Grid, project_box, project_points
from jointnet.data.image_files import driver_of, fetch_singly, open_file, what_failed
from jointnet.data.image_grid import grid_of_file
from jointnet.data.palettes import expanded_copy, expanded_grid, is_paletted, open_expanded
from jointnet.data.place_files import is_place, read_place
from jointnet.data.raster_errors import DamagedRasterError, RasterError, RasterWarning, ServiceError
from jointnet.data.raster_writer import RasterWriter, create_raster, write_raster

KEPT = 128  # files that a thread keeps open, at most
PAUSES = (0.5, 3.0)  # seconds before a service that failed is asked again


class RasterReader:
    """An open raster that reads windows, on its own grid or resampled to another size.

    Use it through `open_raster`. `info` is the grid that windows are counted on.
    """

    def __init__(self, dataset: rasterio.DatasetReader, path: Path, shape: tuple[int, int] | None, source: Grid,
                 expanded: bool = False) -> None:
        self.dataset = dataset
        self.path = path
        self.source = source
        self.expanded = expanded  # whether these are the colours of a paletted file
        self.info = self.source if shape is None else self.source.resized(*shape)
        flags = {flag for band in dataset.mask_flag_enums for flag in band}
        says_alpha = MaskFlags.alpha in flags and source.alpha is None  # and is imagery
        self._has_mask = bool(flags - {MaskFlags.all_valid, MaskFlags.per_dataset if says_alpha else None,
                                       MaskFlags.alpha if says_alpha else None})
        self._read_mask = self.dataset.dataset_mask if not says_alpha else self._any_band

    def read(
        self,
        window: tuple[int, int, int, int] | None = None,
        bands: Sequence[int] | None = None,
        resampling: str = "bilinear",
    ) -> np.ndarray:
        """Pixels as (height, width, bands).

        Args:
            window: (row, col, height, width) in pixels of `info`; the whole raster without it.
            bands: 1-based band numbers; without it every band that is not alpha.
            resampling: name of a rasterio `Resampling`, used only where `info` has another size than the file.

        Raises:
            RasterError: if the window leaves the raster, a band does not exist or the file is damaged there.
        """
        indexes = self.band_indexes(bands)
        shape = (window or (0, 0, *self.info.shape))[2:]

        def read_interleaved(out_shape: tuple[int, int] = shape, **arguments: Any) -> np.ndarray:
            pixels = np.empty((*out_shape, len(indexes)), self.dataset.dtypes[indexes[0] - 1])
            self.dataset.read(indexes, out=np.moveaxis(pixels, -1, 0), **arguments)  # GDAL itself puts bands last
            return pixels

        return self._read(window, read_interleaved, Resampling[resampling])

    def read_valid(self, window: tuple[int, int, int, int] | None = None) -> np.ndarray:
        """Where the file itself says that there is imagery: bool (height, width), from alpha, mask band or nodata."""
        if self._has_mask:
            valid = self._read(window, self._read_mask, Resampling.nearest) > 0
        else:
            _, _, height, width = window or (0, 0, *self.info.shape)
            valid = np.ones((height, width), bool)
        if self.info.dtype.startswith("float"):  # what is no number shows nothing, said or not
            valid &= np.isfinite(self.read(window, resampling="nearest")).all(axis=-1)
        return valid

    def _any_band(self, **arguments: Any) -> np.ndarray:
        """The mask of a file whose alpha is none: valid where any band is."""
        if "out_shape" in arguments:
            arguments["out_shape"] = (self.dataset.count, *arguments["out_shape"])
        return self.dataset.read_masks(**arguments).max(axis=0)

    @property
    def palette(self) -> dict[int, tuple[int, ...]]:
        """Number -> colour of a file that has a palette, which an image in its colours has no longer; else empty."""
        return self.dataset.colormap(1) if is_paletted(self.dataset) else {}

    def band_indexes(self, bands: Sequence[int] | None) -> list[int]:
        """The 1-based indexes to read: `bands` checked, or every band that is not alpha."""
        count = self.dataset.count
        if bands is None:
            return [i for i in range(1, count + 1) if i != self.source.alpha]
        if self.expanded and set(bands) == {1}:
            raise RasterError(f"{self.path} is paletted: the numbers of its one band stand for colours, which are read "
                              f"as three bands; leave bands out, or choose among 1, 2 and 3")
        wrong = [b for b in bands if not 1 <= b <= count]
        if wrong or not bands:
            raise RasterError(f"{self.path} has bands 1 to {count}; bands={list(bands)} asks for others")
        return list(bands)

    def _read(
        self, window: tuple[int, int, int, int] | None, read: Callable[..., np.ndarray], resampling: Resampling
    ) -> np.ndarray:
        row, col, height, width = window or (0, 0, *self.info.shape)
        if row < 0 or col < 0 or row + height > self.info.height or col + width > self.info.width:
            raise RasterError(
                f"window (row {row}, col {col}, {height} x {width} px) leaves {self.path} "
                f"of {self.info.height} x {self.info.width} px"
            )
        sy, sx = self.source.height / self.info.height, self.source.width / self.info.width
        arguments = {"window": Window(col * sx, row * sy, width * sx, height * sy)}
        if self.info is not self.source:
            arguments |= {"out_shape": (height, width), "resampling": resampling}
        try:
            return read(**arguments)
        except RasterioError as error:
            if is_place(self.path) or is_remote(self.path):
                return self._read_again(read, arguments, error)
            raise DamagedRasterError(
                f"{self.path} cannot be read at row {row}, col {col}: the file is damaged or cut short; "
                f"fetch or copy it again ({error})"
            ) from error

    def _read_again(self, read: Callable[..., np.ndarray], arguments: dict, error: RasterioError) -> np.ndarray:
        """Asks a service again; what came the first time is kept, so each try needs less.

        Raises:
            ServiceError: if it does not help. The first error is not shown with it: GDAL's messages hold addresses.
        """
        for pause in PAUSES:
            time.sleep(pause)
            if isinstance(self.dataset, WarpedVRT):
                fetch_singly(self.dataset, arguments["window"])
            try:
                return read(**arguments)
            except RasterioError as again:
                error = again
        name = read_place(self.path).service.name if is_place(self.path) else public_address(self.path)
        raise ServiceError(f"{name} did not give its imagery: {what_failed(error)}; call again to go on where it "
                           f"stopped") from None


@contextmanager
def open_raster(path: str | Path, shape: tuple[int, int] | None = None, expand: bool = False
                ) -> Iterator[RasterReader]:
    """An open `RasterReader`, on the file's own grid or on one of `shape` (height, width) pixels over the same ground.

    With `expand`, the numbers of a paletted image are read as the colours that they stand for: three bands.

    A JPEG file is shrunk from its own pixels, as any other, not by decoding it at a lower resolution: that is another
    filter, and a network answers otherwise to it.

    Raises:
        RasterError: if the file is missing, is not an image, or holds no pixel or band.
    """
    options = {} if shape is None else {"@USE_INTERNAL_OVERVIEWS": "NO"}  # @: only where a driver knows it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_file(Path(path), **options) as dataset:
            if not (expand and is_paletted(dataset)):
                yield RasterReader(dataset, Path(path), shape, grid_of_file(dataset, path))
                return
            with expanded_copy(dataset, copied=shape is not None) as colours:
                yield RasterReader(colours, Path(path), shape, expanded_grid(dataset, colours), True)


@contextmanager
def block_cache(megabytes: int) -> Iterator[None]:
    """Inside the block GDAL holds at most so much of what it read and wrote; a setting that is smaller stays."""
    limit = min(megabytes * 1_000_000, get_gdal_config("GDAL_CACHEMAX"))
    with rasterio.Env(GDAL_CACHEMAX=limit):
        yield


def kept_raster(path: str | Path, expand: bool = False) -> RasterReader:
    """An open `RasterReader` on the file's own grid, kept open for this thread's next call.

    Opening a file takes longer than reading a patch from it. A file that has changed is opened anew; the one that was
    not asked for longest is closed when a thread keeps more than `KEPT`. Errors as `open_raster`.
    """
    path = Path(path)
    if _kept.process != os.getpid():  # a forked process must not share the place in a file with its parent
        _kept.process, _kept.readers = os.getpid(), {}
    key, state = (path, expand), _state(path)
    known, reader = _kept.readers.pop(key, (None, None))
    if reader is None or known != state:
        dataset = open_file(path)
        if expand and is_paletted(dataset):
            colours = open_expanded(dataset)
            reader = RasterReader(colours, path, None, expanded_grid(dataset, colours), True)
        else:
            reader = RasterReader(dataset, path, None, grid_of_file(dataset, path))
    _kept.readers[key] = (state, reader)
    while len(_kept.readers) > KEPT:
        del _kept.readers[next(iter(_kept.readers))]  # rasterio closes a file that nobody holds
    return reader


class _Kept(threading.local):
    """A thread's open files, the one asked for last at the end."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.readers: dict[tuple[Path, bool], tuple[tuple[int, int, int] | None, RasterReader]] = {}


_kept = _Kept()


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written anew; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def identity_of(path: str | Path) -> dict:
    """What a prediction knows its image by: a file by its place and date, a place by what it shows, others by address.

    It holds no key.
    """
    if is_place(path):
        return {"image": Path(path).name, "place": read_place(path).digest}
    if is_remote(path):
        return {"image": public_address(path)}
    found = Path(path).stat()
    return {"image": str(Path(path).resolve()), "bytes": found.st_size, "modified": found.st_mtime_ns}


def read_info(path: str | Path, expand: bool = False) -> Grid:
    """The grid of a raster file, without reading its pixels. Arguments and errors as `open_raster`."""
    with open_raster(path, expand=expand) as raster:
        return raster.info


def read_raster(
    path: str | Path,
    window: tuple[int, int, int, int] | None = None,
    bands: Sequence[int] | None = None,
) -> np.ndarray:
    """Pixels of a file as (height, width, bands), alpha left out. Arguments and errors as `RasterReader.read`."""
    with open_raster(path) as raster:
        return raster.read(window, bands)


def read_mask(path: str | Path, window: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """A label raster as uint8 {0, 1} (height, width); on disk its values are 0 and 1, or 0 and 255.

    Raises:
        RasterError: if another value is found, or the file has several bands.
    """
    with open_raster(path) as raster:
        if raster.info.bands != 1:
            raise RasterError(f"{path} has {raster.info.bands} bands; a mask has one, of 0 and 1 or 0 and 255")
        return binary_mask(raster.read(window)[..., 0], str(path))


def binary_mask(values: np.ndarray, name: str = "mask") -> np.ndarray:
    """uint8 {0, 1} from an array of {0, 1} or {0, 255}.

    Raises:
        RasterError: if another value is found.
    """
    found = values != 0
    high = values[found]
    if high.size and not (np.all(high == 255) or np.all(high == 1)):
        raise RasterError(f"{name} holds values other than 0 and 1, or 0 and 255: {np.unique(values)[:8]}")
    return found.astype(np.uint8)


__all__ = [
    "Affine",
    "DamagedRasterError",
    "Grid",
    "RasterError",
    "RasterReader",
    "RasterWarning",
    "RasterWriter",
    "ServiceError",
    "binary_mask",
    "block_cache",
    "create_raster",
    "driver_of",
    "identity_of",
    "kept_raster",
    "open_raster",
    "project_box",
    "project_points",
    "read_info",
    "read_mask",
    "read_raster",
    "write_raster",
]
