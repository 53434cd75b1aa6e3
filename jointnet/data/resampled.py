"""Scenes on another grid: an image of 0.3 m per pixel in, the same ground at 0.6 m out, with its labels drawn there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jointnet.data.raster import Grid, create_raster, open_raster
from jointnet.data.scene import Scene, Window, is_vector

ROWS = 512  # written at a time


def can_be_resampled(scene: Scene, classes: Sequence[str]) -> bool:
    """Whether every label of a scene is a vector file in a CRS, which can be drawn on any grid of the same ground."""
    files = [f for c in classes for f in _files(scene, c)]
    return scene.info.crs is not None and bool(files) and all(map(is_vector, files))


def resample_scenes(scenes: Sequence[Scene], gsd: float, folder: Path) -> list[Scene]:
    """The scenes at another ground sample distance, their images written anew; those that differ little stay.

    Args:
        scenes: of vector labels, see `can_be_resampled`. Several may be parts of one image.
        gsd: metres per pixel.
        folder: where the images go, one GeoTIFF for each.
    """
    made: dict[Path, tuple[Path, Grid, Grid]] = {}
    found = []
    for scene in scenes:
        if scene.image not in made:
            made[scene.image] = _write(scene, gsd, folder / f"{len(made)}_{scene.image.stem}.tif")
        image, old, new = made[scene.image]
        scale = (new.height / old.height, new.width / old.width)
        found.append(replace(
            scene, image=image, gsd_hint=None, part=scene.part and _scaled(scene.part, scale),
            counted=scene.counted and tuple(_scaled(box, scale) for box in scene.counted),
        ))
    return found


def _write(scene: Scene, gsd: float, path: Path) -> tuple[Path, Grid, Grid]:
    """Writes the whole image of a scene at another gsd; (the file, the image's grid, the new one)."""
    old = replace(scene, part=None, counted=None).info
    height, width = (max(8, round(side * (old.gsd or gsd) / gsd)) for side in old.shape)
    shape = height, width
    new = old.resized(*shape)
    with open_raster(scene.image, shape, expand=True) as image:
        strips = [(top, 0, min(ROWS, new.height - top), new.width) for top in range(0, new.height, ROWS)]
        blank = not all(image.read_valid(strip).all() for strip in strips)
        with create_raster(path, new, old.bands, old.dtype, 0 if blank else None, dict(old.tags or {})) as out:
            for strip in strips:
                out.write(_marked(image.read(strip), image.read_valid(strip)) if blank else image.read(strip), strip[0])
    return path, old, new


def _marked(pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Pixels with 0 where there is no imagery, and nowhere else."""
    black = valid[..., None] & (pixels == 0)
    least = 1 if pixels.dtype.kind in "iu" else np.finfo(pixels.dtype).tiny
    return np.where(valid[..., None], np.where(black, least, pixels), 0).astype(pixels.dtype)


def _scaled(window: Window, scale: tuple[float, float]) -> Window:
    """A window on the new grid; neighbours keep a common edge, since each edge is rounded by itself."""
    row, col = round(window[0] * scale[0]), round(window[1] * scale[1])
    end, stop = round((window[0] + window[2]) * scale[0]), round((window[1] + window[3]) * scale[1])
    return row, col, max(1, end - row), max(1, stop - col)


def _files(scene: Scene, class_name: str) -> tuple[Path, ...]:
    found = scene.labels.get(class_name, ())
    return found if isinstance(found, tuple) else (found,)
