"""Drawn scenes: the same every time, in their places, with masks that are exactly their polygons."""

from __future__ import annotations

import json
import os

import geopandas as gpd
import numpy as np
import pytest
import shapely

from jointnet.data import drawn
from jointnet.data.drawing.light import cast_shadows
from jointnet.data.drawn import CITIES, SAMPLE, draw_sample, draw_scene, save_scene, scene_files
from jointnet.data.labels import rasterize_file
from jointnet.data.raster import read_info, read_mask, read_raster

SMALL = 256


@pytest.fixture(scope="module")
def vienna() -> drawn.DrawnScene:
    return draw_scene("vienna6", size=SMALL)


def test_the_sample_is_fifteen_scenes_named_and_split_as_inria_is():
    train = {f"{city}{tile}" for city in ("austin", "chicago", "kitsap", "tyrol-w", "vienna") for tile in (1, 6)}
    assert set(SAMPLE["train"]) == train
    assert SAMPLE["test"] == ("bellingham15", "bloomington17", "innsbruck21", "sfo36", "tyrol-e35")


def test_a_scene_is_the_same_each_time_and_another_with_another_seed(vienna):
    again, other = draw_scene("vienna6", size=SMALL), draw_scene("vienna6", size=SMALL, seed=1)
    np.testing.assert_array_equal(again.image, vienna.image)
    assert again.footprints.equals(vienna.footprints)
    assert (other.buildings != vienna.buildings).mean() > 0.05


@pytest.mark.parametrize("city", CITIES)
def test_every_city_has_colour_buildings_and_roads_in_its_utm_zone(city):
    scene = draw_scene(f"{city}1", size=SMALL)
    assert scene.image.shape == (SMALL, SMALL, 3)
    assert scene.image.dtype == np.uint8
    assert scene.image.std() > 15
    assert 0 < scene.buildings.mean() < 0.7
    assert 0 < scene.roads.mean() < 0.6
    assert set(np.unique(scene.buildings)) == set(np.unique(scene.roads)) == {0, 1}
    west, south, east, north = scene.footprints.total_bounds
    zone = int((west + 180) // 6) + 1
    assert scene.grid.crs.to_epsg() == 32600 + zone
    assert abs(west - CITIES[city].lon) < 0.01
    assert abs(north - CITIES[city].lat) < 0.01
    assert scene.grid.gsd == pytest.approx(0.3)


def test_scenes_smaller_than_a_block_are_drawn_too():
    for city in ("kitsap", "innsbruck", "sfo"):
        assert draw_scene(f"{city}2", size=64).image.shape == (64, 64, 3)


def test_tiles_of_a_city_lie_side_by_side():
    one, two, seven = (drawn._grid("sfo", tile, 64, 0.3).transform for tile in (1, 2, 7))
    assert (two.c - one.c, two.f - one.f) == pytest.approx((307.2, 0))  # 1024 px of 0.3 m
    assert (seven.c - one.c, seven.f - one.f) == pytest.approx((0, -307.2))


def test_courtyards_are_holes_in_footprints_and_masks():
    whole = draw_scene("vienna1", size=512)
    courts = [p for p in whole.footprints.geometry if p.interiors]
    assert courts
    inside = gpd.GeoSeries([shapely.Polygon(courts[0].interiors[0])], crs=4326).to_crs(whole.grid.crs)[0]
    col, row = ~whole.grid.transform @ inside.representative_point().coords[0]
    assert whole.buildings[int(row), int(col)] == 0


def test_footprints_are_valid_lie_in_the_scene_and_know_what_they_are(vienna):
    table = vienna.footprints.to_crs(vienna.grid.crs)
    assert table.is_valid.all()
    left, bottom, right, top = vienna.grid.bounds
    assert shapely.box(left - 0.01, bottom - 0.01, right + 0.01, top + 0.01).contains(shapely.union_all(table.geometry))
    np.testing.assert_allclose(table.area, table.area_m2, rtol=0.01, atol=0.1)
    assert list(vienna.footprints.columns) == ["kind", "shape", "roof", "storeys", "area_m2", "geometry"]
    assert (vienna.centre_lines.width_m > 3).all()


def test_what_is_read_back_is_what_was_drawn(vienna, tmp_path):
    save_scene(vienna, tmp_path)
    files = scene_files(tmp_path, "vienna6")
    info = read_info(files["images"])
    np.testing.assert_array_equal(read_raster(files["images"]), vienna.image)
    np.testing.assert_array_equal(read_mask(files["gt"]), vienna.buildings)
    assert set(np.unique(read_raster(files["gt"]))) == {0, 255}
    assert info.tags["JOINTNET_SOURCE"] == "drawn by jointnet, not a photograph"
    assert info.tags["JOINTNET_SEED"] == "0"
    for part in ("images", "gt", "roads"):
        assert read_info(files[part]).transform == vienna.grid.transform
        assert read_info(files[part]).crs.to_epsg() == 32633


@pytest.mark.parametrize("name", ["vienna6", "austin6", "tyrol-e35"])
def test_masks_are_exactly_the_polygons_and_lines_of_the_files(name, tmp_path):
    save_scene(draw_scene(name, size=SMALL), tmp_path)
    files = scene_files(tmp_path, name)
    grid = read_info(files["images"])
    for class_name, vectors, mask in (("buildings", "polygons", "gt"), ("roads", "centre_lines", "roads")):
        burnt = rasterize_file(files[vectors], grid, class_name=class_name)
        np.testing.assert_array_equal(burnt, read_mask(files[mask]))


def test_the_geojson_follows_rfc_7946(vienna, tmp_path):
    save_scene(vienna, tmp_path)
    content = json.loads(scene_files(tmp_path, "vienna6")["polygons"].read_text())
    assert "crs" not in content
    ring = shapely.LinearRing(content["features"][0]["geometry"]["coordinates"][0])
    assert ring.is_ccw
    assert set(content["features"][0]["properties"]) == {"kind", "shape", "roof", "storeys", "area_m2"}


@pytest.fixture
def small_sample(monkeypatch):
    """`draw_sample` with two scenes of 64 px, and the names that it draws."""
    names, full = [], draw_scene

    def draw(name, seed=0):
        names.append(name)
        return full(name, size=64, seed=seed)

    monkeypatch.setattr(drawn, "draw_scene", draw)
    monkeypatch.setattr(drawn, "SAMPLE", {"train": ("sfo1",), "test": ("kitsap1",)})
    return names


def test_the_sample_is_drawn_once_and_only_what_is_missing_again(tmp_path, small_sample):
    told = []
    assert draw_sample(tmp_path / "sample", progress=told.append) == tmp_path / "sample"
    assert told == small_sample == ["sfo1", "kitsap1"]
    files = sorted(p for p in (tmp_path / "sample").rglob("*") if p.is_file())
    assert len(files) == 2 * 5 + 1  # and README.txt
    assert "none is a photograph" in (tmp_path / "sample" / "README.txt").read_text()
    times = [os.stat(p).st_mtime_ns for p in files]
    small_sample.clear()
    draw_sample(tmp_path / "sample")
    assert small_sample == []
    assert [os.stat(p).st_mtime_ns for p in files] == times
    (tmp_path / "sample" / "test" / "roads" / "kitsap1.tif").unlink()
    draw_sample(tmp_path / "sample")
    assert small_sample == ["kitsap1"]


def test_a_sample_of_another_seed_or_edition_is_drawn_again(tmp_path, small_sample, monkeypatch):
    draw_sample(tmp_path)
    image = scene_files(tmp_path / "train", "sfo1")["images"]
    first = read_raster(image)
    draw_sample(tmp_path, seed=1)
    assert (read_raster(image) != first).any()
    assert "seed 1," in (tmp_path / "README.txt").read_text()
    small_sample.clear()
    monkeypatch.setattr(drawn, "EDITION", "next")
    draw_sample(tmp_path, seed=1)
    assert small_sample == ["sfo1", "kitsap1"]
    assert read_info(image).tags["JOINTNET_EDITION"] == "next"


def test_drawing_that_is_interrupted_leaves_no_part_of_a_scene(tmp_path, small_sample, monkeypatch):
    def fail(path, table):
        raise KeyboardInterrupt

    monkeypatch.setattr(drawn, "_write_geojson", fail)
    with pytest.raises(KeyboardInterrupt):
        draw_sample(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert list((tmp_path / "train").iterdir()) == []


@pytest.mark.parametrize("name", ["paris1", "austin", "austin0", "austin37", "1"])
def test_an_unknown_scene_is_refused_with_the_list_of_cities(name):
    with pytest.raises(ValueError, match="name a city and a tile from 1 to 36, as 'austin1'.*tyrol-e"):
        draw_scene(name)


def test_a_scene_too_small_to_draw_is_refused():
    with pytest.raises(ValueError, match="ask for 64 px or more"):
        draw_scene("austin1", size=32)


def test_a_wall_casts_a_shadow_as_long_as_the_sun_says():
    """A wall 8 m high, the sun in the east, its ray rising 0.5 m a pixel: 16 pixels of shadow to the west."""
    height = np.zeros((5, 64), np.float32)
    height[:, 40] = 8
    shade = cast_shadows(height, east=1.0, south=0.0, drop=0.5)
    assert (shade[2, 26:40] > 0.5).all()
    assert (shade[2, :23] == 0).all()
    assert (shade[2, 40:] == 0).all()


def test_shadows_and_crowns_change_the_picture_but_not_the_labels(vienna):
    """Roofs are told from the ground by more than brightness: means of both classes lie within one spread."""
    grey = vienna.image.mean(axis=-1)
    on, off = grey[vienna.buildings == 1], grey[vienna.buildings == 0]
    assert abs(on.mean() - off.mean()) < grey.std()
