"""Mnih's Massachusetts buildings and roads, in the folders of their source, as scenes."""

from __future__ import annotations

import warnings
from pathlib import Path

from jointnet.data.scene import Dataset, Scene, shorten

FOLDERS = {"train": "train", "valid": "validation", "test": "test"}  # the source's name -> the split
COUNTS = {
    "massachusetts_buildings": {"train": 137, "valid": 4, "test": 10},
    "massachusetts_roads": {"train": 1108, "valid": 14, "test": 49},
}
PLACES = {"massachusetts_buildings": "boston", "massachusetts_roads": "massachusetts"}
GSD = 1.0


def open_massachusetts(name: str, root: Path) -> Dataset:
    """The scenes under `root/{train,valid,test}/{sat,map}`; a partial copy will do. White pixels are no-data.

    Warns:
        UserWarning: if images, or maps of images, are not on disk.

    Raises:
        FileNotFoundError: if no image is there.
    """
    found = {part: _images(root / part / "sat") for part in FOLDERS}
    if not any(found.values()):
        raise FileNotFoundError(
            f"{root} holds no images in train/sat, valid/sat or test/sat; fetch them with `jointnet download {name}`, "
            f"or give the folder of your copy as root= (--root)"
        )
    scenes = tuple(_scene(name, path, part) for part, images in found.items() for path in images)
    counts = COUNTS[name]
    short = [f"{n - len(found[p])} of the {n} images of {p}" for p, n in counts.items() if len(found[p]) < n]
    missing = (*short, *(f"{s.name} (labels)" for s in scenes if not s.labels))
    if missing:
        warnings.warn(f"{root} lacks {shorten(missing, 6)}", stacklevel=3)
    return Dataset(name, scenes, missing)


def _images(folder: Path) -> list[Path]:
    """The TIFF images of a folder, sorted; none where there is no folder."""
    return sorted(p for p in folder.glob("*.tif*") if p.suffix in (".tif", ".tiff")) if folder.is_dir() else []


def _scene(name: str, image: Path, part: str) -> Scene:
    """One image with its map, which the source names `.tif` where the image is `.tiff`."""
    maps = image.parents[1] / "map"
    label = next((p for p in (maps / f"{image.stem}.tif", maps / f"{image.stem}.tiff") if p.exists()), None)
    class_name = name.removeprefix("massachusetts_")
    return Scene(
        image.stem, image, PLACES[name], FOLDERS[part], {class_name: label} if label else {}, nodata="white",
        gsd_hint=GSD,
    )
