import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, precision_recall_curve

from jointnet.evaluate.counts import Counts, count_pixels
from jointnet.evaluate.thresholds import count_probabilities

P = np.array([[1.0, 0.5, 0.5, 0.0]])
TRUTH = np.array([[1, 1, 0, 0]], bool)

levels = arrays(np.uint8, (5, 6), elements=st.integers(0, 254))
masks = arrays(bool, (5, 6))


def test_a_toy_histogram_is_the_one_counted_by_hand():
    counts = count_probabilities(P, TRUTH)
    assert {i: n for i, n in enumerate(counts.positives) if n} == {127: 1, 254: 1}
    assert {i: n for i, n in enumerate(counts.negatives) if n} == {0: 1, 127: 1}
    assert counts.counts_at(0.5) == Counts(2, 1, 0, 1)
    assert counts.counts_at(0.6) == Counts(1, 0, 1, 2)


def test_the_curve_and_average_precision_of_the_toy_are_those_of_paper_and_pencil():
    counts = count_probabilities(P, TRUTH)
    assert counts.precision_recall()[["precision", "recall"]].to_numpy().tolist() == [[1, 0.5], [2 / 3, 1], [0.5, 1]]
    assert counts.average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


@given(levels, masks, masks)
def test_average_precision_and_curve_agree_with_scikit_learn(level, truth, valid):
    counts = count_probabilities(level / 254, truth, valid)
    y, p = truth[valid], (level / 254)[valid]
    if not y.any():
        assert math.isnan(counts.average_precision)
        return
    assert counts.average_precision == pytest.approx(average_precision_score(y, p))
    precision, recall, thresholds = precision_recall_curve(y, p)
    curve = counts.precision_recall().iloc[::-1]
    np.testing.assert_allclose(curve[["precision", "recall", "threshold"]],
                               np.stack([precision[:-1], recall[:-1], thresholds], 1))


@given(levels, masks, masks, st.integers(0, 100))
def test_counts_at_a_threshold_are_those_of_the_thresholded_mask(level, truth, valid, percent):
    p, threshold = level / 254, percent / 100
    assert count_probabilities(p, truth, valid).counts_at(threshold) == count_pixels(truth, p >= threshold, valid)


@given(levels, masks, levels, masks)
def test_pooling_histograms_is_counting_both_scenes_together(p, a, q, b):
    pooled = count_probabilities(p / 254, a) + count_probabilities(q / 254, b)
    both = count_probabilities(np.stack([p, q]) / 254, np.stack([a, b]))
    assert pooled.sweep().equals(both.sweep())


def test_the_best_threshold_is_the_middle_of_the_best_range():
    # Every threshold above 0.2 (as stored, 51 / 254) and up to 0.8 (203 / 254) gives an IoU of 1: 0.21 to 0.79.
    counts = count_probabilities(np.array([[0.8, 0.2]]), np.array([[1, 0]], bool))
    assert counts.best_threshold() == 0.5


def test_the_best_threshold_depends_on_the_score():
    # One sure hit; two unsure ones among three unsure mistakes. IoU: 1/3 above 0.5, 3/6 below. Precision: 1, then 1/2.
    counts = count_probabilities(np.array([[0.9, 0.5, 0.5, 0.5, 0.5, 0.5]]), np.array([[1, 1, 1, 0, 0, 0]], bool))
    assert counts.best_threshold("iou") <= 0.5 < counts.best_threshold("precision")


def test_choosing_without_foreground_or_by_an_unknown_score_is_refused():
    counts = count_probabilities(P, np.zeros((1, 4), bool))
    with pytest.raises(ValueError, match="no foreground"):
        counts.best_threshold()
    with pytest.raises(ValueError, match="'beauty' is unknown; choose one of iou"):
        counts.best_threshold("beauty")


def test_probabilities_beyond_one_are_refused():
    with pytest.raises(ValueError, match="must lie in 0 to 1, these in 0 to 255"):
        count_probabilities(np.array([[0, 255.0]]), TRUTH[:, :2])


def test_nan_counts_as_an_unpredicted_pixel_and_ignored_pixels_do_not_count():
    counts = count_probabilities(np.array([[np.nan, 1.0]]), np.array([[1, 1]], bool), np.array([[1, 0]], bool))
    assert counts.counts_at(0.5) == Counts(0, 0, 1, 0)


def test_no_pixels_give_an_empty_curve_and_nan():
    counts = count_probabilities(P, TRUTH, np.zeros((1, 4), bool))
    assert counts.precision_recall().empty
    assert math.isnan(counts.average_precision)


def test_a_probability_that_rounding_lifted_over_one_counts_as_one():
    counts = count_probabilities(np.array([[1 + 2e-7, 0.0]], np.float32), np.array([[1, 0]]))
    assert (counts.positives[-1], counts.negatives[0]) == (1, 1)
