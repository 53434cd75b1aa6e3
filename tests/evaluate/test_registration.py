import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jointnet.evaluate.inputs import find_predictions
from jointnet.evaluate.registration import Shift, best_shift, scene_shift, shift_table


def blocks(shape=(40, 50), seed=0):
    random = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    for row, col in zip(random.integers(8, shape[0] - 12, 6), random.integers(8, shape[1] - 12, 6), strict=True):
        mask[row : row + 4, col : col + 3] = True
    return mask


@given(st.integers(-6, 6), st.integers(-6, 6))
def test_a_shift_that_was_made_is_found_again(rows, cols):
    truth = blocks()
    shift = best_shift(truth, np.roll(truth, (rows, cols), (0, 1)), max_shift=6)
    assert (shift.rows, shift.cols, shift.iou) == (rows, cols, 1.0)


@given(arrays(bool, (6, 7)), arrays(bool, (6, 7)))
def test_the_best_iou_agrees_with_trying_every_shift(truth, predicted):
    best = 0.0
    for rows in range(-2, 3):
        for cols in range(-2, 3):
            moved = np.zeros((10, 11), bool)
            moved[2 + rows : 8 + rows, 2 + cols : 9 + cols] = truth
            union = (moved | np.pad(predicted, 2)).sum()
            best = max(best, (moved & np.pad(predicted, 2)).sum() / union if union else 1.0)
    assert best_shift(truth, predicted, max_shift=2).iou == pytest.approx(best)


def test_with_nothing_to_move_there_is_no_shift():
    empty = np.zeros((9, 9), bool)
    assert best_shift(empty, empty) == Shift(0, 0, 1.0, 1.0)
    assert best_shift(~empty, empty) == Shift(0, 0, 0.0, 0.0)


def test_the_shortest_of_equally_good_shifts_is_taken():
    stripes = np.tile([True, False, True, False, True, False, True], (3, 1))
    assert best_shift(stripes, stripes, max_shift=2) == Shift(0, 0, 1.0, 1.0)


def test_a_scene_read_in_strips_has_the_shift_of_the_whole(monkeypatch, make_scene, make_prediction, dataset_of):
    monkeypatch.setattr("jointnet.evaluate.inputs.STRIP_PIXELS", 1)
    truth = blocks((1100, 60), seed=1)
    truth[505:516, 20:30] = True  # across two strips
    guess = np.roll(truth, (4, -3), (0, 1))
    scene = make_scene("s", truth)
    folder = make_prediction(scene, guess)
    assert scene_shift(scene, find_predictions(folder, dataset_of(scene))["s"]) == best_shift(truth, guess)
    table = shift_table(folder, dataset_of(scene))
    assert table.loc["s", ["rows", "cols", "metres"]].tolist() == [4, -3, 2.5]  # 5 px of 0.5 m
