"""Losses and metrics against numbers worked out by hand, and their blindness to no-data."""

import keras
import numpy as np
import pytest

from jointnet.network import losses
from jointnet.network.losses import LOSSES, PixelLoss
from jointnet.network.metrics import F1, IoU, Precision, Recall
from jointnet.predict.arrays import predict_mask

TRUTH = np.array([1, 0, 0, 1], "float32").reshape(1, 2, 2, 1)
FOUND = np.array([0.8, 0.1, 0.6, 0.5], "float32").reshape(1, 2, 2, 1)
ALL = np.ones_like(TRUTH)


def test_cross_entropy_is_the_mean_of_minus_log_p_of_the_truth():
    # -(ln 0.8 + ln 0.9 + ln 0.4 + ln 0.5) / 4 = (0.22314 + 0.10536 + 0.91629 + 0.69315) / 4
    assert float(losses.cross_entropy(TRUTH, FOUND, ALL)) == pytest.approx(0.484485, abs=1e-5)


def test_focal_loss_is_keras_own_where_every_pixel_is_valid():
    theirs = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.25, gamma=2.0)
    assert float(losses.focal(TRUTH, FOUND, ALL)) == pytest.approx(float(theirs(TRUTH, FOUND)), rel=1e-5)


def test_focal_loss_with_gamma_zero_and_even_alpha_is_half_the_cross_entropy():
    half = float(losses.focal(TRUTH, FOUND, ALL, gamma=0.0, alpha=0.5))
    assert half == pytest.approx(0.484485 / 2, abs=1e-5)


def test_dice_is_one_minus_twice_the_overlap_over_the_sum():
    # overlap 0.8 + 0.5 = 1.3; sum 2 + 2.0 = 4.0; 1 - (2.6 + 1) / (4 + 1) = 0.28
    assert float(losses.dice(TRUTH, FOUND, ALL)) == pytest.approx(0.28, abs=1e-6)


def test_an_empty_truth_met_by_an_empty_prediction_costs_no_dice():
    assert float(losses.dice(0 * TRUTH, 0 * FOUND, ALL)) == 0


def test_a_batch_without_valid_pixels_costs_nothing_but_keeps_finite():
    assert float(losses.cross_entropy(TRUTH, FOUND, 0 * ALL)) == 0


@pytest.mark.parametrize("name", LOSSES)
def test_what_lies_under_no_data_changes_neither_loss_nor_gradient(name):
    weight = np.array([1, 1, 1, 0], "float32").reshape(1, 2, 2, 1)
    other_truth, other_found = TRUTH.copy(), FOUND.copy()
    other_truth[0, 1, 1], other_found[0, 1, 1] = 0, 0.99
    loss, slope = loss_and_gradient(name, TRUTH, FOUND, weight)
    other_loss, other_slope = loss_and_gradient(name, other_truth, other_found, weight)
    assert loss == other_loss
    np.testing.assert_array_equal(slope, other_slope)
    assert slope[0, 1, 1] == 0 and np.abs(slope).sum() > 0


def loss_and_gradient(name, truth, found, weight):
    """The loss, and its slope at each prediction, by TensorFlow's own differentiation."""
    tf = pytest.importorskip("tensorflow")
    found = tf.constant(found)
    with tf.GradientTape() as tape:
        tape.watch(found)
        value = PixelLoss(name)(truth, found, weight)
    return float(value), tape.gradient(value, found).numpy()


def test_one_loss_for_each_class_is_their_mean():
    both = PixelLoss("cross_entropy,dice")(np.concatenate([TRUTH] * 2, -1), np.concatenate([FOUND] * 2, -1))
    assert float(both) == pytest.approx((0.484485 + 0.28) / 2, abs=1e-5)


def test_an_unknown_loss_is_refused_by_name():
    with pytest.raises(ValueError, match="loss hinge is unknown; choose from cross_entropy, focal"):
        PixelLoss("hinge")


def test_metrics_pool_their_counts_over_batches_and_leave_no_data_out():
    # batch 1 at 0.55: found 1 0 1 0, truth 1 0 0 1: TP 1, FP 1, FN 1; batch 2, its last pixel no-data: TP 1, FP 1
    weight = np.array([1, 1, 1, 0], "float32").reshape(1, 2, 2, 1)
    expected = {IoU: 2 / 5, Precision: 2 / 4, Recall: 2 / 3, F1: 4 / 7}
    for metric_class, value in expected.items():
        metric = metric_class(0.55)
        metric.update_state(TRUTH, FOUND)
        metric.update_state(TRUTH, FOUND, weight)
        assert float(metric.result()) == pytest.approx(value), metric_class
        metric.reset_state()
        assert float(metric.result()) == 0


def test_a_probability_at_the_threshold_counts_as_foreground_as_in_prediction():
    truth, probability = np.array([[[[1], [1]]]], np.float32), np.array([[[[0.6], [0.59]]]], np.float32)
    metric = IoU(0.6)
    metric.update_state(truth, probability)
    assert float(metric.result()) == 0.5  # one of two

    def always(windows):
        return np.full((*windows.shape[:3], 1), 0.6, np.float32)

    assert predict_mask(always, np.zeros((2, 2, 3), np.uint8)).all()  # at the default threshold of 0.6
