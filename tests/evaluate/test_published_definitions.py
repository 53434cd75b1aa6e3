"""Scores that bear a published name, held against a computation of the published definition that shares no code."""

import itertools
import math

import networkx
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.features import shapes
from shapely import LineString, Point

from jointnet.evaluate.calibration import expected_calibration_error
from jointnet.evaluate.objects import count_objects, find_overlaps
from jointnet.evaluate.paths import path_score
from jointnet.evaluate.thresholds import count_probabilities

CORNERS = [(0, 0), (60, 0), (130, 10), (10, 70), (70, 80), (140, 75), (0, 150), (75, 140), (150, 155)]
STREETS = [(0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (0, 3), (3, 6), (1, 4), (4, 7), (2, 5), (5, 8)]


def with_points(lines, points, snap):
    """The network of lines as a graph, cut at each point that a line passes within `snap`; the points' nodes."""
    cuts = {number: {0.0: line.coords[0], line.length: line.coords[-1]} for number, line in enumerate(lines)}
    nodes = {}
    for point in points:
        number = min(range(len(lines)), key=lambda n: lines[n].distance(Point(point)), default=None)
        if number is None or lines[number].distance(Point(point)) > snap:
            continue
        along = lines[number].project(Point(point))
        known = next((a for a in cuts[number] if abs(a - along) < 1e-6), along)
        nodes[point] = cuts[number].setdefault(known, (number, along))
    graph = networkx.Graph()
    for places in cuts.values():
        for (a, one), (b, other) in itertools.pairwise(sorted(places.items())):
            if not graph.has_edge(one, other) or graph[one][other]["weight"] > b - a:
                graph.add_edge(one, other, weight=b - a)
    return graph, nodes


def apls_one_way(lines, others, spacing, snap):
    """1 - mean of min(1, |L(a, b) - L(a', b')| / L(a, b)) over all routes (Van Etten et al. 2018, equation 1).

    Control points are the nodes, and points at even steps of at most `spacing` along each edge.
    """
    degree = {}
    for line in lines:
        for end in (line.coords[0], line.coords[-1]):
            degree[end] = degree.get(end, 0) + 1
    points = set(degree)
    for line in lines:
        parts = math.ceil(line.length / spacing)
        points |= {line.interpolate(k / parts, normalized=True).coords[0] for k in range(1, parts)}
    here, at_home = with_points(lines, points, 1e-6)
    there, away = with_points(others, points, snap)
    lengths = dict(networkx.all_pairs_dijkstra_path_length(here))
    routes = dict(networkx.all_pairs_dijkstra_path_length(there))
    costs = []
    for a, b in itertools.combinations(sorted(points), 2):
        length = lengths[at_home[a]].get(at_home[b])
        if length:
            found = routes[away[a]].get(away[b]) if a in away and b in away else None
            costs.append(1.0 if found is None else min(1.0, abs(length - found) / length))
    return 1 - np.mean(costs) if costs else 0.0


@settings(max_examples=4, deadline=None)
@given(st.sets(st.integers(0, 11), min_size=3), st.sets(st.integers(0, 11), min_size=1), st.integers(0, 2))
def test_the_path_score_is_apls_by_its_equation(kept, found, off):
    """Streets of a crooked town; of the prediction some are missing, and all lie `off` metres to the north.

    Where two lines meet, and no third, they are one street in the package, without a control point between them. Every
    corner has three stubs of half a metre, so that it is a junction in both computations.
    """
    ways = ((0.3, 0.4), (-0.3, 0.4), (0.1, -0.48))
    stubs = [LineString([(x, y), (x + dx, y + dy)]) for x, y in CORNERS for dx, dy in ways]
    town = [LineString([CORNERS[a], CORNERS[b]]) for a, b in STREETS]
    truth = [town[n] for n in sorted(kept)] + stubs
    predicted = [shapely.transform(line, lambda xy: xy + [0, off]) for line in [town[n] for n in sorted(found)] + stubs]
    score = path_score(truth, predicted, spacing=50.0, snap=4.0)
    forth, back = apls_one_way(truth, predicted, 50.0, 4.0), apls_one_way(predicted, truth, 50.0, 4.0)
    assert score.found == pytest.approx(forth, abs=2e-3)  # corners are rounded to a centimetre here
    assert score.right == pytest.approx(back, abs=2e-3)
    assert score.score == pytest.approx(2 * forth * back / (forth + back), abs=2e-3)


def footprints(mask):
    """The polygons of a mask, as another library traces them."""
    return [shapely.geometry.shape(geometry) for geometry, value in shapes(mask.astype(np.uint8), mask) if value]


@settings(max_examples=30, deadline=None)
@given(arrays(bool, (9, 9)), arrays(bool, (9, 9)))
def test_object_f1_is_that_of_greedily_matched_polygons(truth, guess):
    """As in SpaceNet: each proposal takes the free footprint of the highest IoU, if that is 0.5 or more."""
    free, matched = footprints(truth), 0
    proposals = footprints(guess)
    labelled = len(free)
    for proposal in proposals:
        ious = [proposal.intersection(one).area / proposal.union(one).area for one in free]
        if ious and max(ious) >= 0.5 - 1e-12:
            del free[int(np.argmax(ious))]
            matched += 1
    f1 = 2 * matched / (len(proposals) + labelled) if proposals or labelled else 1.0
    assert count_objects(find_overlaps(truth, guess)).all.f1 == pytest.approx(f1)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, 60, elements=st.integers(0, 254)), arrays(bool, 60), st.sampled_from([5, 10, 15]))
def test_the_calibration_error_is_the_sum_over_bins_of_its_definition(levels, truth, bins):
    """Naeini et al. 2015: sum over bins ((m - 1) / M, m / M] of their share times |share of positives - mean p|."""
    p = levels / 254
    error = 0.0
    for m in range(1, bins + 1):
        held = ((p > (m - 1) / bins) | (m == 1)) & (p <= m / bins)
        if held.any():
            error += held.sum() / len(p) * abs(truth[held].mean() - p[held].mean())
    assert expected_calibration_error(count_probabilities(p, truth), bins) == pytest.approx(error)
