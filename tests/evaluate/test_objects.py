import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from skimage.measure import label

from jointnet.evaluate.counts import MatchedCounts
from jointnet.evaluate.objects import count_objects, find_overlaps

#            missed  merged    split   exact half
TRUTH = """ 11000   11011   111111   1111
            11000   11011   111111   0000 """
GUESS = """ 00000   11111   110111   1100
            00000   11011   110111   0000 """


def scene(text):
    """The four cases side by side, with a gap of one column between."""
    rows = [line.split() for line in text.strip().splitlines()]
    return np.array([[int(c) for c in "0".join(row)] for row in rows], bool)


def test_areas_and_shared_pixels_are_those_counted_by_hand():
    overlaps = find_overlaps(scene(TRUTH), scene(GUESS))
    assert overlaps.truth_areas.tolist() == [0, 4, 4, 4, 12, 4]
    assert overlaps.predicted_areas.tolist() == [0, 9, 4, 6, 2]
    assert overlaps.pairs.tolist() == [[2, 1, 4], [3, 1, 4], [4, 2, 4], [4, 3, 6], [5, 4, 2]]
    assert overlaps.ious.tolist() == [4 / 9, 4 / 9, 4 / 12, 6 / 12, 2 / 4]


def test_matches_merges_and_splits_are_those_seen():
    overlaps = find_overlaps(scene(TRUTH), scene(GUESS))
    assert overlaps.pairs[overlaps.matches(), :2].tolist() == [[4, 3], [5, 4]]
    assert overlaps.merged.tolist() == [1]
    assert overlaps.split.tolist() == [4]


def test_objects_are_counted_by_their_own_area():
    # 10 m2 a pixel: truths of 40, 40, 40, 120 and 40 m2, predictions of 90, 40, 60 and 20 m2.
    counts = count_objects(find_overlaps(scene(TRUTH), scene(GUESS)), pixel_area=10.0)
    assert counts.all == MatchedCounts(predicted_matched=2, predicted=4, truth_matched=2, truth=5)
    assert counts.by_class["< 50 m2"] == MatchedCounts(predicted_matched=1, predicted=2, truth_matched=1, truth=4)
    assert counts.by_class["50-500 m2"] == MatchedCounts(predicted_matched=1, predicted=2, truth_matched=1, truth=1)
    assert counts.by_class["> 500 m2"] == MatchedCounts()
    assert (counts.merged, counts.split) == (1, 1)


def test_without_a_pixel_size_there_are_no_area_classes():
    assert list(count_objects(find_overlaps(scene(TRUTH), scene(GUESS))).by_class) == ["all"]


def test_two_exact_halves_give_one_match():
    truth, guess = np.array([[1, 1, 1, 1]], bool), np.array([[1, 1, 0, 1]], bool)
    halves = np.array([[1, 1, 1, 1], [0, 0, 0, 0]], bool)
    assert count_objects(find_overlaps(truth, guess)).all == MatchedCounts(1, 2, 1, 1)
    diagonal = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], bool)  # two objects that touch at a corner only
    overlaps = find_overlaps(diagonal, halves)
    assert overlaps.truth_areas.tolist() == [0, 2, 2]
    assert len(overlaps.matches()) == 1


def test_a_match_below_one_half_is_refused():
    with pytest.raises(ValueError, match="need not be one to one"):
        find_overlaps(scene(TRUTH), scene(GUESS)).matches(0.4)


def test_empty_masks_have_no_objects_and_defined_scores():
    empty = np.zeros((3, 3), bool)
    counts = count_objects(find_overlaps(empty, empty), 1.0)
    assert counts.all == MatchedCounts(0, 0, 0, 0)
    assert counts.all.f1 == 1


def test_objects_without_imagery_are_no_objects():
    mask = np.array([[1, 0, 1]], bool)
    assert count_objects(find_overlaps(mask, mask, np.array([[1, 1, 0]], bool))).all == MatchedCounts(1, 1, 1, 1)


@given(arrays(bool, (8, 8)), arrays(bool, (8, 8)))
def test_matches_agree_with_comparing_every_pair_of_objects(truth, guess):
    a, b = label(truth, connectivity=1), label(guess, connectivity=1)
    expected = {
        (i, j): (np.sum((a == i) & (b == j)) / np.sum((a == i) | (b == j)))
        for i in range(1, a.max() + 1) for j in range(1, b.max() + 1)
    }
    overlaps = find_overlaps(truth, guess)
    found = dict(zip(map(tuple, overlaps.pairs[:, :2].tolist()), overlaps.ious.tolist(), strict=True))
    assert found == {k: v for k, v in expected.items() if v > 0}
    matched = {tuple(p) for p in overlaps.pairs[overlaps.matches(), :2].tolist()}
    assert {k for k, v in expected.items() if v > 0.5} <= matched
    assert all(expected[k] >= 0.5 for k in matched)
    for side in (0, 1):
        assert len({k[side] for k in matched}) == len(matched)
