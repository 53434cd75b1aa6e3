import numpy as np
import pytest
import rasterio

from jointnet.evaluate.error_rasters import ERROR_COLOURS, error_codes, error_rgba, write_error_raster
from jointnet.evaluate.inputs import find_predictions

TRUTH = np.array([[1, 1, 0, 0], [1, 0, 0, 1]], bool)
GUESS = np.array([[1, 0, 1, 0], [1, 0, 0, 1]], bool)
VALID = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], bool)
CODES = [[1, 3, 2, 0], [1, 0, 0, 4]]


def test_each_pixel_gets_the_code_of_its_case():
    assert error_codes(TRUTH, GUESS, VALID).tolist() == CODES


def test_right_background_is_transparent_and_the_rest_has_its_colour():
    rgba = error_rgba(np.array([[0, 1, 4]], np.uint8))[0]
    assert rgba[0, 3] == 0
    assert rgba[1].tolist() == [0x00, 0x9E, 0x73, 255]
    assert rgba[2].tolist() == [0x99, 0x99, 0x99, 255]


def test_the_error_raster_is_paletted_and_lies_where_the_scene_lies(tmp_path, make_scene, make_prediction, dataset_of):
    image = np.full((2, 4, 3), 120, np.uint8)
    image[~VALID] = 0
    scene = make_scene("s", TRUTH, image=image, nodata="black")
    prediction = find_predictions(make_prediction(scene, GUESS), dataset_of(scene))["s"]
    with rasterio.open(write_error_raster(tmp_path / "errors.tif", scene, prediction)) as raster:
        assert raster.read(1).tolist() == CODES
        assert (raster.crs, raster.transform) == (scene.info.crs, scene.info.transform)
        assert raster.colormap(1)[2][:3] == tuple(bytes.fromhex(ERROR_COLOURS["FP"][1:]))
        assert raster.nodata == 0
        assert raster.tags()["value_3"] == "FN"


def test_a_prediction_on_another_grid_leaves_no_file(tmp_path, make_scene, make_prediction, dataset_of):
    scene, other = make_scene("s", TRUTH), make_scene("other", GUESS[:, :2])
    prediction = find_predictions(make_prediction(other, GUESS[:, :2]), dataset_of(scene, other))["other"]
    with pytest.raises(ValueError, match="predict on the image's own grid"):
        write_error_raster(tmp_path / "errors.tif", scene, prediction)
    assert not [p for p in tmp_path.iterdir() if "errors" in p.name]
