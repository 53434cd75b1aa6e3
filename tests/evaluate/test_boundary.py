import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion

from jointnet.evaluate.boundary import boundary_counts, relaxed_counts, within
from jointnet.evaluate.counts import Counts, MatchedCounts


def square(shape, row, col, size):
    mask = np.zeros(shape, bool)
    mask[row : row + size, col : col + size] = True
    return mask


def brute_within(mask, distance):
    """Every pixel against every pixel of the mask."""
    here = np.stack(np.indices(mask.shape), -1)
    return np.array([[any(np.hypot(*(there - p)) <= distance for there in np.argwhere(mask)) for p in row]
                     for row in here], bool).reshape(mask.shape)


@given(arrays(bool, (7, 6)), st.sampled_from([0, 1, 1.5, 2, 2.9, 3, 5, 9, 12, 20]))
def test_within_agrees_with_measuring_every_pair_of_pixels(mask, distance):
    assert np.array_equal(within(mask, distance), brute_within(mask, distance))


def test_a_line_that_is_off_by_three_pixels_is_right_at_rho_three_and_wrong_at_two():
    truth, predicted = np.zeros((9, 10), bool), np.zeros((9, 10), bool)
    truth[2], predicted[5, :8] = True, True
    # At rho 3 each predicted pixel has a label straight above; the last two labels' nearest prediction is
    # sqrt(3^2 + 1) and sqrt(3^2 + 2^2) away.
    assert relaxed_counts(truth, predicted, rho=3) == MatchedCounts(8, predicted=8, truth_matched=8, truth=10)
    assert relaxed_counts(truth, predicted, rho=2) == MatchedCounts(0, predicted=8, truth_matched=0, truth=10)


def test_relaxed_scores_are_the_shares_counted():
    counts = MatchedCounts(predicted_matched=6, predicted=8, truth_matched=5, truth=10)
    assert (counts.precision, counts.recall) == (0.75, 0.5)
    assert counts.f1 == pytest.approx(0.6)  # 2 * 0.75 * 0.5 / 1.25


@pytest.mark.parametrize(("counts", "scores"), [
    (MatchedCounts(), (1, 1, 1)), (MatchedCounts(0, 5, 0, 0), (0, 0, 0)), (MatchedCounts(0, 0, 0, 5), (0, 0, 0)),
])
def test_two_way_scores_of_nothing_are_defined(counts, scores):
    assert (counts.precision, counts.recall, counts.f1) == scores


def test_relaxed_scores_at_rho_zero_are_the_plain_ones():
    truth, predicted = square((8, 8), 1, 1, 4), square((8, 8), 2, 3, 4)
    assert relaxed_counts(truth, predicted, rho=0) == MatchedCounts(6, 16, 6, 16)


def test_pixels_without_imagery_neither_count_nor_help():
    truth, predicted, valid = np.zeros((1, 8), bool), np.zeros((1, 8), bool), np.ones((1, 8), bool)
    truth[0, 2], predicted[0, 4] = True, True
    assert relaxed_counts(truth, predicted, valid, rho=2) == MatchedCounts(1, 1, 1, 1)
    valid[0, 2] = False
    assert relaxed_counts(truth, predicted, valid, rho=2) == MatchedCounts(0, 1, 0, 0)


def test_the_boundary_band_of_a_square_is_its_ring():
    truth = square((12, 12), 2, 2, 8)
    assert boundary_counts(truth, truth, width=1) == Counts(28, 0, 0, 144 - 28)  # 64 - 36 pixels of the ring


def test_the_boundary_iou_of_a_shifted_square_is_the_one_counted_by_hand():
    # Two 8 x 8 squares, one column apart: their rings of 28 pixels share 7 pixels of the top row and 7 of the bottom
    # row, and none of the sides, which lie in different columns.
    truth, predicted = square((12, 12), 2, 2, 8), square((12, 12), 2, 3, 8)
    assert boundary_counts(truth, predicted, width=1) == Counts(14, 14, 14, 144 - 42)
    assert boundary_counts(truth, predicted, width=1).iou == 14 / 42


def test_a_wide_band_is_the_whole_object_and_its_iou_the_plain_one():
    truth, predicted = square((12, 12), 2, 2, 8), square((12, 12), 2, 4, 8)
    assert boundary_counts(truth, predicted, width=20).iou == 48 / 80


def eroded(mask, times):
    """What 3 x 3 erosions leave, as the authors' program calls them; beyond the array is background."""
    return binary_erosion(mask, np.ones((3, 3)), times, border_value=0)


@given(arrays(bool, (9, 11)), arrays(bool, (9, 11)), st.sampled_from([1, 2, 3, 5]))
def test_the_boundary_iou_is_the_one_of_its_authors(truth, predicted, width):
    actual, claimed = (mask & ~eroded(mask, width) for mask in (truth, predicted))
    counts = boundary_counts(truth, predicted, width=width)
    assert (counts.tp, counts.tp + counts.fp + counts.fn) == ((actual & claimed).sum(), (actual | claimed).sum())


def test_the_edge_of_the_image_is_an_outline_unless_that_is_not_wanted():
    mask = np.ones((6, 6), bool)
    assert boundary_counts(mask, mask, width=2).tp == 36 - 4  # all but the middle of 2 x 2
    assert boundary_counts(mask, mask, width=2, edge=False).tp == 0


def test_the_edge_of_the_imagery_is_no_outline():
    mask, valid = np.ones((6, 6), bool), np.ones((6, 6), bool)
    valid[:, 4:] = False
    mask[:, 4:] = False
    assert boundary_counts(mask, mask, valid, width=2, edge=False).tp == 0


masks = arrays(bool, (14, 5))


@given(masks, masks, masks, st.integers(1, 13), st.sampled_from([1, 2, 3.5]))
def test_counting_in_two_strips_with_a_halo_gives_the_counts_of_the_whole(truth, predicted, valid, cut, distance):
    halo = int(np.ceil(distance))
    for count in (relaxed_counts, boundary_counts):
        upper = slice(0, min(14, cut + halo)), slice(0, cut)
        lower = slice(max(0, cut - halo), 14), slice(min(cut, halo), None)
        parts = [count(truth[a], predicted[a], valid[a], distance, rows=b) for a, b in (upper, lower)]
        assert parts[0] + parts[1] == count(truth, predicted, valid, distance)
