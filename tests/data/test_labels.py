"""Labels become masks: by the pixel-centre rule, in the image's CRS, at widths in metres."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio.crs
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from shapely import GeometryCollection, LineString, MultiPolygon, Point, Polygon, box

import jointnet.data.vectors as vectors
from jointnet.data.labels import place_file, rasterize_file, rasterize_lines, rasterize_polygons
from jointnet.data.layers import LabelError, LabelWarning
from jointnet.data.raster import Grid, read_info, read_mask
from jointnet.data.vectors import PIXELS
from tests.data.known_grid import NORTH, WEST, grid_of, on_grid, rows

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "georeferenced"


def test_a_pixel_belongs_to_a_polygon_that_holds_its_centre():
    # columns 1 to 2.6, rows 1.4 to 3.6: centres 1.5 and 2.5 across; 1.5, 2.5 and 3.5 down
    mask = rasterize_polygons(on_grid(box(1, 1.4, 2.6, 3.6)), grid_of(5, 5))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, rows("00000", "01100", "01100", "01100", "00000"))


def test_all_touched_marks_every_pixel_that_a_polygon_meets():
    sliver = on_grid(box(1.6, 1.6, 1.9, 3.4))  # holds no centre; lies in column 1, rows 1 to 3
    assert rasterize_polygons(sliver, grid_of(5, 5)).sum() == 0
    touched = rasterize_polygons(sliver, grid_of(5, 5), all_touched=True)
    np.testing.assert_array_equal(touched, rows("00000", "01000", "01000", "01000", "00000"))


def test_a_hole_stays_empty_and_an_island_in_it_does_not():
    court = Polygon(box(0, 0, 7, 7).exterior.coords, [box(1, 1, 6, 6).exterior.coords])
    mask = rasterize_polygons(on_grid(MultiPolygon([court, box(3, 3, 4, 4)])), grid_of(7, 7))
    expected = rows("1111111", "1000001", "1000001", "1001001", "1000001", "1000001", "1111111")
    np.testing.assert_array_equal(mask, expected)


def test_overlapping_polygons_do_not_cancel_each_other():
    mask = rasterize_polygons(on_grid(box(0, 0, 3, 1), box(1, 0, 4, 1)), grid_of(1, 5))
    np.testing.assert_array_equal(mask, rows("11110"))


def test_a_polygon_is_cut_off_at_the_edge_of_the_image():
    mask = rasterize_polygons(on_grid(box(-5, -5, 2, 1), box(50, 50, 60, 60)), grid_of(3, 4))
    np.testing.assert_array_equal(mask, rows("1100", "0000", "0000"))


def test_polygons_in_another_crs_land_on_the_same_pixels():
    shapes = on_grid(box(1.2, 1.2, 4.8, 3.8), Polygon([(0.2, 5.2), (7.7, 5.3), (3.1, 7.8)]))
    direct = rasterize_polygons(shapes, grid_of())
    assert direct.sum() > 15
    for epsg in (4326, 3857, 32634):
        np.testing.assert_array_equal(rasterize_polygons(shapes.to_crs(epsg), grid_of()), direct)


def test_a_rotated_image_gets_rotated_labels():
    # a quarter turn: columns run south, rows run east; the box covers 3 m east and 2 m south
    grid = Grid(4, 4, 3, "uint8", rasterio.crs.CRS.from_epsg(32633), Affine(0, 1, WEST, -1, 0, NORTH))
    mask = rasterize_polygons(on_grid(box(0, 0, 3, 2)), grid)
    np.testing.assert_array_equal(mask, rows("1100", "1100", "1100", "0000"))


def test_heights_empty_and_null_geometries_do_no_harm():
    high = Polygon([(0, 0, 12.5), (2, 0, 12.5), (2, 2, 14.0), (0, 2, 14.0)])
    series = on_grid(high, Polygon(), None, GeometryCollection([box(3, 0, 4, 1)]))
    np.testing.assert_array_equal(rasterize_polygons(series, grid_of(2, 4)), rows("1101", "1100"))


def test_invalid_polygons_are_repaired_and_counted():
    # a bow tie whose lobes are the triangles above and below (2, 2)
    tie = Polygon([(0, 0), (4, 0), (0, 4), (4, 4)])
    with pytest.warns(LabelWarning, match="1 of 2 polygons on the image were invalid and have been repaired"):
        mask = rasterize_polygons(on_grid(tie, box(5, 0, 6, 1)), grid_of(4, 6))
    assert mask[:, :4].sum(axis=1).tolist() == mask[::-1, :4].sum(axis=1).tolist()
    assert mask[0, 1:3].all()
    assert not mask[1:3, 0].any()
    assert mask[0, 5] == 1


def test_an_invalid_polygon_without_area_leaves_nothing():
    flat = Polygon([(0.5, 0.5), (3.5, 0.5), (0.5, 0.5)])
    with pytest.warns(LabelWarning, match="1 of 1"):
        assert rasterize_polygons(on_grid(flat), grid_of()).sum() == 0


def test_labels_that_miss_the_image_are_warned_about_unless_that_is_fine():
    far = on_grid(box(100, 100, 110, 110))
    with pytest.warns(LabelWarning, match="no label lies on the image"):
        assert rasterize_polygons(far, grid_of()).sum() == 0
    assert rasterize_polygons(far, grid_of(), empty_ok=True).sum() == 0
    assert rasterize_polygons(far[:0], grid_of(), empty_ok=True).sum() == 0


def test_labels_without_a_crs_say_how_to_name_one(tmp_path):
    shapes = gpd.GeoSeries([box(0, 0, 1, 1)])
    with pytest.raises(LabelError, match=r"have no CRS.*set_crs\('EPSG:"):
        rasterize_polygons(shapes, grid_of())
    path = tmp_path / "nameless.shp"
    with pytest.warns(UserWarning, match="crs"):
        on_grid(box(1, 1, 3, 3)).set_crs(None, allow_override=True).to_frame("geometry").to_file(path)
    with pytest.raises(LabelError, match=r"nameless.shp have no CRS.*crs='EPSG:"):
        rasterize_file(path, grid_of())
    assert rasterize_file(path, grid_of(), crs="EPSG:32633").sum() == 4
    with pytest.raises(LabelError, match="'EPSG:nowhere' is not a CRS"):
        rasterize_file(path, grid_of(), crs="EPSG:nowhere")


def test_an_image_without_georeference_takes_pixel_coordinates_only(tmp_path):
    grid = grid_of(3, 4, epsg=None)
    with pytest.raises(LabelError, match="image has no georeference"):
        rasterize_polygons(on_grid(box(0, 0, 2, 1)), grid)
    expected = rows("1100", "0000", "0000")
    np.testing.assert_array_equal(rasterize_polygons(gpd.GeoSeries([box(0, 0, 2, 1)]), grid), expected)
    path = tmp_path / "pixels.geojson"  # GeoJSON always claims a CRS
    gpd.GeoDataFrame(geometry=[box(0, 0, 2, 1)], crs=4326).to_file(path)
    np.testing.assert_array_equal(rasterize_file(path, grid, crs=PIXELS), expected)
    with pytest.raises(LabelError, match="image has no georeference"):
        rasterize_file(path, grid)


def test_points_and_lines_are_no_footprints():
    with pytest.raises(LabelError, match="point where polygons are needed"):
        rasterize_polygons(on_grid(Point(1, 1)), grid_of())
    with pytest.raises(LabelError, match="linestring where polygons are needed.*rasterize_lines"):
        rasterize_polygons(on_grid(LineString([(0, 0), (4, 4)])), grid_of())
    with pytest.raises(LabelError, match="polygon where centre lines are needed"):
        rasterize_lines(on_grid(box(0, 0, 1, 1)), grid_of())


def test_a_line_is_as_wide_as_it_says():
    # along row 10, 4 m wide: rows 8 to 12, so centres 8.5 to 11.5
    line = on_grid(LineString([(-5, 10), (25, 10)]))
    mask = rasterize_lines(line, grid_of(20, 20), width=4.02)
    assert np.flatnonzero(mask.all(axis=1)).tolist() == [8, 9, 10, 11]
    assert mask.sum() == 4 * 20


def test_line_widths_come_from_a_column_and_default_to_six_metres():
    lines = on_grid(LineString([(-5, 5), (45, 5)]), LineString([(-5, 25), (45, 25)]))
    table = gpd.GeoDataFrame({"width_m": [2.02, 8.02], "lanes_m": [4.02, 4.02]}, geometry=lines)
    count = lambda mask: mask.all(axis=1).nonzero()[0].tolist()  # noqa: E731
    assert count(rasterize_lines(table, grid_of(40, 40))) == [4, 5, 21, 22, 23, 24, 25, 26, 27, 28]
    assert count(rasterize_lines(table, grid_of(40, 40), "lanes_m")) == [3, 4, 5, 6, 23, 24, 25, 26]
    assert rasterize_lines(lines[:1], grid_of(40, 40)).all(axis=1).sum() == 6
    with pytest.raises(LabelError, match="no column 'breadth'"):
        rasterize_lines(table, grid_of(), "breadth")
    with pytest.raises(LabelError, match="1 of 2 widths are missing, not above 0"):
        rasterize_lines(table.assign(width_m=[math.nan, 3]), grid_of())


@pytest.mark.parametrize("epsg", [4326, 3857])
def test_metres_stay_metres_in_degrees_and_in_web_mercator(epsg):
    """60 degrees north, where a degree of longitude and a metre of Web Mercator are half of what they are at 0."""
    north, east = 60.0, 15.0
    line = gpd.GeoSeries([LineString([(east, north - 0.001), (east, north + 0.001)])], crs=4326)
    pixel, metres = {4326: (1e-6, 0.0558), 3857: (0.11, 0.0551)}[epsg]  # a degree of longitude is 55.8 km there
    left, top = gpd.GeoSeries([Point(east, north)], crs=4326).to_crs(epsg)[0].coords[0]
    grid = grid_of(4, 400, pixel, epsg, west=left - 200 * pixel, north=top + 2 * pixel)
    wide = rasterize_lines(line, grid, width=10).sum(axis=1) * metres
    np.testing.assert_allclose(wide, 10, atol=0.15)


def test_a_line_beside_the_image_reaches_into_it(tmp_path):
    table = gpd.GeoDataFrame({"width_m": [8.0]}, geometry=on_grid(LineString([(-2, -10), (-2, 30)])))
    table.to_file(tmp_path / "roads.gpkg")
    mask = rasterize_file(tmp_path / "roads.gpkg", grid_of(6, 6))  # 4 m to each side of column -2: up to column 2
    np.testing.assert_array_equal(mask, np.repeat(rows("110000"), 6, axis=0))


def test_a_file_of_polygons_and_lines_gives_both(tmp_path):
    shapes = on_grid(box(0, 0, 2, 2), LineString([(-5, 10), (35, 10)]))
    gpd.GeoDataFrame(geometry=shapes).to_crs(4326).to_file(tmp_path / "both.geojson", COORDINATE_PRECISION="10")
    mask = rasterize_file(tmp_path / "both.geojson", grid_of(20, 20), width=2.02)
    assert mask[:2, :2].all()
    assert mask.sum() == 4 + 2 * 20


def test_a_placed_file_gives_each_window_what_reading_it_anew_would(tmp_path):
    """Houses and roads in degrees, some across the windows' edges."""
    roads = [LineString([(-20, 3 + 9 * k), (90, 9 * k)]) for k in range(6)]
    houses = [box(11 * k, 7 * k % 40, 11 * k + 5, 7 * k % 40 + 6) for k in range(6)]
    table = gpd.GeoDataFrame({"width_m": [math.nan] * 6 + [4.1] * 6}, geometry=on_grid(*houses, *roads)).to_crs(4326)
    path = tmp_path / "town.geojson"
    table.to_file(path, COORDINATE_PRECISION="10")
    whole = grid_of(60, 64)
    placed = place_file(path, whole)
    for row, col, height, width in ((0, 0, 60, 64), (5, 3, 16, 16), (44, 48, 16, 16), (20, 20, 8, 30)):
        grid = whole.crop(row, col, height, width)
        mask = placed.burn(grid)
        np.testing.assert_array_equal(mask, rasterize_file(path, grid, empty_ok=True))
        assert mask.any()


def test_windows_are_burnt_without_a_look_at_any_crs(tmp_path, monkeypatch):
    """pyproj in threads of another library ends the process: nothing may call it once a file is placed."""
    on_grid(box(1, 1, 3, 3), LineString([(0, 20), (30, 20)])).to_crs(4326).to_file(tmp_path / "a.geojson")
    placed = place_file(tmp_path / "a.geojson", grid_of(40, 40))
    for name in ("CRS", "Transformer", "Geod"):
        monkeypatch.delattr(f"pyproj.{name}")
    assert placed.burn(grid_of(40, 40).crop(0, 0, 4, 4)).sum() == 4
    assert placed.burn(grid_of(40, 40).crop(16, 0, 8, 8)).sum() == 6 * 8  # a road of 6 m


def test_of_a_file_with_too_many_shapes_those_around_the_image_are_read(tmp_path, monkeypatch):
    on_grid(box(1, 1, 3, 3), box(4, 4, 6, 6), box(400, 4, 406, 6)).to_file(tmp_path / "three.gpkg")
    monkeypatch.setattr(vectors, "KEPT_SHAPES", 1)
    assert vectors.kept_shapes(tmp_path / "three.gpkg", (0, 0)) is None
    placed = place_file(tmp_path / "three.gpkg", grid_of())
    assert len(placed.polygons) == 2
    assert placed.burn(grid_of()).sum() == 8


def test_formats_and_layers_are_read_alike(tmp_path):
    shapes = gpd.GeoDataFrame({"id": [1]}, geometry=on_grid(box(1, 1, 3, 3)))
    for name in ("a.gpkg", "a.shp", "a.fgb"):
        shapes.to_file(tmp_path / name)
        assert rasterize_file(tmp_path / name, grid_of()).sum() == 4
    gpd.GeoDataFrame({"id": [1]}, geometry=on_grid(box(0, 0, 1, 1))).to_file(tmp_path / "a.gpkg", layer="sheds")
    assert rasterize_file(tmp_path / "a.gpkg", grid_of(), layer="sheds").sum() == 1
    with pytest.raises(LabelError, match=r"no layer 'garages'; it has a \(polygons\), sheds \(polygons\)"):
        rasterize_file(tmp_path / "a.gpkg", grid_of(), layer="garages")


corner = st.floats(-4, 20).map(lambda v: round(v, 3) + 0.00017)  # off the pixel centres, whose rule is GDAL's own


@st.composite
def polygons(draw):
    """Stars around a point with a hole, so concave; some reach beyond the grid."""
    x, y = draw(corner), draw(corner)
    reach = draw(st.lists(st.floats(0.5, 9), min_size=5, max_size=11))
    turn = np.linspace(0, 2 * math.pi, len(reach), endpoint=False) + draw(st.floats(0, 1))
    outer = np.column_stack([x + reach * np.cos(turn), y + reach * np.sin(turn)])
    share = draw(st.floats(0.1, 0.6))
    inner = [((outer - (x, y)) * share + (x, y))] if draw(st.booleans()) else []
    return Polygon(outer, inner)


@settings(deadline=None, max_examples=60)
@given(st.lists(polygons(), min_size=1, max_size=5), st.booleans())
def test_masks_agree_with_shapely_at_every_pixel_centre(shapes, in_degrees):
    grid = grid_of(17, 15)
    series = on_grid(*shapes)
    mask = rasterize_polygons(series.to_crs(4326) if in_degrees else series, grid, empty_ok=True)
    x, y = np.meshgrid(np.arange(15) + 0.5, np.arange(17) + 0.5)
    inside = np.any([shapely.contains_xy(s, x, y) for s in shapes], axis=0)
    edge = np.min([shapely.distance(s.boundary, shapely.points(x, y)) for s in shapes], axis=0) < 1e-6
    np.testing.assert_array_equal(mask[~edge], inside[~edge])


@settings(deadline=None, max_examples=30)
@given(st.lists(polygons(), min_size=1, max_size=4))
def test_a_window_holds_the_same_labels_as_the_whole(shapes):
    grid, series = grid_of(16, 16), on_grid(*shapes)
    whole = rasterize_polygons(series, grid, empty_ok=True)
    part = rasterize_polygons(series, grid.crop(5, 3, 8, 9), empty_ok=True)
    np.testing.assert_array_equal(part, whole[5:13, 3:12])


@pytest.mark.skipif(not shutil.which("gdal_rasterize"), reason="gdal_rasterize (Debian's gdal-bin) is not installed")
@pytest.mark.skipif(not REAL.exists(), reason="the real imagery in ../shared/data is not here")
@pytest.mark.parametrize("touched", [False, True])
def test_real_footprints_in_another_crs_match_gdal_rasterize(tmp_path, touched):
    source, image = REAL / "tanzania_sample.geojson", REAL / "tanzania_sample.tif"
    grid = read_info(image)
    run = lambda *command: subprocess.run([*map(str, command)], check=True, capture_output=True)  # noqa: E731
    run("ogr2ogr", "-t_srs", "EPSG:32737", tmp_path / "utm.gpkg", source)
    box_ = [repr(v) for v in grid.bounds]
    options = ["-at"] if touched else []
    run("gdal_rasterize", *options, "-burn", 1, "-ot", "Byte", "-te", *box_, "-ts", grid.width, grid.height,
        tmp_path / "utm.gpkg", tmp_path / "gdal.tif")
    mask = rasterize_file(source, grid, all_touched=touched)
    assert 0.05 < mask.mean() < 0.2
    np.testing.assert_array_equal(mask, read_mask(tmp_path / "gdal.tif"))


@pytest.mark.skipif(not REAL.exists(), reason="the real imagery in ../shared/data is not here")
def test_real_centre_lines_lie_on_an_image_in_degrees():
    grid = read_info(REAL / "vegas_img0.tif")
    mask = rasterize_file(REAL / "vegas_img0_roads.geojson", grid, width=8)
    lines = gpd.read_file(REAL / "vegas_img0_roads.geojson").to_crs(32611)
    area = shapely.union_all(lines.buffer(4)).area  # most of it inside the image
    drawn = mask.sum() * grid.gsd**2
    assert 0.85 * area < drawn <= 1.01 * area
