"""Images as other programs leave them: found by place and read as they are, or refused in a sentence."""

from __future__ import annotations

import warnings

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine
from shapely.geometry import LineString, MultiPoint, Point, box

from jointnet.data.catalogue import open_dataset
from jointnet.data.degrees import past_180, to_degrees
from jointnet.data.raster import Grid, RasterError, RasterWarning, kept_raster, open_raster, read_info, write_raster
from jointnet.data.resampled import resample_scenes
from jointnet.data.scene import Dataset, Scene
from jointnet.data.splits import find_leaks, fitting_block, split_in_blocks
from jointnet.data.stretch import Stretch, stretched
from jointnet.data.vectors import LabelError
from jointnet.errors import InputError

PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 5_300_000)
SITE = 'LOCAL_CS["site",UNIT["foot",0.3048],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'


def save(path, pixels, transform=PLACE, crs="EPSG:32633", gcps=None, **profile):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    placed = {} if gcps or transform is None else {"transform": transform, "crs": crs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", "GTiff", bands.shape[2], bands.shape[1], len(bands),
                           **{"dtype": bands.dtype, **placed, **profile}) as file:
            file.write(bands)
            if gcps:
                file.gcps = gcps, CRS.from_user_input(crs)
    return path


GREY = np.full((40, 60, 3), 90, np.uint8)


def over_the_same_ground(flip_rows, flip_columns):
    return PLACE @ Affine.translation(60 * flip_columns, 40 * flip_rows) @ Affine.scale(
        1 - 2 * flip_columns, 1 - 2 * flip_rows)


@pytest.mark.parametrize(("rows", "columns"), [(1, 0), (0, 1), (1, 1)])
def test_an_image_whose_rows_run_north_or_columns_west_has_its_labels_by_place(tmp_path, rows, columns):
    """A house of 4 x 2 m, 1 m east and 3 m south of the upper left corner: rows 6 to 9, columns 2 to 9."""
    path = save(tmp_path / "images" / "a.tif", GREY, over_the_same_ground(rows, columns))
    gpd.GeoSeries([box(500_001, 5_299_995, 500_005, 5_299_997)], crs=32633).to_file(tmp_path / "houses.gpkg")
    expected = np.zeros((40, 60), np.uint8)
    expected[6:10, 2:10] = 1
    scene = open_dataset("folder", root=tmp_path)[0]
    np.testing.assert_array_equal(scene.read_labels(), expected[:: 1 - 2 * rows, :: 1 - 2 * columns])
    assert read_info(path).bounds == (500_000, 5_299_980, 500_030, 5_300_000)
    other = save(tmp_path / "b.tif", GREY)
    scenes = Scene("a", path, split="train"), Scene("b", other, split="test")
    assert find_leaks(Dataset("both", scenes)) == [("a", "b")]


def points(bend=0.0):
    """Ground control points on a lattice; the middle one is moved by `bend` pixels."""
    places = [(row, col) for row in (0, 20, 40) for col in (0, 30, 60)]
    moved = {(20, 30): bend}
    return [GroundControlPoint(r, c, *(PLACE @ (c + moved.get((r, c), 0), r))) for r, c in places]


def test_control_points_become_a_grid_with_its_error_or_a_way_to_one(tmp_path):
    path = save(tmp_path / "a.tif", GREY, gcps=points(bend=0.9))
    with pytest.warns(RasterWarning, match="placed by 9 ground control points; .* off by 0.8 px at most"):
        grid = read_info(path)  # the middle one of nine is eight ninths of 0.9 px off their mean
    assert grid.crs.to_epsg() == 32633
    assert grid.transform.almost_equals(PLACE @ Affine.translation(0.1, 0), 1e-6)
    with pytest.raises(RasterError, match=r"no straight grid fits: the best is off by 4.4 px; .*gdalwarp -tps"):
        read_info(save(tmp_path / "b.tif", GREY, gcps=points(bend=5)))
    with pytest.raises(RasterError, match="3 ground control points on one line"):
        read_info(save(tmp_path / "c.tif", GREY, gcps=points()[:3]))


def test_near_infrared_that_says_alpha_is_imagery_and_soft_edges_are_not(tmp_path):
    infrared = np.full((40, 60, 1), 150, np.uint8)
    infrared[5:9, 5:9] = 0
    path = save(tmp_path / "a.tif", np.dstack([GREY, infrared]), photometric="RGB", alpha="yes")
    with pytest.warns(RasterWarning, match="band 4 of .*a.tif says alpha"):
        assert Scene("a", path).read().shape == (40, 60, 4)
    assert Scene("a", path).read_valid().all()
    alpha = np.full((40, 60, 1), 255, np.uint8)
    alpha[:20], alpha[20] = 0, 128  # an edge that another program has softened
    scene = Scene("b", save(tmp_path / "b.tif", np.dstack([GREY, alpha]), photometric="RGB", alpha="yes"))
    assert scene.info.bands == 3
    assert scene.read_valid().sum() == 20 * 60


def test_a_paletted_image_is_its_colours(tmp_path):
    numbers = np.arange(40 * 60, dtype=np.uint8).reshape(40, 60)
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    picture = Image.fromarray(numbers, "P")
    picture.putpalette(colours.ravel().tolist())
    picture.save(tmp_path / "a.png", transparency=7)
    plain = save(tmp_path / "plain.tif", colours[numbers], None)
    scene = Scene("a", tmp_path / "a.png")
    np.testing.assert_array_equal(scene.read(), colours[numbers])
    np.testing.assert_array_equal(scene.read_valid(), numbers != 7)
    picture.save(tmp_path / "b.png")  # without the colour that is transparent, which no shrunk pixel takes in
    with open_raster(tmp_path / "b.png", (20, 30), expand=True) as shrunk, open_raster(plain, (20, 30)) as expected:
        np.testing.assert_array_equal(shrunk.read(), expected.read())
    with pytest.raises(RasterError, match="is paletted: .*leave bands out"):
        scene.read(bands=[1, 1, 1])
    assert kept_raster(tmp_path / "a.png").read().shape == (40, 60, 1)  # a mask's numbers stay numbers


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_numbers_are_refused_wherever_an_image_is_opened(tmp_path, dtype):
    """NumPy takes the real part of a radar image, which is as often below 0 as above, without an error."""
    path = save(tmp_path / "images" / "a.tif", GREY.astype(np.complex64), dtype=dtype)
    save(tmp_path / "masks" / "a.tif", GREY[..., 0] // 90)
    dataset, says = open_dataset("folder", root=tmp_path), rf"a.tif holds complex numbers \({dtype}\).*--calc='abs"
    for look in (lambda: read_info(path, expand=True), lambda: stretched(dataset, "scene"), lambda: kept_raster(path),
                 lambda: open_dataset("folder", root=tmp_path, stretch=(0, 9)), dataset[0].read):
        with pytest.raises(RasterError, match=says):
            look()


def test_a_site_grid_has_a_gsd_and_no_place_on_earth(tmp_path):
    path = save(tmp_path / "images" / "a.tif", GREY, Affine(2, 0, 900, 0, -2, 700), SITE)
    grid = read_info(path)
    assert not grid.on_earth
    assert grid.gsd == pytest.approx(2 * 0.3048)
    gpd.GeoSeries([box(15, 47, 15.1, 47.1)], crs=4326).to_file(tmp_path / "somewhere.gpkg")
    save(tmp_path / "masks" / "a.tif", GREY[..., 0] // 90, Affine(2, 0, 900, 0, -2, 700), None)
    assert open_dataset("folder", root=tmp_path)[0].read_labels().all()


def test_shapes_across_180_degrees_are_cut_there():
    """2 degrees wide around the meridian, and 1 degree high, in a Mercator map of the Pacific."""
    across = gpd.GeoSeries([box(179, -17, 181, -16), box(178, -17, 179, -16)], crs=4326).to_crs(3832)
    wide, near = to_degrees(across)
    assert [tuple(np.round(part.bounds, 6)) for part in wide.geoms] == [(179, -17, 180, -16), (-180, -17, -179, -16)]
    assert near.geom_type == "Polygon"
    points = to_degrees(gpd.GeoSeries([Point(190, 3), MultiPoint([(170, 1), (190, 1)])], crs=4326))
    assert points.tolist() == [Point(-170, 3), MultiPoint([(170, 1), (-170, 1)])]
    line = to_degrees(gpd.GeoSeries([LineString([(179.5, 0), (180.5, 0)])], crs=4326))[0]
    assert [part.length for part in line.geoms] == [0.5, 0.5]
    assert past_180(across)[0].bounds == pytest.approx((179, -17, 181, -16))


def test_leaks_are_found_across_180_degrees(tmp_path):
    """One tile of Fiji in UTM zone 60, the same ground in the Pacific's Mercator map, another far off."""
    ground = gpd.GeoSeries([box(179.999, -16.801, 180.001, -16.799)], crs=4326)
    scenes = []
    for name, epsg, split in (("a", 32760, "train"), ("b", 3832, "test")):
        left, bottom, right, top = ground.to_crs(epsg).total_bounds
        transform = Affine((right - left) / 60, 0, left, 0, (bottom - top) / 40, top)
        scenes.append(Scene(name, save(tmp_path / f"{name}.tif", GREY, transform, f"EPSG:{epsg}"), split=split))
    scenes.append(Scene("far", save(tmp_path / "far.tif", GREY), split="test"))
    assert find_leaks(Dataset("fiji", tuple(scenes))) == [("a", "b")]
    assert scenes[0].info.crosses_180
    assert not scenes[2].info.crosses_180


RIGHT = gpd.GeoSeries([box(500_001, 5_299_995, 500_005, 5_299_997)], crs=32633).to_crs(4326)


@pytest.mark.parametrize(("shapes", "says"), [
    (gpd.GeoSeries([box(*(RIGHT.total_bounds[[1, 0, 3, 2]]))], crs=4326), "their axes are swapped"),
    (gpd.GeoSeries([box(500_001, 5_299_995, 500_005, 5_299_997)], crs=4326), "their numbers fit the image's CRS"),
    (RIGHT.translate(1, 0), "give this image its own labels"),
])
def test_labels_that_lie_elsewhere_are_refused_and_what_is_wrong_is_named(tmp_path, shapes, says):
    save(tmp_path / "images" / "a.tif", GREY)
    shapes.to_file(tmp_path / "images" / "a.geojson")
    with pytest.raises(LabelError, match=f"no label of .*a.geojson lies on its image: .*{says}"):
        open_dataset("folder", root=tmp_path)
    with pytest.raises(LabelError, match=says):
        Scene("a", tmp_path / "images" / "a.tif", labels={"buildings": tmp_path / "images" / "a.geojson"}).read_labels()


def test_a_label_file_without_shapes_is_an_empty_mask(tmp_path):
    save(tmp_path / "images" / "a.tif", GREY)
    (tmp_path / "images" / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    assert open_dataset("folder", root=tmp_path)[0].read_labels().sum() == 0


def test_images_of_more_bits_are_stretched_alike(tmp_path):
    """0 to 2,399 in every band: the 2nd percentile of 1 to 2,399 (0 is no imagery) is 48.96, the 98th 2351.04."""
    deep = np.repeat(np.arange(2400, dtype=np.uint16).reshape(40, 60, 1), 3, axis=2)
    scenes = (Scene("a", save(tmp_path / "a.tif", deep)), Scene("b", save(tmp_path / "b.tif", deep * 2), split="test"))
    dataset = stretched(Dataset("two", scenes), "dataset")
    assert dataset["a"].stretch.low == dataset["b"].stretch.low == pytest.approx((48.96,) * 3)
    assert dataset["a"].stretch.high == pytest.approx((2351.04,) * 3)
    assert dataset["a"].read((10, 0, 1, 1)).tolist() == [[[61, 61, 61]]]  # (600 - 48.96) / 2302.08 * 255 = 61.04
    each = stretched(Dataset("two", scenes), "scene")
    assert each["b"].stretch.low == pytest.approx((97.92,) * 3)
    for wrong in (5, (0, 1, 2), (9, 0), (0, float("inf"))):
        with pytest.raises(InputError, match="must be 'dataset', 'scene' or two numbers"):
            stretched(Dataset("two", scenes), wrong)
    told = stretched(Dataset("two", scenes), (0, 2550))
    assert told["a"].read((0, 10, 1, 1)).tolist() == [[[1, 1, 1]]]
    assert Stretch((0.0,), (1.0,))(np.array([[[np.nan], [0.5], [7.0]]])).tolist() == [[[0], [128], [255]]]
    save(tmp_path / "c.tif", GREY)
    with pytest.raises(InputError, match="c.tif holds uint8 values and other images uint16"):
        stretched(Dataset("three", (*scenes, Scene("c", tmp_path / "c.tif"))), "dataset")


@pytest.mark.parametrize(("shape", "side", "blocks"), [
    ((512, 512), 170, 9), ((1024, 1024), 341, 9), ((5000, 5000), 512, 81), ((200, 5000), 512, 9), ((100, 100), 50, 4),
])
def test_one_image_of_any_size_is_cut_into_blocks_that_fit(shape, side, blocks):
    """Five at least, for a fifth of them; of 128 px at least where that leaves two."""
    assert fitting_block(shape, 0.2) == side
    grid = Grid(shape[1], shape[0], 3, "uint8", None, Affine.identity())
    scene = Scene("a", None)
    scene.__dict__["_image_info"] = grid
    parts = split_in_blocks(scene, None, 0.2)
    assert len(parts) == blocks
    assert sum(p.part[2] * p.part[3] for p in parts) == shape[0] * shape[1]
    assert {p.split for p in parts} == {"train", "validation"}
    with pytest.raises(InputError, match="1 x 1 px cannot be cut"):
        fitting_block((1, 1))


def test_black_stays_black_where_fractions_are_brought_to_another_gsd(tmp_path):
    pixels = np.full((16, 16, 1), 0.5, np.float32)
    pixels[:8, :8], pixels[:, 12:] = 0, np.nan
    grid = Grid(16, 16, 1, "float32", CRS.from_epsg(32633), Affine(0.5, 0, 5e5, 0, -0.5, 5e6))
    scene = Scene("a", write_raster(tmp_path / "a.tif", pixels, grid, nodata=float("nan")))
    (small,) = resample_scenes([scene], 1.0, tmp_path / "small")
    assert small.read()[1, 1, 0] == pytest.approx(0, abs=1e-6)  # and not 1, the whitest there is
    assert small.read_valid()[1, :5].all() and not small.read_valid()[1, 6:].any()
