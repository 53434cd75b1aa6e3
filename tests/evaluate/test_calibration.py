import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from jointnet.evaluate.calibration import (
    UNCERTAIN,
    at_temperature,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reliability,
)
from jointnet.evaluate.thresholds import ProbabilityCounts, count_probabilities
from jointnet.predict.settings import with_temperature

levels = arrays(np.uint8, (40,), elements=st.integers(0, 254))
masks = arrays(bool, (40,))


def toy():
    """Four pixels at 0.25, one of them foreground after all; four at 0.75, of which two; two at 0, none."""
    p = np.rint(np.array([0.25] * 4 + [0.75] * 4 + [0] * 2) * 254) / 254
    return count_probabilities(p, np.array([1, 0, 0, 0, 1, 1, 0, 0, 0, 0], bool)), p


def test_the_calibration_error_of_a_toy_is_the_one_worked_out_by_hand():
    counts, p = toy()
    quarter, three = p[0], p[4]  # 64 / 254 and 190 / 254
    expected = (4 * abs(quarter - 1 / 4) + 4 * abs(three - 1 / 2) + 2 * 0) / 10
    assert expected_calibration_error(counts) == pytest.approx(expected)


def test_empty_land_flatters_the_calibration_error_until_it_is_left_out():
    counts, _ = toy()
    assert expected_calibration_error(counts, between=UNCERTAIN) == pytest.approx(
        expected_calibration_error(counts) * 10 / 8)


def test_the_reliability_table_says_what_each_bin_holds():
    table = reliability(toy()[0])
    assert table["pixels"].tolist() == [2, 0, 4, 0, 0, 0, 0, 4, 0, 0]
    assert table.loc[7, "share"] == 0.5
    assert table["share"].isna().sum() == 7


@given(levels, masks)
def test_the_reliability_table_agrees_with_scikit_learn(level, truth):
    share, mean = calibration_curve(truth, level / 254, n_bins=10) if truth.any() and not truth.all() else (None, None)
    if share is None:
        return
    table = reliability(count_probabilities(level / 254, truth)).dropna()
    np.testing.assert_allclose(table["share"], share)
    np.testing.assert_allclose(table["mean_probability"], mean)


@given(levels, masks)
def test_the_brier_score_agrees_with_scikit_learn(level, truth):
    assert brier_score(count_probabilities(level / 254, truth)) == pytest.approx(
        brier_score_loss(truth, level / 254, pos_label=True))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_that_spoilt_the_probabilities_is_found_again(temperature):
    random = np.random.default_rng(1)
    logits = random.normal(0, 1.5, 200_000)
    truth = random.random(logits.shape) < expit(logits)
    counts = count_probabilities(expit(logits * temperature), truth)
    assert fit_temperature(counts) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_makes_the_labels_more_likely():
    random = np.random.default_rng(2)
    level = random.integers(1, 254, 500)
    truth = random.random(500) < 0.2 + 0.6 * level / 254
    best = fit_temperature(count_probabilities(level / 254, truth))
    losses = {t: log_loss(truth, with_temperature(level / 254, t)) for t in (best, best * 0.9, best * 1.1)}
    assert min(losses, key=losses.get) == best


def test_a_temperature_mends_the_calibration_and_leaves_the_ranking():
    random = np.random.default_rng(3)
    logits = random.normal(0, 1.5, 20_000)
    counts = count_probabilities(expit(3 * logits), random.random(20_000) < expit(logits))
    mended = at_temperature(counts, fit_temperature(counts))
    assert expected_calibration_error(mended) < expected_calibration_error(counts) / 3
    assert brier_score(mended) < brier_score(counts)
    assert mended.average_precision == counts.average_precision


def test_a_temperature_of_one_changes_nothing_and_of_two_halves_the_logits():
    p = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(with_temperature(p, 1), p)
    np.testing.assert_allclose(with_temperature(p, 2), [0.25, 0.5, 0.75])  # odds 1/9, 1, 9 -> 1/3, 1, 3


def test_a_temperature_needs_both_classes_and_a_positive_number():
    with pytest.raises(ValueError, match="foreground and of background"):
        fit_temperature(count_probabilities(np.array([0.5]), np.array([True])))
    with pytest.raises(ValueError, match="temperature 0 must be above 0"):
        with_temperature(np.array([0.5]), 0)


def test_counts_at_different_temperatures_are_not_pooled():
    counts, _ = toy()
    with pytest.raises(ValueError, match="different temperatures"):
        counts + at_temperature(counts, 2)


def test_without_pixels_calibration_is_nan():
    assert math.isnan(expected_calibration_error(ProbabilityCounts()))
    assert math.isnan(brier_score(ProbabilityCounts()))
