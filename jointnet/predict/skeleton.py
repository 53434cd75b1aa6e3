"""A mask of roads in; its middle lines, pixel by pixel, and how wide and how sure the road is along them, out.

The mask of a whole scene is held in memory, a few bytes for each pixel; widths are measured a strip at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

STRIP = 1024  # rows whose distance to the roadside is measured together
REACH = 64  # pixels: half the width of the broadest road that is measured exactly
MARGIN = 16  # pixels by which roads are taken to go on beyond the scene
OFF = 2.5  # pixels from the skeleton within which a place takes its width
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))  # to half of a pixel's eight neighbours


@dataclass(frozen=True)
class Skeleton:
    """The middle of the roads of a mask.

    Attributes:
        mask: bool (height, width), small holes filled.
        pixels: int (n, 2), row and column of the skeleton's pixels.
        radius: float (n,), distance from each to the roadside, in the units of `pixel_size`.
        probability: float (n,), of each; NaN without one.
        pixel_size: (height, width) of a pixel in metres, or (1, 1).
    """

    mask: np.ndarray
    pixels: np.ndarray
    radius: np.ndarray
    probability: np.ndarray
    pixel_size: tuple[float, float]

    @property
    def places(self) -> np.ndarray:
        """Middles of the pixels, (x, y) in the units of `pixel_size`, y downwards: float (n, 2)."""
        return (self.pixels[:, ::-1] + 0.5) * self.pixel_size[::-1]

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For points (m, 2) the number of the nearest pixel, and whether it lies within `OFF` pixels."""
        if not len(self.pixels):
            return np.zeros(len(points), int), np.zeros(len(points), bool)
        far, number = self._tree.query(points)
        return number, far <= OFF * max(self.pixel_size)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.places)

    def on_road(self, points: np.ndarray) -> np.ndarray:
        """Whether points (m, 2) lie on the mask: bool (m,)."""
        columns, rows = np.floor(points / self.pixel_size[::-1]).astype(int).T
        inside = (rows >= 0) & (rows < self.mask.shape[0]) & (columns >= 0) & (columns < self.mask.shape[1])
        found = np.zeros(len(points), bool)
        found[inside] = self.mask[rows[inside], columns[inside]]
        return found


def find_skeleton(
    mask: np.ndarray,
    pixel_size: tuple[float, float] = (1.0, 1.0),
    hole: float = 0.0,
    read_probability: Callable[[int, int], np.ndarray] | None = None,
) -> Skeleton:
    """The skeleton of a mask (Zhang & Suen 1984, as scikit-image has it), with distances to the roadside.

    At the scene's edge roads are taken to go on as they are, so their middle runs straight out of the picture.

    Args:
        mask: (height, width), road where it is not 0.
        pixel_size: (height, width) of a pixel in metres; (1, 1) measures in pixels.
        hole: holes of less area (in square metres, or pixels) are filled: cars and crowns, round which no road runs.
        read_probability: (first row, end row) -> probability (rows, width).
    """
    filled = fill_holes(np.asarray(mask) != 0, hole / (pixel_size[0] * pixel_size[1]))
    beyond = np.pad(filled, MARGIN, mode="edge")
    thin = skeletonize(beyond)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    pixels = np.argwhere(thin)
    radius, probability = np.empty(len(pixels)), np.full(len(pixels), np.nan)
    for start, end, distance in _distances(beyond, pixel_size):
        own = (pixels[:, 0] >= start) & (pixels[:, 0] < end)
        rows, columns = pixels[own].T
        radius[own] = distance[rows - start, columns]
        if read_probability is not None and own.any():
            probability[own] = read_probability(start, end)[rows - start, columns]
    return Skeleton(filled, pixels, radius, probability, pixel_size)


def fill_holes(mask: np.ndarray, pixels: float) -> np.ndarray:
    """The mask with its holes of fewer pixels filled; what touches the scene's edge is no hole."""
    labels, count = ndimage.label(~mask)
    if not count or pixels <= 0:
        return mask
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    small = sizes < pixels
    small[0] = False
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        small[edge] = False
    return mask | small[labels]


def trace_lines(skeleton: Skeleton) -> np.ndarray:
    """The skeleton as lines from junction to junction or end: LineStrings in the units of `places`.

    Lines of one junction end in exactly the same point, the mean of the pixels at which three or more ways meet.
    Rings without a junction are closed lines; single pixels are left out.
    """
    pixels, places = skeleton.pixels, skeleton.places
    if len(pixels) < 2:
        return np.empty(0, object)
    ways = _links(pixels, skeleton.mask.shape)
    degree = np.bincount(ways.ravel(), minlength=len(pixels))
    node = _junctions(ways, degree, places)
    return np.array([shapely.LineString(p) for p in _walk(ways, degree, node, places)], object)


def _distances(beyond: np.ndarray, pixel_size: tuple[float, float]) -> Iterator[tuple[int, int, np.ndarray]]:
    """(first row, end row, distance to the roadside) of strips of a mask that is `MARGIN` pixels larger all round.

    From the middle pixel to the nearest one beside the road it is half a pixel farther than to the roadside where the
    road is an odd number of pixels wide, and just as far where it is an even one; half of that is taken off.
    """
    height = beyond.shape[0] - 2 * MARGIN
    excess = (pixel_size[0] + pixel_size[1]) / 8
    for start in range(0, height, STRIP):
        end = min(height, start + STRIP)
        top, bottom = max(0, start + MARGIN - REACH), min(len(beyond), end + MARGIN + REACH)
        distance = ndimage.distance_transform_edt(beyond[top:bottom], sampling=pixel_size) - excess
        first = start + MARGIN - top
        yield start, end, distance[first : first + end - start, MARGIN:-MARGIN]


def _links(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pairs of neighbouring skeleton pixels, int (links, 2); of a step round a corner, not its diagonal too."""
    number = np.full((shape[0] + 2, shape[1] + 2), -1, np.int32)
    rows, columns = pixels.T + 1
    number[rows, columns] = np.arange(len(pixels))
    pairs = []
    for down, across in _STEPS:
        other = number[rows + down, columns + across]
        real = other >= 0
        if down and across:
            real &= (number[rows + down, columns] < 0) & (number[rows, columns + across] < 0)
        pairs.append(np.stack([np.flatnonzero(real), other[real]], axis=1))
    return np.concatenate(pairs)


def _junctions(ways: np.ndarray, degree: np.ndarray, places: np.ndarray) -> dict[int, tuple[int, np.ndarray]]:
    """Pixel -> (number of its junction, the junction's place) for pixels where three or more ways meet."""
    crowded = degree >= 3
    inner = ways[crowded[ways].all(axis=1)]
    size = len(degree)
    graph = coo_array((np.ones(len(inner)), (inner[:, 0], inner[:, 1])), shape=(size, size))
    labels = connected_components(graph, directed=False)[1]
    members = np.flatnonzero(crowded)
    if not len(members):
        return {}
    groups, index = np.unique(labels[members], return_inverse=True)
    middle = np.stack([np.bincount(index, places[members, k]) for k in (0, 1)], axis=1)
    middle /= np.bincount(index)[:, None]
    return {int(p): (int(g), middle[g]) for p, g in zip(members, index, strict=True)}


def _walk(ways: np.ndarray, degree: np.ndarray, node: dict, places: np.ndarray) -> Iterator[np.ndarray]:
    """The points of each line."""
    near: list[list[int]] = [[] for _ in degree]
    for a, b in ways.tolist():
        near[a].append(b)
        near[b].append(a)
    used: set[tuple[int, int]] = set()
    for start in np.flatnonzero((degree > 0) & (degree != 2)).tolist():
        for step in near[start]:
            if (start, step) in used:
                continue
            path = _follow(start, step, near, degree)
            used |= {(path[0], path[1]), (path[-1], path[-2])}
            first, last = node.get(path[0]), node.get(path[-1])
            if len(path) == 2 and first and last and first[0] == last[0]:
                continue  # inside one junction
            yield _points(path, first, last, places)
    yield from _rings(near, degree, used, places)


def _follow(start: int, step: int, near: list[list[int]], degree: np.ndarray) -> list[int]:
    """Pixels from one junction or end to the next."""
    path = [start, step]
    while degree[path[-1]] == 2 and path[-1] != start:
        a, b = near[path[-1]]
        path.append(b if a == path[-2] else a)
    return path


def _points(path: list[int], first, last, places: np.ndarray) -> np.ndarray:
    """Places along a path, its ends moved to their junctions."""
    points = places[path].copy()
    if first:
        points = np.concatenate([first[1][None], points[1:]])
    if last:
        points = np.concatenate([points[:-1], last[1][None]])
    return points


def _rings(near: list[list[int]], degree: np.ndarray, used: set, places: np.ndarray) -> Iterator[np.ndarray]:
    """Closed lines that meet no other."""
    left = degree == 2
    stack = [p for pair in used for p in pair]
    while stack:  # whatever hangs together with a line that was walked is no ring
        for other in near[stack.pop()]:
            if left[other]:
                left[other] = False
                stack.append(other)
    for start in np.flatnonzero(left).tolist():
        if left[start]:
            path = _follow(start, near[start][0], near, degree)
            left[path] = False
            yield places[path]
