import geopandas as gpd
import numpy as np
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine
from shapely import LineString

from jointnet.data.raster import Grid, write_raster
from jointnet.data.scene import Scene
from jointnet.evaluate.paths import path_score
from jointnet.evaluate.road_breaks import break_costs, find_breaks, look_along, street_table
from jointnet.predict.vectors.centre_lines import street_graph

UTM = 32633


def table(*lines, crs=UTM):
    return gpd.GeoDataFrame(geometry=[LineString(np.add(p, (5e5, 5e6))) for p in lines], crs=crs)


STREET = table([(0, 0), (200, 0)], [(100, 0), (100, 60)])


def test_a_break_is_what_lies_beyond_the_buffer_of_both_ends():
    found = table([(0, 0), (50, 0)], [(70, 0), (200, 0)], [(100, 0), (100, 60)])
    breaks = find_breaks(STREET, found)
    assert breaks.crs == CRS.from_epsg(UTM)
    assert breaks.length_m.tolist() == pytest.approx([14], abs=0.02)  # 20 m less 3 m at either end
    assert breaks.total_bounds - (5e5, 5e6, 5e5, 5e6) == pytest.approx([53, 0, 67, 0], abs=0.02)
    assert find_breaks(STREET, found, shortest=15).empty
    assert find_breaks(STREET, STREET.to_crs(4326)).empty


def test_without_any_prediction_every_street_is_a_break_longest_first():
    breaks = find_breaks(STREET, STREET.iloc[:0])
    assert breaks.length_m.tolist() == pytest.approx([100, 100, 60], abs=0.02)


def test_a_short_break_in_the_main_street_costs_more_than_a_long_dead_end():
    # Control points with a wide spacing: ends A (0, 0), B (200, 0), C (100, 60) and the junction J: six routes.
    breaks = table([(80, 0), (90, 0)], [(100, 10), (100, 60)])
    costs = break_costs(STREET, breaks, spacing=1000)
    # Without 10 m between A and J, the three routes from A are lost; A itself can still be snapped to.
    # Without 50 m before C, C is farther off than the snap: its three routes are lost, and no more.
    assert costs == pytest.approx([3 / 6, 3 / 6])
    # With a point every 10 m, nine are cut off from the rest by the one and five lost by the other.
    costs = break_costs(STREET, breaks, spacing=10)
    rest = table([(0, 0), (80, 0)], [(90, 0), (200, 0)], [(100, 0), (100, 60)])
    assert costs[0] == pytest.approx(1 - path_score(STREET, rest, spacing=10).found, abs=1e-3)
    assert costs[0] > 1.2 * costs[1]


def test_what_lies_along_a_line_is_read_from_the_pixels_under_it(tmp_path):
    image = np.full((20, 40, 3), 90, np.uint8)
    image[:, 20:] = (30, 60, 30)  # a crown: (2 * 60 - 30 - 30) / 120 = 0.5
    grid = Grid(40, 20, 3, "uint8", CRS.from_epsg(UTM), Affine(0.5, 0, 5e5, 0, -0.5, 5e6 + 10))
    scene = Scene("town", write_raster(tmp_path / "town.tif", image, grid))
    lines = table([(1, 5), (9, 5)], [(11, 5), (19, 5)], [(5, 5), (15, 5)], [(300, 0), (310, 0)])
    seen = look_along(scene, lines.to_crs(4326))
    assert seen.brightness.tolist()[:3] == pytest.approx([90, 40, 65], abs=1.5)
    assert seen.greenness.tolist()[:3] == pytest.approx([0, 0.5, 0.25], abs=0.02)
    assert seen.loc[3].isna().all()


def test_labels_become_a_graph_that_a_route_can_be_found_on():
    streets = street_table(STREET.to_crs(4326))
    assert sorted(shapely.length(streets.geometry)) == pytest.approx([60, 100, 100], abs=0.02)
    assert sorted(degree for _, degree in street_graph(streets).degree()) == [1, 1, 1, 3]
