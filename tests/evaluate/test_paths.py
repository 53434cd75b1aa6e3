import itertools
import math

import geopandas as gpd
import networkx
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, Point

from jointnet.evaluate.paths import control_points, node_lines, path_score, route_lengths
from jointnet.evaluate.roads import in_metres

SQUARE = [LineString([(0, 0), (40, 0)]), LineString([(40, 0), (40, 40)]), LineString([(40, 40), (0, 40)]),
          LineString([(0, 40), (0, 0)])]
STAR = [LineString([(0, 0), (40, 0)]), LineString([(0, 0), (-40, 0)]), LineString([(0, 0), (0, 40)])]


def test_crossing_streets_are_cut_at_the_crossing_and_passing_points_joined():
    cross = [LineString([(-10, 0), (10, 0)]), LineString([(0, -10), (0, 0)]), LineString([(0, 0), (0, 10)])]
    assert sorted(line.length for line in node_lines(np.array(cross, object))) == [10] * 4
    assert len(node_lines(np.array([LineString([(0, 0), (5, 0)]), LineString([(5, 0), (9, 3)])], object))) == 1


def test_a_street_whose_end_was_rounded_off_another_still_meets_it():
    lines = [LineString([(0, 0), (90, 30)]), LineString([(30.00004, 10.00003), (20, 80)])]  # 0.01 mm beside it
    assert lines[0].distance(lines[1]) > 0
    assert sorted(line.length for line in node_lines(np.array(lines, object))) == pytest.approx(
        [1000**0.5, 2 * 1000**0.5, 5000**0.5], abs=0.02)


def test_control_points_are_ends_and_even_steps_between():
    points = control_points(np.array([LineString([(0, 0), (120, 0)])], object), spacing=50)
    assert points[:, 0].tolist() == pytest.approx([0, 40, 80, 120])


def test_routes_are_as_long_as_the_streets_and_infinite_where_there_is_none():
    streets = node_lines(np.array([*STAR, LineString([(100, 0), (100, 9)])], object))
    lengths = route_lengths(streets, np.array([[40.0, 1], [-30, 0], [0, 20], [100, 9], [500, 0]]), snap=2)
    expected = [[0, 70, 60], [70, 0, 50], [60, 50, 0]]
    np.testing.assert_allclose(lengths[:3, :3], expected, atol=1e-6)
    assert np.isinf(lengths[:3, 3:]).all()
    assert np.isinf(lengths[4, 4])  # nothing to snap to


def test_a_network_against_itself_scores_one():
    result = path_score(SQUARE + STAR, SQUARE + STAR, spacing=15)
    assert result.score == pytest.approx(1)


def test_a_missing_arm_costs_its_routes():
    # Control points of the star: its middle and three ends, six routes. Without one arm the three routes to its end
    # are gone; what is left can be driven at its length. All routes of the prediction exist in the labels.
    result = path_score(STAR, STAR[:2], spacing=100)
    assert result.routes == 6
    assert result.found == pytest.approx(3 / 6)
    assert result.right == pytest.approx(1)
    assert result.score == pytest.approx(2 / 3)


def test_a_gap_that_forces_a_detour_costs_what_the_route_grows_by():
    # Two triangles' sides: the street a - b of 30 m is missing; the way round over c is 40 + 50 = 90 m, so the route
    # a - b loses all (200 % longer); a - c (40 m) and b - c (50 m) are kept. Tails make a, b, c junctions.
    a, b, c = (0, 0), (30, 0), (0, 40)
    tails = [LineString([a, (-10, 0)]), LineString([b, (40, 0)]), LineString([c, (0, 50)])]
    sides = [LineString([a, b]), LineString([a, c]), LineString([b, c])]
    truth, predicted = sides + tails, sides[1:] + tails
    # Ends A, B, C of the tails; routes that use a - b: ab 30 -> 90, Ab and aB 40 -> 100, AB 50 -> 110; losses 1, 1, 1
    # (capped) and 1 (60 / 50, capped). The other 11 of 15 routes are the same.
    result = path_score(truth, predicted, spacing=100)
    assert result.routes == 15
    assert result.found == pytest.approx(11 / 15)


def test_routes_of_the_prediction_that_do_not_exist_cost_the_other_way():
    result = path_score(STAR[:2], STAR, spacing=100)
    assert result.found == pytest.approx(1)
    assert result.right == pytest.approx(3 / 6)


def test_points_farther_off_than_the_snap_have_no_route():
    moved = [shapely.transform(line, lambda p: p + (0, 5)) for line in SQUARE[:1]]
    assert path_score(SQUARE[:1], moved, snap=6).score == pytest.approx(1)
    assert path_score(SQUARE[:1], moved, snap=4).score == 0


@pytest.mark.parametrize(("truth", "predicted", "score"), [([], [], 1), (STAR, [], 0), ([], STAR, 0)])
def test_networks_without_routes_have_a_defined_score(truth, predicted, score):
    assert path_score(truth, predicted).score == score


def test_a_spacing_of_nothing_is_refused():
    with pytest.raises(ValueError, match="spacing=0 and snap=4.0 must be above 0"):
        path_score(STAR, STAR, spacing=0)


STREETS = st.sets(st.tuples(st.integers(0, 11), st.booleans()), min_size=1)  # (junction of a grid, across or down)


def reference_graph(lines):
    """The network as a networkx graph of junctions, for streets that are straight between junctions."""
    graph = networkx.Graph()
    for line in lines:
        a, b = line.coords[0], line.coords[-1]
        if not graph.has_edge(a, b) or graph[a][b]["weight"] > line.length:
            graph.add_edge(a, b, weight=line.length)
    return graph


@settings(max_examples=30)
@given(STREETS, STREETS)
def test_the_score_of_a_street_grid_agrees_with_networkx(kept, other):
    def streets(chosen):
        """Streets of a grid of 4 x 3 junctions, 10 m apart."""
        out = []
        for number, across in chosen:
            x, y = number % 4 * 10, number // 4 * 10
            out.append(LineString([(x, y), (x + 10, y) if across else (x, y + 10)]))
        return out

    def kept_share(lines, others):
        here, there = reference_graph(lines), reference_graph(others)
        points = [tuple(p) for p in control_points(node_lines(np.array(lines, object)), 10.0).round(6)]
        shares = []
        for a, b in itertools.combinations(points, 2):
            if networkx.has_path(here, a, b):
                length = networkx.dijkstra_path_length(here, a, b)
                known = a in there and b in there and networkx.has_path(there, a, b)
                found = networkx.dijkstra_path_length(there, a, b) if known else math.inf
                shares.append(1 - min(1, abs(found - length) / length))
        return np.mean(shares)

    truth, predicted = streets(kept), streets(other)
    result = path_score(truth, predicted, spacing=10.0, snap=1)
    assert result.found == pytest.approx(kept_share(truth, predicted), abs=1e-6)
    assert result.right == pytest.approx(kept_share(predicted, truth), abs=1e-6)


def test_real_streets_score_one_and_without_a_dead_end_less_by_its_routes(shared_data):
    roads = gpd.read_file(shared_data / "georeferenced" / "vegas_img0_roads.geojson")
    assert path_score(roads, roads).score == pytest.approx(1)
    streets = node_lines(in_metres(roads, roads)[0])
    graph = networkx.MultiGraph([(s.coords[0], s.coords[-1], {"number": i}) for i, s in enumerate(streets)])
    tip, number = next(
        (tip, number) for end in graph if graph.degree(end) == 1 for tip, _, number in graph.edges(end, data="number")
        if shapely.distance(Point(tip), np.delete(streets, number)).min() > 10
    )
    # Only the routes to the dead end's tip are lost: one to each other junction or end of its part of the network.
    sizes = [len(part) for part in networkx.connected_components(graph)]
    routes = sum(n * (n - 1) // 2 for n in sizes)
    gone = len(networkx.node_connected_component(graph, tip)) - 1
    result = path_score(streets, np.delete(streets, number), spacing=1e6)
    assert (result.routes, result.found) == (routes, pytest.approx(1 - gone / routes))
    assert result.right == pytest.approx(1)
