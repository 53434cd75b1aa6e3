"""What is wrong with a scene or a folder is said in one sentence, and no file is left behind."""

from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.features import rasterize
from rasterio.transform import Affine

from jointnet.data.raster import Grid, RasterError, write_raster
from jointnet.predict.export import read_card
from jointnet.predict.rasters import read_probability
from jointnet.predict.scenes import predict_array, predict_scene
from jointnet.predict.settings import Settings
from jointnet.predict.source import PredictionError, PredictionWarning


def network(windows):
    """Brightness, of three bands at 0.5 m."""
    return windows.astype(np.float32).mean(axis=-1, keepdims=True) / 255


network.card = Settings(bands=3, classes=("buildings",), patch_size=32, gsd=0.5)


def refused(source, tmp_path, says, **options):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=says) as caught:
        predict_scene(network, source, out, progress=False, **options)
    assert "\n" not in str(caught.value)
    assert not out.exists() or list(out.iterdir()) == []


def test_a_missing_file(tmp_path):
    refused(tmp_path / "none.tif", tmp_path, "does not exist")


def test_a_folder(tmp_path):
    refused(tmp_path, tmp_path, "is a folder")


def test_a_text_file(tmp_path):
    (tmp_path / "note.tif").write_text("not an image")
    refused(tmp_path / "note.tif", tmp_path, "not an image")


def test_more_bands_than_the_weights_take_need_a_choice(tmp_path, grid, image):
    wide = write_raster(tmp_path / "wide.tif", np.concatenate([image, image[..., :2]], axis=-1), grid)
    refused(wide, tmp_path, r"has 5 bands and the network takes 3; choose them, for example bands=\[1, 2, 3\]")
    chosen = predict_scene(network, wide, tmp_path / "out", bands=(3, 1, 2), progress=False)
    np.testing.assert_allclose(read_probability(chosen.probability)[..., 0], image.mean(-1) / 255, atol=0.003)


def test_fewer_bands_than_the_weights_take(tmp_path, grid, image):
    grey = write_raster(tmp_path / "grey.tif", image[..., 0], grid)
    refused(grey, tmp_path, r"has 1 bands and the network takes 3; .*bands=\[1, 1, 1\]")
    assert predict_scene(network, grey, tmp_path / "out", bands=(1, 1, 1), progress=False).shape == (120, 200)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_and_float_images(tmp_path, grid, image, dtype):
    refused(write_raster(tmp_path / "deep.tif", image.astype(dtype), grid), tmp_path, f"{dtype} values.*gdal_translate")


@pytest.fixture
def tall_path(tmp_path, grid):
    """2048 rows of noise, as a tiled and compressed GeoTIFF that ends with its pixels."""
    noise = np.random.default_rng(0).integers(1, 256, (3, 2048, 256), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": 256, "height": 2048, "count": 3, "dtype": "uint8", "crs": grid.crs,
               "transform": grid.transform, "tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.open(tmp_path / "tall.tif", "w", **profile) as raster:
        raster.write(noise)
    return tmp_path / "tall.tif"


def test_a_file_cut_short_in_the_middle(tmp_path, tall_path):
    whole = tall_path.read_bytes()
    tall_path.write_bytes(whole[: len(whole) // 2])
    refused(tall_path, tmp_path, "damaged or cut short")


def test_a_file_whose_middle_is_damaged(tmp_path, tall_path):
    whole = bytearray(tall_path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 100_000] = bytes(100_000)
    tall_path.write_bytes(whole)
    refused(tall_path, tmp_path, "damaged or cut short")


def test_a_window_larger_than_the_scene_is_filled_with_mirrors(tmp_path, scene_path, image):
    result = predict_scene(network, scene_path, tmp_path / "out", size=256, progress=False)
    np.testing.assert_allclose(read_probability(result.probability)[..., 0], image.mean(-1) / 255, atol=0.003)


def test_a_rotated_scene_keeps_its_rotation_in_rasters_and_polygons(tmp_path, grid, image):
    turned = grid.transform @ Affine.rotation(30)
    path = write_raster(tmp_path / "turned.tif", image, Grid(200, 120, 3, "uint8", grid.crs, turned))
    result = predict_scene(network, path, tmp_path / "out", threshold=153.5 / 255, progress=False)
    with rasterio.open(result.mask) as raster:
        assert raster.transform.almost_equals(turned)
        mask = raster.read(1)
    shapes = pyogrio.read_dataframe(result.geopackage).geometry
    again = rasterize(shapes, mask.shape, transform=turned, fill=0, default_value=255, dtype="uint8")
    assert np.array_equal(again, mask)


@pytest.mark.parametrize("metres", [0.125, 0.25, 1.0])
def test_a_scene_of_another_gsd_is_resampled_for_the_network_and_written_on_its_own_grid(tmp_path, grid, image, metres):
    there = Grid(200, 120, 3, "uint8", grid.crs, Affine(metres, 0, 5e5, 0, -metres, 5e6))
    path = write_raster(tmp_path / "other.tif", image, there)
    with pytest.warns(PredictionWarning, match="was trained at 0.5 m"):
        result = predict_scene(network, path, tmp_path / "out", progress=False)
    with rasterio.open(result.probability) as raster:
        assert (raster.shape, raster.transform) == ((120, 200), there.transform)
    # hills 100 px and more across survive resampling to half or a quarter of the pixels but for a few grey levels
    np.testing.assert_allclose(read_probability(result.probability)[..., 0], image.mean(-1) / 255, atol=0.05)


def test_a_part_of_a_resampled_scene_equals_that_part_of_the_whole(tmp_path, grid, image):
    there = Grid(200, 120, 3, "uint8", grid.crs, Affine(0.25, 0, 5e5, 0, -0.25, 5e6))
    path = write_raster(tmp_path / "fine.tif", image, there)
    with pytest.warns(PredictionWarning):
        whole = predict_scene(network, path, tmp_path / "whole", progress=False)
    with pytest.warns(PredictionWarning):
        part = predict_scene(network, path, tmp_path / "part", progress=False,
                             bounds=(5e5 + 10, 5e6 - 22.5, 5e5 + 30, 5e6 - 5))
    found = read_probability(part.probability)[..., 0]
    assert found.shape == (70, 80)
    inside = read_probability(whole.probability)[20:90, 40:120, 0]
    np.testing.assert_allclose(found[4:-4, 4:-4], inside[4:-4, 4:-4], atol=1.5 / 254)


def test_a_gsd_that_is_stated_wins_over_the_georeference(tmp_path, grid, image):
    there = Grid(200, 120, 3, "uint8", grid.crs, Affine(0.25, 0, 5e5, 0, -0.25, 5e6))
    path = write_raster(tmp_path / "fine.tif", image, there)
    result = predict_scene(network, path, tmp_path / "out", gsd=0.5, progress=False)  # no warning: nothing resampled
    np.testing.assert_allclose(read_probability(result.probability)[..., 0], image.mean(-1) / 255, atol=0.003)


@pytest.mark.parametrize("stated", [None, 0.25])
def test_an_array_is_shown_at_the_networks_gsd_and_answered_on_its_own_pixels(stated):
    blocks = np.random.default_rng(0).integers(1, 255, (12, 20), np.uint8).repeat(8, 0).repeat(8, 1)
    image = np.stack([blocks] * 3, axis=-1)
    seen = []

    def fine_eyes(windows):
        seen.append(windows)
        return network(windows)

    fine_eyes.card = replace(network.card, image_gsd=None if stated else 0.25)
    found = predict_array(fine_eyes, image, overlap=0, gsd=stated)
    assert sum(len(windows) for windows in seen) == 2 * 3  # 48 x 80 px in windows of 32 px
    assert found.shape == (96, 160, 1)
    middles = found[4::8, 4::8, 0]  # two pixels of the network away from other blocks
    np.testing.assert_allclose(middles, image[4::8, 4::8, 0] / 255, atol=0.003)


def test_an_array_at_the_networks_own_gsd_is_shown_as_it_is():
    other = lambda windows: network(windows)  # noqa: E731
    other.card = replace(network.card, image_gsd=0.25)
    image = np.random.default_rng(0).integers(1, 255, (40, 50, 3), np.uint8)
    np.testing.assert_allclose(predict_array(other, image, gsd=0.5), network(image), atol=1e-6)


@pytest.mark.parametrize("gsd", [0, -0.3, float("nan"), float("inf"), "0.3"])
def test_an_array_of_no_size_on_the_ground_is_refused(gsd):
    with pytest.raises(PredictionError, match="above 0"):
        predict_array(network, np.ones((8, 8, 3), np.uint8), gsd=gsd)


def test_windows_of_no_size_are_refused(scene_path, tmp_path):
    """Before, 0 was taken for "not given"."""
    with pytest.raises(ValueError, match="a window of 0 px must be a positive multiple of 8 px"):
        predict_array(network, np.ones((8, 8, 3), np.uint8), size=0)
    with pytest.raises(ValueError, match="a window of 0 px must be a positive multiple of 8 px"):
        predict_scene(network, scene_path, tmp_path / "out", size=0, progress=False)


def test_an_array_with_its_bands_first_as_rasterio_reads_is_told_so():
    """The advice to choose three of its bands, which are columns, would be followed to a wrong answer."""
    with pytest.raises(PredictionError, match=r"its bands first; .* give np.moveaxis\(image, 0, -1\)"):
        predict_array(network, np.ones((3, 40, 50), np.uint8))


def test_a_photograph_without_a_georeference_has_the_gsd_that_the_card_takes_for_it(tmp_path, image):
    other = lambda windows: network(windows)  # noqa: E731
    other.card = replace(network.card, image_gsd=0.25)
    path = write_raster(tmp_path / "photo.tif", image, Grid(200, 120, 3, "uint8", None, Affine.identity()))
    with pytest.warns(PredictionWarning) as said:
        result = predict_scene(other, path, tmp_path / "out", progress=False)
    assert "taken to have the 0.25 m" in str(said[0].message)
    assert "shown 60 x 100 px" in str(said[1].message)
    found, expected = read_probability(result.probability), predict_array(other, image)
    np.testing.assert_allclose(found[4:-4, 4:-4], expected[4:-4, 4:-4], atol=0.02)  # GDAL shrinks by another filter


def test_outputs_that_cannot_be_written(tmp_path, scene_path):
    (tmp_path / "out").write_text("a file in the way")
    with pytest.raises(RasterError, match="cannot be written to"):
        predict_scene(network, scene_path, tmp_path / "out" / "deeper", progress=False)


def test_unreadable_weights(tmp_path, scene_path):
    (tmp_path / "broken.weights.h5").write_bytes(b"not weights")
    with pytest.raises(ValueError, match="broken"):
        predict_scene(tmp_path / "broken.weights.h5", scene_path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("answer", "says"), [
    (np.nan, r"answers with no number \(NaN\): its training went astray"),
    (90.0, "answers with 90 to 90, probabilities of 0 to 1 are needed: end it with a sigmoid"),
    (-2.5, "answers with -2.5 to -2.5, probabilities")])
def test_a_network_whose_answer_is_no_probability(tmp_path, grid, image, answer, says):
    def astray(windows):
        return np.full((*windows.shape[:3], 1), answer, np.float32)

    astray.card = network.card
    path = write_raster(tmp_path / "town.tif", image, grid)
    with pytest.raises(PredictionError, match=says):
        predict_scene(astray, path, tmp_path / "out", progress=False)
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(PredictionError, match=says):
        predict_array(astray, image)


def test_a_network_with_more_classes_than_its_card(tmp_path, grid, image):
    def many(windows):
        return windows / np.float32(255)

    many.card = network.card
    path = write_raster(tmp_path / "town.tif", image, grid)
    with pytest.raises(PredictionError, match=r"answers with 3 classes and its card names 1 \(buildings\)"):
        predict_scene(many, path, tmp_path / "out", progress=False)


def test_a_gsd_of_nothing(tmp_path, grid, image):
    refused(write_raster(tmp_path / "town.tif", image, grid), tmp_path, "gsd=0.0 must be metres per pixel", gsd=0)


def test_what_is_no_export_holds_no_card(tmp_path):
    (tmp_path / "saved").mkdir()
    with pytest.raises(ValueError, match="saved is damaged, or no network that export wrote: it holds no card"):
        read_card(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"none.onnx does not exist; name what export wrote"):
        read_card(tmp_path / "none.onnx")


def test_water_that_is_black_in_the_bands_shown_and_not_in_another_is_imagery(tmp_path, grid, image):
    deep = np.dstack([image, np.full(grid.shape, 40, np.uint8)])
    deep[:20] = 0
    deep[20:40, :, :3] = 0
    path = write_raster(tmp_path / "town.tif", deep, grid, photometric="MINISBLACK")  # or the fourth would be an alpha
    result = predict_scene(network, path, tmp_path / "out", bands=[1, 2, 3], progress=False)
    found = read_probability(result.probability)
    assert np.isnan(found[:20]).all() and np.isfinite(found[20:]).all()
