import json

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate

from jointnet.data.raster import Grid, RasterError, write_raster
from jointnet.data.scene import Scene
from jointnet.network.card import Card
from jointnet.predict.rasters import read_probability
from jointnet.predict.scenes import (
    predict_array,
    predict_mask,
    predict_scene,
)
from jointnet.predict.settings import Settings, with_temperature
from jointnet.predict.source import PredictionError, PredictionWarning

EDGE = 153.5 / 255  # a threshold that no pixel's brightness lies on
OPTIONS = {"size": 32, "threshold": EDGE, "progress": False}


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_an_image_smaller_than_a_window_is_predicted_whole(network):
    image = np.full((5, 3, 3), 51, np.uint8)  # 51 / 255 = 0.2
    np.testing.assert_allclose(predict_array(network, image), np.full((5, 3, 1), 0.2), atol=1e-6)


def test_the_mask_is_one_from_the_threshold_on(network):
    image = np.array([[[152] * 3, [153] * 3]], np.uint8)  # 152 / 255 = 0.596, 153 / 255 = 0.6
    assert predict_mask(network, image).tolist() == [[0, 1]]
    assert predict_mask(network, image, threshold=0.5).tolist() == [[1, 1]]


@pytest.mark.parametrize(("shape", "dtype", "says"), [((0, 5, 3), "uint8", "at least one pixel"),
                                                ((5, 5), "uint8", "height, width, bands"),
                                                ((5, 5, 3), "float32", "uint8, 0 to 255"),
                                                ((5, 5, 3), "uint16", "uint8, 0 to 255")])
def test_an_array_that_is_no_image_is_refused(network, shape, dtype, says):
    with pytest.raises(ValueError, match=says):
        predict_array(network, np.zeros(shape, dtype))


def test_windows_overlap_as_the_card_says_unless_told_otherwise(network):
    calls = []

    def counted(windows):
        calls.append(len(windows))
        return network(windows)

    counted.card = Settings(bands=3, classes=("buildings",), patch_size=32, overlap=0)
    image = np.zeros((64, 32, 3), np.uint8)
    predict_array(counted, image)
    assert sum(calls) == 2
    predict_array(counted, image, overlap=0.5)  # rows -8 to 24, 8 to 40, 24 to 56, 40 to 72
    assert sum(calls) == 2 + 4


@pytest.mark.parametrize(("normalization", "size"), [("batch", 64), ("group", 128)])
def test_a_small_image_is_seen_in_a_small_window_where_the_normalisation_allows_it(normalization, size):
    seen = []

    def watched(windows):
        seen.append(windows.shape)
        return np.zeros((*windows.shape[:3], 1), np.float32)

    watched.card = Card(normalization=normalization, patch_size=128)
    predict_array(watched, np.zeros((50, 60, 3), np.uint8))
    predict_array(watched, np.zeros((50, 60, 3), np.uint8), size=32, overlap=0)
    assert {shape[1:3] for shape in seen} == {(size, size), (32, 32)}


def test_a_temperature_of_two_halves_the_logit():
    # p = 0.9: logit = ln 9; halved, ln 3: p = 3 / 4
    np.testing.assert_allclose(with_temperature(np.array([0.9, 0.5]), 2), [0.75, 0.5], atol=1e-6)


def test_a_scene_keeps_crs_transform_and_bounds_in_every_output(network, scene_path, image, tmp_path, grid):
    result = predict_scene(network, scene_path, tmp_path / "out", **OPTIONS)
    assert files(tmp_path / "out") == ["town_buildings.geojson", "town_buildings.gpkg", "town_mask.tif",
                                       "town_probability.tif"]
    for path in (result.probability, result.mask):
        with rasterio.open(path) as raster:
            assert (raster.crs, raster.transform, raster.shape) == (grid.crs, grid.transform, (120, 200))
        assert cog_validate(path, quiet=True)[0]
    np.testing.assert_allclose(read_probability(result.probability)[..., 0], image.mean(-1) / 255, atol=1 / 508 + 1e-6)
    with rasterio.open(result.mask) as raster:
        assert np.array_equal(raster.read(1), np.where(image.mean(-1) / 255 >= EDGE, 255, 0))
    polygons = pyogrio.read_dataframe(result.geopackage)
    assert polygons.crs == grid.crs
    left, bottom, right, top = grid.bounds
    x0, y0, x1, y1 = polygons.total_bounds
    assert left <= x0 < x1 <= right
    assert bottom <= y0 < y1 <= top
    # a pixel is 0.25 m2 of UTM, whose scale at 500 km east is 0.9996
    expected = (image.mean(-1) / 255 >= EDGE).sum() * 0.25 / 0.9996**2
    assert polygons.area_m2.sum() == pytest.approx(expected, rel=1e-4)
    assert pyogrio.read_info(result.geojson)["crs"] == "EPSG:4326"


def test_the_same_call_again_does_nothing_and_another_threshold_is_refused(network, scene_path, tmp_path):
    first = predict_scene(network, scene_path, tmp_path / "out", **OPTIONS)
    stamp = first.probability.stat().st_mtime_ns
    assert predict_scene(network, scene_path, tmp_path / "out", **OPTIONS).seconds == 0
    assert first.probability.stat().st_mtime_ns == stamp
    with pytest.raises(FileExistsError, match="overwrite=True"):
        predict_scene(network, scene_path, tmp_path / "out", **(OPTIONS | {"threshold": 0.5}))
    again = predict_scene(network, scene_path, tmp_path / "out", **(OPTIONS | {"threshold": 0.5, "overwrite": True}))
    assert again.seconds > 0


class Interrupted:
    """A network that works for some windows and is then stopped by Ctrl-C."""

    digest = "interrupted"  # how often it was asked is no part of the network

    def __init__(self, windows, gsd=None):
        self.left = windows
        self.card = Settings(bands=3, classes=("buildings",), patch_size=32, gsd=gsd)

    def __call__(self, windows):
        self.left -= len(windows)
        if self.left < 0:
            raise KeyboardInterrupt
        return windows[..., :1].astype(np.float32) / 255


@pytest.mark.filterwarnings("ignore::jointnet.predict.source.PredictionWarning")
@pytest.mark.parametrize("gsd", [None, 0.3, 0.9])
def test_a_run_stopped_by_the_user_leaves_no_output_and_goes_on_to_the_same_pixels(scene_path, tmp_path, gsd):
    uninterrupted = Interrupted(10**9, gsd)
    whole = predict_scene(uninterrupted, scene_path, tmp_path / "whole", **OPTIONS)
    windows = 10**9 - uninterrupted.left
    for share in (0, 0.5, 0.3, 0.6):
        with pytest.raises(KeyboardInterrupt):
            predict_scene(Interrupted(int(share * windows), gsd), scene_path, tmp_path / "out", **OPTIONS)
        assert files(tmp_path / "out") == [".town_probability_rows"]
    counter = Interrupted(10**9, gsd)
    resumed = predict_scene(counter, scene_path, tmp_path / "out", **OPTIONS)
    assert 10**9 - counter.left < windows or gsd == 0.9  # finished rows were not run again, but the last of three
    for one, other in zip(whole.paths[:2], resumed.paths[:2], strict=True):
        with rasterio.open(one) as a, rasterio.open(other) as b:
            assert np.array_equal(a.read(), b.read())


@pytest.mark.parametrize("tta", [False, True])
def test_a_float_raster_holds_what_the_whole_array_gives(scene_path, image, tmp_path, tta):
    def leaning(windows):
        """Brighter towards a window's lower right, so that blending and turning windows both show."""
        slope = np.add.outer(np.arange(32), 2 * np.arange(32))[:, :, None].astype(np.float32) / 100
        return (windows.mean(axis=-1, keepdims=True) / 255 * slope).astype(np.float32)

    leaning.card = Settings(bands=3, classes=("buildings",), patch_size=32)
    result = predict_scene(leaning, scene_path, tmp_path / "out", dtype="float32", tta=tta, progress=False)
    found = read_probability(result.probability)
    np.testing.assert_allclose(found, predict_array(leaning, image, tta=tta), atol=1e-6)
    with rasterio.open(result.probability) as raster:
        assert (raster.dtypes, np.isnan(raster.nodata)) == (("float32",), True)


def test_a_part_of_a_scene_is_written_where_it_lies(network, scene_path, image, tmp_path, grid):
    x, y = grid.transform @ (40, 30)
    result = predict_scene(network, scene_path, tmp_path / "out", bounds=(x, y - 20, x + 50, y), **OPTIONS)
    with rasterio.open(result.probability) as raster:
        assert raster.shape == (40, 100)
        assert raster.transform == grid.transform @ Affine.translation(40, 30)
    expected = image[30:70, 40:140].mean(-1) / 255
    np.testing.assert_allclose(read_probability(result.probability)[..., 0], expected, atol=1 / 508 + 1e-6)


def test_no_data_gets_no_prediction(network, tmp_path, image, grid):
    image = image.copy()
    image[:20] = 0
    path = write_raster(tmp_path / "cut.tif", image, grid)
    result = predict_scene(network, path, tmp_path / "out", **(OPTIONS | {"threshold": 0.001}))
    blank = np.isnan(read_probability(result.probability)[..., 0])
    assert blank[:20].all()
    assert not blank[20:].any()
    with rasterio.open(result.mask) as raster:
        assert not raster.read(1)[:20].any()
        assert raster.read(1)[20:].all()


def test_alpha_says_where_there_is_imagery_and_is_no_band(network, tmp_path, image, grid):
    path = tmp_path / "alpha.tif"
    profile = {"driver": "GTiff", "width": 200, "height": 120, "count": 4, "dtype": "uint8", "crs": grid.crs,
               "transform": grid.transform, "photometric": "RGB", "alpha": "YES"}
    alpha = np.full((1, 120, 200), 255, np.uint8)
    alpha[:, :, :50] = 0
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.concatenate([np.moveaxis(image, -1, 0), alpha]))
    result = predict_scene(network, path, tmp_path / "out", **OPTIONS)
    blank = np.isnan(read_probability(result.probability)[..., 0])
    assert blank[:, :50].all()
    assert not blank[:, 50:].any()


def test_a_scene_without_georeference_is_predicted_in_pixels_with_a_warning(network, tmp_path, image):
    grid = Grid(200, 120, 3, "uint8", None, Affine.identity())
    path = write_raster(tmp_path / "plain.tif", image, grid)
    with pytest.warns(PredictionWarning, match="no georeference"):
        result = predict_scene(network, path, tmp_path / "out", **OPTIONS)
    document = json.loads(result.geojson.read_text())
    assert document["name"] == "buildings_pixels"
    assert "area_px" in document["features"][0]["properties"]
    polygons = pyogrio.read_dataframe(result.geopackage)
    assert polygons.crs is None or "Undefined" in polygons.crs.name
    assert polygons.area_px.sum() == (image.mean(-1) / 255 >= EDGE).sum()
    assert polygons.total_bounds[3] <= 120


def test_a_folder_that_cannot_be_made_is_refused(network, scene_path, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(RasterError, match="cannot be written"):
        predict_scene(network, scene_path, tmp_path / "taken", **OPTIONS)


@pytest.mark.parametrize(("options", "says"), [
    ({"bounds": (0, 0, 1, 1)}, "lie outside"), ({"bounds": (1, 1, 0, 0)}, "left < right"),
    ({"bands": (1, 2, 9)}, "bands 1 to 3"), ({"gsd": -1}, "above 0"), ({"dtype": "int8"}, "uint8"),
    ({"threshold": 2}, "between 0 and 1"), ({"engine": "abacus"}, "openvino"), ({"overlap": 1.5}, "overlap"),
    ({"outlines": "round"}, "choose from traced"), ({"tolerance": 0}, "above 0"), ({"min_area": -1}, "0 or more"),
])
def test_settings_that_do_not_fit_are_refused_before_anything_is_written(network, scene_path, tmp_path, options, says):
    with pytest.raises(ValueError, match=says):
        predict_scene(network, scene_path, tmp_path / "out", **(OPTIONS | options))
    assert files(tmp_path / "out") == []


def test_pixels_that_are_not_8_bit_are_refused(network, tmp_path, image, grid):
    path = write_raster(tmp_path / "deep.tif", image.astype(np.uint16) * 16, grid)
    with pytest.raises(PredictionError, match="uint16 values"):
        predict_scene(network, path, tmp_path / "out", **OPTIONS)
    assert files(tmp_path / "out") == []


def test_a_scene_that_is_a_part_of_its_image_is_written_where_it_lies(network, scene_path, image, tmp_path, grid):
    scene = Scene("corner", scene_path, part=(30, 40, 40, 100))
    result = predict_scene(network, scene, tmp_path / "out", **OPTIONS)
    assert result.probability.name == "corner_probability.tif"
    with rasterio.open(result.probability) as raster:
        assert (raster.shape, raster.transform) == ((40, 100), scene.info.transform)
    expected = image[30:70, 40:140].mean(-1) / 255
    np.testing.assert_allclose(read_probability(result.probability)[..., 0], expected, atol=1 / 508 + 1e-6)
    x, y = grid.transform @ (100, 50)  # 60 columns and 20 rows into the part
    inner = predict_scene(network, scene, tmp_path / "inner", bounds=(x, y - 100, x + 100, y), **OPTIONS)
    found = read_probability(inner.probability)[..., 0]  # and not beyond its lower right corner
    np.testing.assert_allclose(found, expected[20:, 60:], atol=1 / 508 + 1e-6)
    with pytest.raises(PredictionError, match="lie outside"):
        predict_scene(network, scene, tmp_path / "none", bounds=(*grid.bounds[:2], *scene.info.bounds[:2]), **OPTIONS)


def test_another_part_of_the_same_name_is_another_prediction(network, scene_path, tmp_path):
    predict_scene(network, Scene("corner", scene_path, part=(0, 0, 40, 100)), tmp_path / "out", **OPTIONS)
    with pytest.raises(FileExistsError, match="other settings"):
        predict_scene(network, Scene("corner", scene_path, part=(8, 0, 40, 100)), tmp_path / "out", **OPTIONS)


@pytest.fixture
def town_path(tmp_path, grid):
    """Two houses of 40 x 20 px (200 m2) and a shed of 4 x 4 px (4 m2), one of the houses turned."""
    houses = [shapely.box(20, 20, 60, 40), shapely.affinity.rotate(shapely.box(100, 40, 140, 60), 30),
              shapely.box(160, 100, 164, 104)]
    town = rasterize(houses, (120, 200), default_value=255, fill=1, dtype="uint8")
    return write_raster(tmp_path / "town.tif", np.repeat(town[..., None], 3, axis=-1), grid)


def read_all(result):
    """The polygons of each vector file, on the scene's CRS."""
    read = [gpd.read_parquet if path.suffix == ".parquet" else gpd.read_file for path in result.vectors("buildings")]
    return [f(path).to_crs(32633) for f, path in zip(read, result.vectors("buildings"), strict=True)]


def test_polygons_are_tidied_and_each_step_says_what_it_cost(network, town_path, tmp_path):
    traced = predict_scene(network, town_path, tmp_path / "traced", **OPTIONS)
    assert traced.kept == {"buildings": {}}
    tidy = {"min_area": 10, "outlines": "regular", "tolerance": 1.0, "parquet": True}
    result = predict_scene(network, town_path, tmp_path / "tidy", **tidy, **OPTIONS)
    everything, regular = read_all(traced)[0], read_all(result)
    assert [len(t) for t in (everything, *regular)] == [3, 2, 2, 2]
    assert [p.suffix for p in result.vectors("buildings")] == [".gpkg", ".geojson", ".parquet"]
    assert {shapely.get_num_coordinates(p) for t in regular for p in t.geometry} == {5}  # both are rectangles again
    assert all(t.mean_probability.tolist() == [1, 1] and set(t.scene) == {"town"} for t in regular)
    np.testing.assert_allclose(regular[0].area_m2, regular[0].area / 0.9996**2, rtol=1e-4)
    kept = result.kept["buildings"]
    assert list(kept) == ["min_area", "simplified", "regular", "all"]
    large = everything[everything.area_m2 > 10]
    assert kept["min_area"] == pytest.approx(large.area_m2.sum() / everything.area_m2.sum(), abs=1e-4)
    shared = large.union_all().intersection(regular[0].union_all()).area
    either = everything.union_all().union(regular[0].union_all()).area
    assert kept["all"] == pytest.approx(shared / either, abs=1e-4)
    assert 0.9 < kept["all"] < min(kept["simplified"], kept["min_area"]) < 1
    again = predict_scene(network, town_path, tmp_path / "tidy", **tidy, **OPTIONS)
    assert (again.seconds, again.kept) == (0, result.kept)


def test_polygons_are_made_anew_from_the_rasters_that_are_there(network, town_path, tmp_path):
    calls = []

    def counted(windows):
        calls.append(len(windows))
        return network(windows)

    counted.card = Settings(bands=3, classes=("buildings",), patch_size=32)
    counted.digest = "counted"  # what it holds changes with each call, and the network does not
    rasters = predict_scene(counted, town_path, tmp_path / "out", polygons=False, **OPTIONS)
    assert files(tmp_path / "out") == ["town_mask.tif", "town_probability.tif"]
    stamp, ran = rasters.mask.stat().st_mtime_ns, len(calls)
    result = predict_scene(counted, town_path, tmp_path / "out", **OPTIONS)
    assert len(read_all(result)[0]) == 3
    with pytest.raises(FileExistsError, match="delete it to have it made anew"):
        predict_scene(counted, town_path, tmp_path / "out", outlines="simplified", **OPTIONS)
    result.geopackage.unlink()
    simple = predict_scene(counted, town_path, tmp_path / "out", outlines="simplified", **OPTIONS)
    assert simple.kept["buildings"]["simplified"] > 0.9
    assert (len(calls), rasters.mask.stat().st_mtime_ns) == (ran, stamp)  # without asking the network
