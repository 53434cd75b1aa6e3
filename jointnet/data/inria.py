"""The INRIA benchmark's tiles, cities and official split; its folder layout as scenes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from jointnet.data.scene import Dataset, Scene, shorten
from jointnet.errors import InputError

TRAINING_CITIES = ("austin", "chicago", "kitsap", "tyrol-w", "vienna")
TEST_CITIES = ("bellingham", "bloomington", "innsbruck", "sfo", "tyrol-e")
TILES_PER_CITY = 36
VALIDATION_TILES = range(1, 6)  # the benchmark's own suggestion: the first five of each training city
FAULTY_TILES = ("kitsap4", "kitsap5")  # reported as wrongly labelled by users of the benchmark
GSD = 0.3

TRAINING_TILES = tuple(f"{city}{n}" for city in TRAINING_CITIES for n in range(1, TILES_PER_CITY + 1))
TEST_TILES = tuple(f"{city}{n}" for city in TEST_CITIES for n in range(1, TILES_PER_CITY + 1))
TILES = TRAINING_TILES + TEST_TILES


def parse_tile(name: str) -> tuple[str, int]:
    """City and number of a tile, "tyrol-w12" -> ("tyrol-w", 12).

    Raises:
        ValueError: if the benchmark has no such tile.
    """
    match = re.fullmatch(r"([a-z-]+?)(\d+)", name)
    if name not in TILES or match is None:
        cities = ", ".join(TRAINING_CITIES + TEST_CITIES)
        raise InputError(f"INRIA has no tile {name!r}; a tile is a city of {cities} and a number from 1 to 36")
    return match[1], int(match[2])


def tile_split(name: str) -> str:
    """The official split of a tile: "train" (6-36), "validation" (1-5), or "test" in the cities without labels."""
    city, number = parse_tile(name)
    if city in TEST_CITIES:
        return "test"
    return "validation" if number in VALIDATION_TILES else "train"


def tiles_of(cities: Sequence[str]) -> tuple[str, ...]:
    """Every tile of some cities.

    Raises:
        ValueError: if the benchmark has no such city.
    """
    known = TRAINING_CITIES + TEST_CITIES
    unknown = [c for c in cities if c not in known]
    if unknown:
        raise InputError(f"INRIA has no city {', '.join(map(repr, unknown))}; choose from {', '.join(known)}")
    return tuple(t for t in TILES if parse_tile(t)[0] in cities)


def open_inria(
    root: Path,
    tiles: Sequence[str] | None = None,
    cities: Sequence[str] | None = None,
    split: str | None = None,
    drop_faulty: bool = False,
) -> Dataset:
    """The benchmark's tiles that lie under `root`, as scenes with the official split; a partial copy will do.

    Args:
        root: folder that holds `train` and `test`, or `AerialImageDataset` with both.
        tiles: only these; each must be on disk.
        cities: only these.
        split: only this one.
        drop_faulty: leave out the tiles of `FAULTY_TILES`.

    Warns:
        UserWarning: if tiles, or labels of training tiles, are not on disk; `Dataset.missing` lists them.

    Raises:
        ValueError: if a tile or city does not exist.
        FileNotFoundError: if no tile is on disk, or not all that `tiles` names.
    """
    root = inria_root(root)
    wanted = [t for t in _wanted(tiles, cities) if split in (None, tile_split(t))]
    wanted = [t for t in wanted if not (drop_faulty and t in FAULTY_TILES)]
    present = [t for t in wanted if image_path(root, t).exists()]
    absent = [t for t in wanted if t not in set(present)]
    if not present and tiles is None:
        raise FileNotFoundError(
            f"{root} holds no INRIA tile{_among(cities, split)}; fetch all with `jointnet download inria`, or a few "
            f"as `jointnet download inria --tiles {','.join(wanted[:2])}`, or give the folder of your copy as root= "
            f"(--root)"
        )
    if absent and tiles is not None:
        raise FileNotFoundError(
            f"{root} has no image of {shorten(absent)}; fetch them with "
            f"`jointnet download inria --tiles {','.join(absent[:3])}`, or give the folder of your copy as root= "
            f"(--root)"
        )
    unlabelled = [t for t in present if t in TRAINING_TILES and not mask_path(root, t).exists()]
    missing = (*absent, *(f"{t} (labels)" for t in unlabelled))
    if missing:
        warnings.warn(
            f"{root} holds {len(present)} of {len(wanted)} INRIA tiles; missing: {shorten(missing, 6)}", stacklevel=3
        )
    return Dataset("inria", tuple(tile_scene(root, t) for t in present), missing)


def _among(cities: Sequence[str] | None, split: str | None) -> str:
    """What a call asked for, as words in a message."""
    return f"{f' of {shorten(cities)}' if cities else ''}{f' of the split {split!r}' if split else ''}"


def inria_root(root: Path) -> Path:
    """The folder that holds `train` and `test`: `root`, or `AerialImageDataset` in it, as the archive has it."""
    inner = root / "AerialImageDataset"
    return inner if inner.is_dir() else root


def image_path(root: Path, tile: str) -> Path:
    """Where the benchmark's layout keeps a tile's image."""
    return root / ("test" if tile in TEST_TILES else "train") / "images" / f"{tile}.tif"


def mask_path(root: Path, tile: str) -> Path:
    """Where the benchmark's layout keeps a tile's mask; those of the test cities were never published."""
    return root / ("test" if tile in TEST_TILES else "train") / "gt" / f"{tile}.tif"


def tile_scene(root: Path, tile: str) -> Scene:
    """One tile as a scene."""
    mask = mask_path(root, tile)
    return Scene(
        tile,
        image_path(root, tile),
        city=parse_tile(tile)[0],
        split=tile_split(tile),
        labels={"buildings": mask} if mask.exists() else {},
        gsd_hint=GSD,
    )


def _wanted(tiles: Sequence[str] | None, cities: Sequence[str] | None) -> tuple[str, ...]:
    """The tiles that a call asks for, in the benchmark's order."""
    of_cities = TILES if cities is None else tiles_of(cities)
    for tile in tiles or ():
        parse_tile(tile)
    return tuple(t for t in of_cities if tiles is None or t in tiles)
