"""A mask of roads in; the centre lines of its streets as a table, and the streets as a graph, out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from jointnet.data.raster import Grid, open_raster
from jointnet.predict.rasters import ProbabilityReader, foreground, open_probability, read_foreground
from jointnet.predict.vectors.polygons import check_on_grid, check_same_size, local_crs, to_world
from jointnet.predict.vectors.skeleton import Skeleton, find_skeleton, skeleton_of_strips, trace_lines

if TYPE_CHECKING:
    import networkx as nx

STRAIGHT = np.cos(np.deg2rad(35))  # a gap is joined where both ends point at each other within this angle


@dataclass(frozen=True)
class Cleaning:
    """What is taken for a flaw of the mask and not for a street; all in metres (in pixels where no scale is known).

    Attributes:
        spur: dead ends that reach no farther than this beyond the roadside are cut off.
        gap: ends that point at each other, or at another street, are joined over this distance.
        shortest: networks of less length in all are left out.
        hole: side of a square; smaller holes in a road are filled.
        tolerance: how far a line may move when it is simplified.
        look: the last stretch of a street, by which its direction is judged.
    """

    spur: float = 8.0
    gap: float = 15.0
    shortest: float = 25.0
    hole: float = 6.0
    tolerance: float = 1.0
    look: float = 12.0


def centre_lines(mask: np.ndarray, grid: Grid, probability: np.ndarray | None = None, scene: str = "",
                 cleaning: Cleaning | None = None, gsd: float | None = None) -> gpd.GeoDataFrame:
    """The centre lines of the roads of a mask, from junction to junction, as a table in the grid's CRS.

    Skeleton of the mask, dead ends pruned, gaps joined, lines simplified. Columns: `length_m`, `width_m` (twice the
    median distance to the roadside), `joined_m` (length that bridges a gap in the mask), `mean_probability` where a
    probability is given, `scene`. Where neither the grid has a CRS nor `gsd` is given, they end in `_px`.

    Args:
        mask: (height, width), road where it is not 0.
        grid: its CRS and transform.
        probability: (height, width) in [0, 1].
        scene: name that goes into every row.
        cleaning: see `Cleaning`.
        gsd: metres per pixel of an image without a georeference; its lines stay in pixels.
    """
    mask, values = np.asarray(mask), None if probability is None else np.asarray(probability)
    check_on_grid(grid, mask, values)
    read = None if values is None else lambda start, end: values[start:end]
    find = partial(find_skeleton, foreground(mask))
    return _lines(find, grid, read, scene, cleaning or Cleaning(), gsd)


def centre_lines_of_raster(mask_path: str | Path, probability_path: str | Path | None = None, band: int = 1,
                           scene: str = "", cleaning: Cleaning | None = None, gsd: float | None = None
                           ) -> gpd.GeoDataFrame:
    """As `centre_lines`, out of rasters that `predict_scene` wrote, read by strips.

    Args:
        mask_path: mask raster.
        probability_path: probability raster of the same size, uint8 or float32.
        band: number of the class's band in both, from 1.
        scene: name that goes into every row.
        cleaning: see `Cleaning`.
        gsd: metres per pixel of an image without a georeference.
    """
    with open_raster(mask_path) as raster, (
        nullcontext() if probability_path is None else open_probability(probability_path)
    ) as probability:
        width = raster.info.width
        if probability is not None:
            check_same_size(mask_path, raster.info, probability_path, probability.raster.info)

        def read_mask(start: int, end: int) -> np.ndarray:
            return read_foreground(raster, (start, 0, end - start, width), [band])[..., 0]

        def read_rows(values: ProbabilityReader, start: int, end: int) -> np.ndarray:
            return values.read((start, 0, end - start, width), [band])[..., 0]

        read = None if probability is None else partial(read_rows, probability)
        find = partial(skeleton_of_strips, read_mask, (raster.info.height, width))
        return _lines(find, raster.info, read, scene, cleaning or Cleaning(), gsd)


def street_graph(lines: gpd.GeoDataFrame) -> nx.MultiGraph:
    """Streets as a graph: a node for each place where lines meet or end, an edge for each line between.

    Nodes are (x, y) in the table's CRS. Edges hold `length` in metres (in its own units without a CRS), `row`, the
    number of the line in the table, and `width` where the table has it. Lines are taken to meet only at their ends, as
    `centre_lines` makes them; a bridge stays one.

    Args:
        lines: table of LineStrings.
    """
    import networkx as nx  # who draws no graph goes without it

    crs = local_crs(lines)
    metric = lines.geometry if crs is None else lines.geometry.to_crs(crs)
    widths = lines["width_m"] if "width_m" in lines else [None] * len(lines)
    graph = nx.MultiGraph(crs=lines.crs)
    rows = zip(lines.geometry, metric.length, widths, strict=True)
    for row, (line, length, width) in enumerate(rows):
        start, end = (tuple(line.coords[k][:2]) for k in (0, -1))
        graph.add_edge(start, end, length=float(length), row=row, **({} if width is None else {"width": float(width)}))
    return graph


def prune(lines: np.ndarray, skeleton: Skeleton, spur: float) -> np.ndarray:
    """Lines without the dead ends that a ragged roadside leaves, joined where only two are left to meet.

    A dead end counts from the roadside of the street that it leaves: its length less that street's half width there.
    Where all lines of a junction are such, the two longest stay. Loops no longer than round such a place go, too.

    Args:
        lines: LineStrings that meet at their ends.
        skeleton: that they were traced from.
        spur: longest dead end that is cut off.
    """
    while True:
        kept = _without_spurs(lines, skeleton, spur)
        joined = merge_lines(kept)
        if len(kept) == len(lines):
            return joined
        lines = joined


def merge_crossings(lines: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Lines whose crossings are one point where a skeleton splits them in two, a short way apart.

    Two broad streets that cross meet in two places of three ways each. Junctions that are joined by a line shorter than
    the street's half width there become one, in the middle.

    Args:
        lines: LineStrings that meet at their ends.
        skeleton: that they were traced from.
    """
    if not len(lines):
        return lines
    nodes, ends = _nodes(lines)
    degree = np.bincount(ends.ravel(), minlength=len(nodes))
    halfway = shapely.line_interpolate_point(lines, 0.5, normalized=True)
    number, near = skeleton.nearest(shapely.get_coordinates(halfway))
    short = (ends[:, 0] != ends[:, 1]) & (degree[ends] >= 3).all(axis=1) & near
    short[short] = shapely.length(lines[short]) < skeleton.radius[number[short]]
    if not short.any():
        return lines
    graph = coo_array((np.ones(short.sum()), ends[short].T), shape=(len(nodes), len(nodes)))
    group = connected_components(graph, directed=False)[1]
    middle = np.stack([np.bincount(group, nodes[:, k]) for k in (0, 1)], axis=1) / np.bincount(group)[:, None]
    kept = zip(lines[~short], group[ends[~short]], strict=True)
    return np.array([_moved(line, *middle[pair]) for line, pair in kept])


def join_gaps(lines: np.ndarray, gap: float, look: float) -> np.ndarray:
    """Lines with links over small gaps: from dead end to dead end, then from dead end straight on to a line's side.

    Two ends are linked where each points at the other within 35 degrees, nearest first, each end once. A line shorter
    than `look` is not led to a side.

    Args:
        lines: LineStrings that meet at their ends.
        gap: longest link.
        look: the last stretch of a line, by which its direction is judged.
    """
    lines = merge_lines(np.concatenate([lines, _links_of_ends(lines, gap, look)]))
    return merge_lines(_joined_to_sides(lines, gap, look))


def merge_lines(lines: np.ndarray) -> np.ndarray:
    """Lines joined where exactly two of them end in one point."""
    if not len(lines):
        return lines
    merged = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(lines)))
    return merged[shapely.length(merged) > 0]


def _lines(find: Callable[..., Skeleton], grid: Grid, read: Callable[[int, int], np.ndarray] | None, scene: str,
           cleaning: Cleaning, gsd: float | None) -> gpd.GeoDataFrame:
    """The table of `centre_lines`; `find` is one of the two ways to a skeleton, with its mask."""
    size = grid.pixel_size or ((gsd, gsd) if gsd else (1.0, 1.0))
    skeleton = find(size, cleaning.hole**2, read)
    lines = merge_crossings(prune(trace_lines(skeleton), skeleton, cleaning.spur), skeleton)
    lines = join_gaps(lines, cleaning.gap, cleaning.look)
    # Pruned again: a link cuts the street that it leads to, and what lies beyond the cut may be a short dead end.
    lines = _long_enough(prune(lines, skeleton, cleaning.spur), cleaning.shortest)
    width, joined, probability = _measured(lines, skeleton)  # before simplifying moves the lines off the skeleton
    lines = shapely.simplify(lines, cleaning.tolerance)
    unit = "m" if grid.crs is not None or gsd else "px"
    columns = {f"length_{unit}": np.round(shapely.length(lines), 2), f"width_{unit}": np.round(width, 2),
               f"joined_{unit}": np.round(joined, 2)}
    if read is not None:
        columns["mean_probability"] = np.round(probability, 4)
    pixels = shapely.transform(lines, lambda points: points / size[::-1])
    return gpd.GeoDataFrame(columns | {"scene": [scene] * len(lines)}, geometry=to_world(pixels, grid), crs=grid.crs)


def _without_spurs(lines: np.ndarray, skeleton: Skeleton, spur: float) -> np.ndarray:
    """Lines less those dead ends that are too short."""
    if not len(lines):
        return lines
    nodes, ends = _nodes(lines)
    degree = np.bincount(ends.ravel(), minlength=len(nodes))
    number, near = skeleton.nearest(nodes)
    # A place in the middle of a link over a gap is on no road, and so has no width.
    radius = np.where(near, skeleton.radius[number] if len(skeleton.pixels) else 0, 0)
    length = shapely.length(lines)
    loop = ends[:, 0] == ends[:, 1]
    dead = (degree[ends] == 1).sum(axis=1) == 1
    foot = np.where(degree[ends[:, 0]] == 1, ends[:, 1], ends[:, 0])
    doomed = dead & (degree[foot] >= 3) & (length - radius[foot] < spur)
    # The way round a place of the street's own width comes of a small hole in the mask, not of a street.
    doomed |= loop & (length - 2 * np.pi * radius[ends[:, 0]] < spur)
    for node in np.unique(foot[doomed]):
        here = np.flatnonzero((ends == node).any(axis=1))
        if doomed[here].all() and not loop[here].any():  # else a short road with ragged ends would vanish whole
            doomed[here[np.argsort(length[here])[-2:]]] = False
    return lines[~doomed]


def _moved(line: shapely.LineString, start: np.ndarray, end: np.ndarray) -> shapely.LineString:
    """A line with other ends."""
    return shapely.LineString([start, *line.coords[1:-1], end])


def _nodes(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places where lines end, float (nodes, 2), and the numbers of each line's first and last, int (n, 2)."""
    both = np.repeat(lines, 2)
    points = shapely.get_coordinates(shapely.get_point(both, np.tile([0, -1], len(lines))))
    nodes, ends = np.unique(points, axis=0, return_inverse=True)
    return nodes, ends.reshape(-1, 2)


def _dead_ends(lines: np.ndarray, look: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dead ends: place (m, 2), direction out of the line, of length 1 (m, 2), and number of the line (m,)."""
    if not len(lines):
        return np.empty((0, 2)), np.empty((0, 2)), np.empty(0, int)
    nodes, ends = _nodes(lines)
    degree = np.bincount(ends.ravel(), minlength=len(nodes))
    line, side = np.nonzero(degree[ends] == 1)
    length = shapely.length(lines[line])
    back = np.minimum(look, length)
    behind = shapely.line_interpolate_point(lines[line], np.where(side == 0, back, length - back))
    place = nodes[ends[line, side]]
    way = place - shapely.get_coordinates(behind)
    return place, way / np.maximum(np.hypot(*way.T), 1e-9)[:, None], line


def _links_of_ends(lines: np.ndarray, gap: float, look: float) -> np.ndarray:
    """Straight links between dead ends that point at each other."""
    place, way, line = _dead_ends(lines, look)
    if len(place) < 2:
        return np.empty(0, object)
    pairs = cKDTree(place).query_pairs(gap, output_type="ndarray")
    pairs = pairs[line[pairs[:, 0]] != line[pairs[:, 1]]]  # the two ends of one line would make a ring of it
    across = place[pairs[:, 1]] - place[pairs[:, 0]]
    length = np.hypot(*across.T)
    across = across / np.maximum(length, 1e-9)[:, None]
    agree = np.minimum((way[pairs[:, 0]] * across).sum(1), -(way[pairs[:, 1]] * across).sum(1))
    taken, links = np.zeros(len(place), bool), []
    for k in np.lexsort((-agree, length)):  # nearest first; of equally near ones, the straightest
        if agree[k] >= STRAIGHT and not taken[pairs[k]].any():
            taken[pairs[k]] = True
            links.append(shapely.LineString(place[pairs[k]]))
    return np.array(links, object)


def _joined_to_sides(lines: np.ndarray, gap: float, look: float) -> np.ndarray:
    """Lines with dead ends led straight on to the line that they run into, which is cut there."""
    place, way, own = _dead_ends(lines, look)
    cuts: dict[int, list[tuple[float, np.ndarray]]] = {}
    links, tree = [], shapely.STRtree(lines)
    for start, direction, mine in zip(place, way, own, strict=True):
        if lines[mine].length < look:
            continue  # a scrap points anywhere
        ray = shapely.LineString([start, start + gap * direction])
        hits = [(k, x) for k in tree.query(ray, predicate="intersects") if k != mine
                for x in shapely.get_coordinates(shapely.intersection(lines[k], ray))]
        if hits:
            k, x = min(hits, key=lambda hit: float(np.hypot(*(hit[1] - start))))
            links.append(shapely.LineString([start, x]))
            cuts.setdefault(int(k), []).append((float(lines[k].project(shapely.Point(x))), x))
    parts = [piece for k, line in enumerate(lines) for piece in _cut(line, sorted(cuts.get(k, []), key=lambda c: c[0]))]
    return np.array([*parts, *links], object)


def _cut(line: shapely.LineString, cuts: list[tuple[float, np.ndarray]]) -> list[shapely.LineString]:
    """A line in pieces that end exactly in the points of `cuts`, which lie at rising distances along it."""
    points = shapely.get_coordinates(line)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    pieces, start, first = [], points[:1], 0.0
    for distance, point in cuts:
        between = points[(along > first) & (along < distance)]
        # The given point itself, not one worked out from its distance: lines meet only in exactly equal points.
        pieces.append(np.concatenate([start, between, point[None]]))
        start, first = point[None], distance
    pieces.append(np.concatenate([start, points[along > first]]))
    return [shapely.LineString(p) for p in pieces if len(p) > 1 and np.ptp(p, axis=0).any()]


def _long_enough(lines: np.ndarray, shortest: float) -> np.ndarray:
    """Lines of networks that are at least so long in all."""
    if not len(lines):
        return lines
    nodes, ends = _nodes(lines)
    graph = coo_array((np.ones(len(ends)), ends.T), shape=(len(nodes), len(nodes)))
    part = connected_components(graph, directed=False)[1]
    total = np.bincount(part[ends[:, 0]], shapely.length(lines))
    return lines[total[part[ends[:, 0]]] >= shortest]


def _measured(lines: np.ndarray, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Width, length that lies off the road, and mean probability of each line: float (n,) each."""
    width, joined, probability = (np.full(len(lines), np.nan) for _ in range(3))
    step = min(skeleton.pixel_size)
    for k, line in enumerate(lines):
        count = max(2, int(np.ceil(line.length / step)) + 1)
        points = shapely.get_coordinates(line.interpolate(np.linspace(0, line.length, count)))
        number, near = skeleton.nearest(points)
        on_road = skeleton.on_road(points)
        joined[k] = line.length * (1 - on_road.mean())
        sure = number[near & on_road]  # elsewhere the nearest pixel of the skeleton belongs to another place
        if len(sure):
            width[k] = 2 * np.median(skeleton.radius[sure])
            known = skeleton.probability[sure]
            probability[k] = np.nanmean(known) if np.isfinite(known).any() else np.nan
    return width, joined, probability
