import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from jointnet.evaluate.error_kinds import KINDS, sort_errors
from jointnet.evaluate.objects import find_overlaps


def paint(shape, *boxes):
    """A mask with boxes of (row, col, height, width)."""
    mask = np.zeros(shape, bool)
    for row, col, height, width in boxes:
        mask[row : row + height, col : col + width] = True
    return mask


def kinds_of(truth_boxes, predicted_boxes):
    overlaps = find_overlaps(paint((20, 20), *truth_boxes), paint((20, 20), *predicted_boxes))
    return [e.kind for e in sort_errors(overlaps)]


@pytest.mark.parametrize(("truth", "predicted", "kinds"), [
    ([(2, 2, 10, 10)], [(2, 2, 10, 10)], []),
    ([(2, 2, 10, 10)], [(2, 2, 10, 8)], []),  # IoU 0.8 is good enough
    ([(2, 2, 10, 10)], [], ["missed"]),
    ([(2, 2, 10, 10)], [(2, 2, 3, 3)], ["missed"]),  # nine of a hundred pixels are no find, and no invention
    ([(2, 2, 10, 10)], [(2, 11, 10, 8)], ["missed", "invented"]),  # they graze each other: IoU 10 / 170
    ([], [(2, 2, 5, 5)], ["invented"]),
    ([(2, 2, 4, 4), (2, 8, 4, 4)], [(2, 2, 4, 10)], ["merged"]),
    ([(2, 2, 4, 10)], [(2, 2, 4, 4), (2, 7, 4, 5)], ["split"]),
    ([(2, 2, 5, 5)], [(2, 2, 10, 5)], ["too large"]),  # IoU 0.5, twice the area
    ([(2, 2, 10, 5)], [(2, 2, 5, 5)], ["too small"]),
    ([(2, 2, 6, 6)], [(2, 4, 6, 6)], ["shifted"]),  # IoU 24 / 48, the same area
    ([(2, 2, 2, 2)], [(2, 2, 10, 10)], ["too large"]),  # the label's own prediction, 25 times its size
    ([(2, 2, 4, 16)], [(2, 2, 4, 12), (5, 15, 8, 2)], ["invented"]),  # IoU 48 / 64 is good; the rest lies off the label
    ([(2, 2, 4, 16)], [(2, 2, 4, 12), (3, 15, 3, 3)], ["split"]),  # nine pixels of 64 are a part
    ([(2, 2, 4, 16)], [(2, 2, 4, 12), (4, 15, 2, 3)], []),  # six are a speck, and IoU 48 / 64 is good
    ([(2, 2, 10, 10)], [(2, 2, 10, 6), (3, 9, 2, 2), (6, 9, 2, 2)], ["too small"]),  # 60 and two specks of four
    ([(2, 2, 10, 10)], [(r, c, 3, 2) for r in (2, 6) for c in (2, 5, 8)], ["split"]),  # shattered: six of six
])
def test_each_kind_of_error_is_told_from_the_others(truth, predicted, kinds):
    assert kinds_of(truth, predicted) == kinds


masks = arrays(bool, (9, 9))


@given(masks, masks)
def test_no_object_is_in_two_errors_and_all_that_is_wrong_is_in_one(truth, predicted):
    overlaps = find_overlaps(truth, predicted)
    errors = sort_errors(overlaps)
    assert len({(e.source, e.number) for e in errors}) == len(errors)
    assert {e.kind for e in errors} <= set(KINDS)
    untouched = set(range(1, len(overlaps.truth_areas))) - set(overlaps.pairs[:, 0].tolist())
    assert untouched <= {e.number for e in errors if e.kind == "missed"}
    free = set(range(1, len(overlaps.predicted_areas))) - set(overlaps.pairs[:, 1].tolist())
    assert free <= {e.number for e in errors if e.kind == "invented"}


@given(masks)
def test_a_perfect_prediction_has_no_error(mask):
    assert sort_errors(find_overlaps(mask, mask)) == []
