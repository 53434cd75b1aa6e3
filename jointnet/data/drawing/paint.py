"""A town plan in, an aerial photograph of it out: uint8 (height, width, 3).

Painted at twice the resolution: what lies on the ground, then roofs and crowns as a height field, whose slopes give the
shading and whose heights cast the shadows; then lens, air and sensor.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from PIL import Image
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy.ndimage import distance_transform_edt, gaussian_filter
from shapely.ops import substring

from jointnet.data.drawing.light import FINER, cast_shadows, expose, smooth_noise
from jointnet.data.drawing.plan import Building, Plan, Road, Surface, Wing

AMBIENT = np.array([0.34, 0.38, 0.45], np.float32)  # what the blue sky gives of all light, so what shadows keep
WHITE, YELLOW = (212, 212, 208), (196, 170, 92)


def paint(plan: Plan, pixels: int) -> np.ndarray:
    """The photograph of a plan: uint8 (pixels, pixels, 3)."""
    canvas = Canvas(plan, pixels)
    canvas.lay(ground_of(plan))
    canvas.raise_roofs(plan.buildings)
    canvas.grow(plan.trees)
    return expose(plan, canvas.light(plan.city.sun))


class Canvas:
    """Colour and height of every painted pixel. `step` is its side in metres."""

    def __init__(self, plan: Plan, pixels: int) -> None:
        self.plan, self.n = plan, pixels * FINER
        self.step = plan.size / self.n
        rng = plan.rng
        self.noise = {cell: smooth_noise(rng, self.n, cell / self.step) for cell in (0.15, 0.9, 5.0, 30.0)}
        self.grain = 5 * self.noise[0.15] + 6 * self.noise[0.9] + 5 * self.noise[5.0] + 3 * self.noise[30.0]
        centres = (np.arange(self.n, dtype=np.float32) + 0.5) * self.step
        self.x, self.y = centres[None, :], centres[:, None]
        self.colour = np.zeros((self.n, self.n, 3), np.float32)
        self.height = np.zeros((self.n, self.n), np.float32)
        self.slope_x = np.zeros((self.n, self.n), np.float32)  # rise per metre to the right and down
        self.slope_y = np.zeros((self.n, self.n), np.float32)

    def burn(self, shapes: list, first: int = 1) -> np.ndarray:
        """Numbers of the last shape over each pixel: int32, 0 where there is none."""
        pairs = [(s, i) for i, s in enumerate(shapes, first) if not s.is_empty]
        if not pairs:
            return np.zeros((self.n, self.n), np.int32)
        return rasterize(pairs, (self.n, self.n), transform=Affine.scale(self.step), dtype="int32")

    def lay(self, surfaces: list[Surface]) -> None:
        """Paints surfaces in their order over the grass."""
        city = self.plan.city
        ids = self.burn([s.shape for s in surfaces])
        colours = np.array([city.grass, *(s.colour for s in surfaces)], np.float32)
        grain = np.array([1.3, *(s.grain for s in surfaces)], np.float32)[ids]
        self.height = np.array([0.0, *(s.height for s in surfaces)], np.float32)[ids]
        self.colour = colours[ids]
        dry = (grain > 0.9) * (7 * self.noise[30.0] + 5 * self.noise[5.0])
        texture = self._texture(grain, ids, [s.stripe for s in surfaces])
        for band, share in enumerate((1.0, 0.35, 0.2)):
            self.colour[..., band] += texture + np.float32(share) * dry

    def _texture(self, grain: np.ndarray, ids: np.ndarray, stripes: list) -> np.ndarray:
        """Grey values to add: grain of four sizes, and stripes of (angle, period in metres, strength) by number."""
        texture = grain * self.grain
        table = np.array([(0, 1, 0), *(s or (0, 1, 0) for s in stripes)], np.float32)
        rows, cols = np.nonzero((table[:, 2] > 0)[ids])
        angle, period, strength = table[ids[rows, cols]].T
        across = (rows * np.cos(angle) - cols * np.sin(angle)) * np.float32(self.step)
        wear = 0.7 + 0.5 * self.noise[5.0][rows, cols]
        texture[rows, cols] += strength * wear * np.sin(2 * np.pi * across / period)
        return texture

    def raise_roofs(self, buildings: list[Building]) -> None:
        """Puts roofs on the footprints: ridged over wings, from all edges without, flat where the pitch is 0."""
        ids = self.burn([b.footprint for b in buildings])
        if not buildings:
            return
        roof = ids > 0
        eave = np.array([0.0, *(b.eave for b in buildings)], np.float32)[ids]
        self.height = np.where(roof, eave, self.height)
        self._hipped(buildings, ids)
        for number, building in enumerate(buildings, 1):
            for wing in building.wings:
                if wing.pitch:
                    self._ridge(wing, ids, number)
        stripes = [_courses(b, self.plan.rng) for b in buildings]
        grain = np.array([0.0, *(0.5 + 0.9 * self.plan.rng.random(len(buildings)))], np.float32)[ids]
        colours = np.array([(0, 0, 0), *(b.colour for b in buildings)], np.float32)
        self.colour[roof] = colours[ids[roof]] + self._texture(grain, ids, stripes)[roof][:, None]
        self._furnish(buildings, ids)

    def _hipped(self, buildings: list[Building], ids: np.ndarray) -> None:
        """Roofs that rise from all outer edges, over attached houses as one."""
        pitch = np.array([0.0, *(0.0 if b.wings else b.pitch for b in buildings)], np.float32)[ids]
        together = np.isin(ids, [i for i, b in enumerate(buildings, 1) if not b.wings])
        if not together.any():
            return
        coarse = distance_transform_edt(together[::FINER, ::FINER]).astype(np.float32) * (FINER * self.step)
        coarse = Image.fromarray(gaussian_filter(coarse, 0.8))
        rise = np.asarray(coarse.resize((self.n, self.n), Image.Resampling.BILINEAR))
        slope_y, slope_x = np.gradient(rise, np.float32(self.step))
        self.height += pitch * rise * together
        self.slope_x += pitch * slope_x * together
        self.slope_y += pitch * slope_y * together

    def _window(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        """The pixels of a box in metres, cut off at the canvas."""
        at = np.clip(np.array([top, bottom + self.step, left, right + self.step]) / self.step, 0, self.n).astype(int)
        return slice(at[0], at[1]), slice(at[2], at[3])

    def _ridge(self, wing: Wing, ids: np.ndarray, number: int) -> None:
        """A gable or hip roof over one wing, where it is higher than what is there."""
        win = self._window(*wing.polygon.bounds)
        dx, dy = self.x[:, win[1]] - wing.x, self.y[win[0]] - wing.y
        cos, sin = math.cos(wing.angle), math.sin(wing.angle)
        u, v = dx * cos + dy * sin, dy * cos - dx * sin
        side, end = wing.width / 2 - np.abs(v), wing.length / 2 - np.abs(u)
        at_end = (end < side) if wing.hip else np.zeros(side.shape, bool)
        z = wing.eave + wing.pitch * np.where(at_end, end, side)
        higher = (ids[win] == number) & (side >= 0) & (end >= 0) & (z > self.height[win])
        along = np.where(at_end, -np.sign(u), 0) * wing.pitch
        across = np.where(at_end, 0, -np.sign(v)) * wing.pitch
        self.height[win] = np.where(higher, z, self.height[win])
        self.slope_x[win] = np.where(higher, along * cos - across * sin, self.slope_x[win])
        self.slope_y[win] = np.where(higher, along * sin + across * cos, self.slope_y[win])

    def _furnish(self, buildings: list[Building], ids: np.ndarray) -> None:
        """Chimneys, skylights, solar panels, and on flat roofs parapets and machines."""
        rng, shapes = self.plan.rng, []
        for building in buildings:
            flat, area = building.pitch == 0, building.footprint.area
            if flat:
                edge = building.footprint.difference(building.footprint.buffer(-0.35, join_style="mitre"))
                shapes.append((edge, self.plan.tint(building.colour, 22), 0.5))
            for _ in range(rng.poisson(area / (130 if flat else 110))):
                shapes += _fitting(building, rng)
        numbers = self.burn([s for s, _, _ in shapes])
        on = (numbers > 0) & (ids > 0)
        if shapes:
            colours = np.array([(0, 0, 0), *(c for _, c, _ in shapes)], np.float32)
            self.colour[on] = colours[numbers[on]]
            self.height[on] += np.array([0.0, *(h for _, _, h in shapes)], np.float32)[numbers[on]]

    def grow(self, trees: list[tuple[float, float, float]]) -> None:
        """Crowns as lumpy domes; where leafless, only twigs."""
        city, rng = self.plan.city, self.plan.rng
        crown = np.zeros((self.n, self.n), np.float32)
        kind = np.zeros((self.n, self.n), np.int32)
        ragged = 0.22 * self.noise[0.9] + 0.1 * self.noise[5.0]
        for number, (x, y, radius) in enumerate(trees, 1):
            win = self._window(x - 1.3 * radius, y - 1.3 * radius, x + 1.3 * radius, y + 1.3 * radius)
            far = np.hypot(self.x[:, win[1]] - x, self.y[win[0]] - y) / radius + ragged[win]
            z = (1.3 * radius + 1.2) + radius * np.sqrt(np.maximum(1 - far * far, 0))
            higher = (far < 1) & (z > crown[win]) & (z > self.height[win] - 2)
            crown[win] = np.where(higher, z, crown[win])
            kind[win] = np.where(higher, number, kind[win])
        bare = np.concatenate([[False], rng.random(len(trees)) < city.bare])
        colours = np.array([(0, 0, 0), *(self.plan.tint(self.plan.pick(city.trees), 9) for _ in trees)], np.float32)
        colours[bare] = 0.5 * colours[bare] + 0.5 * np.array([118, 108, 98], np.float32)
        leaf, bare = kind > 0, bare[kind]
        twigs = self.noise[0.15] + 0.6 * self.noise[0.9]
        cover = leaf * np.where(bare, np.clip(0.42 + 0.35 * twigs, 0, 0.9), np.float32(1))
        lumps = crown + leaf * (0.5 * self.noise[0.9] + 0.12 * self.noise[0.15])
        for slope, steep in zip((self.slope_y, self.slope_x), np.gradient(lumps, np.float32(self.step)), strict=True):
            slope[leaf] = (np.clip(steep, -1.6, 1.6) * cover)[leaf]
        grain = (9 * self.noise[0.15] + 7 * self.noise[0.9])[leaf]
        here, cover = self.colour[leaf], cover[leaf][:, None]
        self.colour[leaf] = here + cover * (colours[kind[leaf]] + grain[:, None] - here)
        self.height = np.maximum(self.height, np.where(bare, np.float32(0.55), np.float32(1)) * lumps * leaf)

    def light(self, sun: tuple[float, float]) -> np.ndarray:
        """Colours under the sun, (azimuth, elevation) in degrees: float32 (n, n, 3)."""
        azimuth, elevation = (math.radians(angle) for angle in sun)
        east, south, rise = math.sin(azimuth), -math.cos(azimuth), math.tan(elevation)
        facing = 1 - (east * self.slope_x + south * self.slope_y) / np.float32(rise)
        facing /= np.sqrt(1 + self.slope_x**2 + self.slope_y**2)
        direct = np.clip(facing, 0.05, 1.4) * (1 - cast_shadows(self.height, east, south, rise * self.step))
        for band in range(3):
            self.colour[..., band] *= AMBIENT[band] + (1 - AMBIENT[band]) * direct
        return self.colour


def ground_of(plan: Plan) -> list[Surface]:
    """Everything flat, from the bottom up: grounds, pavements, roads, their lines, drives, lots and cars."""
    city, rng = plan.city, plan.rng
    layers = list(plan.ground)
    american = city.lon < 0
    streets = [r for r in plan.roads if r.kind != "alley"]
    verge = 1.9 if american or city.form in ("perimeter", "riverside") else 0.7
    layers += [Surface(r.line.buffer(r.width / 2 + verge), plan.tint(city.paving, 5), 0.7) for r in streets]
    shade = {r: plan.tint(city.road, 7) for r in plan.roads}
    layers += [Surface(r.line.buffer(r.width / 2), shade[r], 0.55) for r in plan.roads]
    layers += [Surface(r.line.buffer(rng.uniform(0.5, r.width / 3)), plan.tint(shade[r], 4), 0.5) for r in streets]
    layers += [Surface(line, YELLOW if american else WHITE, 0.4) for r in streets for line in markings(r, plan.roads)]
    return layers + plan.surfaces


def markings(road: Road, roads: list[Road]) -> list:
    """The centre line of a street as painted dashes, and its edges where it is wide; none on junctions."""
    if road.kind != "street" or road.width < 6:
        return []
    junctions = shapely.union_all([r.line.buffer(r.width / 2 + 1) for r in roads if r is not road])
    free = [part for part in shapely.get_parts(road.line.difference(junctions)) if part.length > 5]
    dashes = [substring(part, at, at + 3) for part in free for at in np.arange(1, part.length - 3, 8)]
    edges = [part.offset_curve(side * (road.width / 2 - 2.4)) for part in free for side in (-1, 1) if road.width > 9.5]
    return [line.buffer(0.09, cap_style="flat") for line in dashes + edges]


def _courses(building: Building, rng: np.random.Generator) -> tuple[float, float, float]:
    """The courses of tiles or the seams of sheet metal: (angle, period in metres, strength)."""
    if building.pitch == 0 or not building.wings:
        return 0.0, 1.0, 0.0
    across = math.pi / 2 if rng.random() < 0.3 else 0.0
    return building.wings[0].angle + across, rng.uniform(0.45, 0.9), rng.uniform(0, 6)


def _fitting(building: Building, rng: np.random.Generator) -> list[tuple]:
    """One thing on a roof, as (shape, colour, height in metres)."""
    left, top, right, bottom = building.footprint.bounds
    x, y = rng.uniform((left, top), (right, bottom))
    angle = building.wings[0].angle if building.wings else 0.0
    flat, kind = building.pitch == 0, rng.random()
    w, d, colour, high = rng.uniform(0.5, 0.9), rng.uniform(0.5, 1.0), (110, 92, 84), 1.3
    if flat and kind < 0.6:
        w, d, colour, high = rng.uniform(1.2, 3.2), rng.uniform(1.2, 2.6), (176, 178, 180), 1.3
    elif flat:
        w, d, colour, high = rng.uniform(1, 2.2), rng.uniform(1, 2.2), (60, 64, 70), 0.1
    elif kind < 0.15:
        w, d, colour, high = rng.uniform(2.5, 5), rng.uniform(1.6, 3), (46, 56, 82), 0.1
    elif kind < 0.5:
        w, d, colour, high = 0.8, 1.2, (70, 76, 84), 0.05
    box = shapely.affinity.rotate(shapely.box(x, y, x + w, y + d), math.degrees(angle))
    return [(box, colour, high)] if building.footprint.contains(box) else []
