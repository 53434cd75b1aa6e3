"""Polygons and lines that a person edits, in pixels of a scene: one change after another in, undo and redo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from shapely import GeometryType

from jointnet.data.layers import DONE
from jointnet.data.shapes import mend
from jointnet.errors import InputError

LINES = ("roads",)  # layers that hold centre lines; those of all others are polygons
MOST_STEPS = 1_000  # that can be undone


class EditError(InputError):
    """A shape that cannot be drawn; the message says why."""


@dataclass(frozen=True)
class Shape:
    """A polygon or a line.

    Attributes:
        layer: "buildings", "roads" or "done".
        geometry: in (column, row) pixels of the scene.
        columns: what the file that it came from says of it, name -> value.
    """

    layer: str
    geometry: shapely.Geometry
    columns: Mapping[str, Any] = field(default_factory=dict)


Changes = dict[int, Shape | None]  # number -> what the shape became; None where it is gone


class ShapeEditor:
    """The shapes of a scene, by their numbers. Each method is one step, which `undo` takes back, and says what changed.

    Numbers are never used again, so that undoing a deletion brings back the shape that others knew.
    """

    def __init__(self, shapes: Iterable[Shape] = ()) -> None:
        self.shapes: dict[int, Shape] = dict(enumerate(shapes))
        self._next = len(self.shapes)
        self._undo: list[Changes] = []
        self._redo: list[Changes] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step that was taken back."""
        return bool(self._redo)

    def add(self, layer: str, points: Any, columns: Mapping[str, Any] | None = None) -> Changes:
        """Draws a polygon or a line through points (column, row); one that crosses itself becomes several.

        Raises:
            EditError: if they are no shape.
        """
        parts = _geometries(layer, [points])
        added = {self._next + i: Shape(layer, part, columns or {}) for i, part in enumerate(parts)}
        self._next += len(added)
        return self._do(added)

    def reshape(self, number: int, rings: Any) -> Changes:
        """Gives a shape other corners: the points of its outline, then those of its holes.

        Raises:
            EditError: if there is no such shape any more, or they are none.
        """
        old = self._get(number)
        first, *others = _geometries(old.layer, rings)
        return self._do({number: replace(old, geometry=first), **self._new_parts(old, others)})

    def delete(self, *numbers: int) -> Changes:
        """Removes shapes, all in one step. Raises EditError if one is not there, or none is named."""
        if not numbers:
            raise EditError("there is nothing to delete here; choose a shape, or move the view to some")
        return self._do({number: None for number in numbers if self._get(number)})

    def cut(self, layer: str, points: Any) -> Changes:
        """Takes the ground within points (column, row) away from every shape of a layer: parts, divides, makes holes.

        Raises:
            EditError: if they enclose nothing, or nothing lies there.
        """
        hole = shapely.union_all(_geometries(DONE, [points]))
        changes: Changes = {}
        for number, shape in self.shapes.items():
            if shape.layer == layer and shape.geometry.intersects(hole):
                left = _parts(shapely.difference(shape.geometry, hole))
                changes[number] = replace(shape, geometry=left[0]) if left else None
                changes |= self._new_parts(shape, left[1:])
        if not changes:
            raise EditError(f"no shape of {layer} lies there; cut across one")
        return self._do(changes)

    def replace(self, number: int, geometry: shapely.Geometry) -> Changes:
        """Puts another geometry in a shape's place, as a tidied one. Raises EditError if there is no such shape."""
        return self._do({number: replace(self._get(number), geometry=geometry)})

    def undo(self) -> Changes:
        """Takes the last step back; {} where there is none."""
        return self._step(self._undo, self._redo)

    def redo(self) -> Changes:
        """Takes a step that was taken back once more; {} where there is none."""
        return self._step(self._redo, self._undo)

    def of(self, layer: str) -> list[Shape]:
        """The shapes of a layer."""
        return [shape for shape in self.shapes.values() if shape.layer == layer]

    def _get(self, number: int) -> Shape:
        if number not in self.shapes:
            raise EditError("this shape is not there any more; choose another")
        return self.shapes[number]

    def _new_parts(self, old: Shape, parts: list) -> dict[int, Shape]:
        """Further parts of a shape under new numbers."""
        found = {self._next + i: replace(old, geometry=part) for i, part in enumerate(parts)}
        self._next += len(found)
        return found

    def _do(self, changes: Mapping[int, Shape | None]) -> Changes:
        self._undo = [*self._undo[1 - MOST_STEPS:], self._put(changes)]
        self._redo = []
        return dict(changes)

    def _step(self, from_steps: list[Changes], to_steps: list[Changes]) -> Changes:
        if not from_steps:
            return {}
        changes = from_steps.pop()
        to_steps.append(self._put(changes))
        return changes

    def _put(self, changes: Mapping[int, Shape | None]) -> Changes:
        """Makes changes and returns those that take them back."""
        before = {number: self.shapes.get(number) for number in changes}
        for number, shape in changes.items():
            if shape is None:
                self.shapes.pop(number, None)
            else:
                self.shapes[number] = shape
        return before


def _geometries(layer: str, rings: Any) -> list:
    """The valid parts of a shape drawn by hand, the largest first.

    Raises:
        EditError: if the points are none.
    """
    outlines = [_points(ring) for ring in rings]
    least = 2 if layer in LINES else 3
    if not outlines or len(outlines[0]) < least:
        raise EditError(f"a {'line' if layer in LINES else 'polygon'} needs {least} different corners")
    if layer in LINES:
        return [shapely.LineString(outlines[0])]
    drawn = shapely.Polygon(outlines[0], [hole for hole in outlines[1:] if len(hole) >= 3])
    parts = _parts(drawn if drawn.is_valid else mend(np.array([drawn], object))[0])
    if not parts:
        raise EditError("these corners lie on one line and enclose nothing; draw around the building")
    return parts


def _points(ring: Any) -> np.ndarray:
    """Points (n, 2) without those that repeat the one before, or close the ring."""
    points = np.asarray(ring, float).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise EditError("a corner lies nowhere; draw it again")
    kept = points[np.r_[True, (np.diff(points, axis=0) != 0).any(axis=1)]] if len(points) else points
    return kept[:-1] if len(kept) > 1 and (kept[0] == kept[-1]).all() else kept


def _parts(geometry: shapely.Geometry) -> list:
    """The single polygons and lines of a geometry, the largest first; specks below a hundredth of a pixel dropped."""
    parts = list(shapely.get_parts(geometry))
    size = [part.area if shapely.get_type_id(part) == GeometryType.POLYGON else part.length for part in parts]
    order = np.argsort(size)[::-1]
    return [parts[i] for i in order if size[i] > 0.01]
