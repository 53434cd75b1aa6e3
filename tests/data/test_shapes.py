"""Features as other programs write them: what is drawn, what is left out, and that each is told by its number."""

from __future__ import annotations

import json
import math

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely import GeometryCollection, LineString, MultiPoint, MultiPolygon, Point, Polygon, box

from jointnet.data.labels import rasterize_file, rasterize_lines
from jointnet.data.layers import LabelError, LabelWarning
from jointnet.data.shapes import mend, shapes_of_class
from tests.data.known_grid import grid_of, on_grid

HOUSE = box(1, 1, 3, 3)  # 4 pixels
RING = LineString(HOUSE.exterior.coords)
STREET = LineString([(-5, 6), (20, 6)])


def table(*shapes, crs=32633, **columns):
    return gpd.GeoDataFrame(columns, geometry=on_grid(*shapes).set_crs(crs, allow_override=True))


def kinds(found):
    return [shape.geom_type for shape in found.geometry]


def test_points_and_open_lines_among_buildings_are_counted_and_closed_lines_filled():
    mixed = table(HOUSE, Point(1, 1), MultiPoint([(1, 1), (2, 2)]), RING, STREET)
    with pytest.warns(LabelWarning, match=(
        r"town: 3 points \(features 1, 2\) left out; 1 closed line \(feature 3\) filled; "
        r"1 line \(feature 4\) left out, not being closed to outlines"
    )):  # fmt: skip
        found = shapes_of_class(mixed, "buildings", "town")
    assert kinds(found) == ["Polygon", "Polygon"]
    assert found.index.tolist() == [0, 3]
    assert found.area.tolist() == [4, 4]


def test_an_outline_that_all_but_closes_is_one_and_a_line_with_a_gap_is_none():
    corners = [(0, 0), (10, 0), (10, 10), (0, 10)]
    almost = LineString([*corners, (0.5, 0.0)])  # half a metre of 40
    with pytest.warns(LabelWarning, match=r"1 closed line \(feature 0\) filled"):
        assert shapes_of_class(table(almost), "buildings").area[0] == pytest.approx(100, abs=3)
    with pytest.raises(LabelError, match=r"no shape that can be drawn as buildings: 1 line \(feature 0\) left out"):
        shapes_of_class(table(LineString(corners)), "buildings")  # three walls of four


def test_a_roundabout_stays_a_line_and_surfaces_among_roads_are_told():
    assert kinds(shapes_of_class(table(RING), "roads")) == ["LineString"]
    with pytest.warns(LabelWarning, match="1 polygons are taken as surfaces of roads, beside 1 centre lines"):
        assert kinds(shapes_of_class(table(HOUSE, STREET), "roads")) == ["Polygon", "LineString"]


def test_tags_of_openstreetmap_say_what_a_feature_is():
    """A house, a street, a lawn, a shed whose tag is "no", and a house that is a shop, too."""
    shapes = (HOUSE, STREET, box(4, 4, 6, 6), box(6, 6, 7, 7), box(7, 7, 8, 8))
    tags = {"building": ["yes", None, None, "no", "retail"], "highway": [None, "service", None, None, None],
            "landuse": [None, None, "grass", "farmyard", "retail"]}  # fmt: skip
    told = r"1 feature \(3\) tagged building=no left out; 2 features \(1, 2\) tagged as something else left out"
    with pytest.warns(LabelWarning, match=told):
        assert shapes_of_class(table(*shapes, **tags), "buildings").index.tolist() == [0, 4]
    with pytest.warns(LabelWarning, match=r"4 features \(0, 2, 3, 4\) tagged as something else left out"):
        assert shapes_of_class(table(*shapes, **tags), "roads").index.tolist() == [1]
    named = table(HOUSE, box(4, 4, 6, 6), building=["town hall", None])  # a column of names, no tags
    assert len(shapes_of_class(named, "buildings")) == 2


def test_streets_alone_are_told_as_such_when_buildings_are_looked_for():
    """A file of OpenStreetMap's ways without a column `building`: two streets, and a shape without a tag."""
    ways = table(STREET, HOUSE, STREET, highway=["service", None, "primary"])
    with pytest.warns(LabelWarning, match=r"2 features \(0, 2\) tagged as something else left out"):
        assert shapes_of_class(ways, "buildings").index.tolist() == [1]
    with pytest.raises(LabelError, match=r"no shape that can be drawn as buildings: 2 features \(0, 2\) tagged"):
        shapes_of_class(ways.iloc[[0, 2]], "buildings")


def test_collections_are_taken_apart_and_heights_dropped():
    high = Polygon([(0, 0, 9), (2, 0, 9), (2, 2, 9), (0, 2, 9)])
    nested = GeometryCollection([GeometryCollection([HOUSE]), MultiPolygon([high, box(4, 4, 5, 5)])])
    found = shapes_of_class(table(nested), "buildings")
    assert found.area.tolist() == [4, 4, 1]
    assert not shapely.has_z(found.geometry.to_numpy()).any()


def test_features_without_a_shape_or_beyond_the_earth_are_counted():
    broken = Polygon([(0, 0), (0, 1e300), (1, 1)])
    with pytest.warns(LabelWarning, match=(
        r"2 features \(0, 1\) without a shape left out; 1 feature \(2\) with coordinates beyond the earth left out"
    )):  # fmt: skip
        assert shapes_of_class(table(None, Polygon(), broken, HOUSE), "buildings").index.tolist() == [3]
    degrees = gpd.GeoDataFrame(geometry=[box(15, 47, 15.1, 91), box(15, 47, 15.1, 47.1)], crs=4326)
    with pytest.warns(LabelWarning, match=r"1 feature \(0\) with coordinates beyond the earth"):
        assert len(shapes_of_class(degrees, "buildings")) == 1
    with pytest.raises(LabelError, match=r"town has no shape that can be drawn as .*2 features \(0, 1\) without"):
        shapes_of_class(table(None, None), "buildings", "town")
    assert len(shapes_of_class(table(), "buildings")) == 0  # nothing was labelled there


SHELL = [(0, 0), (10, 0), (10, 10), (0, 10)]


@pytest.mark.parametrize(("polygon", "area"), [
    (Polygon(SHELL, [box(20, 20, 25, 25).exterior.coords]), 100),  # a hole outside its shell
    (Polygon(SHELL, [box(8, 4, 14, 6).exterior.coords]), 96),  # across it: 2 x 2 lie inside
    (Polygon(SHELL, [SHELL]), 0),
    (Polygon(SHELL, [box(2, 2, 6, 6).exterior.coords, box(4, 4, 8, 8).exterior.coords]), 72),  # 16 + 16 - 4 are gone
    (Polygon([(0, 0), (4, 0), (0, 4), (4, 4)]), 8),  # a bow tie
    (Polygon([(0, 0), (10, 0), (10, 10), (10, 15), (10, 10), (0, 10)]), 100),  # a spike
    (Polygon([(0, 0), (10, 0), (10, 10), (5, 10), (3, 5), (7, 5), (5, 10), (0, 10)]), 90),  # a court at one corner
    (Polygon([(0, 0), (1, 1), (0, 0)]), 0),
], ids=["hole outside", "hole across", "hole is shell", "holes overlap", "bow tie", "spike", "touches itself", "flat"])
def test_mended_polygons_cover_what_their_rings_enclose_but_for_the_holes(polygon, area):  # fmt: skip
    assert not polygon.is_valid
    mended = mend(np.array([polygon], object))[0]
    assert mended.is_valid
    assert mended.area == area


def test_a_mended_polygon_is_named(tmp_path):
    across = Polygon(box(1, 1, 5, 5).exterior.coords, [box(4, 2, 8, 4).exterior.coords])
    table(HOUSE, across).to_file(tmp_path / "a.gpkg")
    with pytest.warns(LabelWarning, match=r"a\.gpkg: 1 polygon \(feature 2\) invalid and repaired"):
        mask = rasterize_file(tmp_path / "a.gpkg", grid_of(), class_name="buildings")
    assert mask.sum() == 14  # 16, less the two in column 4, and nothing where the hole leaves
    assert not mask[2:4, 4:].any()


def write_geojson(path, *geometries):
    features = [{"type": "Feature", "properties": {}, "geometry": g} for g in geometries]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_a_coordinate_that_is_no_number_is_told(tmp_path):
    rings = [np.array(on_grid(shape).to_crs(4326)[0].exterior.coords).tolist() for shape in (HOUSE, box(5, 5, 6, 6))]
    rings[1][1][1] = math.nan
    path = write_geojson(tmp_path / "a.geojson", *({"type": "Polygon", "coordinates": [ring]} for ring in rings))
    with pytest.warns(LabelWarning, match=r"a\.geojson: 1 feature \(1\) with coordinates beyond the earth left out"):
        assert rasterize_file(path, grid_of()).sum() == 4


def test_rings_that_do_not_return_to_their_start_are_closed(tmp_path):
    ring = np.array(on_grid(HOUSE).to_crs(4326)[0].exterior.coords).tolist()
    path = write_geojson(tmp_path / "a.geojson", {"type": "Polygon", "coordinates": [ring[:-1]]})
    with pytest.warns(LabelWarning, match="rings that did not end where they began were closed"):
        assert rasterize_file(path, grid_of()).sum() == 4


@pytest.mark.parametrize(("text", "shape"), [
    ("CURVEPOLYGON (CIRCULARSTRING (500001 5199996,500004 5199999,500007 5199996,500004 5199993,500001 5199996))",
     Point(4, 4).buffer(3, 64)),
    ("MULTISURFACE (((500001 5199999,500003 5199999,500003 5199997,500001 5199997,500001 5199999)))", HOUSE),
    ("POLYGON ZM ((500001 5199999 1 2,500003 5199999 1 2,500003 5199997 1 2,500001 5199997 1 2,500001 5199999 1 2))",
     HOUSE),
])  # fmt: skip
def test_curves_and_measures_are_drawn_as_what_they_are(tmp_path, text, shape):
    (tmp_path / "a.csv").write_text(f'id,WKT\n1,"{text}"\n')
    mask = rasterize_file(tmp_path / "a.csv", grid_of(), crs="EPSG:32633", class_name="buildings")
    x, y = np.meshgrid(np.arange(8) + 0.5, np.arange(8) + 0.5)
    np.testing.assert_array_equal(mask, shapely.contains_xy(shape, x, y))


def test_rows_of_a_table_whose_shapes_are_no_well_known_text_are_told(tmp_path):
    """GDAL takes no SRID before a shape, as PostGIS writes it; no box holds such a row, so it was not missed."""
    path, house = tmp_path / "a.csv", on_grid(HOUSE)[0].wkt
    path.write_text(f'id,WKT\n1,"{house}"\n2,"SRID=32633;{house}"\n')
    with pytest.warns(LabelWarning, match=r"1 row left out, whose shape is no well-known text, as 'SRID=32633;POLY"):
        assert rasterize_file(path, grid_of(), crs="EPSG:32633", class_name="buildings").sum() == 4


def test_surfaces_that_are_no_polygons_are_counted(tmp_path):
    tin = "TIN (((500001 5199999 0,500003 5199999 0,500003 5199997 0,500001 5199999 0)))"
    (tmp_path / "a.csv").write_text(f'id,WKT\n1,"{tin}"\n')
    with pytest.raises(LabelError, match=r"a\.csv has no shape that can be drawn as .*1 feature \(1\) without"):
        rasterize_file(tmp_path / "a.csv", grid_of(), crs="EPSG:32633", class_name="buildings")


def test_widths_of_text_are_understood_and_others_named():
    roads = table(LineString([(-5, 5), (45, 5)]), LineString([(-5, 25), (45, 25)]), width=["4.02 m", "6,02"])
    rows = rasterize_lines(roads, grid_of(40, 40), "width").all(axis=1)
    assert np.flatnonzero(rows).tolist() == [3, 4, 5, 6, 22, 23, 24, 25, 26, 27]
    told = r"1 of 2 widths are missing, not above 0 m or above 1000 m; feature 1 has 'wide'; write"
    with pytest.raises(LabelError, match=told):
        rasterize_lines(roads.assign(width=["4 m", "wide"]), grid_of(40, 40), "width")
    with pytest.raises(LabelError, match="feature 0 has none"):
        rasterize_lines(roads.assign(width=[None, "4"]), grid_of(40, 40), "width")


def test_a_column_of_widths_may_be_in_capitals(tmp_path):
    """As shapefiles and databases have it; it was passed over, and the street drawn 6 m wide."""
    path = tmp_path / "a.shp"
    table(STREET, WIDTH_M=[4.0]).to_file(path)
    assert rasterize_file(path, grid_of()).sum() == rasterize_file(path, grid_of(), width=4.0).sum()
    assert rasterize_file(path, grid_of()).sum() < rasterize_file(path, grid_of(), width=6.0).sum()


def test_a_wide_line_beside_the_image_reaches_into_it_when_its_width_is_text(tmp_path):
    table(LineString([(-8, -10), (-8, 30)]), width_m=["20 m"]).to_file(tmp_path / "a.gpkg")
    mask = rasterize_file(tmp_path / "a.gpkg", grid_of(6, 6), class_name="roads")  # 10 m each side: up to column 2
    assert mask.all(axis=0).tolist() == [True, True, False, False, False, False]
