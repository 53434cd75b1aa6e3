"""Streets of a drawn town: a lattice, or roads that wind, with closes."""

from __future__ import annotations

import math

import numpy as np
import shapely
from shapely import Geometry, LineString
from shapely.affinity import rotate, translate

from jointnet.data.drawing.plan import MARGIN, Plan, Road, curve


def lattice(
    plan: Plan, angle: float, across: float, along: float, width: float, alley: float = 0, wobble: float = 0
) -> None:
    """A grid of streets, `across` and `along` metres apart, turned by `angle` degrees; alleys halve the blocks."""
    half, middle = 0.75 * plan.size + 2 * MARGIN, plan.size / 2
    roads = []
    for spacing, turn in ((across, 90), (along, 0)):
        start = plan.uniform(0, spacing)
        offsets = np.arange(-half + start, half, spacing)
        for at in offsets:
            bend = plan.rng.normal(0, wobble, 5) if wobble else np.zeros(5)
            line = LineString(np.column_stack([np.linspace(-half, half, 5), at + bend]))
            roads.append((line, turn, plan.pick((width, width, width * 1.3)), "street"))
            if alley and turn == 90:
                roads.append((translate(line, 0, spacing / 2), turn, alley, "alley"))
    pave(plan, [Road(translate(rotate(line, angle + turn, origin=(0, 0)), middle, middle), w, kind)
                for line, turn, w, kind in roads])


def winding(plan: Plan, mains: int, closes: int, width: float) -> None:
    """Main roads that wind through the scene, with closes branching off that end in a turning circle."""
    roads: list[Road] = []
    size, side = plan.size, plan.pick((-1, 1))
    for k in range(mains):
        turn = 90 * (k % 2) + plan.uniform(-14, 14)
        aside = size * plan.uniform(0.12, 0.3) * (side if k < 2 else -side)
        across = np.linspace(-0.8 * size - MARGIN, 0.8 * size + MARGIN, 7)
        line = curve(np.column_stack([across, aside + plan.rng.normal(0, 0.06 * size, 7)]))
        line = translate(rotate(line, turn, origin=(0, 0)), size / 2, size / 2)
        roads.append(Road(line, width * plan.pick((1, 1.25))))
    for _ in range(closes):
        tries = [_close(plan, plan.pick(roads[:mains]), 0.8 * width) for _ in range(8)]
        found = [close for close in tries if close]
        lines = shapely.union_all([r.line for r in roads])
        lonely = [_loneliness(close[0].line, lines, size) for close in found]
        roads += found[int(np.argmax(lonely))] if found else []
    pave(plan, roads)


def _loneliness(line: LineString, others: Geometry, size: float) -> float:
    """How far the far half of a line keeps from the other roads, in metres; ends outside the scene count little."""
    ends = [line.interpolate(share, normalized=True) for share in (0.5, 0.75, 1)]
    inside = all(0 < p.x < size and 0 < p.y < size for p in ends)
    return min(p.distance(others) for p in ends) * (1.0 if inside else 0.3)


def pave(plan: Plan, roads: list[Road]) -> None:
    """Adds roads, cut off at the frame and, where no bridge is built, at the water, and keeps their ground free."""
    water = shapely.union_all(plan.water)
    for road in roads:
        bridge = plan.chance(plan.bridges) and road.kind == "street"
        line = road.line.intersection(plan.frame)
        line = line if bridge else line.difference(water.buffer(4))
        for part in shapely.get_parts(line):
            if part.geom_type == "LineString" and part.length > 12:
                plan.roads.append(Road(part, road.width, road.kind))
                plan.taken.append(part.buffer(road.width / 2 + 0.8))


def _close(plan: Plan, main: Road, width: float) -> list[Road]:
    """A side street off a main road, and the ring of its turning circle."""
    inside = main.line.intersection(shapely.box(0, 0, plan.size, plan.size))
    if inside.is_empty or inside.length < 30:
        return []
    inside = max(shapely.get_parts(inside), key=lambda part: part.length)
    at = plan.uniform(0.1, 0.9) * inside.length
    start, ahead = np.array(inside.interpolate(at).coords[0]), np.array(inside.interpolate(at + 1).coords[0])
    heading = math.atan2(*(ahead - start)[::-1]) + plan.pick((-1, 1)) * math.radians(plan.uniform(70, 110))
    points = [start]
    for _ in range(4):
        heading += plan.rng.normal(0, 0.25)
        stride = plan.uniform(0.06, 0.11) * plan.size
        points.append(points[-1] + stride * np.array([math.cos(heading), math.sin(heading)]))
    head = shapely.Point(points[-1]).buffer(3.5).exterior
    return [Road(curve(points), width), Road(LineString(head.coords), 7.0, "close")]


def beside_road(plan: Plan, off: float) -> tuple[tuple[float, float], float]:
    """A place `off` metres from the edge of some road, and the direction in radians that has the road at its left."""
    road = plan.pick(plan.roads)
    at = plan.uniform(0, road.line.length)
    a, b = (np.array(road.line.interpolate(at + k).coords[0]) for k in (0, -2))
    angle = math.atan2(*(a - b)[::-1]) + plan.pick((0, math.pi))
    v = road.width / 2 + off
    return (a[0] - v * math.sin(angle), a[1] + v * math.cos(angle)), angle
