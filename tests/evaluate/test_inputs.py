import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from jointnet.data.raster import Grid, write_raster
from jointnet.data.scene import Dataset, Scene
from jointnet.evaluate.inputs import Prediction, Strip, find_predictions, read_strips, strip_rows, with_halo


@given(st.integers(1, 20_000), st.integers(1, 60_000))
def test_strips_cover_every_row_once_and_start_on_rows_of_tiles(height, width):
    strips = strip_rows(height, width)
    assert [sum(strip) for strip in strips[:-1]] == [start for start, _ in strips[1:]]
    assert (strips[0][0], sum(strips[-1])) == (0, height)
    assert all(start % 512 == 0 and 0 < rows * width <= max(3_000_000, 512 * width) for start, rows in strips)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 9))
def test_a_halo_holds_the_rows_on_either_side_however_low_the_strips(heights, halo):
    whole = np.arange(sum(heights))[:, None]
    starts = np.cumsum([0, *heights])
    strips = [Strip(int(a), *[whole[a:b]] * 3) for a, b in zip(starts[:-1], starts[1:], strict=True)]
    for (grown, rows), a, b in zip(with_halo(iter(strips), halo), starts[:-1], starts[1:], strict=True):
        assert grown.truth[:, 0].tolist() == list(range(max(0, a - halo), min(len(whole), b + halo)))
        assert grown.row == max(0, a - halo)
        assert grown.truth[rows][:, 0].tolist() == list(range(a, b))


@pytest.fixture
def namesakes(tmp_path, draw_mask):
    """Two scenes called train-0 and test-0, whose images are both `0.tif`, and a folder with one `0_mask.tif`."""

    def make(georeferenced, **tags):
        places = [from_origin(500_000 + 9000 * k, 5_300_000, 1, 1) for k in range(2)]
        crs = CRS.from_epsg(32633) if georeferenced else None
        grids = [Grid(4, 4, 3, "uint8", crs, place if georeferenced else Affine.identity()) for place in places]
        files = [tmp_path / split / "0.tif" for split in ("train", "test")]
        for file, grid in zip(files, grids, strict=True):
            write_raster(file, np.full((4, 4, 3), 9, np.uint8), grid)
        draw_mask(tmp_path / "maps" / "0_mask.tif", grids[1], {"JOINTNET_SETTINGS": json.dumps(tags)} if tags else None)
        names = ("train-0", "test-0")
        scenes = [Scene(n, f, split=n[:-2]) for n, f in zip(names, files, strict=True)]
        return tmp_path / "maps", Dataset("toy", tuple(scenes))

    return make


@pytest.fixture
def draw_mask():
    return lambda path, grid, tags: write_raster(path, np.zeros((4, 4), np.uint8), grid, tags=tags)


def test_a_prediction_of_one_of_two_namesakes_is_told_by_its_place_or_its_tags(namesakes, tmp_path):
    assert list(find_predictions(*namesakes(georeferenced=True))) == ["test-0"]
    made_from = {"image": str((tmp_path / "train" / "0.tif").resolve())}
    folder, dataset = namesakes(georeferenced=False, **made_from)
    assert list(find_predictions(folder, dataset)) == ["train-0"]
    with pytest.raises(ValueError, match="holds no prediction of toy"):
        find_predictions(folder, dataset.select(split="test"))


def test_a_prediction_that_may_be_of_two_scenes_is_refused(namesakes):
    folder, dataset = namesakes(georeferenced=False)
    with pytest.raises(ValueError, match=r"0_mask\.tif may belong to .*train.* or to .*test.*; narrow the dataset"):
        find_predictions(folder, dataset)
    assert list(find_predictions(folder, dataset.select(split="test"))) == ["test-0"]
    twice = Dataset("toy", (dataset[0], dataset[0]))
    with pytest.raises(ValueError, match="toy has several scenes called train-0; narrow it"):
        find_predictions(folder, twice)


@pytest.fixture
def two_classes(tmp_path, make_scene):
    """A scene with road labels and a prediction of buildings and roads, as the package writes several classes."""
    roads = np.array([[0, 1, 1, 0]], bool)
    scene = make_scene("s", roads, class_name="roads")
    tags = {"JOINTNET_SETTINGS": json.dumps({"classes": ["buildings", "roads"], "thresholds": [0.9, 0.4]})}
    stored = np.stack([np.full((1, 4), 254), np.array([[0, 127, 254, 51]])], -1).astype(np.uint8)
    file = write_raster(tmp_path / "s_probability.tif", stored, scene.info, nodata=255, tags=tags)
    return scene, Prediction(probability=file)


def test_the_band_and_the_threshold_of_the_class_are_taken(two_classes):
    strip = next(read_strips(*two_classes, "roads"))
    np.testing.assert_allclose(strip.probability, [[0, 0.5, 1, 51 / 254]])
    assert strip.predicted.tolist() == [[False, True, True, False]]  # at the stored 0.4


def test_a_class_that_was_not_predicted_is_refused(tmp_path, two_classes, make_scene):
    scene = make_scene("s", np.zeros((1, 4), bool), class_name="water")
    with pytest.raises(ValueError, match="has 2 bands, for buildings, roads; none is for 'water'"):
        next(read_strips(scene, two_classes[1], "water"))


def test_no_data_of_the_prediction_is_background_where_the_scene_has_imagery(tmp_path, make_scene):
    scene = make_scene("s", np.ones((1, 2), bool))
    path = write_raster(tmp_path / "s_probability.tif", np.array([[255, 254]], np.uint8), scene.info, nodata=255)
    strip = next(read_strips(scene, Prediction(probability=path), "buildings", 0.5))
    assert strip.predicted.tolist() == [[False, True]]
    assert strip.valid.all()


def test_float_probabilities_are_read_as_they_are(tmp_path, make_scene):
    scene = make_scene("s", np.ones((1, 2), bool))
    path = write_raster(tmp_path / "s_probability.tif", np.array([[0.25, 0.75]], np.float32), scene.info)
    strip = next(read_strips(scene, Prediction(probability=path), "buildings", 0.5))
    assert strip.probability.tolist() == [[0.25, 0.75]]


def test_probabilities_without_mask_or_stored_threshold_ask_for_one(tmp_path, make_scene, make_prediction, dataset_of):
    scene = make_scene("s", np.ones((1, 2), bool))
    found = find_predictions(make_prediction(scene, probability=np.ones((1, 2))), dataset_of(scene))
    with pytest.raises(ValueError, match="no threshold in its tags; pass threshold="):
        next(read_strips(scene, found["s"], "buildings"))


def test_a_mask_with_other_values_is_refused(tmp_path, make_scene):
    scene = make_scene("s", np.ones((1, 2), bool))
    path = write_raster(tmp_path / "mask.tif", np.array([[0, 7]], np.uint8), scene.info)
    with pytest.raises(ValueError, match="values other than 0 and 1, or 0 and 255"):
        next(read_strips(scene, Prediction(mask=path), "buildings"))
