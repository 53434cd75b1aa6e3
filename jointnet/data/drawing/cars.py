"""Parking lots and cars, and other things of the size and colour of roofs that are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely
from shapely import Geometry, Polygon
from shapely.affinity import rotate, translate

from jointnet.data.drawing.plan import Plan, Range, Surface, scatter
from jointnet.data.drawing.streets import beside_road

CAR_COLOURS = (
    (225, 225, 228), (40, 42, 46), (150, 152, 156), (130, 40, 38), (52, 68, 110), (190, 186, 178), (90, 92, 96)
)
CRATES = ((142, 70, 58), (64, 92, 124), (176, 172, 164), (92, 112, 92), (168, 130, 72), (120, 120, 122))


def parking(plan: Plan, count: int, width: Range, depth: Range) -> None:
    """Up to `count` parking lots the colour of flat roofs, with stalls and cars."""
    for _ in range(count if plan.roads else 0):
        for _ in range(40):
            w, d = plan.uniform(*width), plan.uniform(*depth)
            (x, y), angle = beside_road(plan, plan.uniform(2.5, 6))
            lot = _placed(shapely.box(0, 0, w, d), x, y, angle)
            if plan.is_free(lot.buffer(1)):
                plan.taken.append(lot)
                at = plan.uniform(2, w - 8)
                plan.surfaces.append(Surface(_placed(shapely.box(at, -9, at + 6, 1), x, y, angle), plan.city.road, 0.5))
                _stalls(plan, lot, w, d, x, y, angle)
                break


def _stalls(plan: Plan, lot: Polygon, w: float, d: float, x: float, y: float, angle: float) -> None:
    """The asphalt, lines and cars of one parking lot."""
    plan.surfaces.append(Surface(lot, plan.tint(plan.pick((*plan.city.roofs, plan.city.road, plan.city.road)), 6), 0.6))
    fill = plan.uniform(0.1, 0.7)
    for row in np.arange(1, d - 5.2, 8.4):
        for u in np.arange(1.5, w - 4, 2.6):
            line = _placed(shapely.box(u, row, u + 0.14, row + 4.8), x, y, angle)
            plan.surfaces.append(Surface(line, (196, 196, 190), 0.2))
            if plan.chance(fill):
                middle = _placed(shapely.Point(u + 1.35, row + 2.4), x, y, angle)
                plan.surfaces.extend(car(plan, middle.x, middle.y, angle + math.pi / 2))


def car(plan: Plan, x: float, y: float, angle: float) -> list[Surface]:
    """A car at (x, y), heading along `angle` in radians: body and windows."""
    length, width = plan.uniform(4.0, 4.9), plan.uniform(1.7, 1.95)
    if plan.chance(0.04):
        length, width = plan.uniform(7, 13), 2.5
    body = shapely.box(-length / 2, -width / 2, length / 2, width / 2).buffer(-0.25).buffer(0.25, quad_segs=2)
    glass = shapely.box(length * 0.08, -width * 0.4, length * 0.22, width * 0.4)
    rear = shapely.box(-length * 0.4, -width * 0.38, -length * 0.3, width * 0.38)
    colour = plan.tint(plan.pick(CAR_COLOURS), 6)
    parts = ((body, colour, 1.5 if length < 6 else 3.0), (glass, (38, 44, 50), 1.4), (rear, (44, 48, 54), 1.4))
    return [Surface(_placed(shape, x, y, angle), shade, 0.1, height=high) for shape, shade, high in parts]


def crates(plan: Plan, count: int) -> None:
    """Rows of shipping containers beside the streets: as high as a shed, but no buildings."""
    for _ in range(count if plan.roads else 0):
        for _ in range(30):
            (x, y), angle = beside_road(plan, plan.uniform(6, 40))
            rows, columns = int(plan.rng.integers(1, 4)), int(plan.rng.integers(2, 7))
            yard = _placed(shapely.box(-2, -2, rows * 13, columns * 3.2), x, y, angle)
            if plan.is_free(yard):
                plan.taken.append(yard)
                plan.ground.append(Surface(yard.buffer(2), plan.tint(plan.city.paving), 0.8))
                for u, v in [(13 * i, 3.2 * k) for i in range(rows) for k in range(columns) if plan.chance(0.75)]:
                    crate = _placed(shapely.box(u, v, u + 12.2, v + 2.45), x, y, angle)
                    ribs = (angle + math.pi / 2, 0.6, 4.0)
                    plan.surfaces.append(Surface(crate, plan.tint(plan.pick(CRATES)), 0.2, ribs, height=2.6))
                break


def parked_cars(plan: Plan) -> None:
    """Cars at the kerb and on the way."""
    for road in plan.roads:
        for at in np.arange(4, road.line.length - 4, 6.5):
            if road.kind != "street" or not plan.chance(0.2):
                continue
            a, b = (np.array(road.line.interpolate(at + k).coords[0]) for k in (0, 1))
            angle = math.atan2(*(b - a)[::-1])
            aside = plan.pick((-1, 1)) * (road.width / 2 - plan.pick((1.2, 1.2, 2.8)))
            plan.surfaces.extend(car(plan, a[0] - aside * math.sin(angle), a[1] + aside * math.cos(angle), angle))


def decoys(plan: Plan, per_hectare: float) -> None:
    """Slabs, courts and bare plots of the colour and size of roofs, which cast no shadow."""
    for x, y in scatter(plan.rng, plan.frame, per_hectare):
        w, d, angle = plan.uniform(5, 24), plan.uniform(4, 14), _heading(plan, x, y)
        slab = _placed(shapely.box(0, 0, w, d), x, y, angle)
        if plan.is_free(slab) and not any(slab.intersects(water) for water in plan.water):
            colour = plan.pick((*plan.city.roofs, *plan.city.roofs, plan.city.soil))
            stripe = (angle, plan.uniform(0.5, 1.6), plan.uniform(0, 5))
            plan.surfaces.append(Surface(slab, plan.tint(colour, 8), plan.uniform(0.4, 1.5), stripe))


def _placed(shape: Geometry, x: float, y: float, angle: float) -> Any:
    """A shape turned by `angle` in radians around the origin, then moved to (x, y)."""
    return translate(rotate(shape, angle, origin=(0, 0), use_radians=True), x, y)


def _heading(plan: Plan, x: float, y: float) -> float:
    """The direction of the nearest road in radians, so that things line up with it."""
    if not plan.roads:
        return 0.0
    lines = np.array([r.line for r in plan.roads], object)
    line = lines[np.argmin(shapely.distance(lines, shapely.Point(x, y)))]
    at = line.project(shapely.Point(x, y))
    a, b = (np.array(line.interpolate(v).coords[0]) for v in (max(at - 1, 0), min(at + 1, line.length)))
    return math.atan2(*(b - a)[::-1])
