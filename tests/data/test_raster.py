"""Grids in metres on the ground, masks of two values, and files that are no rasters."""

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from jointnet.data.nodata import valid_pixels
from jointnet.data.raster import (
    Grid,
    RasterError,
    open_raster,
    read_info,
    read_mask,
    read_raster,
    write_raster,
)


def grid_at(x, y, pixel, epsg, turned=0.0) -> Grid:
    """100 x 100 px with their corner at (x, y)."""
    transform = from_origin(x, y, pixel, pixel) @ Affine.rotation(turned)
    return Grid(100, 100, 3, "uint8", CRS.from_epsg(epsg), transform)


def test_metres_of_web_mercator_are_not_metres_on_the_ground():
    """At 60 degrees north its metres are half as long (cos 60), as on a globe; the flattened earth adds 0.3 percent."""
    x, y = 15 / 180 * 20_037_508.34, 8_399_737.9  # 15 degrees east, 60 north
    for turned in (0, 30):
        assert grid_at(x, y, 2.0, 3857, turned).gsd == pytest.approx(1.0, rel=0.003)
    assert grid_at(x, 0, 2.0, 3857).gsd == pytest.approx(2.0, rel=0.003)


def test_metres_of_a_countrys_own_grid_are_taken_as_they_are():
    assert grid_at(500_000, 5_300_000, 0.3, 32633).pixel_size == (0.3, 0.3)  # 0.04 percent short on the ground
    assert grid_at(990_000, 210_000, 1.0, 2263).gsd == pytest.approx(0.3048, rel=1e-5)  # New York counts in US feet


def test_degrees_become_metres_at_the_scenes_latitude():
    height, width = grid_at(15, 60, 1e-5, 4326).pixel_size
    assert (height, width) == (pytest.approx(1.112, rel=0.001), pytest.approx(0.556, rel=0.001))


def test_a_place_off_the_map_keeps_the_maps_own_metres():
    assert grid_at(1e9, 1e9, 2.0, 3857).gsd == 2.0


def test_a_grid_without_a_place_has_no_gsd(tmp_path):
    assert Grid(8, 8, 3, "uint8", None, Affine.identity()).gsd is None


@pytest.mark.parametrize(("make", "message"), [
    (lambda path: None, "does not exist; check the path"),
    (lambda path: path.mkdir(), "is a folder; name an image file in it"),
    (lambda path: path.write_text("not an image"), "is not an image that GDAL can read; convert it"),
    (lambda path: path.write_bytes(b""), "is not an image"),
])
def test_what_is_no_image_is_told_with_what_to_do(tmp_path, make, message):
    make(tmp_path / "a.tif")
    with pytest.raises(RasterError, match=message):
        read_info(tmp_path / "a.tif")


def test_an_image_that_was_cut_short_is_told_when_its_pixels_are_read(tmp_path):
    grid = Grid(600, 600, 3, "uint8", CRS.from_epsg(32633), from_origin(5e5, 5e6, 0.3, 0.3))
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    path = write_raster(tmp_path / "a.tif", noise, grid)
    path.write_bytes(path.read_bytes()[:400_000])
    with pytest.raises(RasterError, match="cannot be read at row 0, col 0: the file is damaged or cut short"):
        read_raster(path)


def test_a_mask_holds_two_values_and_no_third(tmp_path):
    grid = Grid(4, 4, 1, "uint8", CRS.from_epsg(32633), from_origin(5e5, 5e6, 0.3, 0.3))
    for high in (1, 255):
        write_raster(tmp_path / "m.tif", np.eye(4, dtype=np.uint8) * np.uint8(high), grid)
        np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), np.eye(4, dtype=np.uint8))
    write_raster(tmp_path / "grey.tif", np.arange(16, dtype=np.uint8).reshape(4, 4), grid)
    with pytest.raises(RasterError, match=r"grey\.tif holds values other than 0 and 1, or 0 and 255"):
        read_mask(tmp_path / "grey.tif")
    write_raster(tmp_path / "rgb.tif", np.zeros((4, 4, 3), np.uint8), grid)
    with pytest.raises(RasterError, match="has 3 bands; a mask has one"):
        read_mask(tmp_path / "rgb.tif")


def test_a_no_data_rule_that_is_unknown_is_told():
    with pytest.raises(ValueError, match="no-data rule 'grey' is unknown"):
        valid_pixels(np.zeros((2, 2, 3), np.uint8), "grey")


def test_a_folder_that_cannot_hold_a_raster_is_told_and_nothing_is_left(tmp_path):
    (tmp_path / "taken").write_text("a file")
    grid = Grid(4, 4, 1, "uint8", CRS.from_epsg(32633), from_origin(5e5, 5e6, 0.3, 0.3))
    with pytest.raises(RasterError, match="cannot be written: check that .*taken is a folder"):
        write_raster(tmp_path / "taken" / "a.tif", np.zeros((4, 4), np.uint8), grid)
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_an_alpha_band_says_where_there_is_imagery_and_is_none_itself(tmp_path):
    place = from_origin(5e5, 5e6, 0.3, 0.3)
    with rasterio.open(tmp_path / "a.tif", "w", "GTiff", 4, 4, 4, "EPSG:32633", place, "uint8", photometric="RGB",
                       alpha="yes") as file:
        file.write(np.full((4, 4, 4), 9, np.uint8))
    info = read_info(tmp_path / "a.tif")
    assert (info.bands, info.alpha) == (3, 4)
    assert read_raster(tmp_path / "a.tif").shape == (4, 4, 3)


def test_a_jpeg_is_shrunk_as_a_file_of_the_same_pixels_in_another_format(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)  # GDAL leaves smaller files alone
    Image.fromarray(noise).save(tmp_path / "scene.jpg", quality=95, subsampling=0)
    Image.open(tmp_path / "scene.jpg").save(tmp_path / "scene.png")
    shrunk = []
    for path in (tmp_path / "scene.jpg", tmp_path / "scene.png"):
        with open_raster(path, (256, 256)) as raster:
            shrunk.append(raster.read(None, [1, 2, 3]).astype(int))
    assert np.ptp(shrunk[0]) > 50
    assert np.abs(shrunk[0] - shrunk[1]).max() <= 2  # two decoders round in their own ways
