"""An open image in, its grid out: where it is placed, and which of its bands are imagery."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from jointnet.data.addresses import is_remote
from jointnet.data.grid import Grid
from jointnet.data.place_files import is_place, read_place
from jointnet.data.raster_errors import RasterError, say

ALPHA_SAMPLE = 512  # rows and columns that are looked at to tell a mask from imagery
SOFT_EDGE = 0.1  # share of the visible pixels of a true alpha band that may be half transparent
GCP_TOLERANCE = 1.0  # pixels that the ground control points of an image may be off from a straight grid


def grid_of_file(dataset: rasterio.DatasetReader, path: str | Path) -> Grid:
    """The grid of an open file, place or address."""
    if is_place(path):
        return grid_of_dataset(dataset, read_place(path).tags, at_hand=False)
    try:
        return grid_of_dataset(dataset, at_hand=not is_remote(path))
    except CPLE_BaseError as error:
        raise RasterError(f"{path} is damaged: its CRS cannot be read; remove {Path(path).name}.aux.xml if it is "
                          f"there, or write the image anew ({error})") from error


def grid_of_dataset(
    dataset: rasterio.DatasetReader, tags: Mapping[str, str] | None = None, at_hand: bool = True
) -> Grid:
    """The grid of an open rasterio dataset, with its own tags or those given; where not `at_hand`, no pixel is read."""
    _check_real(dataset)
    alpha = next((i for i, c in enumerate(dataset.colorinterp, 1) if c == ColorInterp.alpha), None)
    if alpha is not None and at_hand and not _is_mask(dataset, alpha):
        say(f"band {alpha} of {dataset.name} says alpha (transparency) and holds many values, as near infrared does: "
             f"it is taken for imagery, one of {dataset.count} bands")
        alpha = None
    if at_hand and dataset.tags().get("EXIF_Orientation", "1") not in ("0", "1"):
        say(f"{dataset.name} says that it is to be turned when shown (EXIF orientation), which is not done: its "
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
    say(f"{dataset.name} is placed by {len(points)} ground control points; the grid that fits them best is off by "
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
        say(f"{dataset.name} {why}: it is taken for an image without a place; to give it one: {way}")
