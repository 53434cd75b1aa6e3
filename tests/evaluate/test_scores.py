import json
import math

import numpy as np
import pytest

from jointnet.evaluate.counts import Counts
from jointnet.evaluate.inputs import strip_rows
from jointnet.evaluate.scores import evaluate


def half(rows, cols, share):
    """A mask whose first `share` columns are foreground."""
    mask = np.zeros((rows, cols), bool)
    mask[:, :share] = True
    return mask


@pytest.fixture
def toy(make_scene, make_prediction, dataset_of):
    """Two tiles of city a, one of b, one test scene without labels, and their predictions."""
    a1, a2 = make_scene("a1", half(10, 10, 4), "a"), make_scene("a2", half(10, 10, 2), "a")
    b1 = make_scene("b1", half(10, 10, 5), "b")
    c1 = make_scene("c1", None, "c", image=np.full((10, 10, 3), 9, np.uint8))
    for scene, share in [(a1, 5), (a2, 1), (b1, 5), (c1, 3)]:
        folder = make_prediction(scene, half(10, 10, share))
    return folder, dataset_of(a1, a2, b1, c1)


def test_counts_are_pooled_per_city_and_overall(toy):
    scores = evaluate(*toy)
    assert scores.pixels("a") == Counts(tp=50, fp=10, fn=10, tn=130)  # 40 + 10 found, 10 invented, 10 missed
    assert scores.pixels("b") == Counts(tp=50, fp=0, fn=0, tn=50)
    assert scores.overall.iou == 100 / 120


def test_scenes_without_labels_are_named_and_not_scored(toy):
    scores = evaluate(*toy)
    assert scores.predicted_only == ("c1",)
    assert scores.cities == ("a", "b")


def test_labelled_scenes_without_a_prediction_are_named(toy):
    folder, dataset = toy
    (folder / "b1_mask.tif").unlink()
    assert evaluate(folder, dataset).unpredicted == ("b1",)


def test_the_table_has_a_row_per_city_and_one_for_all(toy):
    table = evaluate(*toy).table()
    assert list(table.index) == ["a", "b", "overall"]
    assert table.loc["overall", "iou"] == pytest.approx(100 / 120)
    assert table.loc["a", "tiles"] == 2
    assert table.loc["overall", "background_accuracy"] == pytest.approx(190 / 300)
    assert math.isnan(table.loc["b", "iou_low"])


def test_tiles_of_no_named_city_count_in_the_sum_alone(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", half(4, 4, 2), city="")
    scores = evaluate(make_prediction(scene, half(4, 4, 1)), dataset_of(scene))
    assert list(scores.table().index) == ["overall"]
    assert scores.overall == Counts(4, 0, 4, 8)


def test_the_json_is_strict_and_says_null_where_a_score_is_undefined(toy, tmp_path):
    evaluate(*toy).to_json(tmp_path / "scores.json")
    read = json.loads((tmp_path / "scores.json").read_text(), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    assert read["overall"]["tp"] == 100
    assert read["cities"]["b"]["iou_low"] is None
    assert [t["tile"] for t in read["tiles"]] == ["a1", "a2", "b1"]


def test_a_threshold_is_applied_to_the_probabilities(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", half(4, 4, 2))
    folder = make_prediction(scene, probability=np.tile([0.9, 0.5, 0.4, 0.1], (4, 1)))
    assert evaluate(folder, dataset_of(scene), threshold=0.6).overall == Counts(4, 0, 4, 8)
    assert evaluate(folder, dataset_of(scene), threshold=0.3).overall == Counts(8, 4, 0, 4)


def test_masks_are_taken_as_they_are_without_a_threshold(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", half(4, 4, 2))
    folder = make_prediction(scene, half(4, 4, 1), probability=np.ones((4, 4)))
    assert evaluate(folder, dataset_of(scene)).overall == Counts(4, 0, 4, 8)


def test_no_data_counts_nowhere(make_scene, make_prediction, dataset_of):
    image = np.full((4, 4, 3), 120, np.uint8)
    image[:, 3] = 0
    scene = make_scene("s", half(4, 4, 4), image=image, nodata="black")
    assert evaluate(make_prediction(scene, half(4, 4, 1)), dataset_of(scene)).overall == Counts(4, 0, 8, 0)


def test_a_scene_that_is_all_no_data_has_undefined_scores(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", half(4, 4, 2), image=np.zeros((4, 4, 3), np.uint8), nodata="black")
    scores = evaluate(make_prediction(scene, half(4, 4, 1)), dataset_of(scene))
    assert math.isnan(scores.table().loc["overall", "iou"])
    assert json.loads(scores.to_json())["overall"]["iou"] is None


def test_a_threshold_without_probabilities_is_refused(toy):
    with pytest.raises(ValueError, match=r"a1 has a mask only, so threshold=0.5 cannot be applied"):
        evaluate(*toy, threshold=0.5)


def test_a_threshold_beyond_one_is_refused(toy):
    with pytest.raises(ValueError, match="threshold 128 is not a probability"):
        evaluate(*toy, threshold=128)


def test_a_mapping_of_names_to_files_is_accepted_and_unknown_names_are_refused(toy):
    folder, dataset = toy
    assert evaluate({"b1": folder / "b1_mask.tif"}, dataset).overall.iou == 1
    with pytest.raises(ValueError, match="toy has no scene zz; it has a1, a2, b1, c1"):
        evaluate({"zz": folder / "b1_mask.tif"}, dataset)


def test_a_folder_without_predictions_is_refused(toy, tmp_path):
    with pytest.raises(ValueError, match="holds no prediction of toy; expected NAME_mask.tif"):
        evaluate(tmp_path, toy[1])
    with pytest.raises(ValueError, match="is not a folder"):
        evaluate(tmp_path / "nowhere", toy[1])


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"shape": (8, 4)}, r"is \(8, 4\) px, s \(4, 4\) px"),
        ({"shape": (4, 4), "epsg": 32634}, "is in EPSG:32634, s in EPSG:32633; reproject"),
        ({"shape": (4, 4), "gsd": 0.6}, "lies elsewhere"),
    ],
)
def test_a_prediction_on_another_grid_is_refused(grid, message, make_grid, make_scene, make_prediction, dataset_of):
    scene = make_scene("s", half(4, 4, 2))
    folder = make_prediction(scene, np.zeros(grid["shape"], bool), grid=make_grid(**grid))
    with pytest.raises(ValueError, match=message):
        evaluate(folder, dataset_of(scene))


def test_a_prediction_without_a_georeference_only_needs_the_size(make_grid, make_scene, make_prediction, dataset_of):
    scene = make_scene("s", half(4, 4, 2))
    folder = make_prediction(scene, half(4, 4, 2), grid=make_grid((4, 4), epsg=None))
    assert evaluate(folder, dataset_of(scene)).overall.iou == 1


def test_deeper_scores_have_a_table_of_their_own(make_scene, make_prediction, dataset_of):
    truth, guess = np.zeros((12, 24), bool), np.zeros((12, 24), bool)
    truth[2:10, 2:10], guess[2:10, 3:11] = True, True  # 8 x 8 px = 16 m2, one pixel off
    truth[2:10, 14:22] = True  # missed
    scene = make_scene("s", truth)
    folder = make_prediction(scene, guess, probability=np.where(guess, 1.0, 0.0))
    row = evaluate(folder, dataset_of(scene), rho=1, boundary_width=1).detail_table().loc["overall"]
    assert (row["relaxed_precision"], row["relaxed_recall"]) == (1, 0.5)
    assert row["boundary_iou"] == 14 / (28 + 28 + 28 - 14)
    assert (row["object_precision"], row["object_recall"]) == (1, 0.5)
    assert row["brier"] == (8 + 72) / 288  # wrong pixels, each by a whole
    objects = evaluate(folder, dataset_of(scene)).object_table()
    assert objects.query("city == 'overall' and area == '< 50 m2'")["recall"].item() == 0.5


def test_without_detail_or_probabilities_the_deeper_scores_are_undefined(toy):
    scores = evaluate(*toy, detail=False)
    assert scores.detail_table().isna().all(axis=None)
    assert scores.overall.iou == 100 / 120


def test_scoring_in_strips_gives_the_scores_of_the_whole(monkeypatch, make_scene, make_prediction, dataset_of):
    random = np.random.default_rng(0)
    truth, guess = (random.random((1100, 9)) < 0.5 for _ in "ab")
    scene = make_scene("s", truth)
    folder = make_prediction(scene, guess)
    whole = evaluate(folder, dataset_of(scene)).to_json()
    monkeypatch.setattr("jointnet.evaluate.inputs.STRIP_PIXELS", 1)
    assert len(strip_rows(1100, 9)) == 3
    assert evaluate(folder, dataset_of(scene)).to_json() == whole


def test_a_band_too_narrow_for_a_pixel_and_a_tolerance_below_0_are_refused(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", half(4, 4, 2))
    folder = make_prediction(scene, half(4, 4, 3))
    for asked, says in (({"boundary_width": 0.5}, "boundary_width=0.5 must be 1 px or more"),
                        ({"rho": -1}, "rho=-1 must be pixels, 0 or more")):
        with pytest.raises(ValueError, match=says):
            evaluate(folder, dataset_of(scene), **asked)
