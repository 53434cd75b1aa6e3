"""One image with its labels, and lists of them: windows in, arrays out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from jointnet.data.addresses import is_remote, is_stac_item, stem_of
from jointnet.data.mask_placement import orientation
from jointnet.data.masks import MaskGroup, MaskValues, read_mask_window, values_of
from jointnet.data.nodata import valid_pixels
from jointnet.data.raster import Grid, kept_raster, read_info
from jointnet.errors import InputError, NotFoundError
from jointnet.files import state_of

if TYPE_CHECKING:  # what reads vector files brings GeoPandas, which whoever has none of them keeps
    import geopandas as gpd

    from jointnet.data.labels import PlacedShapes
    from jointnet.data.stretch import Stretch

SPLITS = ("train", "validation", "test")
VECTOR_SUFFIXES = (".geojson", ".json", ".gpkg", ".shp", ".parquet", ".fgb", ".gml", ".kml", ".geoparquet", ".kmz",
                   ".topojson", ".geojsonl", ".sqlite", ".osm", ".pbf", ".gdb", ".zip", ".mif",
                   ".tab", ".csv")
LABELS_ENDING = "_labels"  # of the name of what a LabelEditor keeps: a_labels.gpkg beside a.tif
_MAKING = threading.Lock()
Window = tuple[int, int, int, int]  # (row, col, height, width)


@dataclass(frozen=True)
class Scene:
    """One image, or a rectangle of one, with its labels; none of it read before it is asked for.

    Attributes:
        name: unique in its dataset, as "austin1".
        image: raster file.
        city: place that the scene belongs to.
        split: "train", "validation" or "test".
        labels: class name -> mask raster, or vector file of polygons or centre lines in any CRS, or several of them.
        vectors: class name -> the polygons or centre lines behind a mask, where the dataset has them.
        nodata: rule for pixels without imagery, see `valid_pixels`.
        gsd_hint: metres per pixel for images without a georeference.
        drawn: True for scenes that a program drew; every figure of them says so.
        line_width: how wide labels are that are centre lines, in metres, or a column's name; see `rasterize_lines`.
        layers: class name -> layer of its vector files, where these have several.
        part: (row, col, height, width) in pixels of the image where the scene is a rectangle of it, as a split in
            blocks makes them. The methods count windows from its corner and cannot leave it; what opens `image`
            itself must heed it.
        credit: who provided the imagery, as every figure and map of it must say; "" where nobody asks for that.
        stretch: what makes 0 to 255 of an image of more bits; `read` then gives uint8. See `stretch.stretched`.
        masks: class name -> the masks whose values decide together what they mean; without it, each file by itself.
        counted: rectangles (row, col, height, width) in pixels of the image in which labels count, where a split leaves
            some out; everywhere without it.

    A vector file with a layer "done" beside others labels what lies in its polygons, and nothing else.
    """

    name: str
    image: Path
    city: str = ""
    split: str = "train"
    labels: dict[str, Path | tuple[Path, ...]] = field(default_factory=dict)
    vectors: dict[str, Path] = field(default_factory=dict)
    nodata: str | None = None
    gsd_hint: float | None = None
    drawn: bool = False
    line_width: float | str | None = None
    layers: dict[str, str] = field(default_factory=dict)
    part: tuple[int, int, int, int] | None = None
    credit: str = ""
    masks: dict[str, MaskGroup] = field(default_factory=dict)
    stretch: Stretch | None = None
    counted: tuple[Window, ...] | None = None

    @cached_property
    def info(self) -> Grid:
        """The scene's grid."""
        return self._image_info if self.part is None else self._image_info.crop(*self.part)

    @cached_property
    def _image_info(self) -> Grid:
        """The grid of the whole image, read once."""
        return read_info(self.image, expand=True)

    @property
    def gsd(self) -> float | None:
        """Metres per pixel, from the georeference or the dataset; None where neither knows."""
        return self.info.gsd or self.gsd_hint

    def read(self, window: tuple[int, int, int, int] | None = None, bands: Sequence[int] | None = None) -> np.ndarray:
        """uint8 (height, width, bands) of `window`, (row, col, height, width) in pixels; without it, the whole."""
        raster = kept_raster(self.image, expand=True)
        pixels = raster.read(self._in_image(window), bands)
        if self.stretch is None:
            return pixels
        return (self.stretch if bands is None else self.stretch.of(bands))(pixels)

    def read_valid(
        self, window: tuple[int, int, int, int] | None = None, class_name: str | None = None
    ) -> np.ndarray:
        """bool (height, width): where there is imagery, by the file's mask and the dataset's rule.

        With `class_name`, only where the labels of that class say something, too: where a pixel can count.
        """
        inside = self._in_image(window)
        raster = kept_raster(self.image, expand=True)
        valid = raster.read_valid(inside)
        if self.nodata is not None:
            valid = valid & valid_pixels(raster.read(inside), self.nodata)
        return valid if class_name is None else valid & self.read_truth(class_name, window)[1]

    def crop(self, row: int, col: int, height: int, width: int) -> Scene:
        """The rectangle of this scene whose upper left pixel is (row, col), as a scene; it is read when asked for.

        Raises:
            ValueError: if it is empty or leaves the scene.
        """
        rows, columns = self.info.shape
        if min(row, col) < 0 or min(height, width) < 1 or row + height > rows or col + width > columns:
            raise InputError(f"a part of {height} x {width} px at row {row}, column {col} leaves {self.name}, "
                             f"which has {rows} x {columns} px")
        return replace(self, part=self._in_image((row, col, height, width)))

    def read_vectors(self, class_name: str = "buildings") -> gpd.GeoDataFrame:
        """The polygons or centre lines of one class that meet the scene, uncut, in its CRS.

        Of an image without a CRS they are in (column, row) pixels of the image.

        Raises:
            KeyError: if the scene has no vectors of that class.
        """
        named = self.vectors.get(class_name) or self.labels.get(class_name, ())
        files = [f for f in (named if isinstance(named, tuple) else (named,)) if f.suffix.lower() in VECTOR_SUFFIXES]
        if not files:
            known = ", ".join(sorted(self.vectors)) or "none"
            raise NotFoundError(f"{self.name} has no vectors of {class_name!r}; it has {known}")
        crs = self.info.crs
        layer = self.layers.get(class_name)
        import pandas as pd

        from jointnet.data.datums import to_image
        from jointnet.data.vectors import PIXELS, read_features

        tables = [read_features(f, self.info, None if crs else PIXELS, layer, class_name=class_name) for f in files]
        placed = [t if crs is None else t.set_geometry(to_image(t.geometry, self.info)) for t in tables]
        return pd.concat(placed, ignore_index=True)

    def read_labels(self, class_name: str = "buildings", window: tuple[int, int, int, int] | None = None) -> np.ndarray:
        """uint8 {0, 1} (height, width) of one class.

        Raises:
            KeyError: if the scene has no labels of that class.
            ValueError: if the labels lie elsewhere than the image, or do not say what their values mean.
        """
        return self.read_truth(class_name, window)[0]

    def read_truth(
        self, class_name: str = "buildings", window: tuple[int, int, int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """uint8 {0, 1} of one class, and bool where it is labelled, both (height, width). Errors as `read_labels`.

        A pixel that nobody has labelled is 0; of several files, one that says something is enough.
        """
        layers = [self._read_layer(class_name, path, window) for path in self._label_files(class_name)]
        labels, labelled = (np.maximum.reduce(part) for part in zip(*layers, strict=True))
        if self.counted is not None:
            top, left, height, width = self._in_image(window) or (0, 0, *self._image_info.shape)
            labelled &= covered(self.counted, (top, left, height, width))
        return labels * labelled.astype(np.uint8), labelled

    def says_where_done(self, class_name: str) -> bool:
        """Whether labels of a class say themselves where they are complete."""
        return any(is_vector(path) and self._done(path) is not None for path in self._label_files(class_name))

    def prepare(self, classes: Sequence[str] | None = None) -> None:
        """Opens and places the labels once, so that windows can be read from any thread afterwards.

        Args:
            classes: the classes whose labels are wanted, where the scene has them; all of them without it.

        Raises:
            ValueError: if labels cannot be read, do not say what their values mean, or lie elsewhere than the image.
        """
        for class_name in self.labels if classes is None else [c for c in classes if c in self.labels]:
            for path in self._label_files(class_name):
                if is_vector(path):
                    self._placed(class_name, path)
                    self._done(path)
                else:
                    self._mask(class_name, path)

    def check_shapes(self) -> None:
        """Raises ValueError if a vector file of labels lies elsewhere than the image, by the box around its shapes."""
        for class_name in self.labels:
            for path in filter(is_vector, self._label_files(class_name)):
                from jointnet.data.vectors import check_meets

                check_meets(path, self._image_info, class_name, self.layers.get(class_name))

    def _label_files(self, class_name: str) -> tuple[Path, ...]:
        """The files of a class.

        Raises:
            KeyError: if there are none.
        """
        if class_name not in self.labels:
            known = ", ".join(sorted(self.labels)) or "none"
            raise NotFoundError(f"{self.name} has no labels of {class_name!r}; it has {known}")
        found = self.labels[class_name]
        return found if isinstance(found, tuple) else (found,)

    def read_classes(
        self, classes: Sequence[str], window: tuple[int, int, int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """uint8 {0, 1} of several classes, and bool where each counts, both (height, width, classes).

        A pixel counts where there is imagery and somebody has labelled the class; a class that the scene does not label
        counts nowhere, so that scenes which label different classes can train one network. Errors as `read_labels`.
        """
        valid = self.read_valid(window)
        nothing = np.zeros(valid.shape, np.uint8), np.zeros(valid.shape, bool)
        truth = [self.read_truth(c, window) if c in self.labels else nothing for c in classes]
        labels, labelled = (np.stack(part, axis=-1) for part in zip(*truth, strict=True))
        return labels, labelled & valid[..., None]

    def _read_layer(
        self, class_name: str, path: Path, window: tuple[int, int, int, int] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """uint8 {0, 1} of one label file, and where it is labelled, bool."""
        if is_vector(path):
            grid, done = self.info if window is None else self.info.crop(*window), self._done(path)
            mask = self._placed(class_name, path).burn(grid)
            return mask, np.ones(mask.shape, bool) if done is None else done.burn(grid) > 0
        values, flips = self._mask(class_name, path)
        inside = self._in_image(window) or (0, 0, *self._image_info.shape)
        return read_mask_window(path, inside, values, flips)

    def _placed(self, class_name: str, path: Path) -> PlacedShapes:
        """The shapes of a vector file on the image, placed once."""
        from jointnet.data.labels import place_file

        layer = self.layers.get(class_name)
        return self._once((path, class_name), place_file, path, self._image_info, self.line_width, class_name, layer)

    def _done(self, path: Path) -> PlacedShapes | None:
        """Where the labels of a vector file are complete, placed once; None where that is everywhere."""
        from jointnet.data.labels import place_done

        return self._once((path, "done"), place_done, path, self._image_info)

    def _mask(self, class_name: str, path: Path) -> tuple[MaskValues, tuple[bool, bool]]:
        """What the values of a mask mean, and which way it lies, looked up once."""
        flips = self._orientation(path)
        group = self.masks.get(class_name)
        return self._once((path, class_name), values_of, [path]) if group is None else group.values, flips

    def _orientation(self, path: Path) -> tuple[bool, bool]:
        return self._once((path, "lies"), orientation, path, self._image_info, self.image.name)

    def _once(self, key: Any, make: Any, *arguments: Any) -> Any:
        """What `make` gives of a label file, kept until that file changes; no two threads make at once."""
        path = key if isinstance(key, Path) else key[0]
        state = state_of(path)
        kept = self._made.get(key)
        if kept is None or kept[0] != state:
            with _MAKING:
                kept = self._made[key] = (state, make(*arguments))
        return kept[1]

    @cached_property
    def _made(self) -> dict:
        """What `_once` keeps."""
        return {}

    def __getstate__(self) -> dict:
        """The fields alone: what was read and placed is made anew in another process."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def _in_image(self, window: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | None:
        """The window in pixels of the image file.

        Raises:
            ValueError: if it leaves the scene's rectangle.
        """
        if self.part is None or window is None:
            return self.part or window
        top, left, rows, cols = self.part
        row, col, height, width = window
        if row < 0 or col < 0 or row + height > rows or col + width > cols:
            raise InputError(
                f"window (row {row}, col {col}, {height} x {width} px) leaves {self.name}, "
                f"a part of {rows} x {cols} px of {self.image.name}"
            )
        return top + row, left + col, height, width


@dataclass(frozen=True)
class Dataset(Sequence):
    """A named list of scenes. Index it, loop over it, or narrow it with `select`.

    `missing` names the scenes, or their labels, that the dataset should have and the disk has not.
    """

    name: str
    scenes: tuple[Scene, ...]
    missing: tuple[str, ...] = ()

    @overload
    def __getitem__(self, index: int | str) -> Scene: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Scene, ...]: ...

    def __getitem__(self, index: int | slice | str) -> Scene | tuple[Scene, ...]:
        """A scene by position or by name."""
        if isinstance(index, str):
            found = [s for s in self.scenes if s.name == index]
            if len(found) > 1:
                raise NotFoundError(f"{self.name} has {len(found)} scenes {index!r}; narrow it with select(split=...)")
            if not found:
                known = shorten([s.name for s in self.scenes])
                raise NotFoundError(f"{self.name} has no scene {index!r}; it has {known}")
            return found[0]
        return self.scenes[index]

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Scene]:
        return iter(self.scenes)

    @property
    def cities(self) -> tuple[str, ...]:
        """The cities, sorted."""
        return tuple(sorted({s.city for s in self.scenes}))

    @property
    def drawn(self) -> bool:
        """True if any scene was drawn by a program."""
        return any(s.drawn for s in self.scenes)

    def select(
        self,
        cities: Sequence[str] | str | None = None,
        split: str | None = None,
        names: Sequence[str] | str | None = None,
    ) -> Dataset:
        """The scenes that are in the given cities, in the given split and of the given names; all without any.

        Raises:
            ValueError: if a city, a name or the split does not exist.
        """
        if split is not None and split not in SPLITS:
            raise InputError(f"split {split!r} is unknown; choose from {', '.join(SPLITS)}")
        of_cities = self._known(cities, "city", self.cities)
        named = self._known(names, "scene", [s.name for s in self.scenes])
        kept = (s for s in self.scenes if s.city in of_cities and s.name in named and split in (None, s.split))
        return replace(self, scenes=tuple(kept))

    def _known(self, asked: Sequence[str] | str | None, what: str, known: Sequence[str]) -> set[str]:
        """The names that are asked for; all known ones if none is.

        Raises:
            ValueError: if one is not known.
        """
        wanted = set(known if asked is None else [asked] if isinstance(asked, str) else asked)
        unknown = sorted(wanted - set(known))
        if unknown:
            raise InputError(
                f"{self.name} has no {what} {', '.join(map(repr, unknown))}; choose from {shorten(known) or 'none'}"
            )
        return wanted


def remote_scene(path: str | Path) -> Scene:
    """The scene of an address: of an image, or of a STAC item's image. Nothing but the item is fetched.

    Raises:
        PlaceError: if an item has no image.
    """
    credit = ""
    if is_stac_item(path):
        from jointnet.data.stac import image_of_item  # half a second, for a case that is rare

        path, credit = image_of_item(path)
    return Scene(stem_of(path), Path(path), split="test", credit=credit)


def as_scene(source: Scene | str | Path, nodata: str | None = None) -> Scene:
    """A scene as it is; of a path or an address, the scene of that image, without labels.

    Args:
        source: a scene, or an image file.
        nodata: of an image file on this machine, the rule for pixels without imagery, see `valid_pixels`.

    Raises:
        RasterError: if the file is no image.
    """
    if isinstance(source, Scene):
        return source
    if is_remote(source):
        return remote_scene(source)
    path = Path(source)
    tags = read_info(path).tags or {}
    return Scene(path.stem, path, split="test", nodata=nodata, drawn=is_drawn(tags),
                 credit=tags.get("JOINTNET_CREDIT", ""))


def is_drawn(tags: Mapping[str, str]) -> bool:
    """True if the tags of a file say that a program drew it."""
    return tags.get("JOINTNET_SOURCE", "").startswith("drawn") or tags.get("drawn") == "true"


def covered(boxes: Sequence[Window], window: Window) -> np.ndarray:
    """bool (height, width): where a window of an image lies in any of some rectangles of it."""
    top, left, height, width = window
    inside = np.zeros((height, width), bool)
    for row, col, rows, columns in boxes:
        inside[max(0, row - top) : max(0, row + rows - top), max(0, col - left) : max(0, col + columns - left)] = True
    return inside


def is_vector(path: Path) -> bool:
    """Whether a label file holds shapes, by its name."""
    return path.suffix.lower() in VECTOR_SUFFIXES


def shorten(names: Sequence[str], most: int = 12) -> str:
    """The names in one line, the rest of a long list counted."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
