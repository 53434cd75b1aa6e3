"""Outlines along pixel edges in; simpler, straighter ones out, with what each step costs in IoU.

Everything happens in metres, in a projection around the table's middle (in pixels where a table has no CRS).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from jointnet.errors import InputError
from jointnet.predict.vectors.polygons import area_column, areas, local_crs

if TYPE_CHECKING:
    import geopandas as gpd

OUTLINES = ("traced", "simplified", "regular")
PIXELS = 2  # pixels that an outline may move by when no tolerance is given

DIAGONAL = np.deg2rad(25)  # long edges further than this from both main directions keep their own
LONG = 4  # times the tolerance: shorter edges are cut corners
KEEP_IOU = 0.7  # a regular outline that agrees less than this with its building is not used


def simplify(table: gpd.GeoDataFrame, tolerance: float) -> gpd.GeoDataFrame:
    """The table with fewer corners: Douglas & Peucker's lines, holes kept, areas measured again.

    Args:
        table: polygons from `vectorize`.
        tolerance: how far an outline may move, in metres (pixels where the table has no CRS). A stair of pixels
            becomes a straight line from about one pixel on.
    """
    return _reshaped(table, lambda shapes: shapely.simplify(shapes, tolerance))


def regularise(table: gpd.GeoDataFrame, tolerance: float) -> gpd.GeoDataFrame:
    """The table with right angles: each building is turned to its main direction and its walls set straight.

    Simplified edges are taken for walls. The main direction of a building is the mean of its walls' directions,
    weighted by squared length, where directions a quarter turn apart count as one (the mean of four times the angle).
    Walls near it or square to it, and short ones, are turned to it about their middles; long slanted ones stay.
    Neighbouring walls meet where their lines cross. An outline that this spoils (invalid, or IoU with the building
    under 0.7) stays simplified.

    Args:
        table: polygons from `vectorize`.
        tolerance: how far the simplification before may move an outline, in metres (pixels where the table has no CRS).
    """

    def straightened(shapes: np.ndarray) -> np.ndarray:
        simple = shapely.simplify(shapes, tolerance)
        return np.array([_regular(one, was, tolerance) for one, was in zip(simple, shapes, strict=True)], object)

    return _reshaped(table, straightened)


@dataclass
class Tidying:
    """What becomes of traced polygons, table by table, and what each step costs.

    Attributes:
        min_area: smallest polygon that is kept, in m2 (pixels where a table has no CRS).
        outlines: "traced" along pixel edges, "simplified", or "regular", with right angles.
        tolerance: how far a simplified outline may move, in metres (pixels where a table has no CRS).
    """

    min_area: float = 0.0
    outlines: str = "traced"
    tolerance: float = 1.0

    def __post_init__(self) -> None:
        if self.outlines not in OUTLINES:
            raise InputError(f"outlines={self.outlines!r} is unknown; choose from {', '.join(OUTLINES)}")
        if not self.min_area >= 0:
            raise InputError(f"min_area={self.min_area} must be an area in m2, 0 or more")
        if not self.tolerance > 0:
            raise InputError(f"tolerance={self.tolerance} must be metres, above 0, for example 0.5")
        self._sums: dict[str, np.ndarray] = {}  # step -> (area shared with the step before, area of either)

    def __call__(self, table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """The table after all steps; its rows may be fewer, and each is one polygon."""
        found = table[area_column(table)]
        large = table[found >= self.min_area].reset_index(drop=True)
        if self.min_area:
            self._count("min_area", found[found >= self.min_area].sum(), found.sum())
        if self.outlines == "traced":
            return large
        step = simplify(large, self.tolerance)
        self._count("simplified", *_shared_and_either(large, step))
        if self.outlines == "regular":
            simple, step = step, regularise(large, self.tolerance)
            self._count("regular", *_shared_and_either(simple, step))
        shared, either = _shared_and_either(large, step)
        self._count("all", shared, either + found[found < self.min_area].sum())
        return _single_polygons(step)

    @property
    def kept(self) -> dict[str, float]:
        """IoU of each step's polygons with those of the step before, and of the last with the traced ones as "all"."""
        return {step: round(float(shared / either), 4) if either else 1.0
                for step, (shared, either) in self._sums.items()}

    def _count(self, step: str, shared: float, either: float) -> None:
        self._sums[step] = self._sums.get(step, 0) + np.array([shared, either])


def iou_between(one: gpd.GeoDataFrame, other: gpd.GeoDataFrame) -> float:
    """Area that two tables of the same rows share, row by row, as a share of what either covers: what a step cost."""
    shared, either = _shared_and_either(one, other)
    return float(shared / either) if either else 1.0


def _shared_and_either(one: gpd.GeoDataFrame, other: gpd.GeoDataFrame) -> tuple[float, float]:
    """Areas of the intersections and of the unions of two tables, row by row, in m2 (square pixels without a CRS)."""
    crs = local_crs(one)
    a, b = (t.geometry.to_numpy() if crs is None else t.geometry.to_crs(crs).to_numpy() for t in (one, other))
    shared = shapely.area(shapely.intersection(a, b)).sum()
    return shared, shapely.area(a).sum() + shapely.area(b).sum() - shared


def _single_polygons(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The table with each part of a shape that fell apart as a row of its own, and no lines among them."""
    kinds = table.geom_type
    if (kinds == "Polygon").all():
        return table
    parts = table.explode(ignore_index=True).explode(ignore_index=True)  # collections may hold multipolygons
    parts = parts[(parts.geom_type == "Polygon") & ~parts.is_empty].reset_index(drop=True)
    parts[area_column(parts)] = np.round(areas(parts), 2)
    return parts


def _reshaped(table: gpd.GeoDataFrame, change: Any) -> gpd.GeoDataFrame:
    """The table with other shapes, `change`d in metres, and their areas."""
    if table.empty:
        return table.copy()
    import geopandas as gpd

    crs = local_crs(table)
    metric = table.geometry if crs is None else table.geometry.to_crs(crs)
    shapes = gpd.GeoSeries(shapely.make_valid(change(metric.to_numpy())), index=table.index, crs=metric.crs)
    table = table.set_geometry((shapes if crs is None else shapes.to_crs(table.crs)).make_valid())
    column = area_column(table)
    if column in table:
        table[column] = np.round(areas(table), 2)
    return table


def _regular(simple: shapely.Polygon, was: shapely.Polygon, tolerance: float) -> shapely.Polygon:
    """One building with right angles, or as it is where that fails."""
    if simple.geom_type != "Polygon" or simple.is_empty:
        return simple
    direction = _main_direction(simple)
    rings = [_straight_ring(ring, direction, tolerance) for ring in (simple.exterior, *simple.interiors)]
    if rings[0] is None:
        return simple
    regular = shapely.Polygon(rings[0], [ring for ring in rings[1:] if ring is not None])
    if not regular.is_valid:
        return simple
    shared = regular.intersection(was).area
    return regular if shared >= KEEP_IOU * (regular.area + was.area - shared) else simple


def _main_direction(polygon: shapely.Polygon) -> float:
    """Direction of the walls in radians, modulo a quarter turn."""
    points = np.asarray(polygon.exterior.coords)
    dx, dy = np.diff(points, axis=0).T
    return float(np.angle(np.sum((dx**2 + dy**2) * np.exp(4j * np.arctan2(dy, dx)))) / 4)


def _straight_ring(ring: shapely.LinearRing, direction: float, tolerance: float) -> np.ndarray | None:
    """Corners of a ring whose walls follow `direction`: float (corners, 2), or None if fewer than three are left."""
    points = np.asarray(ring.coords)[:-1]
    along = np.roll(points, -1, axis=0) - points
    length = np.hypot(*along.T)
    off = (np.arctan2(along[:, 1], along[:, 0]) - direction + np.pi / 4) % (np.pi / 2) - np.pi / 4
    slanted = (np.abs(off) > DIAGONAL) & (length > LONG * tolerance)
    turned = np.arctan2(along[:, 1], along[:, 0]) - np.where(slanted, 0, off)
    walls = _merge_walls((points + np.roll(points, -1, axis=0)) / 2, turned, length, tolerance)
    if len(walls) < 3:
        return None
    middle, angle = np.array([w[0] for w in walls]), np.array([w[1] for w in walls])
    return _crossings(middle, angle, np.roll(middle, 1, axis=0), np.roll(angle, 1))


def _merge_walls(middles: np.ndarray, angles: np.ndarray, lengths: np.ndarray, tolerance: float) -> list:
    """[middle, direction, length] of the walls, neighbours of one direction joined or linked by a step.

    Two neighbours of one direction whose lines lie closer than the tolerance become one; others get a short wall
    square to them between.
    """
    walls: list = []
    for middle, angle, length in zip(middles, angles, lengths, strict=True):
        walls.append([middle, angle, length])
        while len(walls) > 1 and _same_line(walls[-2], walls[-1], tolerance):
            walls[-2:] = [_joined(walls[-2], walls[-1])]
    while len(walls) > 1 and _same_line(walls[-1], walls[0], tolerance):
        walls[0] = _joined(walls.pop(), walls[0])
    stepped = []
    for wall, following in zip(walls, walls[1:] + walls[:1], strict=True):
        stepped.append(wall)
        if _parallel(wall, following):
            stepped.append([(wall[0] + following[0]) / 2, wall[1] + np.pi / 2, 0.0])
    return stepped


def _parallel(one: Any, other: Any) -> bool:
    """Whether two walls have one direction, either way."""
    return abs(np.sin(one[1] - other[1])) < 0.09  # 5 degrees


def _same_line(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two walls are parallel and their lines closer than the tolerance."""
    normal = np.array([-np.sin(one[1]), np.cos(one[1])])
    return _parallel(one, other) and abs((other[0] - one[0]) @ normal) < tolerance


def _joined(one: Any, other: Any) -> list:
    """Two walls as one, through their middles weighted by length."""
    total = one[2] + other[2]
    angle = one[1] if one[2] >= other[2] else other[1]
    return [(one[0] * one[2] + other[0] * other[2]) / total, angle, total]


def _crossings(p: np.ndarray, angle: np.ndarray, q: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where the lines through `p` and `q` cross, (n, 2); the directions are never parallel here."""
    d, e = (np.stack([np.cos(a), np.sin(a)], axis=1) for a in (angle, other))
    across = d[:, 0] * e[:, 1] - d[:, 1] * e[:, 0]
    gap = q - p
    t = (gap[:, 0] * e[:, 1] - gap[:, 1] * e[:, 0]) / across
    return p + t[:, None] * d
