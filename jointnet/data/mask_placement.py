"""Where a mask lies against its image: pixel on pixel, turned over, or elsewhere."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from jointnet.data.mask_facts import MaskError
from jointnet.data.raster import Affine, Grid, RasterWarning, project_points, read_info

EXACT = 0.1  # pixels by which a mask may be off its image without a warning: rounding in files
SLACK = 0.501  # pixels by which it may be off at all; what is farther off shows another place


def orientation(path: Path, image: Grid, name: str) -> tuple[bool, bool]:
    """Whether a mask's rows, and its columns, run against its image's; a mask that lies elsewhere is refused.

    Where the mask or the image has no place, the pixels are taken as they come.

    Args:
        path: the mask file.
        image: the grid of the whole image.
        name: the image's name, for messages.

    Raises:
        MaskError: if it has another size or another place.
    """
    mask = read_info(path)
    corners = _corners_in(mask, image)
    if corners is None and mask.shape == image.shape:
        return False, False
    if corners is not None:
        ends = ((0, image.width), (0, image.height))
        for flips in ((False, False), (True, False), (False, True), (True, True)):
            (x0, x1), (y0, y1) = (end[::-1] if flip else end for end, flip in zip(ends, flips[::-1], strict=True))
            off = np.abs(corners - [(x0, y0), (x1, y0), (x0, y1)]).max()
            if off <= SLACK and mask.shape == image.shape:
                if off > EXACT:
                    warnings.warn(f"{path} lies {off:.2f} px beside {name}; its pixels are taken for the image's",
                                  RasterWarning, stacklevel=2)
                return flips
    raise MaskError(_misplaced(path, mask, image, name, corners))


def _corners_in(mask: Grid, image: Grid) -> np.ndarray | None:
    """A mask's upper left, upper right and lower left corners in pixels (column, row) of an image; None without place.

    Coordinates are compared as they are where only one side has a CRS, or one has a site grid, which says nothing of
    the other.
    """
    if any(grid.crs is None and grid.transform == Affine.identity() for grid in (mask, image)):
        return None
    corners = [mask.transform @ corner for corner in ((0, 0), (mask.width, 0), (0, mask.height))]
    if mask.on_earth and image.on_earth and mask.crs != image.crs:
        corners = project_points(corners, mask.crs, image.crs)
    return np.array([~image.transform @ tuple(corner) for corner in corners])


def _misplaced(path: Path, mask: Grid, image: Grid, name: str, corners: np.ndarray | None) -> str:
    """What is wrong with the place of a mask, and what to do."""
    if mask.shape != image.shape:
        return (f"{path} is {mask.height} x {mask.width} px, its image {name} {image.height} x {image.width} px; "
                f"rasterise the labels on the image's grid, or warp the mask onto it: gdalwarp -r near -te ... -ts "
                f"{image.width} {image.height} ...")
    systems = "" if mask.crs == image.crs else f" (it is in {_named(mask)}, the image in {_named(image)})"
    middle = np.full(2, np.nan)
    if corners is not None:
        middle = (corners[1] + corners[2]) / 2 - (image.width / 2, image.height / 2)
    if not np.isfinite(middle).all():
        where = "off the map of its image"
    elif np.abs(middle).max() <= SLACK:
        where = "turned or stretched against its image"
    else:
        columns, rows = np.round(middle, 1) + 0.0  # no -0.0
        where = f"{columns:+.1f} columns and {rows:+.1f} rows beside its image"
    return (f"{path} has the size of {name} but lies {where}{systems}: give the image its own mask, or warp this one "
            f"onto its grid with: gdalwarp -r near -t_srs ... -te ... -ts {image.width} {image.height} ...")


def _named(grid: Grid) -> str:
    return grid.crs.to_string()[:60] if grid.crs else "no CRS"
