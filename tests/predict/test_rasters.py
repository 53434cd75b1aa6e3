"""The format of a prediction's rasters: what is written is read, and what other programs wrote means one thing."""

import json
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest

from jointnet import evaluate, open_dataset
from jointnet.data.raster import Affine, Grid, RasterError, write_raster
from jointnet.data.scene import Scene
from jointnet.evaluate.inputs import Prediction, read_strips
from jointnet.predict.rasters import (
    VALUES,
    class_bands,
    class_thresholds,
    create_mask,
    create_probability,
    made_with,
    read_probability,
    run_of,
    to_bytes,
    to_values,
)
from jointnet.predict.settings import PredictionError, with_temperature
from jointnet.predict.vectors.centre_lines import centre_lines_of_raster
from jointnet.predict.vectors.polygons import vectorize_raster
from jointnet.show.figures import show_overlay
from jointnet.show.widgets import ChangeExplorer, SceneExplorer

GRID = Grid(4, 1, 1, "uint8", None, Affine.identity())


def written(path, values, **options):
    values = np.asarray(values)
    return write_raster(path, values, Grid(*values.shape[1::-1], 1, str(values.dtype), None, GRID.transform), **options)


def test_what_is_written_is_read_with_what_it_was_made_with(tmp_path):
    probability, valid = np.array([[[0], [0.5], [1], [0.7]]]), np.array([[True, True, True, False]])
    for dtype in ("uint8", "float32"):
        path = tmp_path / f"{dtype}.tif"
        with create_probability(path, GRID, 1, dtype, {"classes": ["roads"], "thresholds": [0.3]}, "f00d") as raster:
            raster.write(to_values(probability, valid, dtype), 0)
        np.testing.assert_array_equal(read_probability(path)[0, :, 0], [0, 0.5, 1, np.nan])  # 0.5 is 127 of 254
        assert (made_with(path)["classes"], run_of(path)) == (["roads"], "f00d")


@pytest.mark.parametrize(("values", "options", "means"), [
    ([0, 51, 255], {}, [0, 0.2, 1]),  # of 255
    ([0, 51, 255], {"nodata": 0}, [np.nan, 0.2, 1]),
    ([0, 127, 255], {"nodata": 255}, [0, 0.5, np.nan]),  # of 254
    ([0, 127, 255], {"tags": {"JOINTNET_VALUES": "probability = value / 254"}}, [0, 0.5, np.nan]),
    ([0, 0.25, np.nan], {}, [0, 0.25, np.nan]),
    ([-1, 0.25, 1], {"nodata": -1}, [np.nan, 0.25, 1]),
])
def test_tags_type_and_declared_no_data_say_what_values_mean(tmp_path, values, options, means):
    values = np.array([values], np.uint8 if max(values) > 1 else np.float32)
    np.testing.assert_allclose(read_probability(written(tmp_path / "p.tif", values, **options))[0, :, 0], means)


def test_values_that_could_mean_anything_are_refused(tmp_path):
    path = written(tmp_path / "p.tif", np.array([[0, 1000]], np.uint16))
    with pytest.raises(RasterError, match="uint16 values and does not say which of them is a probability of 1"):
        read_probability(path)


def test_every_reader_agrees_on_the_raster_of_another_program(tmp_path):
    """A perfect map, 255 for 1 and untagged: its IoU is 1, its outline 1 sure, its explorer's score 1."""
    truth = np.zeros((32, 32), np.uint8)
    truth[8:24, 8:24] = 1
    images, masks, maps = tmp_path / "set" / "images", tmp_path / "set" / "masks", tmp_path / "maps"
    written(images / "a.tif", np.full((32, 32, 3), 90, np.uint8))
    written(masks / "a.tif", truth * 255)
    foreign = written(maps / "a_probability.tif", truth * 255)
    dataset = open_dataset("folder", root=tmp_path / "set")
    assert evaluate(maps, dataset, threshold=0.5).overall.iou == 1
    table = vectorize_raster(masks / "a.tif", foreign)
    assert isinstance(table, gpd.GeoDataFrame) and table.mean_probability.tolist() == [1]
    assert SceneExplorer(dataset[0], foreign, threshold=0.5).scores["iou"] == 1
    np.testing.assert_array_equal(to_bytes(np.array([0, 127, 254, 255], np.uint8)), [0, 128, 255, 0])


def test_a_mask_of_ours_that_is_taken_for_its_probability_shows_what_it_shows(tmp_path):
    with create_mask(tmp_path / "m.tif", GRID, 1, {"classes": ["buildings"], "thresholds": [0.6]}, "f00d") as raster:
        raster.write(np.array([[0, 255, 255, 0]], np.uint8))
    np.testing.assert_array_equal(read_probability(tmp_path / "m.tif")[0, :, 0], [0, 1, 1, 0])  # 255 is no no-data here


def test_probabilities_that_are_taken_for_a_mask_are_refused_by_every_reader(tmp_path):
    scene = Scene("a", written(tmp_path / "a.tif", np.full((1, 4, 3), 90, np.uint8)))
    ours = written(tmp_path / "p.tif", np.array([[0, 30, 254, 255]], np.uint8), nodata=255, tags={VALUES: "p * 254"})
    theirs = written(tmp_path / "f.tif", np.array([[0, 0.1, 0.9, np.nan]], np.float32))
    for path, says in ((ours, "p.tif holds probabilities, a mask is needed"), (theirs, "numbers between 0 and 1")):
        for read in (lambda p: vectorize_raster(p), lambda p: centre_lines_of_raster(p),
                     lambda p: SceneExplorer(scene, mask=p), lambda p: ChangeExplorer(scene, p, p),
                     lambda p: show_overlay(scene, p), lambda p: next(read_strips(
                         replace(scene, labels={"buildings": scene.image}), Prediction(p), "buildings"))):
            with pytest.raises(PredictionError, match=says):
                read(path)
    with pytest.raises(PredictionError, match="the mask holds numbers between 0 and 1"):
        SceneExplorer(scene, mask=np.array([[0, 0.1, 0.9, 1]]))


def test_a_mask_whose_no_data_may_be_its_class_is_refused_and_one_whose_background_is_no_data_is_not(tmp_path):
    values = np.array([[0, 255, 255, 0]], np.uint8)
    with pytest.raises(PredictionError, match="calls 255 no-data and holds it: is that the class?"):
        vectorize_raster(written(tmp_path / "a.tif", values, nodata=255))
    assert vectorize_raster(written(tmp_path / "b.tif", values, nodata=0)).area_px.tolist() == [2]
    floats = np.array([[0, 1, -9999, np.nan]], np.float32)
    assert vectorize_raster(written(tmp_path / "c.tif", floats, nodata=-9999)).area_px.tolist() == [1]


def test_several_bands_without_names_are_refused_by_every_reader(tmp_path):
    scene = Scene("a", written(tmp_path / "a.tif", np.full((1, 4, 3), 90, np.uint8)))
    path = written(tmp_path / "two.tif", np.zeros((1, 4, 2), np.uint8))
    says = "two.tif has 2 bands and does not say of which classes"
    with pytest.raises(ValueError, match=says):
        next(read_strips(scene, Prediction(probability=path), "buildings", 0.5))
    with pytest.raises(ValueError, match=says):
        SceneExplorer(scene, path)
    assert class_bands(path, ("roads", "water")) == {"roads": 0, "water": 1}


def test_a_temperature_of_two_halves_the_logits_and_keeps_the_type():
    p = np.array([0.1, 0.5, 0.9], np.float32)
    assert with_temperature(p, 2).dtype == np.float32
    np.testing.assert_allclose(with_temperature(p, 2), [0.25, 0.5, 0.75], rtol=1e-6)  # odds 1/9, 1, 9 -> 1/3, 1, 3
    assert with_temperature(np.array([0.0]), 2, least=0.01)[0] == pytest.approx(1 / (1 + 99**0.5))


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


def test_buildings_are_not_taken_for_roads_and_an_own_word_for_a_class_is_no_matter(tmp_path):
    for name, asked in (("buildings", "roads"), ("roads", "buildings")):
        path = written(tmp_path / f"{name}.tif", [[0, 1]], tags={"JOINTNET_SETTINGS": json.dumps({"classes": [name]})})
        with pytest.raises(PredictionError, match=f"{name}.tif is of {name}, not of {asked}"):
            class_bands(path, asked)
        assert class_bands(path, "roofs") == {"roofs": 0}


def test_a_band_that_was_taken_out_of_several_keeps_the_threshold_of_its_class(tmp_path):
    tags = {"JOINTNET_SETTINGS": json.dumps({"classes": ["buildings", "roads"], "thresholds": [0.9, 0.4]})}
    path = written(tmp_path / "roads.tif", [[0, 1]], tags=tags)
    assert class_thresholds(path, class_bands(path, "roads")) == {"roads": 0.4}


def test_an_array_has_the_usual_classes_or_those_that_are_given():
    array = np.zeros((1, 4, 2), np.float32)
    assert class_bands(array) == {"buildings": 0, "roads": 1}
    assert class_bands(array, ("water", "trees")) == {"water": 0, "trees": 1}
    assert class_bands(array[..., 0], "roads") == {"roads": 0}
    assert class_thresholds(array, {"water": 0}) == {"water": 0.6}


def test_a_class_that_is_not_there_and_an_impossible_threshold_are_refused(two_classes):
    with pytest.raises(ValueError, match="has 2 bands, for roads, buildings; none is for 'water'"):
        class_bands(two_classes, "water")
    with pytest.raises(ValueError, match="names 1 classes"):
        class_bands(two_classes, ("roads",))
    with pytest.raises(ValueError, match="threshold names water"):
        class_thresholds(two_classes, {"roads": 0}, {"water": 0.5})
    with pytest.raises(ValueError, match="between 0 and 1"):
        class_thresholds(None, {"roads": 0}, 1.5)
