import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.transform import Affine

from jointnet.data.raster import Grid, read_mask, write_raster
from jointnet.predict.vectors import files
from jointnet.predict.vectors.centre_lines import centre_lines, centre_lines_of_raster
from jointnet.predict.vectors.files import create_vectors, read_notes, write_vectors
from jointnet.predict.vectors.outlines import Tidying, iou_between, regularise, simplify
from jointnet.predict.vectors.polygons import mask_polygons, polygon_tables, vectorize, vectorize_raster

MASKS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "test_city"


def grid_of(epsg=32633, metres=0.5, size=100, x=5e5, y=5e6):
    crs = None if epsg is None else CRS.from_epsg(epsg)
    return Grid(size, size, 1, "uint8", crs, Affine(metres, 0, x, 0, -metres, y))


@pytest.fixture
def mask():
    """A house of 20 x 30 px with a courtyard of 4 x 4 px, and a shed of 2 x 2 px."""
    mask = np.zeros((100, 100), np.uint8)
    mask[10:30, 10:40] = 1
    mask[18:22, 20:24] = 0
    mask[60:62, 70:72] = 1
    return mask


def test_attributes_are_area_in_m2_mean_probability_and_scene(mask):
    probability = np.where(mask, 0.75, 0.1)
    table = vectorize(mask, grid_of(), probability, "town7")
    # 584 px and 4 px of 0.25 m2; UTM's scale on its middle meridian is 0.9996
    np.testing.assert_allclose(table.area_m2, np.array([146, 1]) / 0.9996**2, atol=0.006)
    assert table.mean_probability.tolist() == [0.75, 0.75]
    assert table.scene.tolist() == ["town7", "town7"]
    assert [len(p.interiors) for p in table.geometry] == [1, 0]


def test_small_patches_are_left_out(mask):
    assert len(vectorize(mask, grid_of(), min_area=1.01)) == 1


def test_areas_in_degrees_are_square_metres_too(mask):
    degrees = 0.5 / 111_195  # 0.5 m of latitude; half of that in longitude at 60 degrees north
    grid = grid_of(4326, degrees, x=10, y=60)
    table = vectorize(mask, grid)
    assert table.area_m2.max() == pytest.approx(146 * 0.5, rel=0.01)


def test_strips_of_rasters_give_what_arrays_give(mask, tmp_path):
    grid = grid_of()
    path = write_raster(tmp_path / "mask.tif", mask * 255, grid)
    levels = write_raster(tmp_path / "probability.tif", np.where(mask, 127, 20).astype(np.uint8), grid, nodata=255)
    table = vectorize_raster(path, levels, scene="a")
    assert table.mean_probability.tolist() == [0.5, 0.5]
    expected = vectorize(mask, grid, scene="a")
    assert shapely.equals(table.geometry.to_numpy(), expected.geometry.to_numpy()).all()


def test_geojson_is_wgs84_wound_as_rfc7946_wants_and_geopackage_keeps_the_crs(mask, tmp_path):
    table = vectorize(mask, grid_of())
    path = write_vectors(table, tmp_path / "houses.geojson")
    document = json.loads(path.read_text())
    assert "crs" not in document  # RFC 7946 knows no other than WGS 84
    shell, hole = document["features"][0]["geometry"]["coordinates"]
    assert shapely.LinearRing(shell).is_ccw
    assert not shapely.LinearRing(hole).is_ccw
    assert 14.9 < shell[0][0] < 15.1  # UTM 33's middle meridian is 15 degrees east
    package = write_vectors(table, tmp_path / "houses.gpkg")
    assert pyogrio.read_dataframe(package).crs == "EPSG:32633"


def test_a_table_without_buildings_is_a_valid_file(tmp_path):
    table = vectorize(np.zeros((5, 5), np.uint8), grid_of(size=5), np.zeros((5, 5)))
    for name in ("none.geojson", "none.gpkg"):
        assert len(pyogrio.read_dataframe(write_vectors(table, tmp_path / name))) == 0


def test_geoparquet_keeps_the_crs_and_the_rows(mask, tmp_path):
    table = vectorize(mask, grid_of())
    back = gpd.read_parquet(write_vectors(table, tmp_path / "houses.parquet"))
    assert back.crs == "EPSG:32633"
    assert back.area_m2.tolist() == table.area_m2.tolist()
    assert back.geometry.geom_equals(table.geometry).all()


def test_geoparquet_without_its_package_names_what_to_install(mask, tmp_path, monkeypatch):
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'jointnet\[parquet\]'"):
        write_vectors(vectorize(mask, grid_of()), tmp_path / "houses.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet"])
def test_tables_that_come_one_after_another_are_one_file(mask, tmp_path, suffix):
    table = vectorize(mask, grid_of())
    path = tmp_path / f"houses{suffix}"
    with create_vectors(path, "houses") as file:
        for part in (table[:0], table[:1], table[:0], table[1:]):
            file.write(part)
        assert not path.exists()
    whole = write_vectors(table, tmp_path / "whole" / path.name, "houses")
    read = gpd.read_parquet if suffix == ".parquet" else gpd.read_file
    assert read(path).equals(read(whole))
    assert len(read(path)) == 2


def test_a_file_is_not_there_when_its_writing_is_stopped(mask, tmp_path):
    def interrupted():
        with create_vectors(tmp_path / "houses.gpkg") as file:
            file.write(vectorize(mask, grid_of()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_notes_lie_in_the_geopackage(mask, tmp_path):
    path = tmp_path / "houses.gpkg"
    with create_vectors(path) as file:
        file.write(vectorize(mask, grid_of()))
        file.note({"kept": {"all": 0.9}})
    assert read_notes(path) == {"kept": {"all": 0.9}}
    assert len(gpd.read_file(path)) == 2
    assert read_notes(tmp_path / "none.gpkg") == {}


def test_a_raster_is_handed_on_in_tables_of_the_same_polygons(tmp_path):
    """Dots of 2 x 2 px in five strips of 512 rows, and a wall through all of them."""
    mask = np.zeros((2100, 64), np.uint8)
    mask[:, 60] = 1
    mask[2::8, 4:50:8] = mask[3::8, 4:50:8] = mask[2::8, 5:50:8] = mask[3::8, 5:50:8] = 1
    grid = Grid(64, 2100, 1, "uint8", CRS.from_epsg(32633), Affine(0.5, 0, 5e5, 0, -0.5, 5e6))
    path = write_raster(tmp_path / "mask.tif", mask, grid)
    tables = list(polygon_tables(path, held=400))
    assert [len(t) for t in tables] == [768, 768, 43]  # a strip has 64 x 6 dots; the last one 7 x 6, and the wall
    expected = {p.wkt for p in shapely.normalize(vectorize(mask, grid).geometry.to_numpy())}
    assert {p.wkt for t in tables for p in shapely.normalize(t.geometry.to_numpy())} == expected
    assert len(vectorize_raster(path)) == len(expected)


def test_other_formats_and_folders_in_the_way_are_refused(mask, tmp_path):
    table = vectorize(mask, grid_of())
    with pytest.raises(ValueError, match="must end in"):
        write_vectors(table, tmp_path / "houses.shp")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        write_vectors(table, tmp_path / "file" / "houses.gpkg")


def turned_house(degrees):
    """A mask of an L-shaped house of 30 x 20 m, turned, at 0.25 m."""
    house = shapely.Polygon([(0, 0), (30, 0), (30, 8), (12, 8), (12, 20), (0, 20)])
    house = shapely.affinity.rotate(house, degrees, origin=(0, 0))
    house = shapely.affinity.translate(house, 5e5 + 40, 5e6 - 50)
    grid = grid_of(metres=0.25, size=400)
    return house, vectorize(rasterize([house], grid.shape, transform=grid.transform), grid)


@pytest.mark.parametrize("degrees", [0, 17, 45, 70])
def test_a_turned_house_gets_its_six_right_angles_back(degrees):
    house, table = turned_house(degrees)
    regular = regularise(table, 0.75).geometry[0]
    corners = np.asarray(regular.exterior.coords)[:-1]
    assert len(corners) == 6
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    cosine = (before * after).sum(axis=1) / np.hypot(*before.T) / np.hypot(*after.T)
    np.testing.assert_allclose(cosine, 0, atol=0.01)
    shared = regular.intersection(house).area
    assert shared / (regular.area + house.area - shared) > 0.97


def test_what_simplification_costs_is_measured():
    _, table = turned_house(30)
    straight = simplify(table, 0.5)
    assert shapely.get_num_coordinates(straight.geometry[0]) < 0.1 * shapely.get_num_coordinates(table.geometry[0])
    assert 0.95 < iou_between(table, straight) < 1
    assert iou_between(table, table) == pytest.approx(1)
    assert straight.area_m2[0] == pytest.approx(straight.geometry[0].area / 0.9996**2, rel=1e-3)


def test_the_iou_of_a_square_and_its_half_is_a_half():
    one = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 2, 2)])
    half = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 2)])
    assert iou_between(one, half) == pytest.approx(0.5)


@pytest.mark.skipif(not MASKS.exists(), reason="real masks are not at ../shared/data/test_city")
def test_a_real_mask_comes_back_from_its_polygons():
    path = MASKS / "sfo36_reference_prediction.png"
    mask = read_mask(path, (0, 0, 1000, 5000))
    assert np.array_equal(rasterize(mask_polygons(mask), mask.shape), mask)


def test_nothing_is_tidied_into_nothing_and_costs_nothing():
    tidying = Tidying(10, "regular", 1.0)
    assert len(tidying(vectorize(np.zeros((5, 5), np.uint8), grid_of(size=5)))) == 0
    assert tidying.kept == {"min_area": 1.0, "simplified": 1.0, "regular": 1.0, "all": 1.0}


def test_without_a_georeference_polygons_are_tidied_in_pixels(mask):
    tidying = Tidying(5, "simplified", 1.0)
    (row,) = tidying(vectorize(mask, grid_of(None))).itertuples()  # the shed has 4 px
    assert row.area_px == 584
    assert tidying.kept["min_area"] == round(584 / 588, 4)


def test_a_mask_on_the_grid_of_another_image_and_a_probability_in_its_place_are_refused(mask, tmp_path):
    with pytest.raises(ValueError, match=r"the mask is \(50, 50\) and its grid \(100, 100\)"):
        vectorize(mask[::2, ::2], grid_of())
    with pytest.raises(ValueError, match=r"the mask is \(100, 100, 1\).*of several classes one"):
        vectorize(mask[..., None], grid_of())
    with pytest.raises(ValueError, match=r"the probability is \(50, 50\)"):
        centre_lines(mask, grid_of(), mask[::2, ::2])
    with pytest.raises(ValueError, match="numbers between 0 and 1"):
        vectorize(mask * 0.3, grid_of())
    path = write_raster(tmp_path / "mask.tif", mask * 255, grid_of())
    larger = write_raster(tmp_path / "p.tif", np.zeros((200, 200), np.uint8), grid_of(size=200))
    for read in (vectorize_raster, centre_lines_of_raster):
        with pytest.raises(ValueError, match=r"p.tif \(200, 200\).*give the probabilities that the mask was cut from"):
            read(path, larger)
