"""Anyone's own images with masks or vector files, as scenes: matched by name, or by place."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jointnet.data.addresses import is_remote
from jointnet.data.masks import MaskGroup
from jointnet.data.raster import read_info
from jointnet.data.scene import SPLITS, VECTOR_SUFFIXES, Dataset, Scene, is_vector, remote_scene, shorten
from jointnet.data.vectors import meets
from jointnet.errors import InputError

# A .vrt or a .place names other files and addresses: it is opened where a person names it, never because it lies there.
IMAGE_SUFFIXES = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg")
IMAGE_FOLDERS = ("images", "sat")
SURE_VECTORS = tuple(s for s in VECTOR_SUFFIXES if s != ".json")  # a .json is often something else
LABEL_FOLDERS = ("masks", "gt", "labels", "map", "polygons", "vectors")
Places = str | Path | Sequence[str | Path] | None  # where labels lie: a folder, or files
CLASSES = ("buildings", "roads")
SPLIT_FOLDERS = {**{s: s for s in SPLITS}, "valid": "validation", "val": "validation"}


def open_folder(
    root: Path,
    labels: Places = None,
    class_name: str = "buildings",
    gsd: float | None = None,
    width: float | str | None = None,
    label_values: Any = None,
    ignore_values: Any = None,
) -> Dataset:
    """The images under `root` with their labels.

    Images lie in `root/images`, in `root` itself, or in both ways under `root/train`, `root/validation` and
    `root/test`. Labels lie in a folder `masks`, `gt` or `labels` beside them, or are vector files there or beside
    the images. A label belongs to the image of the same name, and shows the class `class_name`, or of the name before
    `_buildings` or `_roads`. A vector file that bears no image's name belongs to every image that it overlaps.
    A `manifest.csv` in `root`, or above it with `root`'s name in its column `group`, gives city, split and
    gsd_m, and only the images that it names are opened; its column `image` may hold an address (https://, s3://,
    gs://, or of a STAC item) of an image that is not on this disk.

    Args:
        root: folder of images.
        labels: folder of masks or vector files, or the vector files themselves, where they lie elsewhere.
        class_name: class that the labels show, "buildings" or "roads".
        gsd: metres per pixel of images without a georeference.
        width: of roads whose labels are centre lines: metres, or the name of a column; see `rasterize_lines`.
        label_values: values of masks that show the class, where they do not speak for themselves, or a mapping of
            classes to values: then one mask shows several classes. See `masks.values_of`.
        ignore_values: values of masks that nobody has labelled, in place of what the files themselves say.

    Warns:
        UserWarning: if images have no labels, or the manifest names images that are not there.

    Raises:
        FileNotFoundError: if there is no folder, no image or no label file where one was named.
        ValueError: if two images or two masks share a name, the manifest cannot be understood, or a vector file that
            bears an image's name lies elsewhere.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; give the folder of your images as root= (--root)")
    parts = {root / name: split for name, split in SPLIT_FOLDERS.items() if (root / name).is_dir()}
    scenes = [
        scene
        for part, split in (parts or {root: "train"}).items()
        for scene in _scenes(part, split, labels, class_name, gsd, width)
    ]
    scenes += _remote_scenes(root, labels, class_name, gsd, width)
    if not scenes:
        raise FileNotFoundError(
            f"{root} holds no images: looked for {', '.join(IMAGE_SUFFIXES)} in it and in its folder 'images'"
        )
    scenes, absent = _apply_manifest(root, _with_masks(scenes, class_name, label_values, ignore_values))
    for scene in scenes:
        scene.check_shapes()
    unlabelled = [s.name for s in scenes if not s.labels]
    if unlabelled or absent:
        gaps = [f"no labels for {shorten(unlabelled, 6)}"] * bool(unlabelled)
        gaps += [f"no image of {shorten(absent, 6)}, which the manifest names"] * bool(absent)
        warnings.warn(f"{root}: {'; '.join(gaps)}", stacklevel=3)
    return Dataset("folder", tuple(scenes), (*absent, *(f"{n} (labels)" for n in unlabelled)))


def _scenes(part: Path, split: str, labels: Places, class_name: str, gsd: float | None, width: float | str | None
            ) -> list[Scene]:
    """The scenes of one folder that holds images, or a folder `images`."""
    folder = next((part / f for f in IMAGE_FOLDERS if (part / f).is_dir()), part)
    images = _by_stem(_files(folder, IMAGE_SUFFIXES))
    masks, vectors = _label_files(part, folder, labels)
    named = {v.stem: v for v in reversed(vectors)} | _by_stem([m for m in masks if m not in images.values()])
    found = {stem: _by_name(stem, class_name, named) for stem in images}
    used = {path for labels in found.values() for path in labels.values()}
    spare = [v for v in vectors if v not in used]
    labelled = {stem: {**_by_place(image, class_name, spare), **found[stem]} for stem, image in images.items()}
    return [
        Scene(stem, image, split=split, labels=labelled[stem], vectors=_shapes_of(labelled[stem]), gsd_hint=gsd,
              line_width=width)
        for stem, image in images.items()
    ]


def _remote_scenes(root: Path, labels: Places, class_name: str, gsd: float | None, width: float | str | None
                   ) -> list[Scene]:
    """The scenes whose images the manifest names by address, in its column `image`; labels as of other images."""
    rows = [row for row in _read_manifest(root) or [] if is_remote(row.get("image") or "")]
    masks, vectors = _label_files(root, root, labels) if rows else ([], [])
    named = {v.stem: v for v in reversed(vectors)} | {m.stem: m for m in masks}
    scenes = []
    for row in rows:
        found: dict[str, Path | tuple[Path, ...]] = {**_by_name(row["name"], class_name, named)}
        scene = remote_scene(row["image"])
        scenes.append(replace(scene, name=row["name"], split="train", labels=found, vectors=_shapes_of(found),
                              gsd_hint=gsd, line_width=width))
    return scenes


def _with_masks(scenes: list[Scene], class_name: str, label_values: Any, ignore_values: Any) -> list[Scene]:
    """The scenes with what all masks of a class say together; masks that show several classes are given to each."""
    by_class = label_values if isinstance(label_values, Mapping) else {class_name: label_values}
    if len(by_class) > 1:
        scenes = [replace(s, labels={**_shared(s.labels.get(class_name), by_class), **s.labels}) for s in scenes]
    groups = {}
    for name in dict.fromkeys(k for scene in scenes for k in scene.labels):
        files = tuple(f for s in scenes if isinstance(f := s.labels.get(name), Path) and not is_vector(f))
        groups[name] = MaskGroup(files, by_class.get(name), ignore_values)
    return [replace(s, masks={k: g for k, g in groups.items() if k in s.labels}) for s in scenes]


def _shared(found: Path | tuple[Path, ...] | None, classes: Mapping) -> dict[str, Path]:
    """The one mask of an image for each of the classes that it shows."""
    return dict.fromkeys(classes, found) if isinstance(found, Path) and not is_vector(found) else {}


def _shapes_of(labels: dict[str, Path | tuple[Path, ...]]) -> dict[str, Path]:
    """Of an image's labels, those that one file of shapes holds."""
    single = {class_name: file for class_name, file in labels.items() if isinstance(file, Path)}
    return {class_name: file for class_name, file in single.items() if file.suffix.lower() in VECTOR_SUFFIXES}


def _label_files(part: Path, images: Path, labels: Places) -> tuple[list[Path], list[Path]]:
    """The mask files and the vector files that may belong to a folder's images."""
    if labels is None:
        folders = [part / f for f in LABEL_FOLDERS if (part / f).is_dir()]
        masks = [p for f in folders for p in _files(f, IMAGE_SUFFIXES)]
        return masks, [p for f in dict.fromkeys([*folders, images, part]) for p in _files(f, SURE_VECTORS)]
    given = [Path(p) for p in ([labels] if isinstance(labels, str | Path) else labels)]
    gone = [str(p) for p in given if not p.exists()]
    if gone:
        raise FileNotFoundError(f"{', '.join(gone)} does not exist; give a folder of masks or a vector file as labels=")
    files = [q for p in given for q in (sorted(p.iterdir()) if p.is_dir() else [p])]
    masks = [p for p in files if p.suffix.lower() in IMAGE_SUFFIXES]
    return masks, [p for p in files if p.suffix.lower() in VECTOR_SUFFIXES]


def _by_name(stem: str, class_name: str, files: dict[str, Path]) -> dict[str, Path]:
    """Class -> label file for an image, by its name: STEM_mask shows `class_name`, STEM_roads roads, and so on."""
    own = (f"{stem}_mask", f"{stem}_{class_name}", stem)
    names = {f"{stem}_{k}": k for k in CLASSES} | dict.fromkeys(own, class_name)
    return {k: files[n] for n, k in names.items() if n in files}


def _by_place(image: Path, class_name: str, vectors: Sequence[Path]) -> dict[str, Path | tuple[Path, ...]]:
    """Class -> the vector files whose ground meets the image's; a file called "...roads" shows roads."""
    if not vectors:
        return {}
    labels: dict[str, tuple[Path, ...]] = {}
    grid = read_info(image)
    for path in vectors:
        if meets(path, grid):
            shows = next((k for k in CLASSES if path.stem.lower().endswith(k)), class_name)
            labels[shows] = (*labels.get(shows, ()), path)
    return {k: files[0] if len(files) == 1 else files for k, files in labels.items()}


def _apply_manifest(root: Path, scenes: list[Scene]) -> tuple[list[Scene], list[str]]:
    """The scenes with the manifest's city, split and gsd, and the names that it lists without an image."""
    rows = _read_manifest(root)
    if rows is None:
        return scenes, []
    at_hand = {s.name: s for s in scenes}
    kept = [_with_row(at_hand[r["name"]], r) for r in rows if r["name"] in at_hand]
    if not kept:
        raise InputError(f"the manifest of {root} names none of its images, such as {scenes[0].name}")
    return kept, [r["name"] for r in rows if r["name"] not in at_hand]


def _read_manifest(root: Path) -> list[dict] | None:
    """The manifest's rows for a folder, or None without a manifest."""
    own, above = root / "manifest.csv", root.resolve().parent / "manifest.csv"
    path = own if own.exists() else above
    if not path.exists():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if rows and "name" not in rows[0]:
        raise InputError(f"{path} has no column 'name'; its columns are name, city, split, gsd_m and, for several "
                         f"folders, group")
    mine = [r for r in rows if r.get("group") == root.resolve().name]
    if path == above:
        return mine or None
    return mine or rows


def _with_row(scene: Scene, row: dict) -> Scene:
    """The scene with what its row in the manifest says."""
    split = row.get("split") or scene.split
    if split not in SPLITS:
        raise InputError(f"the manifest gives {scene.name} the split {split!r}; choose from {', '.join(SPLITS)}")
    gsd = float(row["gsd_m"]) if row.get("gsd_m") else scene.gsd_hint
    return replace(scene, city=row.get("city") or scene.city, split=split, gsd_hint=gsd)


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of a folder with one of the suffixes, sorted; hidden ones left out."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith("."))


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    """Name without suffix -> file.

    Raises:
        ValueError: if two files share a name.
    """
    found: dict[str, Path] = {}
    for path in files:
        if path.stem in found:
            raise InputError(f"{found[path.stem]} and {path} have the same name; keep one of them")
        found[path.stem] = path
    return found
