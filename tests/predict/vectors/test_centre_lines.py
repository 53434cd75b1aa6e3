import itertools

import geopandas as gpd
import networkx as nx
import numpy as np
import pyogrio
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import Affine
from shapely import LineString

import jointnet
from jointnet.data.labels import rasterize_lines
from jointnet.data.raster import Grid, write_raster
from jointnet.predict.vectors.centre_lines import (
    Cleaning,
    centre_lines,
    centre_lines_of_raster,
    join_gaps,
    merge_lines,
    street_graph,
)
from jointnet.predict.vectors.skeleton import fill_holes, find_skeleton, trace_lines


def grid_of(epsg=32633, metres=0.5, height=100, width=200, x=5e5, y=5e6):
    crs = None if epsg is None else CRS.from_epsg(epsg)
    return Grid(width, height, 1, "uint8", crs, Affine(metres, 0, x, 0, -metres, y))


@pytest.fixture
def street():
    """A street of 7 px across the picture, its middle on row 43."""
    mask = np.zeros((100, 200), np.uint8)
    mask[40:47] = 1
    return mask


def test_a_street_becomes_one_line_through_its_middle_with_its_width(street):
    table = centre_lines(street, grid_of(), np.where(street, 0.75, 0.1), "town7")
    # From the middle of the first pixel to that of the last 199 px of 0.5 m; the middle of row 43 is 43.5 px down.
    # Four pixels from there to the first beside the street, less a quarter: 7.5 px, for a true width of 7.
    assert len(table) == 1
    assert table.geometry[0].equals(LineString([(500000.25, 4999978.25), (500099.75, 4999978.25)]))
    assert table.drop(columns="geometry").iloc[0].to_dict() == {
        "length_m": 99.5, "width_m": 3.75, "joined_m": 0.0, "mean_probability": 0.75, "scene": "town7"}


@pytest.mark.parametrize(("pixels", "width"), [(5, 5.5), (6, 5.5), (7, 7.5), (8, 7.5), (20, 19.5)])
def test_widths_are_right_to_half_a_pixel(pixels, width):
    mask = np.zeros((100, 200), np.uint8)
    mask[40 : 40 + pixels] = 1
    assert centre_lines(mask, grid_of(metres=1.0)).width_m[0] == width


def test_a_crossing_is_one_point_where_four_lines_meet(street):
    street[:, 90:110] = 1  # 20 px across 7 px: the skeleton alone makes two crossings of it
    lines = centre_lines(street, grid_of())
    graph = street_graph(lines)
    assert sorted(degree for _, degree in graph.degree()) == [1, 1, 1, 1, 4]
    middle = next(node for node, degree in graph.degree() if degree == 4)
    assert np.hypot(middle[0] - 500050, middle[1] - 4999978.25) < 1.5


def test_a_driveway_shorter_than_the_spur_is_cut_and_a_side_street_kept(street):
    street[20:40, 50:56] = 1  # 20 px = 10 m out of the roadside
    street[47:, 140:146] = 1  # 53 px = 26 m
    assert len(centre_lines(street, grid_of(), cleaning=Cleaning(spur=12))) == 3  # two halves and the side street
    assert len(centre_lines(street, grid_of(), cleaning=Cleaning(spur=4))) == 5


def test_a_gap_in_line_is_joined_and_said_to_be(street):
    street[:, 80:92] = 0  # 6 m under a tree
    table = centre_lines(street, grid_of())
    assert len(table) == 1
    assert table.joined_m[0] == pytest.approx(6, abs=0.6)
    assert table.width_m[0] == 3.75
    assert len(centre_lines(street, grid_of(), cleaning=Cleaning(gap=4))) == 2


def test_ends_that_do_not_point_at_each_other_stay_apart():
    across = LineString([(0, 0), (50, 0)])
    beside = LineString([(56, 6), (100, 6)])  # 45 degrees off
    ahead = LineString([(56, 1), (100, 1)])
    assert len(join_gaps(np.array([across, beside]), gap=10, look=10)) == 2
    assert len(join_gaps(np.array([across, ahead]), gap=10, look=10)) == 1
    assert len(join_gaps(np.array([across, ahead]), gap=5, look=10)) == 2


def test_an_end_is_led_on_to_the_street_that_it_runs_into():
    main, side = LineString([(0, 0), (100, 0)]), LineString([(40, 50), (40, 8)])
    joined = join_gaps(np.array([main, side]), gap=10, look=10)
    assert sorted(line.length for line in joined) == pytest.approx([40, 50, 60])
    assert all(line.distance(shapely.Point(40, 0)) == 0 for line in joined)
    assert len(join_gaps(np.array([main, side]), gap=7, look=10)) == 2


def test_scraps_and_holes_are_left_out(street):
    street[42:45, 60:63] = 0  # a car in the road: 3 px = 1.5 m
    street[80:84, 20:60] = 1  # 20 m of something that hangs together with nothing
    assert len(centre_lines(street, grid_of())) == 1
    assert len(centre_lines(street, grid_of(), cleaning=Cleaning(shortest=10))) == 2
    assert len(centre_lines(street, grid_of(), cleaning=Cleaning(hole=1, spur=0.5))) > 1


def test_holes_at_the_edge_are_no_holes():
    mask = np.ones((9, 9), bool)
    mask[0, 4] = mask[4, 4:6] = False
    assert fill_holes(mask, 3).sum() == 80
    assert fill_holes(mask, 2).sum() == 78


def test_a_ring_road_is_one_closed_line():
    y, x = np.mgrid[:200, :200]
    ring = abs(np.hypot(x - 99.5, y - 99.5) - 60) < 4
    table = centre_lines(ring, grid_of(metres=1.0, height=200))
    assert len(table) == 1 and table.geometry[0].is_ring
    assert table.length_m[0] == pytest.approx(2 * np.pi * 60, rel=0.03)
    assert table.width_m[0] == pytest.approx(8, abs=1)


def test_lengths_and_widths_in_degrees_are_metres(street):
    # At 60 degrees north a pixel of 0.5 m of latitude is 0.25 m of longitude wide.
    table = centre_lines(street, grid_of(4326, 0.5 / 111_195, x=10, y=60))
    assert table.length_m[0] == pytest.approx(99.5 / 2, rel=0.01)
    assert table.width_m[0] == pytest.approx(3.81, abs=0.01)  # 4 px of 0.5 m less an eighth of 0.5 + 0.25 m, twice
    graph = street_graph(table)
    assert graph.size(weight="length") == pytest.approx(99.5 / 2, rel=0.01)


def test_without_a_georeference_all_is_in_pixels_unless_the_scale_is_given(street):
    grid = Grid(200, 100, 1, "uint8", None, Affine.identity())
    table = centre_lines(street, grid)
    assert table.crs is None
    assert table.columns.tolist() == ["length_px", "width_px", "joined_px", "scene", "geometry"]
    assert table.geometry[0].equals(LineString([(0.5, 43.5), (199.5, 43.5)]))
    scaled = centre_lines(street, grid, gsd=2.0)
    assert scaled.length_m[0] == 398 and scaled.width_m[0] == 15
    assert scaled.geometry[0].equals(table.geometry[0])


def test_no_road_gives_an_empty_table_that_can_be_written(tmp_path):
    from jointnet.predict.vectors.files import write_vectors

    table = centre_lines(np.zeros((40, 40)), grid_of(height=40, width=40))
    assert table.empty and table.crs == CRS.from_epsg(32633)
    path = write_vectors(table, tmp_path / "none.gpkg", geometry_type="LineString")
    assert pyogrio.read_info(path)["geometry_type"] == "LineString"


def test_strips_of_rasters_give_what_arrays_give(street, tmp_path, monkeypatch):
    monkeypatch.setattr("jointnet.predict.vectors.skeleton.STRIP", 16)
    street[:, 90:104] = 1
    mask = write_raster(tmp_path / "mask.tif", street * 255, grid_of())
    levels = write_raster(tmp_path / "probability.tif", np.where(street, 127, 20).astype(np.uint8), grid_of(),
                          nodata=255)
    stripes = centre_lines_of_raster(mask, levels, scene="a")
    monkeypatch.undo()
    assert_geodataframe_equal(stripes, centre_lines(street, grid_of(), np.where(street, 0.5, 0.1), "a"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(5, 75), st.integers(5, 75), st.integers(5, 75), st.integers(5, 75)),
                min_size=1, max_size=4))
@example([(6, 6, 5, 5)])  # a skeleton of one pixel
def test_a_skeleton_is_traced_whole_and_each_of_its_pixels_once(streets):
    grid = grid_of(metres=1.0, height=80, width=80)
    lines = [LineString([(5e5 + a, 5e6 - b), (5e5 + c + 0.5, 5e6 - d)]) for a, b, c, d in streets]
    mask = rasterize_lines(gpd.GeoSeries(lines, crs=32633), grid, width=5)
    skeleton = find_skeleton(mask)
    traced = trace_lines(skeleton)
    corners = {tuple(p) for p in shapely.get_coordinates(traced)}
    pixels = {tuple(p) for p in skeleton.places}
    links = nx.Graph()
    links.add_nodes_from(pixels)
    steps = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    links.add_edges_from((p, q) for p in pixels for s in steps if (q := (p[0] + s[0], p[1] + s[1])) in pixels)
    parts = [part for part in nx.connected_components(links) if len(part) > 1]  # single pixels are left out
    # Every pixel is on a line or within one of a junction; lines hang together as the pixels do.
    for p in itertools.chain(*parts):
        assert p in corners or min(np.hypot(p[0] - q[0], p[1] - q[1]) for q in corners) <= 2
    assert nx.number_connected_components(street_graph(gpd.GeoDataFrame(geometry=traced))) == len(parts)


def test_a_skeleton_of_strips_is_the_skeleton_of_the_whole(monkeypatch):
    scene = jointnet.open_dataset("sample")["vienna1"]
    mask = scene.read_labels("roads")
    mask[tuple(find_skeleton(mask).pixels[::40].T)] = 0  # cars
    whole = find_skeleton(mask, (0.3, 0.3), hole=4)
    monkeypatch.setattr("jointnet.predict.vectors.skeleton.STRIP", 90)
    strips = find_skeleton(mask, (0.3, 0.3), hole=4)
    assert len(whole.pixels) > 200 and (whole.mask.rows(0, len(mask)) > mask).any()
    for name in ("pixels", "radius", "probability"):
        np.testing.assert_array_equal(getattr(strips, name), getattr(whole, name))
    np.testing.assert_array_equal(strips.mask.bits, whole.mask.bits)


@pytest.mark.parametrize("name", ["chicago1", "vienna1"])
def test_the_lines_of_a_drawn_town_come_back_from_its_mask(name):
    from jointnet.evaluate.paths import path_score
    from jointnet.evaluate.roads import line_counts

    scene = jointnet.open_dataset("sample")[name]
    truth = gpd.read_file(scene.vectors["roads"])
    found = centre_lines(scene.read_labels("roads"), scene.info)
    assert line_counts(truth, found).quality > 0.95
    assert path_score(truth, found).score > 0.9
    assert abs(found.width_m.median() - truth.width_m.median()) < 2.5


def test_graphs_measure_streets_in_metres_and_keep_bridges_apart():
    table = gpd.GeoDataFrame({"width_m": [7.0, 5.0, 5.0]}, crs=32633, geometry=[
        LineString([(5e5, 5e6), (5e5 + 30, 5e6), (5e5 + 30, 5e6 + 40)]), LineString([(5e5, 5e6), (5e5, 5e6 + 10)]),
        LineString([(5e5 + 10, 5e6 - 5), (5e5 + 10, 5e6 + 5)])])  # crosses the first without an end on it
    graph = street_graph(table)
    assert nx.number_connected_components(graph) == 2
    route = nx.shortest_path_length(graph, (5e5, 5e6 + 10), (5e5 + 30, 5e6 + 40), weight="length")
    assert route == pytest.approx(80, rel=1e-3)
    assert graph.get_edge_data((5e5, 5e6), (5e5, 5e6 + 10))[0]["width"] == 5.0


def test_lines_of_no_length_are_not_kept():
    assert len(merge_lines(np.array([LineString([(0, 0), (1, 0)]), LineString([(1, 0), (1, 0)])]))) == 1


def test_a_scene_of_two_classes_gets_polygons_of_buildings_and_lines_of_roads(street, tmp_path):
    def network(windows):
        """Reads the classes off the first two bands."""
        return windows[..., :2].astype(np.float32) / 255

    house = np.zeros_like(street)
    house[10:30, 10:40] = 1
    path = write_raster(tmp_path / "town.tif", np.stack([house, street, street], axis=-1) * 255, grid_of())
    result = jointnet.predict_scene(network, path, tmp_path / "out", size=64, engine="keras", progress=False)
    buildings, roads = (gpd.read_file(result.layers[name]) for name in ("buildings", "roads"))
    assert buildings.geom_type.tolist() == ["Polygon"] and roads.geom_type.tolist() == ["LineString"]
    assert roads.crs == CRS.from_epsg(32633)
    assert (roads.length_m[0], roads.width_m[0], roads.mean_probability[0]) == (99.5, 3.75, 1)
    assert gpd.read_file(result.layers["roads"].with_suffix(".geojson")).crs == CRS.from_epsg(4326)
    # The lines, drawn at their width, are the mask again but for the two ends, where the last half pixel is round.
    assert (rasterize_lines(roads, grid_of()) != street).sum() <= 14
