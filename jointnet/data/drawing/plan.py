"""The parts that drawn towns are made of: wings, buildings, roads, trees; and how a footprint is put together.

Everything is in metres from the scene's upper left corner, x to the right and y down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from shapely import Geometry, LineString, Polygon
from shapely.affinity import rotate, translate

from jointnet.data.drawing.cities import City, Colour

T = TypeVar("T")
Range = tuple[float, float]  # the smallest and the largest of something
Rectangle = tuple[float, float, float, float]  # left, front, right, back in metres

MARGIN = 30.0  # metres around the scene that are planned too, so that its edges look like its middle


@dataclass(frozen=True)
class Wing:
    """One rectangle of a building with its own roof; the ridge runs along `angle`.

    x, y: centre in metres; length and width in metres along and across the ridge; angle in radians.
    eave: height of the walls in metres; pitch: rise per metre, 0 for a flat roof; hip: whether the ends slope too.
    """

    x: float
    y: float
    length: float
    width: float
    angle: float
    eave: float
    pitch: float
    hip: bool = False

    @property
    def polygon(self) -> Polygon:
        """The rectangle on the ground."""
        box = shapely.box(-self.length / 2, -self.width / 2, self.length / 2, self.width / 2)
        return translate(rotate(box, math.degrees(self.angle), origin=(0, 0)), self.x, self.y)


@dataclass(frozen=True)
class Building:
    """A footprint with the wings above it; without wings its roof rises from all its edges.

    `eave` and `pitch` are those of a building without wings; `kind` is its use, `shape` its plan.
    """

    footprint: Polygon
    colour: Colour
    kind: str
    shape: str
    eave: float
    pitch: float = 0.0
    wings: tuple[Wing, ...] = ()


@dataclass(frozen=True)
class Road:
    """A centre line with its width in metres."""

    line: LineString
    width: float
    kind: str = "street"


@dataclass(frozen=True)
class Surface:
    """A piece of ground of one colour. grain: strength of its texture; stripe: (angle, period in metres, strength)."""

    shape: Polygon
    colour: Colour
    grain: float = 1.0
    stripe: tuple[float, float, float] | None = None
    height: float = 0.0


@dataclass
class Plan:
    """A drawn town: what lies on the ground in the order of painting, and what stands on it."""

    size: float
    city: City
    rng: np.random.Generator
    ground: list[Surface] = field(default_factory=list)
    roads: list[Road] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    trees: list[tuple[float, float, float]] = field(default_factory=list)  # x, y, radius
    water: list[Polygon] = field(default_factory=list)
    bridges: float = 0.35  # share of the streets that cross the water
    taken: list[Polygon] = field(default_factory=list)  # where nothing more may be built

    @property
    def frame(self) -> Polygon:
        """The planned area, margin included."""
        return shapely.box(-MARGIN, -MARGIN, self.size + MARGIN, self.size + MARGIN)

    @property
    def streets(self) -> Polygon:
        """The area of all roads."""
        return shapely.union_all([r.line.buffer(r.width / 2) for r in self.roads])

    def uniform(self, low: float, high: float) -> float:
        """A random number between two."""
        return float(self.rng.uniform(low, high))

    def pick(self, options: Sequence[T]) -> T:
        """One of several, all as likely."""
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        """True for a share of the calls."""
        return bool(self.rng.random() < share)

    def is_free(self, shape: Polygon) -> bool:
        """Whether nothing that was planned before lies there."""
        return not self.taken or not shapely.intersects(np.array(self.taken, object), shape).any()

    def tint(self, colour: Colour, spread: float = 8.0) -> Colour:
        """A colour, a little lighter or darker and a little off hue."""
        shade = self.rng.normal(0, spread) + self.rng.normal(0, spread / 6, 3)
        red, green, blue = np.clip(np.add(colour, shade), 5, 250)
        return int(red), int(green), int(blue)

    def build(self, shape: str, corner: tuple[float, float], angle: float, width: float, depth: float, kind: str,
              storeys: float, flat: bool, party: float = 0.0) -> bool:
        """Puts a building on the ground if there is room.

        Args:
            shape: "box", "L", "U", "T" or "court".
            corner: (x, y) of the front left corner in metres.
            angle: direction of the front in radians; the building lies to its right.
            width: metres along the front.
            depth: metres away from it.
            kind: use of the building.
            storeys: number of storeys, 3 m each.
            flat: whether the roof is flat.
            party: metres by which it may touch its neighbours, for attached rows.
        """
        pitch = 0.0 if flat else self.uniform(0.35, 0.85)
        hip = self.chance(0.35)
        eave = 3.0 * storeys + self.uniform(-0.4, 0.6)
        wings = [_wing(r, corner, angle, eave, pitch, hip) for r in _rectangles(shape, width, depth, self.rng)]
        footprint = shapely.union_all([w.polygon.buffer(0.005, join_style="mitre") for w in wings])
        clearance = footprint.buffer(-0.4 if party else 1.0)
        if footprint.geom_type != "Polygon" or not self.is_free(clearance):
            return False
        colour = self.tint(self.pick(self.city.roofs), 9)
        self.buildings.append(Building(footprint, colour, kind, shape, eave, pitch, tuple(wings)))
        self.taken.append(footprint)
        return True


def _rectangles(shape: str, w: float, d: float, rng: np.random.Generator) -> list[Rectangle]:
    """The wings of a plan as (left, front, right, back) in metres from the front left corner."""
    a, b = rng.uniform(0.35, 0.5), rng.uniform(0.35, 0.5)
    left, front = a * w, b * d
    if shape == "L":
        plan: list[Rectangle] = [(0, 0, w, front), (0, 0, left, d)]
        return plan if rng.random() < 0.5 else [(w - right, y0, w - x, y1) for x, y0, right, y1 in plan]
    if shape == "U":
        side = min(left, 0.32 * w)
        return [(0, 0, w, front), (0, 0, side, d), (w - side, 0, w, d)]
    if shape == "T":
        middle = rng.uniform(0.3, 0.7) * w
        return [(0, 0, w, front), (max(0, middle - left / 2), 0, min(w, middle + left / 2), d)]
    if shape == "court":
        t = 0.3 * min(w, d)
        return [(0, 0, w, t), (0, d - t, w, d), (0, 0, t, d), (w - t, 0, w, d)]
    return [(0, 0, w, d)]


def _wing(
    rectangle: Rectangle, corner: tuple[float, float], angle: float, eave: float, pitch: float, hip: bool
) -> Wing:
    """A rectangle of a plan placed on the ground, its ridge along the longer side."""
    left, front, right, back = rectangle
    u, v = (left + right) / 2, (front + back) / 2
    x = corner[0] + u * math.cos(angle) - v * math.sin(angle)
    y = corner[1] + u * math.sin(angle) + v * math.cos(angle)
    length, width = right - left, back - front
    if width > length:
        length, width, angle = width, length, angle + math.pi / 2
    return Wing(x, y, length, width, angle, eave, pitch, hip)


def curve(points: ArrayLike, step: float = 4.0) -> LineString:
    """A smooth line through points, (x, y) in metres, with a vertex every `step` metres."""
    points = np.asarray(points, float)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    return LineString(CubicSpline(along, points)(np.linspace(0, along[-1], max(2, int(along[-1] / step)))))


def scatter(rng: np.random.Generator, area: Geometry, per_hectare: float) -> np.ndarray:
    """Random points in an area: (n, 2) in metres."""
    left, top, right, bottom = area.bounds if not area.is_empty else (0, 0, 0, 0)
    count = int(per_hectare * (right - left) * (bottom - top) / 10_000)
    xy = rng.uniform((left, top), (right, bottom), (count, 2))
    shapely.prepare(area)
    return xy[shapely.contains_xy(area, xy[:, 0], xy[:, 1])] if count else xy
