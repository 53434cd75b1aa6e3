"""The scenes of a lesson, whatever its reader has; and the first look."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely

from jointnet.data.raster import write_raster
from jointnet.data.scene import Scene
from jointnet.teach import clear_example, first_look, lesson_scenes, whole_images
from tests.data.known_grid import grid_of, on_grid


@pytest.fixture
def own(tmp_path):
    """One image of 300 x 300 px; the only roof lies in its upper left corner."""
    write_raster(tmp_path / "town.tif", np.full((300, 300, 3), 90, np.uint8), grid_of(300, 300))
    on_grid(shapely.box(10, 10, 40, 40)).to_frame("geometry").to_file(tmp_path / "roofs.geojson")
    return tmp_path


def test_a_lone_image_is_cut_so_that_training_or_validation_knows_the_roof(own):
    whole = lesson_scenes("folder", own)
    assert {s.split for s in whole} == {"train", "validation"}
    assert whole.name == "folder"
    assert len(lesson_scenes("folder", own, "validation", cities=["vienna"])) >= 1  # a city that it has not
    assert len(lesson_scenes("folder", own, "test")) == 0
    assert [s.part for s in whole_images("folder", own)] == [None]


def test_splits_of_a_folder_are_kept(own):
    (own / "train").mkdir()
    (own / "validation").mkdir()
    (own / "town.tif").rename(own / "train" / "town.tif")
    write_raster(own / "validation" / "other.tif", np.zeros((64, 64, 3), np.uint8), grid_of(64, 64, west=600_000))
    with pytest.warns(UserWarning, match="no labels for"):
        assert [s.name for s in lesson_scenes("folder", own, "validation")] == ["other"]


def test_the_example_is_the_polygon_that_is_right_in_its_own_frame(own):
    scene = whole_images("folder", own)[0]
    shapes = on_grid(shapely.box(100, 100, 200, 200), shapely.box(11, 10, 40, 40))  # invented; 870 of 900 px right
    found = gpd.GeoDataFrame({"area_m2": shapes.area}, geometry=shapes)
    row, col, height, width = clear_example(found, scene)
    assert (row, col) == (0, 0) and 40 < height == width < 70
    bare = replace(scene, labels={}, vectors={})
    assert clear_example(found, bare)[0] > 60  # without truth the largest
    assert clear_example(found.iloc[:0], scene) == (70, 70, 160, 160)


def test_a_first_look_at_nothing_is_drawn_and_says_so(monkeypatch):
    from jointnet.teach import scenes

    monkeypatch.setattr(scenes, "DRAWN_SIDE", 128)
    asked = []
    monkeypatch.setattr(scenes, "predict_array", lambda weights, image, gsd: asked.append((weights, gsd)) or
                        np.zeros((*image.shape[:2], 1), np.float32))
    assert "drawn" in str(first_look().about)
    assert asked == [("sample-buildings", pytest.approx(0.3))]


def test_a_first_look_at_a_photograph_takes_its_middle_and_real_weights(tmp_path, monkeypatch):
    from jointnet.teach import scenes

    seen = []
    monkeypatch.setattr(scenes, "predict_array", lambda weights, image, gsd: seen.append((weights, image.shape, gsd)) or
                        np.zeros((*image.shape[:2], 1), np.float32))
    photo = write_raster(tmp_path / "photo.tif", np.zeros((700, 90, 3), np.uint8), grid_of(700, 90))
    first_look(photo)
    assert seen == [("buildings-small", (300, 90, 3), 1.0)]  # 300 m at a metre a pixel
    assert isinstance(scenes._scene_of(photo, None), Scene)
