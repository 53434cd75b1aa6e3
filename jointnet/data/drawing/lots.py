"""What stands along the streets of a drawn town: houses on lots, blocks, halls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Geometry, MultiPoint, Polygon

from jointnet.data.drawing.plan import Building, Plan, Range, Surface, scatter
from jointnet.data.drawing.streets import beside_road


@dataclass(frozen=True)
class Lots:
    """How lots along a street are built on. Ranges are (low, high) in metres, of `storeys` in storeys of 3 m.

    Attributes:
        width: length of the building along the street.
        depth: length of the building away from it.
        setback: distance from the kerb to the front.
        gap: distance to the next building.
        shapes: plans to choose from.
        kind: use of the buildings.
        storeys: height of the walls.
        skip: share of the lots that stay empty.
        sheds: share with a shed behind, up to `shed_distance` metres away.
        party: metres by which neighbours may touch; above 0 the rows are attached.
        roads: kinds of road that the lots lie along.
    """

    width: Range
    depth: Range
    setback: Range
    gap: Range
    shapes: tuple[str, ...]
    kind: str
    storeys: Range
    skip: float = 0.1
    sheds: float = 0.3
    shed_distance: float = 7.0
    party: float = 0.0
    roads: tuple[str, ...] = ("street", "close")


def frontage(plan: Plan, lots: Lots) -> None:
    """Lots side by side along both sides of the roads, each with a building, a yard, a drive and perhaps a shed."""
    for road in [r for r in plan.roads if r.kind in lots.roads]:
        for line in (road.line, road.line.reverse()):
            at = plan.uniform(0, 6)
            row = plan.chance(plan.city.flat), plan.uniform(*lots.storeys)
            while at + lots.width[1] < line.length:
                width = plan.uniform(*lots.width)
                start, end = (np.array(line.interpolate(v).coords[0]) for v in (at, at + width))
                at += width + plan.uniform(*lots.gap)
                if not plan.chance(lots.skip):
                    front = road.width / 2 + plan.uniform(*lots.setback)
                    angle = math.atan2(*(end - start)[::-1])
                    lot = _Lot((start[0], start[1]), angle, road.width / 2, front, width, plan.uniform(*lots.depth))
                    _settle(plan, lots, lot, row)


def _settle(plan: Plan, lots: Lots, lot: _Lot, row: tuple[bool, float]) -> None:
    """A house on its lot if there is room; in attached rows it shares the roof's kind and height of the `row`."""
    flat = row[0] if lots.party else plan.chance(plan.city.flat)
    storeys = row[1] + plan.rng.normal(0, 0.15) if lots.party else plan.uniform(*lots.storeys)
    angle = lot.angle + (0 if lots.party else plan.rng.normal(0, 0.03))
    size = lot.width, lot.depth
    if plan.build(plan.pick(lots.shapes), lot.at(0, lot.front), angle, *size, lots.kind, storeys, flat, lots.party):
        _yard(plan, lot, lots.sheds, lots.shed_distance)


def infill(plan: Plan, count: int, width: Range, depth: Range, shapes: Sequence[str], kind: str,
           storeys: float) -> None:
    """Up to `count` larger buildings wherever there is room for them beside a road."""
    for _ in range(count if plan.roads else 0):
        for _ in range(40):
            corner, angle = beside_road(plan, plan.uniform(5, 30))
            size = plan.uniform(*width), plan.uniform(*depth)
            flat = plan.chance(0.5 + 0.5 * plan.city.flat) and kind != "barn"
            if plan.build(plan.pick(shapes), corner, angle, *size, kind, storeys, flat):
                apron = plan.buildings[-1].footprint.minimum_rotated_rectangle.buffer(plan.uniform(1, 5), quad_segs=2)
                plan.ground.append(Surface(apron, plan.tint(plan.city.paving, 8), 0.7))
                break


def city_blocks(plan: Plan, depth: float, storeys: Range, share: float = 0.92) -> None:
    """Fills a share of the blocks between streets with attached houses around a courtyard."""
    taken = shapely.union_all(plan.taken + plan.water)
    for block in shapely.get_parts(plan.frame.difference(taken.buffer(2.2))):
        court = block.buffer(-depth, join_style="mitre")
        if block.area < 900 or court.area < 120 or not plan.chance(share):
            continue
        plan.ground.append(Surface(block.buffer(2.5), plan.tint(plan.city.paving, 5), 0.6))
        inside = plan.tint(plan.pick((plan.city.grass, plan.city.grass, plan.city.paving, plan.city.soil)), 8)
        plan.surfaces.append(Surface(court, inside, 1))
        eave, pitch = 3.2 * plan.uniform(*storeys), plan.uniform(0.5, 0.8)
        ring = block.difference(court)
        for parcel in [ring] if plan.chance(0.25) else _parcels(plan, ring, block, depth):
            if parcel.geom_type != "Polygon" or plan.chance(0.03):
                continue
            flat = plan.chance(plan.city.flat)
            colour = plan.tint(plan.pick(plan.city.roofs), 9)
            shape = "court" if parcel.interiors else "attached"
            height = eave + plan.rng.normal(0, 0.9)
            plan.buildings.append(Building(parcel, colour, "block", shape, height, 0.0 if flat else pitch))
            plan.taken.append(parcel)
        _courtyard_houses(plan, court)


def pools(plan: Plan, share: float) -> None:
    """Blue pools behind some of the houses."""
    for building in [b for b in plan.buildings if b.kind == "house" and plan.chance(share)]:
        x, y = building.footprint.centroid.coords[0]
        angle = plan.uniform(0, 2 * math.pi)
        spot = shapely.Point(x + 14 * math.cos(angle), y + 14 * math.sin(angle))
        spot = spot.buffer(plan.uniform(2, 3.5), quad_segs=4)
        if plan.is_free(spot):
            plan.surfaces.append(Surface(spot.buffer(1.2), plan.tint(plan.city.paving), 0.4))
            plan.surfaces.append(Surface(spot, (70, 150, 170), 0.3))


class _Lot:
    """The ground of one building: a frame with u along the road and v away from its centre line, in metres."""

    def __init__(
        self, start: tuple[float, float], angle: float, kerb: float, front: float, width: float, depth: float
    ) -> None:
        self.start, self.angle, self.kerb, self.front, self.width, self.depth = start, angle, kerb, front, width, depth

    def at(self, u: float, v: float) -> tuple[float, float]:
        """The point (u, v) in the scene."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return self.start[0] + u * cos - v * sin, self.start[1] + u * sin + v * cos

    def box(self, left: float, near: float, right: float, far: float) -> Polygon:
        """A rectangle of the lot in the scene."""
        return Polygon([self.at(left, near), self.at(right, near), self.at(right, far), self.at(left, far)])


def _yard(plan: Plan, lot: _Lot, sheds: float, distance: float) -> None:
    """Grass, drive, terrace and shed of one lot."""
    city, w, back = plan.city, lot.width, lot.front + lot.depth
    lawn = plan.tint(plan.pick((city.grass, city.grass, city.grass, city.soil)), 7)
    plan.ground.append(Surface(lot.box(-1.2, lot.kerb + 1, w + 1.2, back + 9), lawn, 1.2))
    if plan.chance(0.75):
        u = plan.pick((-2.8, 0.3, w - 3.2))
        plan.surfaces.append(Surface(lot.box(u, lot.kerb - 0.5, u + 2.9, lot.front + plan.uniform(0, 5)),
                                     plan.tint(city.paving, 10), 0.6))
    if plan.chance(0.4):
        u = plan.uniform(0, w - 4)
        plan.surfaces.append(Surface(lot.box(u, back, u + plan.uniform(3, 6), back + plan.uniform(2.5, 4.5)),
                                     plan.tint(plan.pick((*city.roofs, city.paving)), 8), 0.6))
    if plan.chance(0.35):
        _hedge(plan, lot, back)
    if plan.chance(sheds):
        u, deep = plan.uniform(-1, max(w - 4, 0)), plan.uniform(2.6, 6.2)
        corner, size = lot.at(u, back + plan.uniform(3, distance)), (plan.uniform(3, 6.2), deep)
        plan.build("box", corner, lot.angle, *size, "shed", 0.85, plan.chance(0.5))


def _hedge(plan: Plan, lot: _Lot, back: float) -> None:
    """Bushes in a row along one side of a lot and its back."""
    far, side = back + plan.uniform(5, 9), plan.pick((-1.0, lot.width + 1.0))
    row = [(side, v) for v in np.arange(lot.front, far, 1.1)] + [(u, far) for u in np.arange(-1, lot.width + 1, 1.1)]
    plan.trees += [(*lot.at(u, v), plan.uniform(0.6, 1.0)) for u, v in row]


def _parcels(plan: Plan, ring: Geometry, block: Polygon, depth: float) -> list[Polygon]:
    """A ring of houses cut into parcels across its middle line."""
    middle = block.buffer(-depth / 2, join_style="mitre")
    middle = max(shapely.get_parts(middle), key=lambda part: part.area).exterior
    at, points = 0.0, []
    while at < middle.length - 8:
        points.append(middle.interpolate(at))
        at += plan.uniform(13, 24)
    cells = shapely.get_parts(shapely.voronoi_polygons(MultiPoint(points), extend_to=block.envelope))
    parcels = [p for cell in cells for p in shapely.get_parts(ring.intersection(cell)) if p.area > 30]
    return parcels


def _courtyard_houses(plan: Plan, court: Polygon) -> None:
    """Low houses at the back of courtyards."""
    for x, y in scatter(plan.rng, court.buffer(-6), 14):
        plan.build("box", (x, y), plan.uniform(0, 0.4), plan.uniform(6, 14), plan.uniform(5, 9), "rear house", 1.5,
                   plan.chance(0.5))
