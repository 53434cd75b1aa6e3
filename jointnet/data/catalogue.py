"""Datasets as lists of scenes: name, cities and split in; images with their labels out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jointnet.data.done_blocks import split_labelled_area
from jointnet.data.drawn import SAMPLE, draw_sample, scene_files, seed_of
from jointnet.data.folder import open_folder
from jointnet.data.inria import TILES, open_inria, parse_tile, tile_split
from jointnet.data.massachusetts import COUNTS, open_massachusetts
from jointnet.data.nodata import NODATA_RULES
from jointnet.data.real_cities import TEST_CITIES, open_test_cities
from jointnet.data.scene import SPLITS, VECTOR_SUFFIXES, Dataset, Scene
from jointnet.data.splits import find_leaks, leave_city_out, split_by_share, split_in_blocks
from jointnet.data.stretch import stretched
from jointnet.errors import InputError
from jointnet.options import FolderOptions, chosen, flag_of, takes
from jointnet.progress import tqdm

__all__ = ["DATA_ROOT", "NAMES", "SPLITS", "VECTOR_SUFFIXES", "Dataset", "Scene", "open_dataset", "open_sample"]

NAMES = ("sample", "inria", "massachusetts_buildings", "massachusetts_roads", "test_cities", "folder")
SIZES = {"inria": len(TILES), **{name: sum(parts.values()) for name, parts in COUNTS.items()}}  # images to download


def _data_root() -> Path:
    """JOINTNET_DATA, or `data` of the clone that runs, or the user's cache where the package is installed."""
    if os.environ.get("JOINTNET_DATA"):
        return Path(os.environ["JOINTNET_DATA"])
    project = Path(__file__).resolve().parents[2]
    if (project / "pyproject.toml").exists():
        return project / "data"
    import platformdirs

    return platformdirs.user_cache_path("jointnet")


DATA_ROOT = _data_root()


@takes(FolderOptions)
def open_dataset(
    name: str,
    root: str | Path | None = None,
    cities: Sequence[str] | str | None = None,
    split: str | None = None,
    tiles: Sequence[str] | str | None = None,
    held_out_city: str | None = None,
    validation: float | None = None,
    drop_faulty: bool = False,
    nodata: str | None = None,
    class_name: str = "buildings",
    stretch: str | Sequence[float] | None = None,
    **options: Any,
) -> Dataset:
    """The scenes of a dataset, with their labels, cities and splits. The options are those of the dataset "folder".

    Args:
        name: "sample" (drawn on first use), "inria", "massachusetts_buildings", "massachusetts_roads", "test_cities"
            (fetched on first use, see `open_test_cities`), or "folder" for your own images, see `open_folder`.
        root: folder of the dataset; without it `DATA_ROOT / name`. "folder" needs it.
        cities: only scenes of these.
        split: only scenes of "train", "validation" or "test".
        tiles: only these scenes, by name; each must be there.
        held_out_city: this city becomes the test split, the others keep theirs, see `leave_city_out`.
        validation: deal the scenes anew: this share of them, whole and by a seeded draw, validates and the rest
            trains, see `split_by_share`; a lone scene is cut into blocks, see `split_in_blocks`, and one that a
            person has labelled in part inside that part, see `split_labelled_area`.
        drop_faulty: leave out INRIA's tiles that are reported as wrongly labelled, kitsap4 and kitsap5.
        nodata: rule for pixels without imagery, "black" or "white", see `valid_pixels`; without it the dataset's own:
            white in the Massachusetts sets, none elsewhere (the few black pixels in INRIA's tiles are shadows).
        class_name: for "folder", the class that its labels show, "buildings" or "roads".
        stretch: makes 0 to 255 of images of more than 8 bits, or of fractions: "dataset" or "scene" take the 2nd and
            98th percentile of all training scenes or of each image, two numbers are taken as they are. Training notes
            it on the card, and prediction does the same. See `stretched`.
        options: those of `FolderOptions`, by name; see `open_folder`.

    Warns:
        UserWarning: if parts of the dataset are not on disk, or images of a folder share ground across splits.

    Raises:
        ValueError: if the dataset, a city, a tile or the split is unknown, or nothing is left; the message names the
            choices.
        FileNotFoundError: if the dataset is not on disk; the message says how to get it.
    """
    own = chosen(FolderOptions, options)
    _check_choices(name, root, split, nodata, [n for n, value in vars(own).items() if value is not None])
    root = DATA_ROOT / name if root is None else Path(root).expanduser()
    cities, tiles = _as_list(cities), _as_list(tiles)
    if name == "inria":
        # What is dealt anew below needs every split; otherwise only what is asked for may be missing.
        every = bool(held_out_city or validation)
        dataset = open_inria(root, tiles, None if every else cities, None if every else split, drop_faulty)
    elif name == "sample":
        dataset = open_sample(root)
    elif name == "test_cities":
        dataset = open_test_cities(root, _tiles_of(tiles, cities))
    elif name == "folder":
        dataset = open_folder(root, class_name=class_name, **vars(own))
    else:
        dataset = open_massachusetts(name, root)
    if nodata is not None:
        dataset = replace(dataset, scenes=tuple(replace(s, nodata=nodata) for s in dataset))
    dataset = dataset.select(names=tiles)
    if held_out_city:
        dataset = leave_city_out(dataset, held_out_city)
    if validation:
        dataset = _dealt(dataset, validation)
    if stretch is not None:
        dataset = stretched(dataset, stretch)
    if name == "folder":
        _warn_of_leaks(dataset)
    found = dataset.select(cities, split)
    if not found:
        held = sorted({f"{s.split} of {s.city}" if s.city else s.split for s in dataset})
        raise InputError(f"{name} has no scene of split {split!r} among those asked for; it has {', '.join(held)}")
    return found


def _dealt(dataset: Dataset, validation: float) -> Dataset:
    """The dataset with a share to validate on: whole scenes, blocks of a lone one, or of what is labelled of it."""
    if len(dataset) > 1:
        return split_by_share(dataset, validation)
    if any(dataset[0].says_where_done(class_name) for class_name in dataset[0].labels):
        return split_labelled_area(dataset[0], validation)
    return split_in_blocks(dataset[0], None, validation)


def _warn_of_leaks(dataset: Dataset) -> None:
    """Warns where images of different splits show the same ground: a score there would be flattered."""
    leaks = find_leaks(dataset) if len({s.split for s in dataset}) > 1 else []
    if leaks:
        warnings.warn(
            f"{len(leaks)} pairs of images share ground though their splits differ, such as {' and '.join(leaks[0])}; "
            f"put them into one split, or scores will be too good", stacklevel=3,
        )


def open_sample(root: Path) -> Dataset:
    """The fifteen drawn scenes, named and split as INRIA's tiles; those that `root` lacks are drawn first."""
    scenes = tuple(_sample_scene(root / part, name) for part, names in SAMPLE.items() for name in names)
    absent = [s for s in scenes if not all(p.exists() for p in _files_of(s))]
    with tqdm(desc="drawing the sample", total=len(absent), unit="scene", disable=not absent) as bar:
        draw_sample(root, seed_of(root), lambda _: bar.update())  # an older edition is drawn again
    return Dataset("sample", scenes)


def _tiles_of(tiles: list[str] | None, cities: list[str] | None) -> list[str] | None:
    """The test cities to fetch, where not all are asked for; a name that is none is told later."""
    known = [t for t in TEST_CITIES if (tiles is None or t in tiles) and (cities is None or parse_tile(t)[0] in cities)]
    return known or None


def _sample_scene(folder: Path, name: str) -> Scene:
    """One drawn scene: its masks as labels, the shapes behind them as vectors."""
    files = scene_files(folder, name)
    return Scene(
        name,
        files["images"],
        city=parse_tile(name)[0],
        split=tile_split(name),
        labels={"buildings": files["gt"], "roads": files["roads"]},
        vectors={"buildings": files["polygons"], "roads": files["centre_lines"]},
        drawn=True,
    )


def _files_of(scene: Scene) -> list[Path]:
    """The files of a scene that has each mask in one file."""
    return [scene.image, *(p for p in scene.labels.values() if isinstance(p, Path)), *scene.vectors.values()]


def _check_choices(
    name: str, root: str | Path | None, split: str | None, nodata: str | None, of_folders: Sequence[str]
) -> None:
    """Raises ValueError for what can be told to be wrong before anything is opened."""
    if name not in NAMES:
        raise InputError(f"dataset {name!r} is unknown; choose from {', '.join(NAMES)}")
    if name == "folder" and root is None:
        raise InputError("the dataset 'folder' needs root= (--root), the folder of your images")
    if name != "folder" and of_folders:
        asked = " and ".join(f"{option}= ({flag_of(option)})" for option in of_folders)
        raise InputError(f"{asked} belong{'s' if len(of_folders) == 1 else ''} to the dataset 'folder'; {name} has its "
                         "own labels")
    if split is not None and split not in SPLITS:
        raise InputError(f"split {split!r} is unknown; choose from {', '.join(SPLITS)}")
    if nodata not in NODATA_RULES:
        raise InputError(f"no-data rule {nodata!r} is unknown; choose 'black', 'white' or None")


def _as_list(names: Sequence[str] | str | None) -> list[str] | None:
    """One name or several as a list."""
    return [names] if isinstance(names, str) else None if names is None else list(names)
