"""INRIA's five test cities as public services show them today: about a square kilometre each, without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jointnet.data.drawing.cities import CITIES
from jointnet.data.inria import parse_tile
from jointnet.data.places import open_place
from jointnet.data.raster import ServiceError
from jointnet.data.scene import Dataset, Scene

# Tile -> provider and metres per pixel: NAIP's finest are 0.6 m in most states, basemap.at's finer than 0.3 m.
TEST_CITIES = {
    "bellingham15": ("naip", 0.6), "bloomington17": ("naip", 0.6), "innsbruck21": ("basemap.at", 0.3),
    "sfo36": ("naip", 0.6), "tyrol-e35": ("basemap.at", 0.3),
}
WIDTH = 1_000.0  # metres


def open_test_cities(root: Path, tiles: list[str] | None = None, source: str | None = None) -> Dataset:
    """The five cities, each fetched once and kept in `root`; what is there needs no network.

    The imagery is not INRIA's: another year, another sensor, and a place near the middle of the city, since the
    benchmark's tiles of that number are known to us by name alone.

    Args:
        root: folder of the kept images.
        tiles: only these.
        source: another provider, as in `open_place`.

    Raises:
        ServiceError: if a provider cannot be reached; the message says what serves instead.
    """
    chosen = {name: found for name, found in TEST_CITIES.items() if tiles is None or name in tiles}
    return Dataset("test_cities", tuple(_open(root, name, source or provider, gsd)
                                        for name, (provider, gsd) in chosen.items()))


def _open(root: Path, name: str, source: str, gsd: float) -> Scene:
    """One city."""
    city = parse_tile(name)[0]
    try:
        scene = open_place((CITIES[city].lon, CITIES[city].lat), source, gsd, WIDTH, name, save=root)
    except ServiceError as error:
        raise ServiceError(f"{name}: {error}; without a network the drawn scenes serve: open_dataset('sample', "
                           f"split='test')") from None
    return replace(scene, city=city)
