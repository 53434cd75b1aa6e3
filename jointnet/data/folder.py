"""Anyone's own images with masks or vector files, as scenes: matched by name, or by place."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jointnet.data.addresses import is_remote
from jointnet.data.layers import CLASSES, NATIVE_TABLE, LabelError, classes_in
from jointnet.data.manifest import SPLIT_WORDS, addresses, apply_manifest
from jointnet.data.masks import MaskGroup
from jointnet.data.raster import read_info
from jointnet.data.scene import LABELS_ENDING, SPLITS, VECTOR_SUFFIXES, Dataset, Scene, is_vector, remote_scene, shorten
from jointnet.data.vectors import check_meets, meets
from jointnet.errors import InputError

# A .vrt or a .place names other files and addresses: it is opened where a person names it, never because it lies there.
IMAGE_SUFFIXES = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg")
IMAGE_FOLDERS = ("images", "sat")
# Files of these are vectors for sure; others may be anything.
SURE_VECTORS = (*(s for s in VECTOR_SUFFIXES if s not in (".json", ".zip", ".tab", ".csv")), ".shp.zip")
# What others hold near their beginning if they are: GeoJSON, TopoJSON, a MapInfo table that places no image.
TOLD_VECTORS = {".json": rb'"type"\s*:\s*"(FeatureCollection|Topology)"', ".tab": NATIVE_TABLE}
TOLD_IN = 1 << 16  # bytes
LABEL_FOLDERS = ("masks", "gt", "labels", "map", "polygons", "vectors")
Places = str | Path | Sequence[str | Path] | None  # where labels lie: a folder, or files


def open_folder(
    root: Path,
    labels: Places = None,
    class_name: str = "buildings",
    gsd: float | None = None,
    width: float | str | None = None,
    label_values: Any = None,
    ignore_values: Any = None,
    layer: str | None = None,
) -> Dataset:
    """The images under `root` with their labels.

    Images lie in `root/images`, in `root` itself, or in both ways under `root/train`, `root/validation` and
    `root/test`. A scene is called as its image, or "test-a" where several of these folders hold an "a". Labels lie in
    a folder `masks`, `gt` or `labels` beside the images, or are vector files there or among them. A label belongs to
    the image of the same name, and shows the class `class_name`, or of the name before
    `_buildings` or `_roads`. A vector file that bears no image's name belongs to every image that it overlaps. Where a
    column `class`, `label`, `type` or the like of it names several classes, its features of `class_name` are taken.
    A `manifest.csv` in `root`, or above it with `root`'s name in its column `group`, gives city, split and
    gsd_m, and only the images that it names are opened; its column `image` may hold an address (https://, s3://,
    gs://, or of a STAC item) of an image that is not on this disk.

    Args:
        root: folder of images.
        labels: folder of masks or vector files, or the vector files themselves, where they lie elsewhere.
        class_name: class that the labels show, "buildings" or "roads".
        gsd: metres per pixel of images without a georeference.
        width: how wide roads are whose labels are centre lines: metres, or a column's name; see `rasterize_lines`.
        label_values: values of masks that show the class, where they do not speak for themselves, or a mapping of
            classes to values: then one mask shows several classes. See `masks.values_of`.
        ignore_values: values of masks that nobody has labelled, in place of what the files themselves say.
        layer: the layer that shows `class_name`, where vector files hold several; see `layers_of`.

    Warns:
        UserWarning: if images have no labels, or the manifest names images that are not there.

    Raises:
        FileNotFoundError: if there is no folder, no image or no label file where one was named.
        ValueError: if two images or two masks share a name, the manifest cannot be understood, or a vector file that
            bears an image's name lies elsewhere.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; give the folder of your images as root= (--root)")
    parts = _split_folders(root)
    found = [
        (part.name, scene)
        for part, split in (parts or {root: "train"}).items()
        for scene in _scenes(part, split, labels, class_name, gsd, width, layer)
    ]
    found += [("", scene) for scene in _remote_scenes(root, labels, class_name, gsd, width, layer)]
    scenes = _with_own_names(found)
    if not scenes:
        raise FileNotFoundError(
            f"{root} holds no images: looked for {', '.join(IMAGE_SUFFIXES)} in it and in its folder 'images'"
        )
    scenes, absent = apply_manifest(root, _with_masks(scenes, class_name, label_values, ignore_values))
    for scene in scenes:
        scene.check_shapes()
    unlabelled = [s.name for s in scenes if not s.labels]
    if unlabelled or absent:
        gaps = [f"no labels for {shorten(unlabelled, 6)}"] * bool(unlabelled)
        gaps += _lost_labels(root, [*(parts or [root])], scenes, labels, class_name, layer) if unlabelled else []
        gaps += [f"no image of {shorten(absent, 6)}, which the manifest names"] * bool(absent)
        warnings.warn(f"{root}: {'; '.join(gaps)}", stacklevel=3)
    return Dataset("folder", tuple(scenes), (*absent, *(f"{n} (labels)" for n in unlabelled)))


def _lost_labels(
    root: Path, parts: Sequence[Path], scenes: Sequence[Scene], labels: Places, class_name: str, layer: str | None
) -> list[str]:
    """What is wrong with label files that belong to no image, for a message.

    Raises:
        LabelError: if no image has labels, and a vector file lies elsewhere than they do.
    """
    files = [_label_files(part, _images_in(part), labels) for part in parts]
    found = [f for s in scenes for f in s.labels.values()]
    used = {path for one in found for path in (one if isinstance(one, tuple) else (one,))}
    mine = used | {s.image for s in scenes}
    lost = sorted({str(p) for masks, _ in files for p in masks if p not in mine})
    said = [f"{shorten(lost, 3)} bear no image's name (a mask is called as its image, or with _mask or _{class_name} "
            "after that)"] * bool(lost)
    unplaced = next((s for s in scenes if not s.labels and not is_remote(s.image)), None)
    for path in sorted({p for _, vectors in files for p in vectors if p not in used}):
        if unplaced is None:
            break
        try:
            check_meets(path, unplaced.info, class_name, layer)
        except LabelError as error:
            if not used:
                raise
            said.append(str(error))
    return said


def _images_in(part: Path) -> Path:
    """The folder of a part's images."""
    return next((part / f for f in IMAGE_FOLDERS if (part / f).is_dir()), part)


def _split_folders(root: Path) -> dict[Path, str]:
    """Folder -> split, of the folders that are named after one, as "train", "Valid" or "testing"."""
    named = {p: SPLIT_WORDS.get(p.name.casefold(), "") for p in sorted(root.iterdir()) if p.is_dir()}
    return {p: split for split in SPLITS for p, s in named.items() if s == split}


def _scenes(
    part: Path,
    split: str,
    labels: Places,
    class_name: str,
    gsd: float | None,
    width: float | str | None,
    layer: str | None,
) -> list[Scene]:
    """The scenes of one folder that holds images, or a folder `images`."""
    folder = _images_in(part)
    images = _by_stem(_files(folder, IMAGE_SUFFIXES))
    masks, vectors = _label_files(part, folder, labels)
    apart = _by_stem([m for m in masks if m not in images.values()])
    named = _vectors_by_stem(vectors) | {k: (v,) for k, v in apart.items()}
    found = {stem: _by_name(stem, class_name, named, images, layer) for stem in images}
    used = {path for labels in found.values() for path in labels.values()}
    spare = [v for v in vectors if v not in used and _stem(v) not in images]
    labelled = {stem: {**_by_place(image, class_name, spare, layer), **found[stem]} for stem, image in images.items()}
    layers = {} if layer is None else {class_name: layer}
    return [
        Scene(stem, image, split=split, labels=labelled[stem], vectors=_shapes_of(labelled[stem]), gsd_hint=gsd,
              line_width=width, layers=layers)
        for stem, image in images.items()
    ]


def _remote_scenes(
    root: Path, labels: Places, class_name: str, gsd: float | None, width: float | str | None, layer: str | None
) -> list[Scene]:
    """The scenes whose images the manifest names by address, in its column `image`; labels as of other images."""
    rows = [(name, address) for name, address in addresses(root) if is_remote(address)]
    masks, vectors = _label_files(root, root, labels) if rows else ([], [])
    named = _vectors_by_stem(vectors) | {_stem(m): (m,) for m in masks}
    scenes = []
    for name, address in rows:
        found: dict[str, Path | tuple[Path, ...]] = {**_by_name(name, class_name, named, {}, layer)}
        scenes.append(replace(remote_scene(address), name=name, split="train", labels=found, vectors=_shapes_of(found),
                              gsd_hint=gsd, line_width=width, layers={} if layer is None else {class_name: layer}))
    return scenes


def _with_own_names(found: Sequence[tuple[str, Scene]]) -> list[Scene]:
    """The scenes of (folder, scene), each with a name of its own: "test-a" where several folders hold an "a".

    Raises:
        ValueError: if two scenes still have one name.
    """
    count = Counter(scene.name for _, scene in found)
    scenes = [replace(s, name=f"{folder}-{s.name}") if count[s.name] > 1 else s for folder, s in found]
    count = Counter(scene.name for scene in scenes)
    twice = [s for s in scenes if count[s.name] > 1]
    if twice:
        raise InputError(f"{' and '.join(str(s.image) for s in twice)} would both be called {twice[0].name!r}; rename "
                         "one of them")
    _check_masks_are_own(scenes)
    return scenes


def _check_masks_are_own(scenes: Sequence[Scene]) -> None:
    """Raises ValueError if one mask would be the labels of two images, as of `train/a.png` and `test/a.png`."""
    owners: dict[Path, Scene] = {}
    for scene in scenes:
        for mask in scene.labels.values():
            if not isinstance(mask, Path) or is_vector(mask):
                continue
            if mask in owners:
                raise InputError(f"{mask} may belong to {owners[mask].image} or to {scene.image}; put masks into a "
                                 "folder beside their images")
            owners[mask] = scene


def _with_masks(scenes: list[Scene], class_name: str, label_values: Any, ignore_values: Any) -> list[Scene]:
    """The scenes with what all masks of a class say together; masks that show several classes are given to each."""
    by_class = label_values if isinstance(label_values, Mapping) else {class_name: label_values}
    if class_name not in by_class:
        raise InputError(f"label_values says what shows {', '.join(map(repr, by_class)) or 'nothing'}, and the class "
                         f"asked for is {class_name!r}: name that, too, or choose class_name= (--class, --classes)")
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
    """Class -> vector file, of those labels of an image that are one vector file."""
    single = {class_name: file for class_name, file in labels.items() if isinstance(file, Path)}
    return {class_name: file for class_name, file in single.items() if file.suffix.lower() in VECTOR_SUFFIXES}


def _label_files(part: Path, images: Path, labels: Places) -> tuple[list[Path], list[Path]]:
    """The mask files and the vector files that may belong to a folder's images."""
    if labels is None:
        folders = [part / f for f in LABEL_FOLDERS if (part / f).is_dir()]
        masks = [p for f in folders for p in _files(f, IMAGE_SUFFIXES)]
        return masks, [p for f in dict.fromkeys([*folders, images, part]) for p in _vector_files(f)]
    given = [Path(p) for p in ([labels] if isinstance(labels, str | Path) else labels)]
    gone = [str(p) for p in given if not p.exists()]
    if gone:
        raise FileNotFoundError(f"{', '.join(gone)} does not exist; give a folder of masks or a vector file as labels=")
    files = [p for p in given if not _is_folder(p)]
    folders = [p for p in given if _is_folder(p)]
    masks = [p for p in files if p.suffix.lower() in IMAGE_SUFFIXES]
    masks += [p for f in folders for p in _files(f, IMAGE_SUFFIXES)]
    vectors = [p for p in files if p.suffix.lower() in VECTOR_SUFFIXES]
    vectors += [p for f in folders for p in _vector_files(f, (".zip",))]
    strange = [str(p) for p in files if p not in (*masks, *vectors)]
    if strange:
        raise InputError(f"{', '.join(strange)} is known neither as a mask nor as a vector file by its ending; save it "
                         "as GeoPackage or GeoJSON")
    return masks, vectors


def _vector_files(folder: Path, also: Sequence[str] = ()) -> list[Path]:
    """The files of a folder that hold shapes, by their endings or, where these tell too little, how they begin."""
    told = [p for p in _files(folder, tuple(TOLD_VECTORS)) if _begins_as(p, TOLD_VECTORS[p.suffix.lower()])]
    return sorted({*_files(folder, (*SURE_VECTORS, *also)), *told})


def _begins_as(path: Path, pattern: bytes) -> bool:
    """Whether a file's beginning holds a pattern; never of a STAC item, which describes an image."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(TOLD_IN)
    return bool(re.search(pattern, head)) and b'"stac_version"' not in head


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder of files; a file geodatabase is a folder that counts as a file."""
    return path.is_dir() and path.suffix.lower() != ".gdb"


def _stem(path: Path) -> str:
    """A file's name without its ending, which may be double, as ".shp.zip"; letters with accents are one character."""
    stem = path.stem.removesuffix(".shp") if path.suffix.lower() == ".zip" else path.stem
    return unicodedata.normalize("NFC", stem)


def _vectors_by_stem(files: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """Name without suffix -> the vector files of that name."""
    found: dict[str, tuple[Path, ...]] = {}
    for path in files:
        found[_stem(path)] = (*found.get(_stem(path), ()), path)
    return found


def _by_name(stem: str, class_name: str, files: dict[str, tuple[Path, ...]], images: dict[str, Path],
             layer: str | None) -> dict[str, Path]:
    """Class -> label file for an image, by its name: STEM_mask shows `class_name`, STEM_roads roads, and so on.

    STEM_labels, which a LabelEditor keeps, comes before all others of a class.

    Raises:
        ValueError: if several vector files of different folders may be meant.
    """
    own = (f"{stem}_mask", f"{stem}_{class_name}", stem, f"{stem}{LABELS_ENDING}")  # the last that there is, is taken
    names = {f"{stem}_{k}": k for k in CLASSES} | dict.fromkeys(own, class_name)
    names = {n: k for n, k in names.items() if n == stem or n not in images}  # leaves out the labels of another image
    found = {k: _only(files[n], stem) for n, k in names.items() if n in files}
    file = found.get(class_name)
    if file is None or not is_vector(file) or layer is not None:
        return found
    in_layers = classes_in(file)
    if in_layers and class_name not in in_layers:
        del found[class_name]
    return dict.fromkeys(in_layers, file) | found


def _only(files: tuple[Path, ...], stem: str) -> Path:
    """The first of several label files of one name in one folder, which may hold the same; warns of the others."""
    if len({p.parent for p in files}) > 1:
        raise InputError(f"{' and '.join(map(str, files))} bear the name of the image {stem}; keep one of them, or add "
                         "the class to the name, as in _buildings and _roads")
    if len(files) > 1:
        warnings.warn(f"of {', '.join(p.name for p in files)} only {files[0].name} is read", stacklevel=6)
    return files[0]


def _by_place(image: Path, class_name: str, vectors: Sequence[Path], layer: str | None
              ) -> dict[str, Path | tuple[Path, ...]]:
    """Class -> the vector files whose ground meets the image's; one called "...roads", or its layer, shows roads."""
    if not vectors:
        return {}
    labels: dict[str, tuple[Path, ...]] = {}
    grid = read_info(image)
    for path in vectors:
        by_name = [k for k in CLASSES if _stem(path).lower().endswith(k)]
        for shows in by_name or (() if layer else classes_in(path)) or [class_name]:
            if meets(path, grid, shows, layer if shows == class_name else None):
                labels[shows] = (*labels.get(shows, ()), path)
    return {k: files[0] if len(files) == 1 else files for k, files in labels.items()}


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of a folder with one of the suffixes, sorted; hidden ones left out."""
    return sorted(p for p in folder.iterdir() if p.name.lower().endswith(tuple(suffixes)) and p.name[0] != ".")


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    """Name without suffix -> file.

    Raises:
        ValueError: if two files share a name.
    """
    found: dict[str, Path] = {}
    for path in files:
        name = _stem(path)
        if name in found:
            raise InputError(f"{found[name]} and {path} have the same name; keep one of them")
        found[name] = path
    return found
