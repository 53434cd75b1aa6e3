"""The land around a drawn town: fields, water, woods and trees."""

from __future__ import annotations

import math

import numpy as np
import shapely
from shapely import Geometry, Polygon
from shapely.affinity import rotate, translate

from jointnet.data.drawing.cities import Colour
from jointnet.data.drawing.plan import MARGIN, Plan, Surface, curve, scatter

CROPS = ((112, 132, 74), (148, 142, 92), (164, 140, 108), (96, 124, 70), (176, 160, 110), (132, 108, 86))
WATER = (58, 80, 84)


def fields(plan: Plan, angle: float) -> None:
    """Strips of meadow and crops over the whole scene."""
    half, at, middle = plan.size + MARGIN, -plan.size, plan.size / 2
    while at < half:
        wide = plan.uniform(18, 60)
        strip = translate(rotate(shapely.box(at, -half, at + wide, half), angle, origin=(0, 0)), middle, middle)
        colour = plan.tint(plan.pick((*CROPS, plan.city.grass, plan.city.grass, plan.city.grass)), 6)
        stripe = (math.radians(angle), plan.uniform(1.2, 3.2), plan.uniform(0, 7))
        plan.ground.append(Surface(strip, colour, plan.uniform(0.6, 1.3), stripe))
        at += wide


def river(plan: Plan, width: float) -> None:
    """A river of `width` metres through the scene, with gravel banks."""
    half, middle = plan.size, plan.size / 2
    bends = plan.uniform(-0.2, 0.2) * plan.size + plan.rng.normal(0, 0.05 * plan.size, 6)
    line = curve(np.column_stack([np.linspace(-half, half, 6), bends]))
    line = translate(rotate(line, plan.uniform(-50, 50), origin=(0, 0)), middle, middle)
    _flood(plan, line.buffer(width / 2))


def shore(plan: Plan, share: float, piers: int = 0) -> None:
    """Water over a share of the scene at one side, with piers."""
    plan.bridges = 0.0
    size, turn = plan.size, plan.pick((0, 90, 180, 270))
    edge = size * share + plan.rng.normal(0, 3 if piers else 8, 8)
    line = np.column_stack([edge, np.linspace(-size, 2 * size, 8)])
    water = Polygon([(-size, -size), *(line if piers else curve(line).coords), (-size, 2 * size)])
    for k in range(piers):
        y = size * (k + plan.uniform(0.2, 0.8)) / piers
        water = water.difference(shapely.box(size * share * plan.uniform(0.1, 0.5), y, size, y + plan.uniform(6, 12)))
    _flood(plan, rotate(water, turn, origin=(size / 2, size / 2)))


def clearing(plan: Plan, radius: float, colour: Colour) -> None:
    """A round patch of bare ground."""
    x, y = plan.rng.uniform(0, plan.size, 2)
    points = [(x + radius * plan.uniform(0.6, 1.2) * math.cos(a), y + radius * plan.uniform(0.6, 1.2) * math.sin(a))
              for a in np.linspace(0, 2 * math.pi, 12)[:-1]]
    plan.ground.append(Surface(Polygon(points).buffer(3), plan.tint(colour), 1.6))


def woods(plan: Plan, count: int, per_hectare: float) -> None:
    """Patches of closed forest where nothing is built."""
    for _ in range(count):
        x, y = plan.rng.uniform(0, plan.size, 2)
        radius = plan.size * plan.uniform(0.08, 0.2)
        angles = np.linspace(0, 2 * math.pi, 10)[:-1]
        reach = radius * plan.rng.uniform(0.5, 1.4, 9)
        patch = Polygon(np.column_stack([x + reach * np.cos(angles), y + reach * np.sin(angles)])).buffer(6)
        patch = patch.difference(shapely.union_all(plan.taken).buffer(2.5))
        plan.ground += [Surface(part, (70, 78, 54), 1.4) for part in shapely.get_parts(patch)]
        plan.trees += [(a, b, plan.uniform(1.8, 4.4)) for a, b in scatter(plan.rng, patch, per_hectare)]


def plant(plan: Plan) -> None:
    """Trees on open ground, along streets and so near to houses that they cover a part of the roof."""
    rng, open_ground = plan.rng, plan.frame.difference(shapely.union_all(plan.taken))
    spots = np.concatenate([scatter(rng, open_ground, plan.city.canopy / 3), _groves(plan, open_ground)])
    plan.trees += list(zip(*spots.T, np.clip(rng.gamma(4.5, 0.75, len(spots)), 1.2, 7.5), strict=True))
    bushes = scatter(rng, open_ground, plan.city.canopy / 2)
    plan.trees += list(zip(*bushes.T, rng.uniform(0.6, 1.5, len(bushes)), strict=True))
    for building in plan.buildings:
        if plan.chance(min(0.75, plan.city.canopy / 70)):
            edge = building.footprint.exterior
            x, y = edge.interpolate(plan.uniform(0, edge.length)).coords[0]
            plan.trees.append((x, y, plan.uniform(1.6, 4.6)))


def _groves(plan: Plan, area: Geometry) -> np.ndarray:
    """Random points in groups of six or so, two thirds of the city's canopy: (n, 2) in metres."""
    middles = scatter(plan.rng, area, plan.city.canopy / 9)
    xy = np.repeat(middles, plan.rng.poisson(6, len(middles)), axis=0)
    xy = xy + plan.rng.normal(0, 7, xy.shape)
    shapely.prepare(area)
    return xy[shapely.contains_xy(area, xy[:, 0], xy[:, 1])]


def _flood(plan: Plan, water: Polygon) -> None:
    """Adds water with its bank, and keeps it free."""
    plan.ground.append(Surface(water.buffer(3.5), plan.tint(plan.city.soil), 1.4))
    plan.ground.append(Surface(water, plan.tint(WATER, 6), 0.25))
    plan.water.append(water)
    plan.taken.append(water.buffer(1.5))
