"""Imagery in, rasters out: the one module that opens files with rasterio.

Arrays are (height, width, bands) everywhere outside this module; rasterio's (bands, height, width) stays inside.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pyproj
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.env import get_gdal_config
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.shutil import copy as copy_raster
from rasterio.transform import Affine, array_bounds, rowcol
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform, transform_bounds
from rasterio.warp import transform as transform_points
from rasterio.windows import Window

from jointnet.data.addresses import address_of, hide_keys, is_remote, public_address, with_keys
from jointnet.data.place_files import Place, is_place, read_place
from jointnet.data.services import AGENT
from jointnet.errors import InputError
from jointnet.files import written_whole

# GDAL would keep a twentieth of the machine's memory in blocks that it has read; MB, and a user's own setting wins.
os.environ.setdefault("GDAL_CACHEMAX", "256")
# Addresses: seconds until a connection and an answer are given up, and how often a busy server is asked again.
for _name, _value in {"GDAL_HTTP_CONNECTTIMEOUT": "15", "GDAL_HTTP_TIMEOUT": "60", "GDAL_HTTP_MAX_RETRY": "3",
                      "GDAL_HTTP_RETRY_DELAY": "1", "GDAL_HTTP_USERAGENT": AGENT}.items():
    os.environ.setdefault(_name, _value)

os.environ.setdefault("GDAL_ERROR_ON_LIBJPEG_WARNING", "TRUE")  # a damaged JPEG is an error, not a grey patch

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
FORMATS = {  # driver -> how its files begin
    "GTiff": TIFF, "PNG": (b"\x89PNG",), "JPEG": (b"\xff\xd8\xff",), "HFA": (b"EHFA_HEADER_TAG",),
    "JP2OpenJPEG": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "GIF": (b"GIF8",), "BMP": (b"BM",), "WEBP": (b"RIFF",),
    "NITF": (b"NITF", b"NSIF"),
}
OTHER_FORMATS = {  # ending -> driver, of files that do not begin alike
    ".vrt": "VRT", ".asc": "AAIGrid", ".bil": "EHdr", ".bsq": "EHdr", ".ecw": "ECW", ".sid": "MrSID", ".gpkg": "GPKG",
    ".mbtiles": "MBTiles", ".nc": "netCDF", ".h5": "HDF5",
}
KEPT = 128  # files that a thread keeps open, at most
BLOCK = 512  # side of the tiles inside every raster written here, in pixels
METRES_PER_DEGREE = 111_195.0  # along a great circle of a sphere of 6,371 km
TRUE_TO_SCALE = 0.01  # share by which a map's metres may differ from those on the ground and still be taken for them
WEB_MERCATOR = CRS.from_epsg(3857)
WEB_MERCATOR_180 = CRS.from_proj4("+proj=merc +a=6378137 +b=6378137 +lon_0=180 +units=m +nadgrids=@null +no_defs")
ALPHA_SAMPLE = 512  # rows and columns that are looked at to tell a mask from imagery
SOFT_EDGE = 0.1  # share of the visible pixels of a true alpha band that may be half transparent
GCP_TOLERANCE = 1.0  # pixels that the ground control points of an image may be off from a straight grid
MERCATOR_RADIUS = 6_378_137.0  # of Web Mercator's sphere, in metres


PAUSES = (0.5, 3.0)  # seconds before a service that failed is asked again
HOPELESS = 3  # after so many tiles in a row that failed, the others are not asked for


class RasterError(InputError):
    """A file that cannot be read or written as a raster; the message says what to do."""


class ServiceError(RasterError):
    """Imagery that did not come over the network; what was done stays, and the same call goes on with it."""


class DamagedRasterError(RasterError):
    """A raster that was opened, and whose pixels cannot be read."""


class RasterWarning(UserWarning):
    """A file that says of itself what cannot be, or not plainly; the message says how it was taken."""


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


class RasterReader:
    """An open raster that reads windows, on its own grid or resampled to another size.

    Use it through `open_raster`. `info` is the grid that windows are counted on.
    """

    def __init__(self, dataset: rasterio.DatasetReader, path: Path, shape: tuple[int, int] | None, source: Grid,
                 expanded: bool = False) -> None:
        self._dataset = dataset
        self.path = path
        self.source = source
        self.expanded = expanded  # whether these are the colours of a paletted file
        self.info = self.source if shape is None else self.source.resized(*shape)
        flags = {flag for band in dataset.mask_flag_enums for flag in band}
        says_alpha = MaskFlags.alpha in flags and source.alpha is None  # and is imagery
        self._has_mask = bool(flags - {MaskFlags.all_valid, MaskFlags.per_dataset if says_alpha else None,
                                       MaskFlags.alpha if says_alpha else None})
        self._read_mask = self._dataset.dataset_mask if not says_alpha else self._any_band

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
            pixels = np.empty((*out_shape, len(indexes)), self._dataset.dtypes[indexes[0] - 1])
            self._dataset.read(indexes, out=np.moveaxis(pixels, -1, 0), **arguments)  # GDAL itself puts bands last
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
            arguments["out_shape"] = (self._dataset.count, *arguments["out_shape"])
        return self._dataset.read_masks(**arguments).max(axis=0)

    @property
    def palette(self) -> dict[int, tuple[int, ...]]:
        """Number -> colour of a file that has a palette, which an image in its colours has no longer; else empty."""
        return self._dataset.colormap(1) if _is_paletted(self._dataset) else {}

    def band_indexes(self, bands: Sequence[int] | None) -> list[int]:
        """The 1-based indexes to read: `bands` checked, or every band that is not alpha."""
        count = self._dataset.count
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
            if isinstance(self._dataset, WarpedVRT):
                _fetch_singly(self._dataset, arguments["window"])
            try:
                return read(**arguments)
            except RasterioError as again:
                error = again
        name = read_place(self.path).service.name if is_place(self.path) else public_address(self.path)
        raise ServiceError(f"{name} did not give its imagery: {_what_failed(error)}; call again to go on where it "
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
        with _open(Path(path), **options) as dataset:
            if not (expand and _is_paletted(dataset)):
                yield RasterReader(dataset, Path(path), shape, _info_of(dataset, path))
                return
            with _expanded(dataset, copied=shape is not None) as colours:
                yield RasterReader(colours, Path(path), shape, _expanded_info(dataset, colours), True)


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
        dataset = _open(path)
        if expand and _is_paletted(dataset):
            colours = _open_expanded(dataset)
            reader = RasterReader(colours, path, None, _expanded_info(dataset, colours), True)
        else:
            reader = RasterReader(dataset, path, None, _info_of(dataset, path))
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


def _open_place(place: Place) -> WarpedVRT:
    """A service on the grid of a place. Nothing is fetched before it is read."""
    try:
        service = rasterio.open(place.gdal_text())
        return WarpedVRT(
            service, crs=CRS.from_string(place.crs), transform=Affine(*place.transform), width=place.width,
            height=place.height, resampling=Resampling.bilinear)
    except (RasterioError, OSError) as error:
        raise ServiceError(f"{place.service.name} cannot be opened: {_what_failed(error)}; check the address and the "
                           f"network") from None


def _fetch_singly(warped: WarpedVRT, window: Window) -> None:
    """Asks for the tiles under a window one by one: GDAL drops a whole batch for one that fails, and keeps these."""
    service, failed = warped.src_dataset, 0
    for tile in _tiles_under(warped, window):
        try:
            service.read(1, window=tile)
            failed = 0
        except RasterioError:
            failed += 1
        if failed == HOPELESS:
            return


def _tiles_under(warped: WarpedVRT, window: Window) -> Iterator[Window]:
    """The tiles that GDAL reads for a window: those under the blocks of the warped raster that it touches."""
    service, (down, across) = warped.src_dataset, warped.block_shapes[0]
    top, left = window.row_off // down * down, window.col_off // across * across
    bottom = math.ceil((window.row_off + window.height) / down) * down
    right = math.ceil((window.col_off + window.width) / across) * across
    blocks = Window(left - 4, top - 4, right - left + 8, bottom - top + 8)  # what bilinear resampling needs around it
    corners = array_bounds(blocks.height, blocks.width, warped.window_transform(blocks))
    west, south, east, north = transform_bounds(warped.crs, service.crs, *corners)
    rows, columns = rowcol(service.transform, (west, east), (north, south))
    side = service.block_shapes[0][0]
    for row in range(rows[0] // side, rows[1] // side + 1):
        for col in range(columns[0] // side, columns[1] // side + 1):
            yield Window(col * side, row * side, side, side)


def _what_failed(error: BaseException) -> str:
    """GDAL's reason in a few words, without the address, which may hold a key."""
    text = " ".join(str(e) for e in (error, error.__cause__, error.__context__) if e is not None)
    status = re.search(r"(?:status code|response code|response_code)\D{0,3}([1-5]\d\d)", text)
    if status:
        return f"its answer was HTTP {status[1]}"
    for pattern, reason in FAILURES.items():
        if re.search(pattern, text, re.IGNORECASE):
            return reason
    return re.sub(r"(https?://|/vsi)\S+", "(address)", hide_keys(str(error)))


FAILURES = {
    r"timed out|timeout": "it took too long to answer",
    r"could ?n.t connect|failed to connect|connection (refused|reset)": "it cannot be reached",
    r"could not resolve": "its name is not known; check the address and the network",
    r"ReadBlockFromFile|not recognized|not a supported": "what came is no image, perhaps a page that asks to log in",
}


def _open_remote(path: Path, **options: str) -> rasterio.DatasetReader:
    """An image at an address; folders are not listed, and files beside it are not looked for."""
    address = address_of(path)
    try:
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            return rasterio.open(with_keys(address), **options)
    except (RasterioError, OSError) as error:
        raise ServiceError(f"{public_address(address)} cannot be opened: {_what_failed(error)}; check the address and "
                           f"the network") from None


def _open(path: Path, **options: str) -> rasterio.DatasetReader:
    """rasterio's open file, checked to hold pixels; `options` are GDAL's. Errors as `open_raster`."""
    if is_place(path):
        return _open_place(read_place(path))
    if is_remote(path):
        return _open_remote(path, **options)
    if not path.exists():
        raise RasterError(f"{path} does not exist; check the path")
    if path.is_dir():
        raise RasterError(f"{path} is a folder; name an image file in it")
    if not path.is_file():
        raise RasterError(f"{path} is a pipe or a device; name an image file")
    driver = driver_of(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = rasterio.open(path, driver=driver, **options)
    except RasterioIOError as error:
        raise RasterError(
            f"{path} is not an image that GDAL can read; convert it to GeoTIFF, PNG or JPEG ({error})"
        ) from error
    _check_own_pixels(path, dataset)
    if dataset.count and dataset.width and dataset.height:
        return dataset
    with dataset:
        if dataset.count == 0:
            raise RasterError(f"{path} holds no bands; name one of its subdatasets, or another file")
        raise RasterError(f"{path} is empty: it has no pixels")


def driver_of(path: Path) -> str:
    """The GDAL driver that a file's first bytes, or else its ending, call for.

    GDAL left to itself would follow a description of other files and addresses under any name. A .vrt is opened as
    what it is, since only its user can have named it: folders are searched for images alone.

    Raises:
        RasterError: if it is no image of a known format, or one beside it is not.
    """
    for beside in (path.with_name(path.name + ending) for ending in (".msk", ".ovr", ".MSK", ".OVR")):
        if beside.exists() and not (beside.is_file() and _first_bytes(beside).startswith(TIFF)):
            raise RasterError(f"{beside} is not the TIFF that GDAL keeps there; remove it to read {path.name}")
    head, ending = _first_bytes(path), path.suffix.lower()
    by_head = [driver for driver, starts in FORMATS.items() if head.startswith(starts)]
    driver = by_head[0] if by_head else OTHER_FORMATS.get(ending)
    if driver is None:
        raise RasterError(f"{path} is not an image that GDAL can read; convert it to GeoTIFF, PNG or JPEG (its first "
                          f"bytes are those of no known format)")
    return driver


def _first_bytes(path: Path) -> bytes:
    """Enough of a file to tell its format."""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise RasterError(f"{path} cannot be read; check its permissions ({error})") from error


def _check_own_pixels(path: Path, dataset: rasterio.DatasetReader) -> None:
    """Raises RasterError for an image whose metadata would have other files read in its place."""
    if dataset.driver == "HFA":  # which keeps the pixels of large images in a file beside it
        others = [Path(name).name for name in dataset.files if Path(name).stem != path.stem]
        if others:
            with dataset:
                raise RasterError(f"{path} has its pixels in {others[0]}, which is not followed; write it anew, as "
                                  f"GeoTIFF")
    for domain, name in (("OVERVIEWS", "OVERVIEW_FILE"), ("GEOLOCATION", "X_DATASET")):
        if dataset.driver != "VRT" and name in dataset.tags(ns=domain):
            with dataset:
                raise RasterError(f"{path} names another file in its metadata ({name}), which is not followed; write "
                                  f"it anew without, as with: gdal_translate -nomd {path.name} {path.stem}_clean.tif")


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
        return _warp(raster._dataset, grid, max_size, resampling, bands, raster.source)


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
    whole = _info(dataset) if placed is None else placed
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


def _info_of(dataset: rasterio.DatasetReader, path: str | Path) -> Grid:
    """The grid of an open file, place or address."""
    if is_place(path):
        return _info(dataset, read_place(path).tags, at_hand=False)
    try:
        return _info(dataset, at_hand=not is_remote(path))
    except CPLE_BaseError as error:
        raise RasterError(f"{path} is damaged: its CRS cannot be read; remove {Path(path).name}.aux.xml if it is "
                          f"there, or write the image anew ({error})") from error


def _info(dataset: rasterio.DatasetReader, tags: Mapping[str, str] | None = None, at_hand: bool = True) -> Grid:
    """The grid of an open rasterio dataset, with its own tags or those given; where not `at_hand`, no pixel is read."""
    _check_real(dataset)
    alpha = next((i for i, c in enumerate(dataset.colorinterp, 1) if c == ColorInterp.alpha), None)
    if alpha is not None and at_hand and not _is_mask(dataset, alpha):
        _say(f"band {alpha} of {dataset.name} says alpha (transparency) and holds many values, as near infrared does: "
             f"it is taken for imagery, one of {dataset.count} bands")
        alpha = None
    if at_hand and dataset.tags().get("EXIF_Orientation", "1") not in ("0", "1"):
        _say(f"{dataset.name} says that it is to be turned when shown (EXIF orientation), which is not done: its "
             f"labels must lie as its pixels are stored")
    crs, transform = _placed(dataset)
    return Grid(
        dataset.width, dataset.height, dataset.count - (alpha is not None), dataset.dtypes[0],
        crs, transform, dataset.nodata, alpha, dataset.tags() if tags is None else tags,
    )


def _check_real(dataset: rasterio.DatasetReader) -> None:
    """Raises RasterError for complex numbers, of which a network would be shown the real part alone."""
    complex_types = [dtype for dtype in dataset.dtypes if "complex" in dtype]
    if complex_types:
        raise RasterError(f"{dataset.name} holds complex numbers ({complex_types[0]}), as radar images do before they "
                          f"are made visible; write their amplitude, for example with: gdal_calc.py -A IN.tif "
                          f"--calc='abs(A)' --type=Float32 --outfile=amplitude.tif")


def _is_mask(dataset: rasterio.DatasetReader, band: int) -> bool:
    """Whether a band that says alpha may be one: of a sample, all is alike, or hardly a pixel neither 0 nor full."""
    shape = min(dataset.height, ALPHA_SAMPLE), min(dataset.width, ALPHA_SAMPLE)
    values = dataset.read(band, out_shape=shape)
    dtype = values.dtype
    full = (1, 255, np.iinfo(dtype).max if dtype.kind in "iu" else 1)
    shown = values[values != 0]
    return values.min() == values.max() or np.isin(shown, full, invert=True).mean() <= SOFT_EDGE


def _placed(dataset: rasterio.DatasetReader) -> tuple[CRS | None, Affine]:
    """CRS and transform; of an image placed by ground control points, the affine that fits them best.

    Raises:
        RasterError: if no affine does, to a pixel.
    """
    points, crs = dataset.gcps
    if dataset.transform != Affine.identity():
        if not abs(dataset.transform.determinant) > 0:
            raise RasterError(f"{dataset.name} has pixels without a size in its transform, "
                              f"{tuple(dataset.transform)[:6]}; place it anew, for example with: gdal_edit.py -a_ullr")
        return dataset.crs or None, dataset.transform
    if dataset.crs or not points or not crs:
        _say_unplaced(dataset, bool(points))
        return None, dataset.transform
    corners = np.array([(p.col, p.row, 1.0) for p in points])
    ground = np.array([(p.x, p.y) for p in points])
    middle = ground.mean(axis=0)
    fit, _, rank, _ = np.linalg.lstsq(corners, ground - middle, rcond=None)
    if rank < 3:
        raise RasterError(f"{dataset.name} is placed by {len(points)} ground control points on one line, which tell no "
                          f"place; warp it first with more of them: gdalwarp {dataset.name} placed.tif")
    (a, d), (b, e), (c, f) = fit
    transform = Affine(a, b, c + middle[0], d, e, f + middle[1])
    back = np.array([~transform @ tuple(xy) for xy in ground])
    off = float(np.hypot(*(back - corners[:, :2]).T).max())
    if off > GCP_TOLERANCE:
        raise RasterError(f"{dataset.name} is placed by {len(points)} ground control points that no straight grid "
                          f"fits: the best is off by {off:.1f} px; warp it first: gdalwarp -tps {dataset.name} out.tif")
    _say(f"{dataset.name} is placed by {len(points)} ground control points; the grid that fits them best is off by "
         f"{off:.2g} px at most")
    return crs, transform


def _say_unplaced(dataset: rasterio.DatasetReader, has_points: bool) -> None:
    """Warns of an image that seems to be placed, and in a way that is not followed."""
    why = ""
    if dataset.crs:
        why = f"names a CRS ({dataset.crs.to_string()[:40]}) and no place in it"
    elif has_points:
        why = "has ground control points that name no CRS"
    elif dataset.rpcs:
        why = "is placed by rational polynomials (RPCs), which are not followed"
    if why:
        way = "gdalwarp -rpc" if why.startswith("is") else "gdal_translate -a_srs EPSG:... -a_ullr ..."
        _say(f"{dataset.name} {why}: it is taken for an image without a place; to give it one: {way}")


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


def _is_paletted(dataset: rasterio.DatasetReader) -> bool:
    return dataset.count == 1 and dataset.colorinterp[0] == ColorInterp.palette


@contextmanager
def _expanded(dataset: rasterio.DatasetReader, copied: bool) -> Iterator[rasterio.DatasetReader]:
    """A paletted dataset in its colours.

    With `copied`, from a file aside: what is resampled must be colours, and GDAL resamples the numbers.
    """
    with _open_expanded(dataset) as colours:
        if not copied:
            yield colours
            return
        with TemporaryDirectory() as folder:
            aside = Path(folder) / "colours.tif"
            copy_raster(colours, aside, driver="GTiff", tiled=True, compress="deflate", zlevel=1, bigtiff="if_safer")
            with rasterio.open(aside) as copy:
                yield copy


def _open_expanded(dataset: rasterio.DatasetReader) -> rasterio.DatasetReader:
    """A virtual dataset (GDAL's VRT) of the colours of a paletted one: red, green, blue, and alpha where it has some.

    No-data, a mask band and colours that are transparent become the alpha.
    """
    table = dataset.colormap(1)
    red, green, blue, alpha = (
        ",".join(f"{number}:{colour[part]}" for number, colour in sorted(table.items())) for part in range(4)
    )
    bands = [("1", red, "Red"), ("1", green, "Green"), ("1", blue, "Blue")]
    if dataset.mask_flag_enums[0] != [MaskFlags.all_valid]:
        bands.append(("mask,1", "", "Alpha"))
    elif any(colour[3] < 255 for colour in table.values()):
        bands.append(("1", alpha, "Alpha"))
    name = escape(str(Path(dataset.name).resolve()))
    text = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}"><ColorInterp>{colour}</ColorInterp><ComplexSource>'
        f'<SourceFilename relativeToVRT="0">{name}</SourceFilename><SourceBand>{band}</SourceBand>'
        + (f"<LUT>{lut}</LUT>" if lut else "") + "</ComplexSource></VRTRasterBand>"
        for i, (band, lut, colour) in enumerate(bands, 1)
    )
    size = f'rasterXSize="{dataset.width}" rasterYSize="{dataset.height}"'
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(f"<VRTDataset {size}>{text}</VRTDataset>", driver="VRT")


def _expanded_info(dataset: rasterio.DatasetReader, colours: rasterio.DatasetReader) -> Grid:
    """The grid of a paletted dataset in its colours."""
    alpha = 4 if colours.count == 4 else None
    return replace(_info(dataset), bands=3, dtype="uint8", nodata=None, alpha=alpha)


@lru_cache(maxsize=1024)
def _say(text: str) -> None:
    """Warns once of each thing: a file is opened many times."""
    warnings.warn(text, RasterWarning, stacklevel=4)
