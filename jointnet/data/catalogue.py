"""Datasets as lists of scenes: name, cities and split in; images with their labels out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pooch

from jointnet.data.folder import open_folder
from jointnet.data.inria import TEST_CITIES, TRAINING_CITIES, open_inria
from jointnet.data.massachusetts import open_massachusetts
from jointnet.data.scene import SPLITS, VECTOR_SUFFIXES, Dataset, Scene
from jointnet.data.splits import leave_city_out

__all__ = ["DATA_ROOT", "NAMES", "SPLITS", "VECTOR_SUFFIXES", "Dataset", "Scene", "open_dataset", "open_sample"]

NAMES = ("sample", "inria", "massachusetts_buildings", "massachusetts_roads", "folder")
SAMPLE_TEST = ("bellingham15", "bloomington17", "innsbruck21", "sfo36", "tyrol-e35")


def _data_root() -> Path:
    """JOINTNET_DATA, or `data` of the clone that runs, or the user's cache where the package is installed."""
    if os.environ.get("JOINTNET_DATA"):
        return Path(os.environ["JOINTNET_DATA"])
    project = Path(__file__).resolve().parents[2]
    return project / "data" if (project / "pyproject.toml").exists() else Path(pooch.os_cache("jointnet"))


DATA_ROOT = _data_root()


def open_dataset(
    name: str,
    root: str | Path | None = None,
    cities: Sequence[str] | str | None = None,
    split: str | None = None,
    tiles: Sequence[str] | None = None,
    held_out_city: str | None = None,
    drop_faulty: bool = False,
    labels: str | Path | Sequence[str | Path] | None = None,
    kind: str = "buildings",
    nodata: str | None = None,
    gsd: float | None = None,
) -> Dataset:
    """The scenes of a dataset, with their labels, cities and splits.

    Args:
        name: "sample" (drawn on first use), "inria", "massachusetts_buildings", "massachusetts_roads", or "folder"
            for your own images, see `open_folder`.
        root: folder of the dataset; without it `DATA_ROOT / name`. "folder" needs it.
        cities: only scenes of these.
        split: only scenes of "train", "validation" or "test".
        tiles: only these scenes, by name; each must be there.
        held_out_city: this city becomes the test split, the others keep theirs, see `leave_city_out`.
        drop_faulty: leave out INRIA's tiles that are reported as wrongly labelled, kitsap4 and kitsap5.
        labels: for "folder", where its labels lie if not beside the images.
        kind: for "folder", the class that its labels show, "buildings" or "roads".
        nodata: rule for pixels without imagery, "black" or "white", see `valid_pixels`. The Massachusetts sets
            are "white" by themselves.
        gsd: for "folder", metres per pixel of images without a georeference.

    Raises:
        ValueError: if the dataset, a city, a tile or the split is unknown; the message names the choices.
        FileNotFoundError: if the dataset is not on disk; the message says how to get it.
    """
    if name not in NAMES:
        raise ValueError(f"dataset {name!r} is unknown; choose from {', '.join(NAMES)}")
    if name == "folder" and root is None:
        raise ValueError('open_dataset("folder") needs root=, the folder of your images')
    if split is not None and split not in SPLITS:
        raise ValueError(f"split {split!r} is unknown; choose from {', '.join(SPLITS)}")
    root = DATA_ROOT / name if root is None else Path(root).expanduser()
    cities = [cities] if isinstance(cities, str) else cities
    if name == "inria":
        asked = {} if held_out_city else {"cities": cities, "split": split}
        dataset = open_inria(root, tiles=tiles, drop_faulty=drop_faulty, nodata=nodata, **asked)
    elif name == "sample":
        dataset = open_sample(root)
    elif name == "folder":
        dataset = open_folder(root, labels, kind, nodata, gsd)
    else:
        dataset = open_massachusetts(name, root)
    dataset = leave_city_out(dataset, held_out_city) if held_out_city else dataset
    if name != "inria" and tiles is not None:
        dataset = Dataset(dataset.name, tuple(dataset[t] for t in tiles), dataset.missing)
    return dataset.select(cities, split)


def open_sample(root: Path) -> Dataset:
    """The fifteen drawn scenes, named and split as INRIA's tiles; those that `root` lacks are drawn first."""
    places = [(f"{c}{n}", c, s) for c in TRAINING_CITIES for n, s in ((1, "validation"), (6, "train"))]
    places += [(tile, city, "test") for tile, city in zip(SAMPLE_TEST, TEST_CITIES, strict=True)]
    scenes = tuple(_sample_scene(root, *place) for place in places)
    if not all(path.exists() for s in scenes for path in (s.image, *s.labels.values(), *s.vectors.values())):
        from jointnet.data.drawn import draw_sample  # the drawing's modules are needed once

        draw_sample(root)
    return Dataset("sample", scenes)


def _sample_scene(root: Path, name: str, city: str, split: str) -> Scene:
    """One drawn scene: its masks as labels, the shapes behind them as vectors."""
    folder = root / ("test" if split == "test" else "train")
    labels = {"buildings": folder / "gt" / f"{name}.tif", "roads": folder / "roads" / f"{name}.tif"}
    vectors = {
        "buildings": folder / "polygons" / f"{name}.geojson",
        "roads": folder / "centre_lines" / f"{name}.geojson",
    }
    return Scene(name, folder / "images" / f"{name}.tif", city, split, labels, vectors, drawn=True)
