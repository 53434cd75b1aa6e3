"""Annotators by rule: what a careful one keeps, and how exactly a hasty one errs."""

import pytest
import shapely

from jointnet.data.annotators import careful, hasty
from jointnet.data.edits import Shape

AREA = shapely.box(0, 0, 200, 200)


def houses(*shapes):
    return [Shape("buildings", shape) for shape in shapes]


def test_a_careful_person_keeps_what_meets_the_area_and_nothing_else():
    boxes = (10, 10, 40, 40), (190, 0, 230, 30), (300, 0, 330, 30)
    inside, across, outside = houses(*(shapely.box(*box) for box in boxes))
    assert careful([inside, across, outside], AREA) == [inside, across]


def test_a_hasty_person_moves_overlooks_joins_and_squares():
    """30 x 30 px alone, moved by (1.5, -1); 10 x 10 px overlooked; two with 4 px between become one of 64 x 30 px."""
    alone, small = shapely.box(10, 50, 40, 80), shapely.box(100, 10, 110, 20)
    left, right = shapely.box(10, 120, 40, 150), shapely.box(44, 120, 74, 150)
    found = sorted((s.geometry for s in hasty(houses(alone, small, left, right), AREA)), key=lambda g: g.bounds[1])
    assert [g.bounds for g in found] == [pytest.approx((11.5, 49, 41.5, 79)), pytest.approx((11.5, 119, 75.5, 149))]


def test_a_hasty_person_draws_an_angle_as_a_rectangle():
    angle = shapely.box(0, 0, 60, 60) - shapely.box(30, 30, 60, 60)
    found, = hasty(houses(angle), AREA)
    assert found.geometry.area == pytest.approx(60 * 60)
