"""Paths, places and addresses in, GDAL's open datasets out: each with the driver of its own format."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.transform import Affine, array_bounds, rowcol
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from jointnet.data.addresses import address_of, hide_keys, is_remote, public_address, with_keys
from jointnet.data.place_files import Place, is_place, read_place
from jointnet.data.raster_errors import RasterError, ServiceError
from jointnet.data.services import AGENT

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
HOPELESS = 3  # after so many tiles in a row that failed, the others are not asked for
FAILURES = {
    r"timed out|timeout": "it took too long to answer",
    r"could ?n.t connect|failed to connect|connection (refused|reset)": "it cannot be reached",
    r"could not resolve": "its name is not known; check the address and the network",
    r"incorrect size": "its tiles have another size than 256 px; take its address of such, often the one without @2x",
    r"ReadBlockFromFile|not recognized|not a supported": "what came is no image, perhaps a page that asks to log in",
}


def open_file(path: Path, **options: str) -> rasterio.DatasetReader:
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


def _open_remote(path: Path, **options: str) -> rasterio.DatasetReader:
    """An image at an address; folders are not listed, and files beside it are not looked for."""
    address = address_of(path)
    try:
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            return rasterio.open(with_keys(address), **options)
    except (RasterioError, OSError) as error:
        raise ServiceError(f"{public_address(address)} cannot be opened: {what_failed(error)}; check the address and "
                           f"the network") from None


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


def _open_place(place: Place) -> WarpedVRT:
    """A service on the grid of a place. Nothing is fetched before it is read."""
    try:
        service = rasterio.open(place.gdal_text())
        return WarpedVRT(
            service, crs=CRS.from_string(place.crs), transform=Affine(*place.transform), width=place.width,
            height=place.height, resampling=Resampling.bilinear)
    except (RasterioError, OSError) as error:
        raise ServiceError(f"{place.service.name} cannot be opened: {what_failed(error)}; check the address and the "
                           f"network") from None


def fetch_singly(warped: WarpedVRT, window: Window) -> None:
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


def what_failed(error: BaseException) -> str:
    """GDAL's reason in a few words, without the address, which may hold a key."""
    text = " ".join(str(e) for e in _chain(error))
    status = re.search(r"(?:status code|response code|response_code)\D{0,3}([1-5]\d\d)", text)
    if status:
        return f"its answer was HTTP {status[1]}"
    for pattern, reason in FAILURES.items():
        if re.search(pattern, text, re.IGNORECASE):
            return reason
    return re.sub(r"(https?://|/vsi)\S+", "(address)", hide_keys(str(error)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from: GDAL names the first of them last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
