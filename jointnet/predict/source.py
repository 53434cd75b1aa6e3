"""A scene in; what the network is shown of it out: which part, which bands, on which grid, where it is blank."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jointnet.data.nodata import valid_pixels
from jointnet.data.raster import Grid, RasterReader, open_raster
from jointnet.data.scene import Scene, as_scene
from jointnet.data.stretch import Stretch, of_card
from jointnet.predict.resample import Axis
from jointnet.predict.settings import PredictionError, PredictionWarning, Settings, shown_shape


@dataclass(frozen=True)
class Source:
    """An open scene, or a part of it, as the network sees it and as its prediction will be written.

    Attributes:
        name: name of the scene, which its outputs are called after.
        path: the image file.
        grid: size, CRS and transform of the part that is predicted: the grid of every output.
        origin: (row, col) of that part in the image, in pixels.
        window: (row, col, height, width) of that part on the network's grid.
        rows, columns: the maps from the network's grid to the output's; None where both grids are the same.
        bands: 1-based numbers of the bands that the network is shown.
        stretch: what makes 0 to 255 of its pixels; None for an 8-bit image.
    """

    name: str
    path: Path
    grid: Grid
    origin: tuple[int, int]
    window: tuple[int, int, int, int]
    rows: Axis | None
    columns: Axis | None
    bands: list[int]
    nodata_rule: str | None
    stretch: Stretch | None
    _image: RasterReader = field(repr=False)
    _seen: RasterReader = field(repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of what the network is shown, in pixels."""
        return self.window[2:]

    def read(self, row: int, col: int, height: int, width: int) -> np.ndarray:
        """uint8 (height, width, bands) of a window on the network's grid."""
        pixels = self._seen.read((row + self.window[0], col + self.window[1], height, width), self.bands)
        return pixels if self.stretch is None else self.stretch(pixels)

    def read_valid(self, start: int, stop: int) -> np.ndarray:
        """bool (stop - start, width): where rows [start, stop) of the output have imagery under them."""
        window = (self.origin[0] + start, self.origin[1], stop - start, self.grid.width)
        valid = self._image.read_valid(window)
        if self.nodata_rule is not None:
            valid &= valid_pixels(self._image.read(window), self.nodata_rule)  # by all bands, as training and scores do
        return valid


@contextmanager
def open_source(scene: Any, settings: Settings, bounds: Sequence[float] | None = None, gsd: float | None = None,
                bands: Sequence[int] | None = None) -> Iterator[Source]:
    """An open `Source`.

    Args:
        scene: path of an image, or a `Scene` of a dataset, which may be a part of its image.
        settings: the network's bands and metres per pixel.
        bounds: (left, bottom, right, top) in the scene's CRS of the part to predict.
        gsd: metres per pixel of the scene, where its georeference is missing or should be overruled.
        bands: 1-based numbers of the bands to show the network.

    Raises:
        RasterError: if the file cannot be read.
        PredictionError: if pixels, bands or bounds do not fit.
    """
    scene = as_scene(scene, nodata="black")
    path = Path(scene.image)
    with open_raster(path, expand=True) as image:
        info = image.info
        chosen = _choose_bands(path, image, settings.bands, bands)
        stretch = _stretch_of(scene, image, settings, chosen)
        whole = scene.part or (0, 0, *info.shape)
        part = whole if bounds is None else _part(path, info.crop(*whole), whole[:2], bounds)
        shape = _network_shape(path, info, settings, scene.gsd_hint if gsd is None else gsd)
        if shape is None:
            yield Source(scene.name, path, info.crop(*part), part[:2], part, None, None, chosen, scene.nodata, stretch,
                         image, image)
            return
        down, across = shape[0] / info.height, shape[1] / info.width
        top, height = _covering(part[0], part[2], down, shape[0])
        left, width = _covering(part[1], part[3], across, shape[1])
        rows = Axis.between(part[2], height, down, part[0] * down - top)
        columns = Axis.between(part[3], width, across, part[1] * across - left)
        with open_raster(path, shape, expand=True) as seen:
            yield Source(scene.name, path, info.crop(*part), part[:2], (top, left, height, width), rows, columns,
                         chosen, scene.nodata, stretch, image, seen)


def _covering(start: int, length: int, scale: float, limit: int) -> tuple[int, int]:
    """(start, length) of the whole pixels on another grid that cover a stretch of this one."""
    low = min(limit - 1, math.floor(start * scale + 1e-9))
    high = min(limit, math.ceil((start + length) * scale - 1e-9))
    return low, max(1, high - low)


def _stretch_of(
    scene: Scene, image: RasterReader, settings: Settings, bands: Sequence[int]
) -> Stretch | None:
    """What makes 0 to 255 of an image: what the card says, else what the scene brings, else nothing for 8 bits."""
    if settings.stretch:
        return of_card(settings.stretch, image, bands)
    if scene.stretch is not None:
        return scene.stretch.of(bands)
    _check_dtype(image.path, image.info)
    return None


def _check_dtype(path: Path, info: Grid) -> None:
    if info.dtype != "uint8":
        raise PredictionError(
            f"{path} holds {info.dtype} values and the network was trained on 8-bit images (0 to 255); "
            f"convert it, for example with: gdal_translate -ot Byte -scale {path.name} {path.stem}_8bit.tif"
        )


def _choose_bands(path: Path, image: RasterReader, takes: int | None, bands: Sequence[int] | None) -> list[int]:
    chosen = image.band_indexes(bands)
    if takes is None or len(chosen) == takes:
        return chosen
    if bands is not None:
        raise PredictionError(f"bands={list(bands)} names {len(chosen)}, and the network takes {takes}")
    if len(chosen) < takes:
        raise PredictionError(
            f"{path} has {len(chosen)} bands and the network takes {takes}; use weights for {len(chosen)} bands, "
            f"or repeat bands, for example {_as_typed([(i % len(chosen)) + 1 for i in range(takes)])}"
        )
    raise PredictionError(
        f"{path} has {len(chosen)} bands and the network takes {takes}; "
        f"choose them, for example {_as_typed(list(range(1, takes + 1)))}"
    )


def _as_typed(bands: list[int]) -> str:
    """A choice of bands as it is written in Python and at a terminal."""
    return f"bands={bands} (--bands {','.join(map(str, bands))})"


def _part(path: Path, info: Grid, corner: tuple[int, int], bounds: Sequence[float]
          ) -> tuple[int, int, int, int]:
    """(row, col, height, width) in the image of the pixels of a scene that a box touches; its first is at `corner`."""
    if len(bounds) != 4 or not bounds[0] < bounds[2] or not bounds[1] < bounds[3]:
        raise PredictionError(f"bounds={tuple(bounds)} must be (left, bottom, right, top), left < right, bottom < top")
    left, bottom, right, top = bounds
    corners = [~info.transform @ corner for corner in ((left, top), (right, top), (right, bottom), (left, bottom))]
    columns, rows = zip(*corners, strict=True)
    col, row = max(0, math.floor(min(columns) + 1e-6)), max(0, math.floor(min(rows) + 1e-6))
    col_stop = min(info.width, math.ceil(max(columns) - 1e-6))
    row_stop = min(info.height, math.ceil(max(rows) - 1e-6))
    if row >= row_stop or col >= col_stop:
        raise PredictionError(
            f"bounds={tuple(bounds)} lie outside {path}, which covers {tuple(round(b, 6) for b in info.bounds)} "
            f"in {info.crs or 'pixels'}"
        )
    return corner[0] + row, corner[1] + col, row_stop - row, col_stop - col


def _network_shape(path: Path, info: Grid, settings: Settings, gsd: float | None) -> tuple[int, int] | None:
    """`shown_shape` of a file; what had to be assumed is warned about."""
    pixel, assumed = info.pixel_size, settings.assumed_gsd
    if gsd is not None:
        pixel = (gsd, gsd) if pixel is None or info.gsd is None else (
            pixel[0] * gsd / info.gsd, pixel[1] * gsd / info.gsd)
    if pixel is None:
        warnings.warn(
            PredictionWarning(f"{path} has no georeference: its outputs are in pixels, and it is taken to have the "
                              f"{assumed or 'unknown'} m per pixel that the network's card names (gsd=, --gsd says "
                              f"otherwise)"), stacklevel=5)
    shape = shown_shape(info.shape, pixel, settings)
    if shape is None:
        return None
    down, across = pixel or (assumed, assumed)
    warnings.warn(
        PredictionWarning(f"{path} has pixels of {down:.3g} x {across:.3g} m and the network was trained at "
                          f"{settings.gsd:.3g} m: it is shown {shape[0]} x {shape[1]} px, and the answer is written on "
                          f"the scene's own {info.height} x {info.width} px"), stacklevel=5)
    return shape
