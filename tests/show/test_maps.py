"""The map's pictures lie where the ground is, and nothing on it needs a network."""

import base64
import io
import json
from dataclasses import replace

import ipyleaflet
import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer

from jointnet.data.raster import RasterError, warp_to_web_mercator, write_raster
from jointnet.data.scene import Dataset
from jointnet.show.maps import show_cities, show_map
from tests.show.known_scene import BUILDINGS, GSD, HEIGHT, LEFT, ROOF, TOP, WIDTH, grid

TO_MERCATOR = Transformer.from_crs(32633, 3857, always_xy=True)
TO_DEGREES = Transformer.from_crs(32633, 4326, always_xy=True)


def pixel_of(row: float, col: float, pixels: np.ndarray, bounds) -> tuple[float, float]:
    """Where a point of the scene lies in a warped picture, computed apart with pyproj: (row, col)."""
    south, west, north, east = bounds
    corners = Transformer.from_crs(4326, 3857, always_xy=True)
    (left, bottom), (right, top) = corners.transform(west, south), corners.transform(east, north)
    x, y = TO_MERCATOR.transform(LEFT + col * GSD, TOP - row * GSD)
    return (top - y) / (top - bottom) * pixels.shape[0], (x - left) / (right - left) * pixels.shape[1]


def pictures(shown) -> dict[str, ipyleaflet.ImageOverlay]:
    return {layer.name: layer for layer in shown.layers if isinstance(layer, ipyleaflet.ImageOverlay)}


def decode(layer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(layer.url.split(",")[1]))))


def test_every_corner_of_a_building_is_warped_to_its_place_within_a_pixel(scene):
    pixels, valid, bounds = warp_to_web_mercator(scene.image, resampling="nearest")
    for row, col, end, stop in BUILDINGS:
        for r, c, inward in ((row, col, (1, 1)), (row, stop, (1, -1)), (end, col, (-1, 1)), (end, stop, (-1, -1))):
            y, x = pixel_of(r, c, pixels, bounds)
            inside = pixels[int(y + 1.5 * inward[0]), int(x + 1.5 * inward[1])]
            outside = pixels[int(y - 1.5 * inward[0]), int(x - 1.5 * inward[1])]
            assert tuple(inside) == ROOF
            assert tuple(outside) != ROOF
    assert 0.9 < valid.mean() < 1  # the zone's north is tilted against the map's, so corners stay empty


def test_the_bounds_hold_the_corners_of_the_scene(scene):
    *_, (south, west, north, east) = warp_to_web_mercator(scene.image)
    corners = [TO_DEGREES.transform(LEFT + c * GSD, TOP - r * GSD) for r in (0, HEIGHT) for c in (0, WIDTH)]
    longitudes, latitudes = zip(*corners, strict=True)
    pixel = 2 * GSD / 111_195  # degrees of latitude
    assert (south, north) == pytest.approx((min(latitudes), max(latitudes)), abs=pixel)
    assert (west, east) == pytest.approx((min(longitudes), max(longitudes)), abs=pixel * 1.5)


def test_an_array_is_warped_as_its_file_is(scene):
    from_file = warp_to_web_mercator(scene.image, max_size=64)
    from_array = warp_to_web_mercator(scene.read(), scene.info, max_size=64)
    assert max(from_file[0].shape) == 64
    assert np.array_equal(from_file[0], from_array[0])
    assert np.array_equal(from_file[1], from_array[1])


def test_a_mask_may_be_bool(scene):
    from_bool = warp_to_web_mercator(scene.read_labels() > 0, scene.info, resampling="nearest")[0]
    assert np.array_equal(from_bool, warp_to_web_mercator(scene.read_labels(), scene.info, resampling="nearest")[0])


def test_an_array_without_a_grid_is_refused():
    with pytest.raises(RasterError, match="pass the grid of its scene"):
        warp_to_web_mercator(np.zeros((4, 4), np.uint8))


def test_nodata_is_transparent(tmp_path):
    values = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    values[:, :40] = -1
    path = write_raster(tmp_path / "p.tif", values, grid(), nodata=-1)
    _, valid, _ = warp_to_web_mercator(path, resampling="nearest")
    middle = valid[valid.shape[0] // 2]
    assert not middle[: valid.shape[1] // 5].any()
    assert middle[valid.shape[1] // 3 : -4].all()


def test_the_map_shows_each_layer_by_name_over_a_plain_background(scene, probability, polygons):
    shown = show_map(scene, probability=probability, mask=scene.read_labels(), polygons=polygons)
    assert list(pictures(shown)) == ["vienna1", "true buildings", "probability", "mask"]
    assert [layer.name for layer in shown.layers if isinstance(layer, ipyleaflet.GeoJSON)] == ["polygons"]
    tiles = [layer for layer in shown.layers if isinstance(layer, ipyleaflet.TileLayer)]
    assert [t.name for t in tiles] == ["no basemap"]
    assert all(t.url.startswith("data:") for t in tiles)


def test_nothing_in_the_map_names_an_address_outside(scene, probability, polygons):
    shown = show_map(scene, probability=probability, polygons=polygons)
    states = [w.get_state() for w in (shown, *shown.layers, *shown.controls)]
    text = json.dumps(states, default=str)
    assert "http:" not in text
    assert "https:" not in text


def test_probability_is_transparent_below_the_threshold(scene, probability):
    shown = show_map(scene, probability=probability, threshold=0.6)
    pixels = decode(pictures(shown)["probability"])
    bounds = warp_to_web_mercator(scene.image)[2]
    for row, col, seen in ((40, 55, True), (90, 15, True), (90, 125, False), (10, 10, False)):
        y, x = pixel_of(row, col, pixels, bounds)
        assert (pixels[int(y), int(x), 3] > 0) == seen


def test_polygons_in_another_crs_land_on_their_buildings(scene, polygons):
    shown = show_map(scene, polygons=polygons.to_crs(4326))
    layer = next(x for x in shown.layers if isinstance(x, ipyleaflet.GeoJSON))
    ring = layer.data["features"][0]["geometry"]["coordinates"][0]
    row, col, end, stop = BUILDINGS[0]
    expected = {TO_DEGREES.transform(LEFT + c * GSD, TOP - r * GSD) for r in (row, end) for c in (col, stop)}
    assert {(round(x, 8), round(y, 8)) for x, y in ring} == {(round(x, 8), round(y, 8)) for x, y in expected}


def test_a_slider_moves_the_opacity_and_a_switch_hides_the_layer(scene):
    shown = show_map(scene, mask=scene.read_labels())
    panel = next(c for c in shown.controls if isinstance(c, ipyleaflet.WidgetControl)).widget
    _, switch, slider = panel.children[-2].children
    layer = pictures(shown)["mask"]
    slider.value = 0.25
    assert layer.opacity == 0.25
    switch.value = False
    assert layer.opacity == 0
    switch.value = True
    assert layer.opacity == 0.25


def test_the_map_opens_on_the_scene_and_fills_it(scene):
    shown = show_map(scene, height="500px")
    south, west, north, east = warp_to_web_mercator(scene.image)[2]
    assert shown.center == pytest.approx([(south + north) / 2, (west + east) / 2], abs=1e-6)
    across = (east - west) / 360 * 256 * 2**shown.zoom  # pixels; the scene is wider than high, the map as well
    down = (north - south) * np.pi / 180 / np.cos(np.radians(south)) / (2 * np.pi) * 256 * 2**shown.zoom
    assert across <= 760
    assert 500 * 0.94 / 2**0.25 - 1 <= down <= 500 * 0.94 + 1


def test_a_basemap_comes_only_when_asked_for(scene):
    shown = show_map(scene, basemap="osm")
    assert [t.name for t in shown.layers if isinstance(t, ipyleaflet.TileLayer)] == ["no basemap", "osm"]
    assert shown.attribution_control
    with pytest.raises(ValueError, match="choose osm"):
        show_map(scene, basemap="gogle")


def test_a_scene_without_georeference_is_sent_to_the_explorer(plain_scene):
    with pytest.raises(RasterError, match="SceneExplorer"):
        show_map(plain_scene)


def test_layers_for_several_scenes_are_refused(scene, probability):
    with pytest.raises(ValueError, match="pick one"):
        show_map([scene, scene], probability=probability)


@pytest.fixture
def two_cities(scene):
    """The known scene in two test cities."""
    return Dataset("known", (replace(scene, split="test"), replace(scene, name="graz1", city="graz", split="test")))


def test_a_tile_without_a_prediction_says_what_to_run(two_cities):
    shown = show_cities(two_cities)
    assert list(shown.outlines["name"]) == ["vienna1", "graz1"]
    shown.tile.value = "vienna1"
    assert "python -m jointnet predict" in shown.message.value
    assert list(pictures(shown.map)) == ["vienna1"]


def test_a_tile_opens_its_prediction_and_one_click_further_its_explorer(two_cities, probability, tmp_path):
    write_raster(tmp_path / "vienna1_probability.tif", (probability * 255).astype(np.uint8), grid())
    shown = show_cities(two_cities, tmp_path)
    shown.tile.value = "vienna1"
    assert list(pictures(shown.map)) == ["vienna1", "probability"]
    assert shown.message.value == ""
    shown.swipe.click()
    explorer = shown.children[-1]
    assert (explorer.layer, explorer.swipe) == ("image", "prediction")
    shown.tile.value = ""
    assert pictures(shown.map) == {}
    assert shown.swipe.disabled
    assert len(shown.children) == 3


def test_a_city_narrows_the_tiles_to_its_own(two_cities):
    shown = show_cities(two_cities)
    shown.city.value = "graz"
    assert [value for _, value in shown.tile.options] == ["", "graz1"]


def test_a_damaged_prediction_is_told_in_the_widget(two_cities, tmp_path):
    (tmp_path / "vienna1_probability.tif").write_text("no raster")
    shown = show_cities(two_cities, tmp_path)
    shown.tile.value = "vienna1"
    assert "not an image that GDAL can read" in shown.message.value
