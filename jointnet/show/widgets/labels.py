"""LabelEditor: polygons and lines on a scene, drawn and mended by hand, kept whole after each edit.

It draws on SceneExplorer's canvas, in pixels of the scene. ipyleaflet's GeomanDrawControl, the editor that is at hand,
sends all its shapes to Python and draws them anew after each edit: with 2,000 polygons its edit mode did not answer
within half a minute (Chromium, two cores), where this one needs 50 ms, see benchmarks/label_editor.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import shapely
import traitlets
from PIL import Image, ImageDraw

from jointnet.data.edits import DONE, LINES, Changes, EditError, Shape, ShapeEditor
from jointnet.data.label_files import Layers, begin_with, check_closed, label_path, read_labels, write_labels
from jointnet.data.layers import LabelError
from jointnet.data.scene import Scene, as_scene, shorten
from jointnet.errors import InputError, JointNetError
from jointnet.predict.outputs import ScenePrediction
from jointnet.predict.vectors.outlines import regularise
from jointnet.show.layers import COLOURS, Layer, class_colours, encode, read_image
from jointnet.show.widgets.base import code_of
from jointnet.show.widgets.scene import PARTS, PREVIEW, SceneExplorer

SQUARED = 3.0  # pixels by which an outline may move where its corners are made right
Begin: TypeAlias = ScenePrediction | str | Path | gpd.GeoDataFrame | None


class LabelEditor(SceneExplorer):
    """A scene to label: draw, move, cut and delete outlines, and mark where they are complete.

    Every edit is kept at once, in one GeoPackage in the scene's CRS with a layer for each class and a layer "done";
    `open_dataset("folder")` reads it, and counts no pixel outside what is marked as done. A file that is there is gone
    on with. Keys, once the scene was clicked: d draws, Enter or a click on the first corner closes, n and p go to the
    next and the previous shape, Delete removes it (with Shift, all in view), c cuts, r makes corners right, f marks
    what is in view as done, Ctrl+Z takes back.

    Args:
        scene: a scene or an image file.
        begin: what to begin with where nothing has been kept yet: what `predict_scene` gave, a vector file in any CRS,
            or a table of polygons; nothing without it.
        path: where to keep the labels; NAME_labels.gpkg beside the image, if not given.
        classes: what is labelled: "buildings", "roads" as centre lines, or both.
        probability: a prediction to look at beneath, as in `SceneExplorer`.
        max_size: as in `SceneExplorer`.
        height: height of the canvas, in CSS pixels.
        bands: as in `SceneExplorer`.

    Raises:
        LabelError: if the file that is there, or `begin`, cannot be read, lies elsewhere, or is of another form.
        InputError: if there is no class, or `begin` is nothing to begin with.
    """

    _esm = code_of(*PARTS, "outline", "hands", "labels")

    layers: Any = traitlets.List().tag(sync=True)  # name, colour, and whether it holds lines
    active = traitlets.Unicode("buildings").tag(sync=True)
    said = traitlets.Unicode("").tag(sync=True)
    steps: Any = traitlets.Dict().tag(sync=True)  # what can be undone, how many shapes, how much is done

    def __init__(
        self,
        scene: Scene | str | Path,
        begin: Begin = None,
        path: str | Path | None = None,
        classes: Sequence[str] | str = ("buildings",),
        probability: Layer | None = None,
        max_size: int = 2048,
        height: int = 520,
        bands: Sequence[int] | None = None,
    ) -> None:
        scene = as_scene(scene)
        self._layer_names = (classes,) if isinstance(classes, str) else tuple(dict.fromkeys(classes))
        if not self._layer_names or not all(isinstance(n, str) and n != DONE for n in self._layer_names):
            raise InputError(f"classes={classes!r} are not what can be labelled; choose 'buildings', 'roads' or both")
        self.path = label_path(scene) if path is None else Path(path)
        if self.path.suffix.lower() != ".gpkg":
            raise LabelError(f"labels are kept as a GeoPackage, not in {self.path.name}; name a file that ends in "
                             f".gpkg, and give another file as begin= to begin with it")
        super().__init__(scene, probability, truth=False, class_name=None if probability is not None else
                         self._layer_names[0], max_size=max_size, height=height, bands=bands)
        self._others: Layers = {}
        self._seen = _state(self.path)
        self.editor = ShapeEditor(_editable(self._open(begin)))
        self.layers = [{"name": name, "colour": colour, "lines": name in LINES} for name, colour in self._colours_of()]
        self.layer, self.active = "image", self._layer_names[0]
        self._tell(f"{len(self.editor.shapes)} shapes; kept in {self.path.name} after the first edit"
                   if not self.path.exists() else f"gone on with {self.path.name}{self._unseen()}")

    @property
    def title(self) -> str:
        """What is labelled."""
        return f"Labels of {self._scene.name} - JointNet"

    @property
    def shapes(self) -> gpd.GeoDataFrame:
        """The shapes as they are now, in (column, row) pixels of the scene, with the name of their layer."""
        held = list(self.editor.shapes.values())
        return gpd.GeoDataFrame({"layer": [s.layer for s in held]}, geometry=[s.geometry for s in held])

    @property
    def done_share(self) -> float:
        """Share of the scene that is marked as done."""
        area = shapely.union_all([s.geometry for s in self.editor.of(DONE)])
        height, width = self._scene.info.shape
        return float(shapely.intersection(area, shapely.box(0, 0, width, height)).area / (height * width))

    def mark_done(self, row: float, col: float, height: float, width: float) -> None:
        """Says that every object in a rectangle, in pixels of the scene, is labelled."""
        corners = [(col, row), (col + width, row), (col + width, row + height), (col, row + height)]
        self._apply(lambda: self.editor.add(DONE, corners))

    def undo(self) -> None:
        """Takes the last edit back."""
        self._apply(self.editor.undo)

    def redo(self) -> None:
        """Makes an edit that was taken back once more."""
        self._apply(self.editor.redo)

    def save(self) -> Path:
        """Writes the file, as every edit does.

        Raises:
            LabelError: if it was changed elsewhere; it stays as it is.
        """
        self._check_own()
        write_labels(self.path, self.editor.shapes.values(), self._scene.info, self._layer_names, self._others)
        self._seen = _state(self.path)
        return self.path

    def _check_own(self) -> None:
        """Raises LabelError if the file is no more what this editor read or wrote: someone else works on it."""
        check_closed(self.path)
        if _state(self.path) != self._seen:
            raise LabelError(f"{self.path.name} was changed elsewhere, and stays as it is there: run the cell again to "
                             f"go on with it")

    def page_state(self) -> dict:
        """As the explorer's, with the shapes; there is no Python to keep an edit, so that none can be made."""
        return super().page_state() | {"shapes": self._plain(dict(self.editor.shapes))}

    def preview(self) -> bytes:
        """A PNG of the scene with its shapes, for where the editor cannot run."""
        picture = Image.fromarray(read_image(self._scene, None, PREVIEW, self._bands))
        scale, pen = picture.width / self._scene.info.width, ImageDraw.Draw(picture)
        colours = dict(self._colours_of())
        for shape in self.editor.shapes.values():
            for ring in _rings_of(shape.geometry):
                line = (_points(ring) * scale).ravel().tolist()
                pen.line(line if shape.layer in LINES else line + line[:2], colours.get(shape.layer, "white"), 2)
        return encode(np.asarray(picture))

    def _unseen(self) -> str:
        """What to say of the layers of the file that are kept and not shown."""
        unseen = [name for name, table in self._others.items() if isinstance(table, gpd.GeoDataFrame)]
        return f"; its {shorten(unseen)} stay as they are, unseen: classes= names what is shown" * bool(unseen)

    def _open(self, begin: Begin) -> list[Shape]:
        """What to begin with: the file that is there, or what was given."""
        if self.path.exists():
            shapes, self._others = read_labels(self.path, self._scene.info, self._layer_names)
            return shapes
        if begin is None:
            return []
        shapes = [shape for name, source in self._sources(begin).items() for shape in self._shapes_in(source, name)]
        measured = isinstance(begin, ScenePrediction)  # areas and confidences, which an edit would make wrong
        return [replace(shape, columns={}) for shape in shapes] if measured else shapes

    def _sources(self, begin: Any) -> dict[str, Any]:
        """Class -> what holds its shapes."""
        if isinstance(begin, ScenePrediction):
            return {name: path for name, path in begin.layers.items() if name in self._layer_names}
        return {self._layer_names[0]: begin}

    def _shapes_in(self, source: Any, name: str) -> list[Shape]:
        if isinstance(source, gpd.GeoSeries):
            source = source.to_frame("geometry")
        if not isinstance(source, gpd.GeoDataFrame | str | Path):
            raise InputError(f"begin is a {type(source).__name__}; give a prediction, a vector file or a table of "
                             f"polygons")
        table = source if isinstance(source, gpd.GeoDataFrame) else Path(source)
        return begin_with(table, self._scene.info, name)

    def _colours_of(self) -> list[tuple[str, str]]:
        named = [(name, COLOURS["outline"] if name == "buildings" else class_colours(name, i)[0])
                 for i, name in enumerate(self._layer_names)]
        return [*named, (DONE, COLOURS["truth"])]

    def _receive(self, widget: Any, message: Mapping, buffers: Any) -> None:
        """Answers the browser: a view that opens, an edit, or a closer look at the image."""
        kind = message.get("type")
        if kind == "open":
            self.send({"type": "shapes", "whole": True, "shapes": self._plain(dict(self.editor.shapes))})
        elif kind in EDITS:
            self._apply(lambda: EDITS[kind](self, message), message.get("request"))
        else:
            super()._receive(widget, message, buffers)

    def _apply(self, edit: Callable[[], Changes], request: int | None = None) -> None:
        """Makes an edit, keeps it on disk, and shows it in every view; what cannot be done is said there."""
        changes: Changes = {}
        try:
            self._check_own()
            changes = edit()
            if changes:
                self.save()
            self.error = ""
            self._tell(f"kept in {self.path.name}" if changes else "nothing to take back")
        except (EditError, OSError, JointNetError) as error:
            self.error = str(error) if isinstance(error, JointNetError) else f"not kept: {error}"
        except Exception as error:  # noqa: BLE001 - a notebook shows nobody what a browser's message raised
            self.error = f"{type(error).__name__}: {error}"
        self.send({"type": "shapes", "whole": not changes, "request": request,
                   "shapes": self._plain(changes or dict(self.editor.shapes))})

    def _square(self, number: int) -> Changes:
        """A shape with right angles, where that moves its outline little."""
        if number not in self.editor.shapes:
            raise EditError("choose a building first, with a click or with n")
        shape = self.editor.shapes[number]
        found = regularise(gpd.GeoDataFrame(geometry=[shape.geometry]), SQUARED).geometry
        if shape.layer in LINES or not len(found):
            raise EditError("only buildings have corners to make right")
        return self.editor.replace(number, found.iloc[0])

    def _tell(self, said: str) -> None:
        self.said = said
        self.steps = {"undo": self.editor.can_undo, "redo": self.editor.can_redo, "done": round(self.done_share, 4),
                      "counts": {name: len(self.editor.of(name)) for name in (*self._layer_names, DONE)}}

    @staticmethod
    def _plain(changes: Changes) -> dict[str, Any]:
        """Shapes as the browser gets them: number -> {layer, rings: [[col, row, ...], ...]}, or None."""
        return {str(number): shape and {"layer": shape.layer, "rings": _rings_of(shape.geometry)}
                for number, shape in changes.items()}


def _editable(shapes: list[Shape]) -> list[Shape]:
    """The shapes; LabelError where a layer of lines holds others, or another holds lines, which an edit would spoil."""
    wrong = [s for s in shapes if isinstance(s.geometry, shapely.LineString) != (s.layer in LINES)]
    if wrong:
        needed = "centre lines" if wrong[0].layer in LINES else "polygons"
        raise LabelError(f"{len(wrong)} shapes of {wrong[0].layer} are no {needed}, as they are drawn here; keep them "
                         f"in a file or a layer of their own")
    return shapes


def _state(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written anew; None where there is none."""
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else None


def _rings_of(geometry: shapely.Geometry) -> list[list[float]]:
    """Flat coordinates of a line, or of an outline and its holes, without the point that closes a ring."""
    if isinstance(geometry, shapely.LineString):
        return [np.round(shapely.get_coordinates(geometry), 4).ravel().tolist()]
    rings = [geometry.exterior, *geometry.interiors]
    return [np.round(shapely.get_coordinates(ring)[:-1], 4).ravel().tolist() for ring in rings]


def _points(flat: Sequence[float]) -> np.ndarray:
    """Points (n, 2) of flat coordinates."""
    return np.asarray(flat, float).reshape(-1, 2)


EDITS: dict[str, Callable[[LabelEditor, Mapping], Changes]] = {
    "add": lambda own, m: own.editor.add(m["layer"], _points(m["points"])),
    "reshape": lambda own, m: own.editor.reshape(int(m["number"]), [_points(ring) for ring in m["rings"]]),
    "delete": lambda own, m: own.editor.delete(*map(int, m["numbers"])),
    "cut": lambda own, m: own.editor.cut(m["layer"], _points(m["points"])),
    "square": lambda own, m: own._square(int(m["number"])),
    "undo": lambda own, _: own.editor.undo(),
    "redo": lambda own, _: own.editor.redo(),
}
