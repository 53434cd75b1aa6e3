from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jointnet.data.raster import write_raster
from jointnet.evaluate.explain import FEATURES, explain_recall, object_features, recall_by
from jointnet.evaluate.inputs import find_predictions


@pytest.fixture
def toy(make_scene, make_prediction, dataset_of):
    """At 0.5 m: a found grey building of 4 x 4 px with shadow below, and 12 px to its right a missed green one."""
    truth, image = np.zeros((20, 30), bool), np.full((20, 30, 3), 150, np.uint8)
    truth[4:8, 4:8] = truth[4:8, 20:24] = True
    image[4:8, 4:8] = 204  # 0.8
    image[4:8, 20:24] = (50, 100, 50)  # (2 * 100 - 50 - 50) / 200 = 0.5
    image[8:10, 4:8] = 10
    scene = make_scene("s", truth, "here", image=image)
    guess = truth.copy()
    guess[:, 10:] = False
    prediction = find_predictions(make_prediction(scene, guess), dataset_of(scene))["s"]
    return scene, prediction


def test_features_of_a_toy_are_those_measured_by_hand(toy):
    table = object_features(*toy)
    assert table["found"].tolist() == [True, False]
    assert table["area"].tolist() == [4, 4]
    np.testing.assert_allclose(table["brightness"], [0.8, 200 / 765])
    np.testing.assert_allclose(table["greenness"], [0, 0.5])
    np.testing.assert_allclose(table["neighbour"], [6, 6])  # 12 px of 0.5 m
    assert table["shadow"].iloc[1] == 0
    rows, cols = np.indices((20, 30))
    apart = np.hypot(np.clip(np.maximum(4 - rows, rows - 7), 0, None), np.clip(np.maximum(4 - cols, cols - 7), 0, None))
    assert table["shadow"].iloc[0] == 8 / ((apart > 0) & (apart <= 6)).sum()  # 8 dark pixels within 3 m


def test_features_do_not_depend_on_strips(monkeypatch, make_scene, make_prediction, dataset_of):
    random = np.random.default_rng(0)
    truth = np.zeros((1100, 20), bool)
    for row in range(3, 1090, 11):
        truth[row : row + 5, 4:12] = True
    scene = make_scene("s", truth, image=random.integers(1, 255, (1100, 20, 3), dtype=np.uint8))
    prediction = find_predictions(make_prediction(scene, truth), dataset_of(scene))["s"]
    whole = object_features(scene, prediction)
    monkeypatch.setattr("jointnet.evaluate.inputs.STRIP_PIXELS", 1)
    pd.testing.assert_frame_equal(object_features(scene, prediction), whole)


def table_of(found, **columns):
    """A table of objects whose other features are noise."""
    random = np.random.default_rng(5)
    noise = {name: random.normal(size=len(found)) for name in FEATURES}
    return pd.DataFrame({"found": found, **noise, **columns})


def test_recall_is_told_by_bins_of_equally_many_objects():
    table = recall_by(table_of(np.arange(8) >= 4, log_area=np.arange(8.0)), "log_area", bins=2)
    assert table.to_numpy().tolist() == [[0, 3, 4, 0], [4, 7, 4, 1]]


def test_a_feature_that_decides_is_told_from_those_that_do_not():
    random = np.random.default_rng(1)
    size = random.normal(size=400)
    table = explain_recall(table_of(random.random(400) < 1 / (1 + np.exp(-2 * size)), log_area=size), resamples=20)
    assert table.loc["log_area", "low"] > 3  # odds grow by e^2 = 7.4, a little less with the regression's penalty
    assert (table.drop("log_area")["low"] < 1.2).all()
    assert table.attrs["auc"] > 0.8


def test_features_that_explain_nothing_have_an_auc_of_about_a_half():
    table = explain_recall(table_of(np.random.default_rng(2).random(400) < 0.5), resamples=2)
    assert 0.4 < table.attrs["auc"] < 0.6


def test_a_feature_that_never_varies_explains_nothing():
    table = explain_recall(table_of(np.arange(40) % 2 == 0, shadow=np.zeros(40)), resamples=5)
    assert table.loc["shadow", "odds_ratio"] == pytest.approx(1)


def test_too_few_found_or_missed_objects_are_refused():
    with pytest.raises(ValueError, match="38 objects were found and 2 missed; a regression needs 5 of each"):
        explain_recall(table_of(np.arange(40) > 1))
    with pytest.raises(ValueError, match="'colour' is no feature"):
        recall_by(table_of(np.arange(40) > 1), "colour")
    with pytest.raises(ValueError, match="no labelled objects"):
        recall_by(table_of(np.zeros(0, bool)), "shadow")


def test_a_scene_without_objects_gives_an_empty_table(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", np.zeros((5, 5), bool))
    prediction = find_predictions(make_prediction(scene, np.eye(5, dtype=bool)), dataset_of(scene))["s"]
    assert object_features(scene, prediction).empty


def test_an_image_of_16_bits_is_as_bright_as_the_same_in_8(toy, tmp_path):
    scene, prediction = toy
    path = write_raster(tmp_path / "deep.tif", scene.read().astype(np.uint16) * 257, scene.info)
    found = object_features(replace(scene, image=path), prediction)
    # From the 2nd percentile, the shadow's 10 or the crown's 50, to the 98th, 150 or the roof's 204: shares of that.
    assert found["brightness"].between(0, 1).all() and found["brightness"].iloc[0] > found["brightness"].iloc[1]
    assert found["shadow"].iloc[0] == object_features(*toy)["shadow"].iloc[0]
