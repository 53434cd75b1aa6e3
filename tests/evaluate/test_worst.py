import numpy as np
import pytest

from jointnet.evaluate.inputs import find_predictions
from jointnet.evaluate.worst import patch_counts, worst_patches


@pytest.fixture
def toy(make_scene, make_prediction, dataset_of):
    """5 x 6 px in patches of 3: ten pixels found, three missed in patch (0, 3), one invented in patch (3, 0)."""
    truth, guess = np.zeros((5, 6), bool), np.zeros((5, 6), bool)
    truth[:3, :3] = guess[:3, :3] = True
    truth[0, 3:] = True
    truth[4, 5] = guess[4, 5] = True
    guess[3, 0] = True
    scene = make_scene("s", truth)
    return make_prediction(scene, guess), dataset_of(scene)


def test_every_patch_has_its_counts_those_at_the_edge_too(toy):
    counts = patch_counts(toy[1]["s"], find_predictions(*toy)["s"], size=3)
    assert counts.tolist() == [[[9, 0, 0, 0], [0, 0, 3, 6]], [[0, 1, 0, 5], [1, 0, 0, 5]]]


def test_the_worst_patch_is_the_one_whose_mending_gains_most(toy):
    table = worst_patches(*toy, size=3)
    assert table[["row", "col", "height", "width"]].to_numpy().tolist() == [[0, 3, 3, 3], [3, 0, 2, 3]]
    # IoU is 10 / 14; with the first mended 13 / 14, with the second 10 / 13.
    np.testing.assert_allclose(table["lost_iou"], [3 / 14, 10 / 13 - 10 / 14])


def test_a_perfect_prediction_has_no_worst_patch(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", np.eye(5, dtype=bool))
    assert worst_patches(make_prediction(scene, np.eye(5, dtype=bool)), dataset_of(scene), size=3).empty


def test_patches_across_strips_are_counted_once(monkeypatch, make_scene, make_prediction, dataset_of):
    random = np.random.default_rng(0)
    truth, guess = (random.random((700, 5)) < 0.5 for _ in "ab")
    scene = make_scene("s", truth)
    prediction = find_predictions(make_prediction(scene, guess), dataset_of(scene))["s"]
    whole = patch_counts(scene, prediction, size=100)
    monkeypatch.setattr("jointnet.evaluate.inputs.STRIP_PIXELS", 1)
    assert np.array_equal(patch_counts(scene, prediction, size=100), whole)
    assert whole.sum() == truth.size
