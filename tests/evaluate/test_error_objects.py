import geopandas as gpd
import numpy as np
import pytest

from jointnet.evaluate.error_objects import find_errors, label_suspects, scene_errors
from jointnet.evaluate.inputs import find_predictions


def paint(shape, *boxes):
    """A mask with boxes of (row, col, height, width)."""
    mask = np.zeros(shape, bool)
    for row, col, height, width in boxes:
        mask[row : row + height, col : col + width] = True
    return mask


@pytest.fixture
def scene_with_errors(make_scene, make_prediction, dataset_of):
    """A missed building of 4 x 6 px at the left edge, one invented of 5 x 5 px beside missing imagery, at 0.5 m."""
    image = np.full((20, 20, 3), 99, np.uint8)
    image[15:] = 0
    scene = make_scene("s", paint((20, 20), (2, 0, 4, 6)), "here", image=image, nodata="black")
    guess = paint((20, 20), (10, 10, 7, 5))
    folder = make_prediction(scene, guess, probability=np.where(guess, 0.95, 0.05))
    return scene, folder, dataset_of(scene)


def test_the_table_says_what_where_how_large_and_how_sure(scene_with_errors):
    scene, folder, dataset = scene_with_errors
    table = scene_errors(scene, find_predictions(folder, dataset)["s"]).set_index("kind")
    assert table.crs == scene.info.crs
    assert table.loc["invented", "area_px"] == 25  # two of its rows have no imagery
    assert table.loc["invented", "area_m2"] == 25 * 0.25
    assert table.loc["missed", "geometry"].bounds == (500_000, 5_299_997, 500_003, 5_299_999)
    assert table.loc["missed", "touches"] == "scene edge"
    assert table.loc["invented", "touches"] == "no imagery"
    assert table.loc["invented", "mean_probability"] == pytest.approx(0.95, abs=0.002)
    assert table.geometry.contains(gpd.GeoSeries.from_xy(table["x"], table["y"], crs=table.crs)).all()


def test_touching_objects_are_named(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", paint((20, 20), (2, 2, 4, 4), (2, 8, 4, 4)))
    folder = make_prediction(scene, paint((20, 20), (2, 2, 4, 10)))
    table = find_errors(folder, dataset_of(scene))
    assert table["touches"].tolist() == ["label 1, label 2"]
    assert table["label_px"].item() == 32
    assert table["mean_probability"].isna().all()


def test_confident_disagreement_is_suspect(scene_with_errors):
    _, folder, dataset = scene_with_errors
    errors = find_errors(folder, dataset)
    suspects = label_suspects(errors)
    assert suspects["suspicion"].tolist() == ["seen, not labelled", "labelled, not seen"]
    assert label_suspects(errors, confident=0.97).empty


def test_looking_for_suspects_without_probabilities_is_refused(make_scene, make_prediction, dataset_of):
    scene = make_scene("s", paint((20, 20), (2, 2, 4, 4)))
    errors = find_errors(make_prediction(scene, paint((20, 20))), dataset_of(scene))
    with pytest.raises(ValueError, match="no probabilities"):
        label_suspects(errors)


def test_errors_of_scenes_in_several_zones_are_brought_to_longitude_and_latitude(
    make_grid, make_scene, make_prediction, dataset_of
):
    truth = paint((20, 20), (2, 2, 4, 4))
    scenes = [make_scene(f"s{zone}", truth, grid=make_grid((20, 20), epsg=zone)) for zone in (32633, 32634)]
    for scene in scenes:
        folder = make_prediction(scene, np.zeros_like(truth))
    table = find_errors(folder, dataset_of(*scenes))
    assert table.crs == "EPSG:4326"
    assert [round(p.representative_point().x) for p in table.geometry] == [15, 21]  # the zones' middle meridians


def test_scenes_without_errors_or_georeference_give_tables_too(make_grid, make_scene, make_prediction, dataset_of):
    truth = paint((20, 20), (2, 2, 4, 4))
    scene = make_scene("s", truth, grid=make_grid((20, 20), epsg=None))
    assert find_errors(make_prediction(scene, truth), dataset_of(scene)).empty
    make_prediction(scene, np.zeros_like(truth))
    table = find_errors(make_prediction(scene, np.zeros_like(truth)), dataset_of(scene))
    assert table.crs is None
    assert table["area_m2"].isna().all()
    assert table.geometry.item().bounds == (2, 2, 6, 6)
