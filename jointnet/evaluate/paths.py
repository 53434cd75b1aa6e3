"""Two street networks in, how well routes on one can be driven on the other out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra

from jointnet.errors import InputError
from jointnet.evaluate.roads import Lines, in_metres

SPACING = 50.0  # metres between control points
SNAP = 4.0  # metres that a control point may lie from the other network
JOIN = 1e-6  # metres within which two ends are one junction
NODE = 0.01  # metres within which a line that ends at another is taken to meet it: what rounding in files can cost


@dataclass(frozen=True)
class PathScore:
    """How well routes of one network are kept by the other: 1 is all of them at their length, 0 none.

    Attributes:
        found: routes of the labels, looked up on the prediction; broken roads cost here.
        right: routes of the prediction, looked up on the labels; invented streets and detours cost here.
        routes: number of routes of the labels that were compared.
    """

    found: float
    right: float
    routes: int

    @property
    def score(self) -> float:
        """Harmonic mean of both."""
        both = self.found + self.right
        return 2 * self.found * self.right / both if both else 0.0


def path_score(truth: Lines, predicted: Lines, spacing: float = SPACING, snap: float = SNAP) -> PathScore:
    """Routes between control points compared both ways, in the manner of APLS (Van Etten et al., arXiv:1807.01232).

    Control points are junctions, ends and points between them; each is snapped to the other network.
    A route of length L that is L' there counts 1 - min(1, |L - L'| / L), one that cannot be driven counts 0. Streets
    that cross are taken to meet, bridges too. This is not the SpaceNet challenge's program: its numbers are close to
    these, not equal.

    Args:
        truth: labelled centre lines.
        predicted: predicted centre lines, in any CRS if `truth` has one.
        spacing: farthest that control points lie apart along a street, in metres.
        snap: farthest that a control point may lie from the other network, in metres.

    Returns:
        A score of 1 if neither side has a route, of 0 if only one has.

    Raises:
        ValueError: if only one side has a CRS, or spacing or snap are not positive.
    """
    if not (spacing > 0 and snap > 0):
        raise InputError(f"spacing={spacing} and snap={snap} must be above 0 metres")
    truth, predicted = (node_lines(lines) for lines in in_metres(truth, predicted))
    found, routes = _kept(truth, predicted, spacing, snap)
    right, back = _kept(predicted, truth, spacing, snap)
    if not routes and not back:
        return PathScore(1.0, 1.0, 0)
    return PathScore(found, right, routes)


def node_lines(lines: np.ndarray) -> np.ndarray:
    """Streets from junction to junction: lines cut where they cross or meet, and joined where nothing else meets.

    Corners are rounded to a centimetre, so that a street whose end was rounded off another's line still meets it.
    """
    if not len(lines):
        return lines
    return shapely.get_parts(shapely.line_merge(shapely.union_all(lines, grid_size=NODE)))


def control_points(streets: np.ndarray, spacing: float = SPACING) -> np.ndarray:
    """Ends of the streets and points at most `spacing` apart on them: float64 (points, 2), each place once."""
    points = [np.empty((0, 2))]
    for street in streets:
        parts = math.ceil(street.length / spacing)
        steps = np.linspace(0, street.length, parts + 1)
        points.append(shapely.get_coordinates(shapely.line_interpolate_point(street, steps)))
    return np.unique(np.round(np.concatenate(points) / JOIN), axis=0) * JOIN


def route_lengths(streets: np.ndarray, points: np.ndarray, snap: float) -> np.ndarray:
    """Lengths of the shortest routes between points on a network: (points, points), infinite where there is none.

    Args:
        streets: lines as `node_lines` returns them.
        points: float64 (points, 2), each moved to the nearest place on the network.
        snap: farthest that it may be moved, in metres; a point that lies farther off has no route.
    """
    lengths = np.full((len(points), len(points)), np.inf)
    if not len(streets) or not len(points):
        return lengths
    places = shapely.points(points)
    queries, nearest = shapely.STRtree(streets).query_nearest(places, max_distance=snap, all_matches=False)
    if not len(queries):
        return lengths
    along = shapely.line_locate_point(streets[nearest], places[queries])
    graph, nodes = _graph(streets, nearest, along)
    lengths[np.ix_(queries, queries)] = dijkstra(graph, directed=False, indices=nodes)[:, nodes]
    return lengths


def _kept(streets: np.ndarray, others: np.ndarray, spacing: float, snap: float) -> tuple[float, int]:
    """Mean share of their length that routes keep on the other network, and their number; 0 without routes."""
    points = control_points(streets, spacing)
    here, there = route_lengths(streets, points, JOIN * 10), route_lengths(others, points, snap)
    upper = np.triu(np.isfinite(here) & (here > 0), 1)
    here, there = here[upper], there[upper]
    if not len(here):
        return 0.0, 0
    lost = np.where(np.isfinite(there), np.abs(here - np.where(np.isfinite(there), there, 0)) / here, 1.0)
    return float(1 - np.minimum(1, lost).mean()), len(here)


def _graph(streets: np.ndarray, nearest: np.ndarray, along: np.ndarray) -> tuple[csr_matrix, np.ndarray]:
    """Sparse matrix of lengths between the ends of streets and the places in between, and each place's node."""
    ends = shapely.get_coordinates(shapely.get_point(np.repeat(streets, 2), np.tile([0, -1], len(streets))))
    junctions = np.unique(np.round(ends / JOIN), axis=0, return_inverse=True)[1].reshape(-1, 2)
    count = int(junctions.max()) + 1
    nodes = np.arange(count, count + len(nearest))
    street = np.concatenate([np.arange(len(streets)), np.arange(len(streets)), nearest])
    place = np.concatenate([np.zeros(len(streets)), shapely.length(streets), along])
    node = np.concatenate([junctions[:, 0], junctions[:, 1], nodes])
    rank = np.concatenate([np.zeros(len(streets)), np.full(len(streets), 2), np.ones(len(along))])
    order = np.lexsort((rank, place, street))  # along each street: its start, the places on it, its end
    a, b = order[:-1], order[1:]
    same = street[a] == street[b]
    return _lengths_matrix(node[a][same], node[b][same], (place[b] - place[a])[same], count + len(nearest)), nodes


def _lengths_matrix(a: np.ndarray, b: np.ndarray, lengths: np.ndarray, count: int) -> csr_matrix:
    """Symmetric sparse matrix of lengths: of parallel streets the shortest; places on one spot stay linked."""
    lengths = np.maximum(lengths, 1e-9)  # a stored 0 would mean no link
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((lengths, high, low))
    pairs, first = np.unique(np.stack([low, high], 1)[order], axis=0, return_index=True)
    return coo_matrix((lengths[order][first], (pairs[:, 0], pairs[:, 1])), shape=(count, count)).tocsr()
