import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score, precision_score, recall_score

from jointnet.evaluate.counts import Counts, bootstrap_interval, count_pixels

TRUTH = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]], bool)
GUESS = np.array([[1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)


def test_counts_of_a_toy_are_those_counted_by_hand():
    assert count_pixels(TRUTH, GUESS) == Counts(tp=3, fp=1, fn=2, tn=6)


def test_pixels_without_imagery_count_nowhere():
    valid = np.ones((3, 4), bool)
    valid[:, 2:] = False  # drops the false positive, one missed pixel and four right background pixels
    assert count_pixels(TRUTH, GUESS, valid) == Counts(tp=3, fp=0, fn=1, tn=2)


def test_scores_of_the_toy_are_those_computed_by_hand():
    counts = Counts(tp=3, fp=1, fn=2, tn=6)
    assert counts.iou == 3 / 6
    assert counts.accuracy == 9 / 12
    assert counts.background_accuracy == 7 / 12  # seven pixels are background in the labels
    assert (counts.precision, counts.recall) == (3 / 4, 3 / 5)
    assert counts.f1 == pytest.approx(2 / 3)  # 6 / (6 + 1 + 2)
    assert counts.cover == 5 / 12


@pytest.mark.parametrize(
    ("counts", "iou", "precision", "recall", "f1"),
    [
        (Counts(0, 0, 0, 9), 1.0, 1.0, 1.0, 1.0),  # nothing there, nothing predicted
        (Counts(0, 4, 0, 5), 0.0, 0.0, 0.0, 0.0),  # nothing there, something predicted
        (Counts(0, 0, 4, 5), 0.0, 0.0, 0.0, 0.0),  # something there, nothing predicted
    ],
)
def test_scores_of_empty_masks_are_defined(counts, iou, precision, recall, f1):
    assert (counts.iou, counts.precision, counts.recall, counts.f1) == (iou, precision, recall, f1)


def test_scores_without_any_pixel_are_nan():
    counts = count_pixels(TRUTH, GUESS, np.zeros((3, 4), bool))
    assert all(math.isnan(score) for score in counts.scores().values())
    assert math.isnan(counts.cover)


def test_masks_of_different_shapes_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(2, 2\).*one shape"):
        count_pixels(TRUTH, GUESS[:2, :2])


def test_masks_of_files_count_as_those_of_arrays():
    assert count_pixels(TRUTH * np.uint8(255), GUESS.astype(float)) == count_pixels(TRUTH, GUESS)


@pytest.mark.parametrize(("guess", "found"), [
    (GUESS * np.uint8(7), r"0 7"), (GUESS * 0.6, r"0.6"), (np.where(GUESS, np.nan, 0.0), "nan"),
    (np.where(GUESS, 255, TRUTH), "0 +1 255"),
])
def test_what_is_no_mask_is_refused_and_never_taken_for_foreground(guess, found):
    with pytest.raises(ValueError, match=rf"the prediction holds values other than 0 and 1, or 0 and 255: .*{found}"):
        count_pixels(TRUTH, guess)


@given(arrays(bool, (6, 7)), arrays(bool, (6, 7)), arrays(bool, (6, 7)))
def test_counts_and_scores_agree_with_scikit_learn(truth, guess, valid):
    counts = count_pixels(truth, guess, valid)
    a, b = truth[valid], guess[valid]
    expected = confusion_matrix(a, b, labels=[False, True]).ravel().tolist() if a.size else [0, 0, 0, 0]
    assert [counts.tn, counts.fp, counts.fn, counts.tp] == expected
    if a.any() and b.any():
        for score, reference in [("iou", jaccard_score), ("f1", f1_score), ("precision", precision_score),
                                 ("recall", recall_score), ("accuracy", accuracy_score)]:
            assert getattr(counts, score) == pytest.approx(reference(a, b))


counts_strategy = st.builds(Counts, *[st.integers(0, 10**12)] * 4)


@given(counts_strategy, counts_strategy)
def test_pooled_counts_are_sums_and_stay_whole(a, b):
    assert a + b == Counts(a.tp + b.tp, a.fp + b.fp, a.fn + b.fn, a.tn + b.tn)
    assert all(isinstance(n, int) for n in a + b)


def test_the_pooled_iou_is_not_the_mean_of_tiles():
    large, small = Counts(90, 5, 5, 0), Counts(0, 1, 1, 98)
    assert (large + small).iou == 90 / 102
    assert (large.iou + small.iou) / 2 == 0.45


def test_the_bootstrap_interval_of_two_tiles_spans_their_scores():
    # Draws of two tiles hold the first twice (IoU 0.5), the second twice (0.9) or each once (0.7): 1/4, 1/4, 1/2.
    low, high = bootstrap_interval([Counts(5, 5, 0, 0), Counts(9, 1, 0, 0)])
    assert (low, high) == (0.5, 0.9)


def test_the_bootstrap_repeats_with_its_seed_and_narrows_with_more_tiles():
    tiles = [Counts(50 + i, 20, 20 - i, 10) for i in range(10)]
    assert bootstrap_interval(tiles, seed=3) == bootstrap_interval(tiles, seed=3)
    few, many = bootstrap_interval(tiles), bootstrap_interval(tiles * 10)
    assert many[1] - many[0] < (few[1] - few[0]) / 2  # by the root of ten, about


def test_one_tile_has_no_interval():
    assert all(math.isnan(v) for v in bootstrap_interval([Counts(5, 5, 0, 0), Counts()]))
