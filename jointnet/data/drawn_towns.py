"""Town plans, one form for each kind of city: streets first, then what fronts on them, then what fills the gaps."""

from __future__ import annotations

import math

import numpy as np
import shapely
from shapely import LineString, MultiPoint, Polygon
from shapely.affinity import rotate, translate

from jointnet.data.drawn_cities import City
from jointnet.data.drawn_plan import MARGIN, Building, Plan, Road, Surface, curve, scatter

CAR_COLOURS = ((225, 225, 228), (40, 42, 46), (150, 152, 156), (130, 40, 38), (52, 68, 110), (190, 186, 178), (90, 92, 96))
CROPS = ((112, 132, 74), (148, 142, 92), (164, 140, 108), (96, 124, 70), (176, 160, 110), (132, 108, 86))
WATER = (58, 80, 84)


def plan_town(city: City, size: float, rng: np.random.Generator) -> Plan:
    """A town of one city on a square of `size` metres; the generator decides everything random."""
    plan = Plan(size, city, rng)
    FORMS[city.form](plan)
    decoys(plan, per_hectare=3.5)
    parked_cars(plan)
    plant(plan)
    return plan


def suburb(plan: Plan) -> None:
    """Winding streets with closes, detached houses under big trees."""
    winding(plan, mains=2, closes=5, width=8.5)
    frontage(plan, (11, 18), (9, 15), (6, 11), (3, 8), ("box", "L", "L", "T", "U"), "house", (1, 1.6), skip=0.06, sheds=0.3)
    infill(plan, 3, (18, 34), (14, 24), ("U", "L", "court"), "apartments", 2)
    pools(plan, 0.12)


def grid(plan: Plan) -> None:
    """A dense grid with alleys, narrow deep houses, a parking lot or two."""
    lattice(plan, plan.uniform(-3, 3), 84, 150, 10.5, alley=4.0)
    parking(plan, 2, (38, 60), (30, 44))
    frontage(plan, (6.2, 8.2), (15, 24), (3, 6), (0.9, 2.4), ("box", "box", "L"), "house", (2, 3), skip=0.07, sheds=0.75,
             kinds=("street",), shed_distance=14)
    infill(plan, 3, (20, 40), (18, 30), ("L", "box", "court"), "hall", 2)


def forest(plan: Plan) -> None:
    """Few houses on lanes in the woods, and a shore."""
    shore(plan, share=0.16)
    winding(plan, mains=2, closes=3, width=6.0)
    frontage(plan, (11, 19), (8, 13), (9, 20), (12, 30), ("box", "L", "T"), "house", (1, 2), skip=0.12, sheds=0.5)
    for _ in range(4):
        clearing(plan, plan.uniform(14, 26), plan.city.soil)
    woods(plan, 4, 220)


def village(plan: Plan) -> None:
    """A village among meadows: big gabled houses, barns, a brook, woods at the edge."""
    fields(plan, plan.uniform(0, 180))
    river(plan, plan.uniform(7, 10))
    winding(plan, mains=3, closes=3, width=6.5)
    frontage(plan, (11, 17), (10, 15), (3, 8), (5, 14), ("box", "box", "L", "T"), "house", (2, 2.8), skip=0.15, sheds=0.45)
    infill(plan, 3, (22, 40), (12, 18), ("box", "L", "U"), "barn", 2.4)
    parking(plan, 1, (24, 34), (18, 24))
    woods(plan, 2, 260)


def valley(plan: Plan) -> None:
    """Farms strung along a road through fields, wooded slopes."""
    fields(plan, plan.uniform(20, 70))
    winding(plan, mains=2, closes=4, width=5.5)
    frontage(plan, (12, 22), (10, 14), (4, 12), (7, 22), ("box", "L", "T", "U"), "farm", (2, 2.6), skip=0.25, sheds=0.6)
    infill(plan, 3, (26, 46), (12, 18), ("box", "L", "court"), "barn", 2.2)
    woods(plan, 3, 280)


def perimeter(plan: Plan) -> None:
    """City blocks built up along their edges, with courtyards."""
    lattice(plan, plan.uniform(12, 32), plan.uniform(78, 92), plan.uniform(64, 78), 12.0, wobble=3.0)
    city_blocks(plan, depth=12.5, storeys=(4, 5.5))
    parking(plan, 1, (20, 30), (16, 22))


def riverside(plan: Plan) -> None:
    """City blocks on one bank, villas on the other."""
    river(plan, plan.uniform(22, 30))
    lattice(plan, plan.uniform(-20, 20), 92, 84, 10.0, wobble=4.0)
    city_blocks(plan, depth=12, storeys=(3.4, 5), share=0.5)
    frontage(plan, (13, 20), (11, 16), (5, 10), (5, 10), ("box", "L", "T"), "villa", (2, 3), skip=0.1, sheds=0.2)
    infill(plan, 3, (26, 48), (13, 26), ("box", "U", "court"), "apartments", 4)
    parking(plan, 1, (26, 36), (20, 26))


def rows(plan: Plan) -> None:
    """A grid of attached rows with flat roofs and small yards behind."""
    lattice(plan, plan.uniform(5, 14), 66, 168, 13.0)
    parking(plan, 1, (24, 40), (20, 28))
    frontage(plan, (7.4, 8.2), (14, 21), (2.6, 2.9), (0.0, 0.02), ("box", "box", "L"), "row house", (2.2, 3.2), skip=0.04,
             sheds=0.25, party=0.5)
    infill(plan, 3, (22, 34), (18, 26), ("court", "U", "box"), "school", 2.5)


def harbour(plan: Plan) -> None:
    """A harbour: halls and yards at the quay, a grid of houses behind."""
    shore(plan, share=0.2, piers=3)
    lattice(plan, plan.uniform(-25, -10), 96, 74, 11.0)
    infill(plan, 7, (30, 62), (20, 36), ("box", "box", "L", "U"), "hall", 2.4)
    parking(plan, 3, (34, 56), (24, 36))
    frontage(plan, (9, 14), (8, 13), (5, 8), (3, 7), ("box", "L", "T"), "house", (1.5, 2.3), skip=0.12, sheds=0.4)


def mall(plan: Plan) -> None:
    """A strip mall with its parking lots, terraces and detached houses around."""
    winding(plan, mains=3, closes=3, width=9.0)
    infill(plan, 3, (44, 78), (26, 42), ("box", "L", "U"), "shop", 2.0)
    parking(plan, 5, (36, 64), (26, 40))
    frontage(plan, (10, 17), (9, 14), (7, 12), (4, 9), ("box", "L", "L", "T"), "house", (1, 2), skip=0.1, sheds=0.25)
    infill(plan, 5, (30, 52), (11, 14), ("box", "court", "L"), "apartments", 2.4)
    pools(plan, 0.05)


FORMS = {
    "suburb": suburb, "grid": grid, "forest": forest, "village": village, "valley": valley, "perimeter": perimeter,
    "riverside": riverside, "rows": rows, "harbour": harbour, "mall": mall,
}


def pave(plan: Plan, roads: list[Road]) -> None:
    """Adds roads, cut off at the frame and at the water but for one bridge in three, and keeps their ground free."""
    water = shapely.union_all(plan.water)
    for road in roads:
        bridge = plan.chance(1 / 3) and road.kind == "street"
        line = road.line.intersection(plan.frame)
        line = line if bridge else line.difference(water.buffer(4))
        for part in shapely.get_parts(line):
            if part.geom_type == "LineString" and part.length > 12:
                plan.roads.append(Road(part, road.width, road.kind))
                plan.taken.append(part.buffer(road.width / 2 + 0.8))


def lattice(plan: Plan, angle: float, across: float, along: float, width: float, alley: float = 0, wobble: float = 0) -> None:
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
    size, roads = plan.size, []
    for k in range(mains):
        turn = 180 * k / mains + plan.uniform(-15, 15)
        aside = plan.uniform(-0.25, 0.25) * size
        across = np.linspace(-0.8 * size - MARGIN, 0.8 * size + MARGIN, 7)
        bends = aside + plan.rng.normal(0, 0.06 * size, 7)
        line = curve(np.column_stack([across, bends]))
        roads.append(Road(translate(rotate(line, turn, origin=(0, 0)), size / 2, size / 2), width * plan.pick((1, 1.25))))
    for _ in range(closes):
        roads += _close(plan, plan.pick(roads[:mains]), 0.8 * width)
    pave(plan, roads)


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
        points.append(points[-1] + plan.uniform(0.06, 0.11) * plan.size * np.array([math.cos(heading), math.sin(heading)]))
    head = shapely.Point(points[-1]).buffer(3.5).exterior
    return [Road(curve(points), width), Road(LineString(head.coords), 7.0, "close")]


def frontage(plan: Plan, width, depth, setback, gap, shapes, kind: str, storeys, skip: float = 0.0, sheds: float = 0.0,
             party: float = 0.0, kinds=("street", "close"), shed_distance: float = 7.0) -> None:
    """Lots side by side along both sides of the roads, each with a building, a yard, a drive and perhaps a shed.

    Ranges are (low, high) in metres; `storeys` too, in storeys of 3 m.
    """
    for road in [r for r in plan.roads if r.kind in kinds]:
        for line in (road.line, road.line.reverse()):
            at = plan.uniform(0, 6)
            flat_row, height = plan.chance(plan.city.flat), plan.uniform(*storeys)
            while at + width[1] < line.length:
                w, d = plan.uniform(*width), plan.uniform(*depth)
                start, end = np.array(line.interpolate(at).coords[0]), np.array(line.interpolate(at + w).coords[0])
                at += w + plan.uniform(*gap)
                if plan.chance(skip):
                    continue
                angle = math.atan2(*(end - start)[::-1])
                flat = flat_row if party else plan.chance(plan.city.flat)
                storey = height + plan.rng.normal(0, 0.15) if party else plan.uniform(*storeys)
                front = road.width / 2 + plan.uniform(*setback)
                turn = 0 if party else plan.rng.normal(0, 0.03)
                lot = _Lot(start, angle, road.width / 2, front, w, d)
                if plan.build(plan.pick(shapes), lot.at(0, front), angle + turn, w, d, kind, storey, flat, party):
                    _yard(plan, lot, sheds, shed_distance)


class _Lot:
    """The ground of one building: a frame with u along the road and v away from its centre line, in metres."""

    def __init__(self, start, angle: float, kerb: float, front: float, width: float, depth: float):
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
    if plan.chance(sheds):
        u, deep = plan.uniform(-1, max(w - 4, 0)), plan.uniform(2.6, 6.2)
        plan.build("box", lot.at(u, back + plan.uniform(3, distance)), lot.angle, plan.uniform(3, 6.2), deep, "shed", 0.85,
                   plan.chance(0.5))


def infill(plan: Plan, count: int, width, depth, shapes, kind: str, storeys: float) -> None:
    """Up to `count` larger buildings wherever there is room for them."""
    for _ in range(count):
        for _ in range(40):
            road = plan.pick(plan.roads)
            at = plan.uniform(0, road.line.length)
            a, b = (np.array(road.line.interpolate(at + k).coords[0]) for k in (0, -2))
            angle = math.atan2(*(a - b)[::-1]) + plan.pick((0, math.pi))
            v = road.width / 2 + plan.uniform(5, 30)
            corner = (a[0] - v * math.sin(angle), a[1] + v * math.cos(angle))
            flat = plan.chance(0.5 + 0.5 * plan.city.flat) and kind != "barn"
            if plan.build(plan.pick(shapes), corner, angle, plan.uniform(*width), plan.uniform(*depth), kind, storeys, flat):
                apron = plan.buildings[-1].footprint.envelope.buffer(4, join_style="mitre")
                plan.ground.append(Surface(apron, plan.tint(plan.city.paving, 8), 0.7))
                break


def city_blocks(plan: Plan, depth: float, storeys, share: float = 0.92) -> None:
    """Fills a share of the blocks between streets with attached houses around a courtyard."""
    taken = shapely.union_all(plan.taken + plan.water)
    for block in shapely.get_parts(plan.frame.difference(taken.buffer(2.2))):
        court = block.buffer(-depth, join_style="mitre")
        if block.area < 900 or court.area < 120 or not plan.chance(share):
            continue
        plan.ground.append(Surface(block.buffer(2.5), plan.tint(plan.city.paving, 5), 0.6))
        plan.surfaces.append(Surface(court, plan.tint(plan.pick((plan.city.grass, plan.city.paving, plan.city.soil)), 8), 1))
        eave, pitch = 3.2 * plan.uniform(*storeys), plan.uniform(0.5, 0.8)
        ring = block.difference(court)
        for parcel in [ring] if plan.chance(0.15) else _parcels(plan, ring, block, depth):
            if parcel.geom_type != "Polygon" or plan.chance(0.03):
                continue
            flat = plan.chance(plan.city.flat)
            colour = plan.tint(plan.pick(plan.city.roofs), 9)
            shape = "court" if parcel.interiors else "attached"
            height = eave + plan.rng.normal(0, 0.9)
            plan.buildings.append(Building(parcel, colour, "block", shape, height, 0.0 if flat else pitch))
            plan.taken.append(parcel)
        _courtyard_houses(plan, court)


def _parcels(plan: Plan, ring, block: Polygon, depth: float) -> list[Polygon]:
    """A ring of houses cut into parcels across its middle line, some with a rear wing."""
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


def parking(plan: Plan, count: int, width, depth) -> None:
    """Up to `count` parking lots the colour of flat roofs, with stalls and cars."""
    for _ in range(count):
        for _ in range(40):
            w, d, (x, y) = plan.uniform(*width), plan.uniform(*depth), plan.rng.uniform(0, plan.size, 2)
            angle = math.degrees(_heading(plan, x, y))
            lot = translate(rotate(shapely.box(0, 0, w, d), angle, origin=(0, 0)), x, y)
            if plan.is_free(lot.buffer(1)):
                plan.taken.append(lot)
                _stalls(plan, lot, w, d, x, y, angle)
                break


def _stalls(plan: Plan, lot: Polygon, w: float, d: float, x: float, y: float, angle: float) -> None:
    """The asphalt, lines and cars of one parking lot."""
    plan.surfaces.append(Surface(lot, plan.tint(plan.pick((*plan.city.roofs, plan.city.road, plan.city.road)), 6), 0.6))
    place = lambda shape: translate(rotate(shape, angle, origin=(0, 0)), x, y)  # noqa: E731
    fill = plan.uniform(0.1, 0.7)
    for row in np.arange(1, d - 5.2, 8.4):
        for u in np.arange(1.5, w - 4, 2.6):
            plan.surfaces.append(Surface(place(shapely.box(u, row, u + 0.14, row + 4.8)), (196, 196, 190), 0.2))
            if plan.chance(fill):
                plan.surfaces.extend(car(plan, *place(shapely.Point(u + 1.35, row + 2.4)).coords[0], math.radians(angle + 90)))


def car(plan: Plan, x: float, y: float, angle: float) -> list[Surface]:
    """A car at (x, y), heading along `angle` in radians: body and windows."""
    length, width = plan.uniform(4.0, 4.9), plan.uniform(1.7, 1.95)
    if plan.chance(0.04):
        length, width = plan.uniform(7, 13), 2.5
    body = shapely.box(-length / 2, -width / 2, length / 2, width / 2).buffer(-0.25).buffer(0.25, quad_segs=2)
    glass = shapely.box(length * 0.08, -width * 0.4, length * 0.22, width * 0.4)
    rear = shapely.box(-length * 0.4, -width * 0.38, -length * 0.3, width * 0.38)
    place = lambda shape: translate(rotate(shape, math.degrees(angle), origin=(0, 0)), x, y)  # noqa: E731
    colour = plan.tint(plan.pick(CAR_COLOURS), 6)
    return [Surface(place(body), colour, 0.1, height=1.5 if length < 6 else 3.0),
            Surface(place(glass), (38, 44, 50), 0.1, height=1.4), Surface(place(rear), (44, 48, 54), 0.1, height=1.4)]


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
        w, d, angle = plan.uniform(5, 20), plan.uniform(4, 12), _heading(plan, x, y)
        slab = translate(rotate(shapely.box(0, 0, w, d), math.degrees(angle), origin=(0, 0)), x, y)
        if plan.is_free(slab) and not any(slab.intersects(water) for water in plan.water):
            colour = plan.pick((*plan.city.roofs, *plan.city.roofs, plan.city.soil))
            stripe = (angle, plan.uniform(0.5, 1.6), plan.uniform(0, 5))
            plan.surfaces.append(Surface(slab, plan.tint(colour, 8), plan.uniform(0.4, 1.5), stripe))


def _heading(plan: Plan, x: float, y: float) -> float:
    """The direction of the nearest road in radians, so that things line up with it."""
    lines = np.array([r.line for r in plan.roads], object)
    line = lines[np.argmin(shapely.distance(lines, shapely.Point(x, y)))]
    at = line.project(shapely.Point(x, y))
    a, b = (np.array(line.interpolate(v).coords[0]) for v in (max(at - 1, 0), min(at + 1, line.length)))
    return math.atan2(*(b - a)[::-1])


def pools(plan: Plan, share: float) -> None:
    """Blue pools behind some of the houses."""
    for building in [b for b in plan.buildings if b.kind == "house" and plan.chance(share)]:
        x, y = building.footprint.centroid.coords[0]
        angle = plan.uniform(0, 2 * math.pi)
        spot = shapely.Point(x + 14 * math.cos(angle), y + 14 * math.sin(angle)).buffer(plan.uniform(2, 3.5), quad_segs=4)
        if plan.is_free(spot):
            plan.surfaces.append(Surface(spot.buffer(1.2), plan.tint(plan.city.paving), 0.4))
            plan.surfaces.append(Surface(spot, (70, 150, 170), 0.3))


def clearing(plan: Plan, radius: float, colour) -> None:
    """A round patch of bare ground."""
    x, y = plan.rng.uniform(0, plan.size, 2)
    points = [(x + radius * plan.uniform(0.6, 1.2) * math.cos(a), y + radius * plan.uniform(0.6, 1.2) * math.sin(a))
              for a in np.linspace(0, 2 * math.pi, 12)[:-1]]
    plan.ground.append(Surface(Polygon(points).buffer(3), plan.tint(colour), 1.6))


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
    size, turn = plan.size, plan.pick((0, 90, 180, 270))
    edge = size * share + plan.rng.normal(0, 3 if piers else 8, 8)
    line = np.column_stack([edge, np.linspace(-size, 2 * size, 8)])
    water = Polygon([(-size, -size), *(line if piers else curve(line).coords), (-size, 2 * size)])
    for k in range(piers):
        y = size * (k + plan.uniform(0.2, 0.8)) / piers
        water = water.difference(shapely.box(size * share * plan.uniform(0.1, 0.5), y, size, y + plan.uniform(6, 12)))
    _flood(plan, rotate(water, turn, origin=(size / 2, size / 2)))


def _flood(plan: Plan, water: Polygon) -> None:
    """Adds water with its bank, and keeps it free."""
    plan.ground.append(Surface(water.buffer(3.5), plan.tint(plan.city.soil), 1.4))
    plan.ground.append(Surface(water, plan.tint(WATER, 6), 0.25))
    plan.water.append(water)
    plan.taken.append(water.buffer(1.5))


def woods(plan: Plan, count: int, per_hectare: float) -> None:
    """Patches of closed forest where nothing is built."""
    for _ in range(count):
        x, y = plan.rng.uniform(0, plan.size, 2)
        radius = plan.size * plan.uniform(0.08, 0.2)
        angles = np.linspace(0, 2 * math.pi, 10)[:-1]
        reach = radius * plan.rng.uniform(0.5, 1.4, 9)
        patch = Polygon(np.column_stack([x + reach * np.cos(angles), y + reach * np.sin(angles)])).buffer(6)
        patch = patch.difference(shapely.union_all(plan.taken).buffer(1))
        plan.ground.append(Surface(patch, (70, 78, 54), 1.4)) if patch.geom_type == "Polygon" else None
        plan.trees += [(a, b, plan.uniform(1.8, 4.4)) for a, b in scatter(plan.rng, patch, per_hectare)]


def plant(plan: Plan) -> None:
    """Trees on open ground, along streets and so near to houses that they cover a part of the roof."""
    rng, open_ground = plan.rng, plan.frame.difference(shapely.union_all(plan.taken))
    radii = lambda n: np.clip(rng.gamma(4.5, 0.75, n), 1.2, 7.5)  # noqa: E731
    spots = scatter(rng, open_ground, plan.city.canopy)
    plan.trees += list(zip(*spots.T, radii(len(spots)), strict=True))
    bushes = scatter(rng, open_ground, plan.city.canopy)
    plan.trees += list(zip(*bushes.T, rng.uniform(0.6, 1.5, len(bushes)), strict=True))
    for building in plan.buildings:
        if plan.chance(min(0.75, plan.city.canopy / 70)):
            edge = building.footprint.exterior
            x, y = edge.interpolate(plan.uniform(0, edge.length)).coords[0]
            plan.trees.append((x, y, plan.uniform(1.6, 4.6)))
