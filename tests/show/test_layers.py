"""What is shown of a file is what the file means."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely

from jointnet.data.raster import Affine, Grid, write_raster
from jointnet.data.scene import Scene
from jointnet.data.stretch import Stretch
from jointnet.show.layers import ArrayScene, as_rgb, encode_photo, read_image, read_layer, read_probability_layer
from jointnet.show.widgets import PatchExplorer, SceneExplorer, TileBrowser


def test_a_probability_raster_is_shown_by_its_own_scale(tmp_path):
    """predict_scene writes 0 to 254 for 0 to 1, and 255 for no imagery; other programs 255 for 1."""
    grid = Grid(4, 1, 1, "uint8", None, Affine.identity())
    values = np.array([[0, 127, 254, 255]], np.uint8)
    for name, tags in (("own.tif", {"JOINTNET_VALUES": "0-254"}), ("foreign.tif", {})):
        write_raster(tmp_path / name, values, grid, tags=tags)
    scene = ArrayScene(np.zeros((1, 4, 3), np.uint8))
    assert read_probability_layer(tmp_path / "own.tif", scene)[..., 0].tolist() == [[0, 128, 255, 0]]  # 127.5
    assert read_probability_layer(tmp_path / "foreign.tif", scene)[..., 0].tolist() == [[0, 127, 254, 255]]
    assert read_layer(tmp_path / "own.tif", scene)[..., 0].tolist() == [[0, 127, 254, 255]]  # as an image or a mask


def test_a_small_photograph_stays_exact_and_a_large_one_takes_less_as_webp_than_as_jpeg():
    noise = np.random.default_rng(0).integers(100, 140, (710, 710, 3), np.uint8)  # half a megapixel is 707 x 707
    assert encode_photo(noise[:700], "webp").startswith(b"\x89PNG")
    jpeg, webp = encode_photo(noise), encode_photo(noise, "webp")
    assert jpeg.startswith(b"\xff\xd8") and webp[8:12] == b"WEBP"
    assert len(webp) < len(jpeg)


def test_fractions_without_imagery_here_and_there_are_shown_by_what_is_imagery():
    pixels = np.linspace(0, 1, 101, dtype=np.float32).reshape(101, 1)
    pixels[0], pixels[1] = np.nan, -9999
    valid = np.arange(101)[:, None] > 1
    grey = as_rgb(pixels, valid)[:, 0, 0]
    assert (grey[0], grey[1], grey[-1]) == (0, 0, 255)
    assert grey[51] in (127, 128)  # 0.51 is the middle of 0.02 to 1
    assert (as_rgb(np.full((1, 1), np.nan, np.float32)) == 0).all()


def test_an_image_of_more_bits_is_shown_as_its_network_sees_it_in_any_window_and_white_without_imagery(tmp_path):
    values = np.repeat(np.arange(1000, 1800, 2, np.uint16).reshape(20, 20, 1), 3, 2)
    values[:, :2] = 0
    path = write_raster(tmp_path / "a.tif", values, Grid(20, 20, 3, "uint16", None, Affine.identity()), nodata=0)
    scene = Scene("a", path, stretch=Stretch((0.0,) * 3, (2550.0,) * 3))
    assert read_image(scene)[0, 19].tolist() == read_image(scene, (0, 10, 2, 10))[0, 9].tolist() == [104] * 3  # 1038
    assert (read_image(scene)[:, :2] == 255).all()
    assert (read_image(Scene("a", path))[:, :2] == 255).all()


def test_percentages_are_no_probabilities():
    scene = ArrayScene(np.zeros((1, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="must lie in 0 to 1, these in 0 to 80; divide percentages by 100"):
        read_probability_layer(np.array([[0, 80.0]]), scene)


def test_polygons_with_a_place_are_refused_on_an_image_without_one(plain_scene):
    table = gpd.GeoDataFrame(geometry=[shapely.box(13, 52, 14, 53)], crs=4326)
    with pytest.raises(ValueError, match="the polygons have a CRS, the image has a place but names no CRS"):
        SceneExplorer(plain_scene, polygons=table)
    assert SceneExplorer(plain_scene, polygons=table.set_crs(None, allow_override=True)).about["polygons"] == [["", 1]]


def test_two_tiles_of_one_name_are_refused_and_not_one_of_them_hidden(scene):
    with pytest.raises(ValueError, match="several tiles are called vienna1; show them apart"):
        TileBrowser([scene, replace(scene, split="test")])


def test_what_no_explorer_can_show_is_said_in_a_sentence(scene):
    explorer = SceneExplorer(scene, scene.read_labels() * 1.0)
    with pytest.raises(ValueError, match="threshold=1.7 must lie between 0 and 1"):
        explorer.threshold = 1.7
    with pytest.raises(ValueError, match=r"\(height, width, bands\), not \(1, 4, 5, 3\)"):
        SceneExplorer(np.zeros((1, 4, 5, 3), np.uint8))
    with pytest.raises(ValueError, match="size=0 px and limit=60 patches must be 1 or more"):
        PatchExplorer(scene, size=0)
