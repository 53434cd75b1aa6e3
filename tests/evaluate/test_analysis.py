"""Everything at once, on input that leaves little to divide by: a defined answer, and never a warning."""

import json
import math

import numpy as np
import pytest

from jointnet.data.raster import write_raster
from jointnet.evaluate.analysis import analyse

NOTHING, SOMETHING = np.zeros((12, 16), bool), np.zeros((12, 16), bool)
SOMETHING[2:9, 3:11] = True
LIT, DARK = np.full((12, 16, 3), 120, np.uint8), np.zeros((12, 16, 3), np.uint8)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("truth", "guess", "image", "iou", "kinds"), [
    (NOTHING, NOTHING, LIT, 1.0, {}),
    (NOTHING, SOMETHING, LIT, 0.0, {"invented": 1}),
    (SOMETHING, NOTHING, LIT, 0.0, {"missed": 1}),
    (SOMETHING, SOMETHING, LIT, 1.0, {}),
    (SOMETHING, NOTHING, DARK, math.nan, {}),  # no pixel holds imagery
])
def test_empty_full_and_unseen_scenes_have_defined_scores(
    truth, guess, image, iou, kinds, make_scene, make_prediction, dataset_of
):
    scene = make_scene("s", truth, image=image, nodata="black")
    folder = make_prediction(scene, guess, probability=guess * 0.9)
    analysis = analyse(folder, dataset_of(scene))
    assert analysis.scores.overall.iou == pytest.approx(iou, nan_ok=True)
    assert analysis.kinds["errors"].to_dict() == kinds
    read = json.loads(analysis.to_json(), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    assert read["scores"]["overall"]["iou"] == (None if math.isnan(iou) else iou)
    assert read["explanation"] is None


def test_masks_without_probabilities_have_no_choices_and_no_suspects(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", SOMETHING)
    analysis = analyse(make_prediction(scene, NOTHING), dataset_of(scene))
    assert analysis.choices == {}
    assert analysis.as_dict()["label_suspects"] is None


def test_labels_with_other_values_than_a_mask_has_are_refused(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", SOMETHING)
    write_raster(scene.labels["buildings"], SOMETHING * np.uint8(7), scene.info)
    with pytest.raises(ValueError, match="values other than 0 and 1, or 0 and 255"):
        analyse(make_prediction(scene, SOMETHING), dataset_of(scene))


def test_each_class_of_a_prediction_of_two_is_analysed_by_its_own_band(
    tmp_path, make_scene, dataset_of
):
    scene = make_scene("s", SOMETHING)
    scene.labels["roads"] = write_raster(tmp_path / "roads.tif", NOTHING * np.uint8(255), scene.info)
    tags = {"JOINTNET_SETTINGS": json.dumps({"classes": ["buildings", "roads"], "thresholds": [0.5, 0.5]})}
    bands = np.stack([SOMETHING, ~SOMETHING], -1) * np.uint8(254)
    write_raster(tmp_path / "out" / "s_probability.tif", bands, scene.info, tags=tags)
    buildings, roads = (analyse(tmp_path / "out", dataset_of(scene), c) for c in ("buildings", "roads"))
    assert buildings.scores.overall.iou == 1
    assert roads.scores.overall[:3] == (0, 192 - 56, 0)
