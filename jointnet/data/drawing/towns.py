"""Town plans, one form for each kind of city: streets first, then what fronts on them, then what fills the gaps."""

from __future__ import annotations

import numpy as np

from jointnet.data.drawing.cars import crates, decoys, parked_cars, parking
from jointnet.data.drawing.cities import City
from jointnet.data.drawing.land import clearing, fields, plant, river, shore, woods
from jointnet.data.drawing.lots import Lots, city_blocks, frontage, infill, pools
from jointnet.data.drawing.plan import Plan
from jointnet.data.drawing.streets import lattice, winding

SMALLEST = 150.0  # metres; a smaller scene is the corner of a town of this size, else it would be all junctions


def plan_town(city: City, size: float, rng: np.random.Generator) -> Plan:
    """A town of one city on a square of `size` metres; the generator decides everything random."""
    plan = Plan(max(size, SMALLEST), city, rng)
    FORMS[city.form](plan)
    decoys(plan, per_hectare=8)
    parked_cars(plan)
    plant(plan)
    plan.size = size
    return plan


def suburb(plan: Plan) -> None:
    """Winding streets with closes, detached houses under big trees."""
    winding(plan, mains=3, closes=8, width=8.5)
    frontage(plan, Lots(
        width=(11, 18), depth=(9, 15), setback=(6, 11), gap=(3, 8),
        shapes=("box", "L", "L", "T", "T", "U"), kind="house", storeys=(1, 1.6), skip=0.06, sheds=0.3,
    ))
    infill(plan, 3, (18, 34), (14, 24), ("U", "L", "court"), "apartments", 2)
    pools(plan, 0.12)


def grid(plan: Plan) -> None:
    """A dense grid with alleys, narrow deep houses, a parking lot or two."""
    lattice(plan, plan.uniform(-3, 3), 84, 150, 10.5, alley=4.0)
    parking(plan, 3, (34, 56), (23, 27))
    frontage(plan, Lots(
        width=(6.2, 8.2), depth=(15, 24), setback=(3, 6), gap=(0.9, 2.4),
        shapes=("box", "box", "L"), kind="house", storeys=(2, 3), skip=0.07, sheds=0.75,
        shed_distance=14, roads=("street",),
    ))
    infill(plan, 3, (20, 40), (18, 30), ("L", "box", "court"), "hall", 2)


def forest(plan: Plan) -> None:
    """Few houses on lanes in the woods, and a shore."""
    shore(plan, share=0.16)
    winding(plan, mains=3, closes=5, width=6.0)
    frontage(plan, Lots(
        width=(11, 19), depth=(8, 13), setback=(7, 16), gap=(6, 18),
        shapes=("box", "L", "T"), kind="house", storeys=(1, 2), skip=0.12, sheds=0.5,
    ))
    for _ in range(4):
        clearing(plan, plan.uniform(14, 26), plan.city.soil)
    woods(plan, 4, 220)


def village(plan: Plan) -> None:
    """A village among meadows: big gabled houses, barns, a brook, woods at the edge."""
    fields(plan, plan.uniform(0, 180))
    river(plan, plan.uniform(7, 10))
    winding(plan, mains=3, closes=3, width=6.5)
    frontage(plan, Lots(
        width=(11, 17), depth=(10, 15), setback=(3, 8), gap=(5, 14),
        shapes=("box", "box", "L", "T"), kind="house", storeys=(2, 2.8), skip=0.15, sheds=0.45,
    ))
    infill(plan, 3, (22, 40), (12, 18), ("box", "L", "U"), "barn", 2.4)
    parking(plan, 2, (24, 34), (18, 24))
    crates(plan, 1)
    woods(plan, 2, 260)


def valley(plan: Plan) -> None:
    """Farms strung along a road through fields, wooded slopes."""
    fields(plan, plan.uniform(20, 70))
    winding(plan, mains=2, closes=4, width=5.5)
    frontage(plan, Lots(
        width=(12, 22), depth=(10, 14), setback=(4, 12), gap=(7, 22),
        shapes=("box", "L", "T", "U"), kind="farm", storeys=(2, 2.6), skip=0.25, sheds=0.6,
    ))
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
    frontage(plan, Lots(
        width=(13, 20), depth=(11, 16), setback=(5, 10), gap=(5, 10),
        shapes=("box", "L", "T"), kind="villa", storeys=(2, 3), skip=0.1, sheds=0.2,
    ))
    infill(plan, 3, (26, 48), (13, 26), ("box", "U", "court"), "apartments", 4)
    parking(plan, 1, (26, 36), (20, 26))


def rows(plan: Plan) -> None:
    """A grid of attached rows with flat roofs and small yards behind."""
    lattice(plan, plan.uniform(5, 14), 66, 168, 13.0)
    parking(plan, 1, (24, 40), (20, 28))
    frontage(plan, Lots(
        width=(7.4, 8.2), depth=(14, 21), setback=(2.6, 2.9), gap=(0.0, 0.02),
        shapes=("box", "box", "L"), kind="row house", storeys=(2.2, 3.2), skip=0.04, sheds=0.25, party=0.5,
    ))
    infill(plan, 3, (22, 34), (18, 26), ("court", "U", "box"), "school", 2.5)


def harbour(plan: Plan) -> None:
    """A harbour: halls and yards at the quay, a grid of houses behind."""
    shore(plan, share=0.2, piers=3)
    lattice(plan, plan.uniform(-25, -10), 96, 74, 11.0)
    infill(plan, 7, (30, 62), (20, 36), ("box", "box", "L", "U"), "hall", 2.4)
    parking(plan, 3, (34, 56), (24, 36))
    crates(plan, 4)
    frontage(plan, Lots(
        width=(9, 14), depth=(8, 13), setback=(5, 8), gap=(3, 7),
        shapes=("box", "L", "T"), kind="house", storeys=(1.5, 2.3), skip=0.12, sheds=0.4,
    ))


def mall(plan: Plan) -> None:
    """A strip mall with its parking lots, terraces and detached houses around."""
    winding(plan, mains=3, closes=6, width=9.0)
    infill(plan, 3, (44, 78), (26, 42), ("box", "L", "U"), "shop", 2.0)
    parking(plan, 5, (36, 64), (26, 40))
    frontage(plan, Lots(
        width=(10, 17), depth=(9, 14), setback=(7, 12), gap=(4, 9),
        shapes=("box", "L", "L", "T"), kind="house", storeys=(1, 2), skip=0.1, sheds=0.25,
    ))
    infill(plan, 5, (30, 52), (11, 14), ("box", "court", "L"), "apartments", 2.4)
    pools(plan, 0.05)


FORMS = {
    "suburb": suburb, "grid": grid, "forest": forest, "village": village, "valley": valley, "perimeter": perimeter,
    "riverside": riverside, "rows": rows, "harbour": harbour, "mall": mall,
}
