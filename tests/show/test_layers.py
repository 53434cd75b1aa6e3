"""What is shown of a file is what the file means."""

import json

import numpy as np
import pytest

from jointnet.data.raster import Affine, Grid, write_raster
from jointnet.show.layers import ArrayScene, class_bands, class_thresholds, read_layer


def test_a_probability_raster_is_shown_by_its_own_scale(tmp_path):
    """predict_scene writes 0 to 254 for 0 to 1, and 255 for no imagery."""
    grid = Grid(4, 1, 1, "uint8", None, Affine.identity())
    values = np.array([[0, 127, 254, 255]], np.uint8)
    for name, tags in (("own.tif", {"JOINTNET_VALUES": "0-254"}), ("mask.tif", {})):
        write_raster(tmp_path / name, values, grid, tags=tags)
    scene = ArrayScene(np.zeros((1, 4, 3), np.uint8))
    assert read_layer(tmp_path / "own.tif", scene)[..., 0].tolist() == [[0, 128, 255, 0]]  # 127 / 254 * 255 = 127.5
    assert read_layer(tmp_path / "mask.tif", scene)[..., 0].tolist() == [[0, 127, 254, 255]]


@pytest.fixture
def two_classes(tmp_path):
    """A raster as predict_scene writes it, of roads and buildings in this order."""
    tags = {"JOINTNET_SETTINGS": json.dumps({"classes": ["roads", "buildings"], "thresholds": [0.3, 0.5]})}
    grid = Grid(4, 1, 2, "uint8", None, Affine.identity())
    return write_raster(tmp_path / "two.tif", np.zeros((1, 4, 2), np.uint8), grid, tags=tags)


def test_classes_have_the_names_and_thresholds_that_the_file_states(two_classes):
    assert class_bands(two_classes) == {"roads": 0, "buildings": 1}
    assert class_bands(two_classes, "buildings") == {"buildings": 1}
    assert class_thresholds(two_classes, class_bands(two_classes)) == {"roads": 0.3, "buildings": 0.5}
    assert class_thresholds(two_classes, {"buildings": 1}, 0.7) == {"buildings": 0.7}
    assert class_thresholds(two_classes, class_bands(two_classes), {"roads": 0.4}) == {"roads": 0.4, "buildings": 0.5}


def test_an_array_has_the_usual_classes_or_those_that_are_given():
    array = np.zeros((1, 4, 2), np.float32)
    assert class_bands(array) == {"buildings": 0, "roads": 1}
    assert class_bands(array, ("water", "trees")) == {"water": 0, "trees": 1}
    assert class_bands(array[..., 0], "roads") == {"roads": 0}
    assert class_thresholds(array, {"water": 0}) == {"water": 0.6}


def test_a_class_that_is_not_there_and_an_impossible_threshold_are_refused(two_classes):
    with pytest.raises(ValueError, match="classes roads, buildings, none of them is 'water'"):
        class_bands(two_classes, "water")
    with pytest.raises(ValueError, match="names 1 classes"):
        class_bands(two_classes, ("roads",))
    with pytest.raises(ValueError, match="threshold names water"):
        class_thresholds(two_classes, {"roads": 0}, {"water": 0.5})
    with pytest.raises(ValueError, match="between 0 and 1"):
        class_thresholds(None, {"roads": 0}, 1.5)
