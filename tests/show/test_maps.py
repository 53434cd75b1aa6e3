"""The map's pictures lie where the ground is, and nothing on it needs a network."""

import base64
import io
import json
from dataclasses import replace

import geopandas as gpd
import ipyleaflet
import numpy as np
import pytest
import shapely
from PIL import Image
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

from jointnet.data.masks import MaskGroup
from jointnet.data.raster import Grid, RasterError, write_raster
from jointnet.data.scene import Dataset
from jointnet.data.web_mercator import warp_to_web_mercator
from jointnet.show.cities import show_cities
from jointnet.show.layers import CLASS_COLOURS, rgb
from jointnet.show.map_panel import MOST_POLYGONS
from jointnet.show.maps import show_map
from jointnet.show.scene_map import PANEL_WIDTH, SceneMap
from tests.show.known_scene import (
    BUILDINGS,
    GRASS,
    GSD,
    HEIGHT,
    LEFT,
    ROOF,
    TOP,
    WIDTH,
    grid,
    two_class_probability,
)

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


def rows(shown) -> dict[str, tuple]:
    """Layer -> its swatch, switch, slider and button on the map."""
    panel = shown.panels[0].control.widget
    return {row.children[1].description: row.children for row in panel.children if hasattr(row, "children")}


def vectors(shown) -> dict[str, ipyleaflet.GeoJSON]:
    return {layer.name: layer for layer in shown.layers if isinstance(layer, ipyleaflet.GeoJSON)}


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


def test_labels_are_shown_as_their_values_mean_and_shrunk_without_being_read_whole(scene, tmp_path):
    truth = scene.read_labels()
    file = write_raster(tmp_path / "kinds.tif", 2 - truth, grid())  # 1 is a building, 2 is all else
    labelled = replace(scene, labels={"buildings": file}, masks={"buildings": MaskGroup((file,), (1,))})
    for size in (2048, 40):
        shown = decode(pictures(show_map(labelled, max_size=size))["true buildings"])
        expected = decode(pictures(show_map(scene, max_size=size))["true buildings"])
        np.testing.assert_array_equal(shown, expected)
        assert (shown[..., 3] > 0).mean() == pytest.approx(truth.mean(), abs=0.05)


def test_a_mask_of_probabilities_is_refused_by_the_map(scene, tmp_path):
    path = write_raster(tmp_path / "p.tif", np.full((HEIGHT, WIDTH), 0.3, np.float32), grid())
    with pytest.raises(ValueError, match="p.tif holds numbers between 0 and 1, as probabilities do"):
        show_map(scene, mask=path)


def test_polygons_of_a_site_grid_have_no_place_on_the_map(scene):
    site = 'LOCAL_CS["site",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
    with pytest.raises(ValueError, match="the polygons are in 'site', a site grid, so they have no place on a map"):
        show_map(scene, polygons=gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=site))


def test_a_slider_moves_the_opacity_and_a_switch_hides_the_layer(scene):
    shown = show_map(scene, mask=scene.read_labels())
    _, switch, slider, _ = rows(shown)["mask"]
    layer = pictures(shown)["mask"]
    slider.value = 0.25
    assert layer.opacity == 0.25
    switch.value = False
    assert layer.opacity == 0
    switch.value = True
    assert layer.opacity == 0.25


def test_the_map_opens_on_the_scene_and_fills_what_its_list_of_layers_leaves(scene):
    shown = show_map(scene, height="500px")
    south, west, north, east = warp_to_web_mercator(scene.image)[2]
    pixel = 360 / 256 / 2**shown.zoom  # degrees of longitude
    assert shown.center == pytest.approx([(south + north) / 2, (west + east) / 2 + PANEL_WIDTH / 2 * pixel], abs=1e-6)
    across = (east - west) / pixel  # the scene is wider than high, the free part of the map about square
    assert 464 * 0.94 / 2**0.25 - 1 <= across <= 464 * 0.94 + 1


def test_a_street_that_goes_on_beyond_the_image_does_not_make_the_image_small(scene):
    left, bottom, right, _ = scene.info.bounds
    street = shapely.LineString([(left, bottom + 5), (right + 3_000, bottom + 5)])
    shown = show_map(scene, polygons=gpd.GeoDataFrame(geometry=[street], crs=scene.info.crs))
    assert (shown.zoom, shown.center) == (show_map(scene).zoom, show_map(scene).center)
    rows(shown)["polygons"][3].click()  # all of it, for who asks
    assert shown.zoom < show_map(scene).zoom - 3


def test_a_button_looks_at_the_whole_of_one_layer(scene, polygons):
    shown = show_map(scene, polygons=polygons.iloc[:1])
    before = shown.zoom
    rows(shown)["polygons"][3].click()
    assert shown.zoom > before + 0.5
    rows(shown)["vienna1"][3].click()
    assert shown.zoom == before


def test_every_class_has_a_layer_in_its_colour(scene, polygons):
    shown = show_map(scene, two_class_probability(), threshold={"buildings": 0.6, "roads": 0.3},
                     polygons={"buildings": polygons})
    assert {"found buildings", "found roads"} < set(pictures(shown))
    assert "building outlines" in vectors(shown)
    for kind, place in (("buildings", (40, 55)), ("roads", (30, 92))):
        pixels = decode(pictures(shown)[f"found {kind}"])
        y, x = pixel_of(*place, pixels, warp_to_web_mercator(scene.image)[2])
        assert tuple(pixels[int(y), int(x), :3]) == rgb(CLASS_COLOURS[kind][0])
        assert pixels[int(y), int(x), 3] == pytest.approx(255 * {"buildings": 0.9, "roads": 0.45}[kind], abs=1)


def test_of_a_crowd_the_largest_in_view_are_shown_and_the_map_says_so(scene):
    count = MOST_POLYGONS + 500
    sides = np.linspace(1, 2, count)[:, None] * 1e-5
    corners = np.column_stack([np.tile(np.linspace(16.30, 16.40, 70), count)[:count],
                               np.repeat(np.linspace(48.18, 48.23, 60), 70)[:count]])
    crowd = gpd.GeoDataFrame(geometry=shapely.box(*corners.T, *(corners + sides).T), crs=4326)
    shown = show_map(scene, polygons=crowd)
    layer, panel = vectors(shown)["polygons"], shown.panels[0]
    assert len(layer.data["features"]) == MOST_POLYGONS
    smallest = min(shapely.geometry.shape(f["geometry"]).area for f in layer.data["features"])
    assert smallest >= sides[500, 0] ** 2 / 2 - 1e-18  # the 500 smallest are left out; a tiny square loses a corner
    assert "the 3,000 largest of 3,500 in view" in panel.print.value
    shown.set_trait("bounds", ((48.18, 16.30), (48.19, 16.35)))
    inside = crowd.intersects(shapely.box(16.30, 48.18, 16.35, 48.19)).sum()
    assert len(layer.data["features"]) == inside
    assert f"all {inside} in view" in panel.print.value


def test_the_still_shows_the_layers_where_they_are(scene, polygons):
    shown = show_map(scene, mask=scene.read_labels(), truth=False, polygons=polygons)
    rows(shown)["mask"][1].value = False
    data, _ = shown._repr_mimebundle_()
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))))
    assert still.shape == (600, 900, 3)
    for colour, share in ((GRASS, 0.15), (ROOF, 0.05)):
        assert (np.abs(still.astype(int) - colour).max(-1) <= 3).mean() > share
    yellow = (np.abs(still.astype(int) - (240, 228, 66)).max(-1) <= 3).mean()
    rows(shown)["polygons"][1].value = False
    later = np.asarray(Image.open(io.BytesIO(shown.preview()))).astype(int)
    assert (np.abs(later - (240, 228, 66)).max(-1) <= 3).mean() < yellow / 2


def test_a_switch_adds_the_online_basemap_and_takes_it_away(scene):
    shown = show_map(scene)
    panel = shown.panels[0].control.widget
    switch = next(w for w in panel.children if getattr(w, "description", "") == "OpenStreetMap (online)")
    for _ in range(2):
        switch.value = True
        assert [t.name for t in shown.layers if isinstance(t, ipyleaflet.TileLayer)] == ["no basemap", "osm"]
        switch.value = False
        assert [t.name for t in shown.layers if isinstance(t, ipyleaflet.TileLayer)] == ["no basemap"]


def test_where_tiles_cannot_be_served_the_map_says_so_and_shows_the_picture(scene, monkeypatch):
    monkeypatch.setattr("jointnet.show.tile_server.find_spec", lambda name: None)
    shown = show_map(scene, tiles=True)
    assert "vienna1" in pictures(shown)
    assert "pip install localtileserver xarray" in shown.panels[0].print.value


def test_a_basemap_comes_only_when_asked_for(scene):
    shown = show_map(scene, basemap="osm")
    assert [t.name for t in shown.layers if isinstance(t, ipyleaflet.TileLayer)] == ["no basemap", "osm"]
    assert any(isinstance(c, ipyleaflet.AttributionControl) for c in shown.controls)
    with pytest.raises(ValueError, match="choose osm"):
        show_map(scene, basemap="gogle")


def test_tiles_are_asked_for_by_add_raster_and_the_still_keeps_the_picture(scene, monkeypatch):
    asked = {}

    def add_raster(self, source, **options):
        asked.update(options, source=source)
        self.add(ipyleaflet.TileLayer(url="/deep/tiles/{z}/{x}/{y}.png", name=options["layer_name"]))

    monkeypatch.setattr("jointnet.show.maps.why_no_tiles", lambda: "")
    monkeypatch.setattr("jointnet.show.map_panel.tile_prefix", lambda: "/deep/localtileserver-proxy/{port}")
    monkeypatch.setattr("leafmap.Map.add_raster", add_raster)
    shown = show_map(scene, truth=False, tiles=True)
    assert asked["source"] == str(scene.image)
    assert (asked["prefix"], asked["indexes"]) == ("/deep/localtileserver-proxy/{port}", [1, 2, 3])
    assert pictures(shown) == {}
    rows(shown)["vienna1"][2].value = 0.5
    assert shown.layers[-1].opacity == 0.5
    still = np.asarray(Image.open(io.BytesIO(shown.preview()))).astype(int)
    assert (np.abs(still - GRASS).max(-1) <= 3).mean() > 0.15


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
    assert "none predicted yet" in shown.message.value
    assert "python -m jointnet predict" in shown.message.value
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
    assert explorer.arrives
    assert (explorer.layer, explorer.swipe) == ("image", "prediction")
    shown.tile.value = ""
    assert pictures(shown.map) == {}
    assert shown.swipe.disabled
    assert len(shown.children) == 3


def test_a_city_narrows_the_tiles_to_its_own(two_cities):
    shown = show_cities(two_cities)
    shown.city.value = "graz"
    assert [value for _, value in shown.tile.options] == ["", "graz1"]


def test_the_only_tile_of_a_city_opens_with_its_city(two_cities):
    shown = show_cities(two_cities)
    shown.city.value = "graz"
    assert shown.tile.value == "graz1"
    assert list(pictures(shown.map)) == ["graz1"]


def test_a_shape_under_the_pointer_says_what_it_is(scene):
    roof = shapely.box(*scene.info.bounds).centroid.buffer(3)
    rows = {"kind": ["missed"], "area_m2": [28.2], "mean_probability": [0.914], "iou": [np.nan], "width_m": ["6 m"]}
    shown = show_map(scene, polygons=gpd.GeoDataFrame(rows, geometry=[roof], crs=scene.info.crs))
    layer = vectors(shown)["polygons"]
    layer._handle_mouse_events(None, {"event": "mouseover", "feature": layer.data["features"][0]}, [])
    assert "missed, 28 m², probability 0.91" in shown.panels[0].print.value


def test_centre_lines_are_called_so_on_the_map(scene):
    inside = shapely.box(*scene.info.bounds).centroid
    line = gpd.GeoDataFrame(geometry=[shapely.LineString([inside, (inside.x + 5, inside.y)])], crs=scene.info.crs)
    assert "road centre lines" in vectors(show_map(scene, polygons={"roads": line}))


def test_cities_are_named_on_the_map_and_a_click_leads_to_a_city_and_its_tile(two_cities):
    shown = show_cities(two_cities)

    def names() -> dict:
        return {m.title: m for m in shown.map.layers if isinstance(m, ipyleaflet.Marker)}

    assert set(names()) == {"vienna", "graz"}
    assert shown.map.preview()[:4] == b"\x89PNG"
    names()["graz"]._handle_mouse_events(None, {"event": "interaction", "type": "click"}, [])
    assert shown.city.value == "graz"
    assert shown.tile.value == "graz1"  # its only one
    assert names() == {}


def test_a_damaged_prediction_is_told_in_the_widget(two_cities, tmp_path):
    (tmp_path / "vienna1_probability.tif").write_text("no raster")
    shown = show_cities(two_cities, tmp_path)
    shown.tile.value = "vienna1"
    assert "not an image that GDAL can read" in shown.message.value


def test_land_lies_under_views_from_afar_and_not_under_near_ones(project_root):
    shown = SceneMap(None, "400px")
    shown.show_land()
    land = vectors(shown)["land"]
    world = shapely.geometry.shape(land.data["features"][0]["geometry"])
    places = {"Bellingham": (-122.3, 48.7), "Innsbruck": (11.4, 47.3), "Atlantic": (-40, 40), "Pacific": (-150, 0)}
    ashore = [name for name, point in places.items() if world.contains(shapely.Point(point))]
    assert ashore == ["Bellingham", "Innsbruck"]
    assert (project_root / "jointnet/show/land.geojson").stat().st_size < 40_000
    shown.zoom = 16
    assert land.style["fillOpacity"] == 0
    shown.zoom = 3
    assert land.style["fillOpacity"] == 1


@pytest.mark.parametrize("name", ["W" * 500, "two\nlines", "\t"])
def test_a_still_has_room_for_the_scene_whatever_its_layers_are_called(scene, polygons, name):
    named = replace(scene, name=name, credit=name, drawn=False)
    shown = show_map(named, polygons={name: polygons, "none": polygons[:0]})
    pixels = np.asarray(Image.open(io.BytesIO(shown.preview())).convert("RGB"))
    assert (np.abs(pixels.astype(int) - GRASS).max(-1) < 12).mean() > 0.05


def test_a_scene_across_180_degrees_is_one_picture_there_and_its_shapes_lie_on_it(tmp_path):
    """100 m across the middle of a map around 150 east (EPSG:3832): 30 degrees east of it are 3,339,584.72 m."""
    place = Grid(100, 100, 3, "uint8", CRS.from_epsg(3832), Affine(1, 0, 3_339_534.72, 0, -1, -1_900_000))
    image = np.full((100, 100, 3), GRASS, np.uint8)
    image[40:60, 30:70] = ROOF
    write_raster(tmp_path / "a.tif", image, place)
    t = place.transform
    house = gpd.GeoSeries([shapely.box(*(t @ (30, 60)), *(t @ (70, 40)))], crs=3832)
    mask = (image[..., 0] == ROOF[0]).astype(np.uint8)
    shown = show_map(tmp_path / "a.tif", mask=mask, polygons=house.to_frame("geometry"))
    half = 50 / 6_378_137 * 180 / np.pi  # degrees of longitude: Mercator's are those of the equator
    pixel = half / 50
    for layer in pictures(shown).values():
        (south, west), (north, east) = layer.bounds
        assert (west, east) == pytest.approx((180 - half, 180 + half), abs=pixel)
        assert 0 < north - south < 3 * half
    ring = np.array(vectors(shown)["polygons"].data["features"][0]["geometry"]["coordinates"][0])
    assert (ring[:, 0].min(), ring[:, 0].max()) == pytest.approx((180 - 0.4 * half, 180 + 0.4 * half), abs=pixel / 10)
    assert shown.center[1] == pytest.approx(180, abs=0.01)
    assert shown.zoom > 15
    assert shown.preview()[:4] == b"\x89PNG"
