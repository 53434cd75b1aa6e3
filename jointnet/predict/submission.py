"""Masks of INRIA's test tiles in; the contest's zip out, and a judge of such zips.

The contest (https://project.inria.fr/aerialimagelabeling/contest/) wants one file per test tile under the tile's own
name, with one band of 8 bits, 0 and 255, in a zip.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jointnet.data.inria import TEST_TILES
from jointnet.data.raster import Grid, RasterError, create_raster, open_raster
from jointnet.errors import InputError
from jointnet.files import written_whole

SIDE = 5000  # pixels of a tile
ROWS = 500  # read together


class SubmissionError(InputError):
    """Masks or a zip that the contest would not take; the message says which and why."""


def write_submission(masks: str | Path | Mapping[str, Path], path: str | Path, tiles: Sequence[str] = TEST_TILES,
                     side: int = SIDE) -> Path:
    """Writes the contest's zip out of predicted masks and returns its path.

    Args:
        masks: folder of `{tile}_mask.tif`, as `predict_scene` writes them, or tile -> file.
        path: the zip, which appears complete or not at all.
        tiles: the tiles that it must hold.
        side: side of a tile, in pixels.

    Raises:
        SubmissionError: if masks are missing, all of them named, or one is no mask of a tile.
    """
    path = Path(path)
    if path.suffix != ".zip":
        raise SubmissionError(f"{path} must end in .zip")
    files = _masks(masks, tiles)
    missing = [tile for tile in tiles if tile not in files]
    if missing:
        raise SubmissionError(f"{len(missing)} of {len(tiles)} masks are missing: {', '.join(missing)}")
    with written_whole(path) as draft, zipfile.ZipFile(draft, "w") as archive:
        for tile in tiles:
            clean = draft.parent / f"{tile}.tif"
            _copy_mask(files[tile], clean, side)
            archive.write(clean, clean.name)  # pixels are compressed already
            clean.unlink()
    return path


def check_submission(path: str | Path, tiles: Sequence[str] = TEST_TILES, side: int = SIDE) -> list[str]:
    """Everything that the contest would object to in a zip, a sentence each; an empty list where it is right.

    Args:
        path: the zip.
        tiles: the tiles that it must hold.
        side: side of a tile, in pixels.
    """
    path = Path(path)
    if not zipfile.is_zipfile(path):
        return [f"{path} is missing or not a zip file; write it with write_submission"]
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        wanted = {f"{tile}.tif" for tile in tiles}
        faults = []
        missing = sorted(wanted - set(names))
        if missing:
            faults.append(f"{len(missing)} of {len(wanted)} tiles are missing: {', '.join(missing)}")
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            faults.append(f"{len(twice)} files are there more than once: {', '.join(twice)}")
        foreign = sorted(set(names) - wanted)
        if foreign:
            faults.append(f"{len(foreign)} files do not belong: {', '.join(foreign)}; names are as {tiles[0]}.tif, "
                          f"without folders")
        for name in sorted(wanted & set(names)):
            try:
                file = Path(archive.extract(name, folder))
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                faults.append(f"{name}: damaged or locked inside the zip ({error})")
            else:
                faults += _faults(file, name, side)
            (Path(folder) / name).unlink(missing_ok=True)
        return faults


def _masks(masks: str | Path | Mapping[str, Path], tiles: Sequence[str]) -> dict[str, Path]:
    """Tile -> mask file, of those that exist."""
    if not isinstance(masks, Mapping):
        masks = {tile: Path(masks) / f"{tile}_mask.tif" for tile in tiles}
    return {tile: Path(file) for tile, file in masks.items() if Path(file).exists()}


def _copy_mask(source: Path, target: Path, side: int) -> None:
    """A mask of 0 and 1, or 0 and 255, as the contest's file, with CRS and transform."""
    with open_raster(source) as raster:
        grid: Grid = raster.info
        if grid.shape != (side, side) or grid.bands != 1 or grid.dtype != "uint8":
            raise SubmissionError(f"{source} is {grid.height} x {grid.width} px of {grid.bands} bands, {grid.dtype}; "
                                  f"a tile's mask is {side} x {side} px of one band, uint8")
        with create_raster(target, grid, overview="nearest") as out:
            for row in range(0, side, ROWS):
                pixels = raster.read((row, 0, min(ROWS, side - row), side))
                if not np.isin(pixels, (0, 1, 255)).all():
                    raise SubmissionError(f"{source} holds values other than 0 and 255; give the mask, "
                                          f"not the probability")
                out.write((pixels > 0).astype(np.uint8) * np.uint8(255), row)


def _faults(path: Path, name: str, side: int) -> list[str]:
    """What is wrong with one file of a zip."""
    try:
        with open_raster(path) as raster:
            grid = raster.info
            if grid.shape != (side, side):
                return [f"{name}: {grid.height} x {grid.width} px, not {side} x {side}"]
            if grid.bands != 1 or grid.alpha is not None:
                return [f"{name}: {grid.bands + (grid.alpha is not None)} bands, not one"]
            if grid.dtype != "uint8":
                return [f"{name}: {grid.dtype} values, not 8 bits"]
            found: set[int] = set()
            for row in range(0, side, ROWS):
                found |= set(np.unique(raster.read((row, 0, min(ROWS, side - row), side))).tolist())
    except RasterError as error:
        return [f"{name}: {error}"]
    wrong = sorted(found - {0, 255})
    return [f"{name}: values {wrong[:5]} besides 0 and 255"] if wrong else []
