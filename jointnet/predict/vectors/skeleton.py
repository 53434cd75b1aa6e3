"""A mask of roads in; its middle lines, pixel by pixel, and how wide and how sure the road is along them, out.

A mask is worked on a strip at a time; of the whole scene a bit for each pixel is held, and the skeleton.
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

STRIP = 1024  # rows that are thinned together
REACH = 64  # pixels: half the width of the broadest road that is thinned and measured exactly where strips meet
MARGIN = 16  # pixels by which roads are taken to go on beyond the scene
OFF = 2.5  # pixels; a place has the width of the nearest pixel of the skeleton, if that is no farther away
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))  # to half of a pixel's eight neighbours


@dataclass(frozen=True)
class PackedMask:
    """A mask in an eighth of its memory.

    Attributes:
        bits: uint8 (height, columns of eight pixels).
        shape: (height, width).
    """

    bits: np.ndarray
    shape: tuple[int, int]

    def rows(self, start: int, end: int) -> np.ndarray:
        """Some rows: bool (end - start, width)."""
        return np.unpackbits(self.bits[start:end], axis=1, count=self.shape[1]).astype(bool)

    def at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Whether the pixels at rows (n,) and columns (n,) are set: bool (n,)."""
        return (self.bits[rows, columns >> 3] >> (7 - (columns & 7)) & 1).astype(bool)


@dataclass(frozen=True)
class Skeleton:
    """The middle of the roads of a mask.

    Attributes:
        mask: mask of the scene, small holes filled.
        pixels: int (n, 2), row and column of the skeleton's pixels, row by row.
        radius: float (n,), distance from each to the roadside, in the units of `pixel_size`.
        probability: float (n,), of each pixel; NaN where no probability was given.
        pixel_size: (height, width) of a pixel in metres, or (1, 1).
    """

    mask: PackedMask
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
        found[inside] = self.mask.at(rows[inside], columns[inside])
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
    values = np.asarray(mask)
    return skeleton_of_strips(lambda start, end: values[start:end], values.shape, pixel_size, hole, read_probability)


def skeleton_of_strips(
    read_mask: Callable[[int, int], np.ndarray],
    shape: tuple[int, int],
    pixel_size: tuple[float, float] = (1.0, 1.0),
    hole: float = 0.0,
    read_probability: Callable[[int, int], np.ndarray] | None = None,
) -> Skeleton:
    """As `find_skeleton`, of a mask that is read a strip at a time: (first row, end row) -> (rows, width).

    The same as of the whole mask where no road is broader than twice `REACH` and no hole that is filled taller than
    `STRIP`.

    Args:
        read_mask: (first row, end row) -> mask (rows, width), road where it is not 0.
        shape: (height, width) of the mask.
        pixel_size, hole, read_probability: see `find_skeleton`.
    """
    from skimage.morphology import skeletonize  # late, as it takes a while and looks at what else is installed

    filled = _filled(read_mask, shape, hole / (pixel_size[0] * pixel_size[1]))
    excess = (pixel_size[0] + pixel_size[1]) / 8
    pixels, radius, probability = [np.empty((0, 2), int)], [np.empty(0)], [np.empty(0)]
    for start, end in _strips(shape[0]):
        beyond, first = _beyond(filled, start, end)
        thin = skeletonize(beyond)[first : first + end - start, MARGIN:-MARGIN]
        rows, columns = np.nonzero(thin)
        pixels.append(np.stack([rows + start, columns], axis=1))
        # From the middle pixel to the nearest one beside the road it is half a pixel farther than to the roadside where
        # the road is an odd number of pixels wide, and just as far where it is an even one; half of that is taken off.
        distance = ndimage.distance_transform_edt(beyond, sampling=pixel_size) - excess
        radius.append(distance[rows + first, columns + MARGIN])
        if read_probability is not None and len(rows):
            probability.append(read_probability(start, end)[rows, columns])
        else:
            probability.append(np.full(len(rows), np.nan))
    return Skeleton(filled, np.concatenate(pixels), np.concatenate(radius), np.concatenate(probability), pixel_size)


def fill_holes(mask: np.ndarray, pixels: float) -> np.ndarray:
    """The mask with its holes of fewer pixels filled; what touches the scene's edge is no hole."""
    if pixels <= 0:
        return mask
    labels, count = ndimage.label(~mask)
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
    ways = _links(pixels, skeleton.mask.shape[1])
    degree = np.bincount(ways.ravel(), minlength=len(pixels))
    node = _junctions(ways, degree, places)
    return np.array([shapely.LineString(p) for p in _walk(ways, degree, node, places)], object)


def _strips(height: int) -> Iterator[tuple[int, int]]:
    """(first row, end row) of the strips of a scene."""
    for start in range(0, height, STRIP):
        yield start, min(height, start + STRIP)


def _filled(read_mask: Callable[[int, int], np.ndarray], shape: tuple[int, int], pixels: float) -> PackedMask:
    """The mask with its small holes filled, each strip seen with so many rows around that no hole is cut."""
    around = min(STRIP, int(np.ceil(pixels)))  # a hole of so many pixels is at most so many rows high
    bits = [np.empty((0, -(-shape[1] // 8)), np.uint8)]
    for start, end in _strips(shape[0]):
        top, bottom = max(0, start - around), min(shape[0], end + around)
        strip = fill_holes(np.asarray(read_mask(top, bottom)) != 0, pixels)
        bits.append(np.packbits(strip[start - top : end - top], axis=1))
    return PackedMask(np.concatenate(bits), shape)


def _beyond(mask: PackedMask, start: int, end: int) -> tuple[np.ndarray, int]:
    """A strip with what lies around it, and the row at which it begins therein.

    Around are the rows by which thinning a road depends on its neighbours (a pass takes a pixel off either side, in two
    halves that look one pixel far), and `MARGIN` pixels more of what touches the scene's edge.
    """
    top, bottom = max(0, start - 2 * REACH), min(mask.shape[0], end + 2 * REACH)
    above, below = (MARGIN * (edge == row) for edge, row in ((0, top), (mask.shape[0], bottom)))
    return np.pad(mask.rows(top, bottom), ((above, below), (MARGIN, MARGIN)), mode="edge"), start - top + above


def _links(pixels: np.ndarray, width: int) -> np.ndarray:
    """Pairs of neighbouring skeleton pixels, int (links, 2); no diagonal where two steps round the corner link them."""
    step = width + 2  # so that no row's end lies beside the next one's beginning
    places = pixels[:, 0] * step + pixels[:, 1]  # rising, as the pixels come row by row

    def number(sought: np.ndarray) -> np.ndarray:
        """The number of the pixel at each place; -1 where there is none."""
        found = np.minimum(np.searchsorted(places, sought), len(places) - 1)
        return np.where(places[found] == sought, found, -1)

    pairs = []
    for down, across in _STEPS:
        other = number(places + down * step + across)
        real = other >= 0
        if down and across:  # with the diagonal, three pixels round a corner would look like a junction
            real &= (number(places + down * step) < 0) & (number(places + across) < 0)
        pairs.append(np.stack([np.flatnonzero(real), other[real]], axis=1))
    return np.concatenate(pairs)


def _junctions(ways: np.ndarray, degree: np.ndarray, places: np.ndarray) -> dict[int, tuple[int, np.ndarray]]:
    """Pixel -> (number of its junction, the junction's place) for pixels where three or more ways meet."""
    crowded = degree >= 3
    # Where streets meet, several such pixels lie side by side: all of them together are one junction.
    inner = ways[crowded[ways].all(axis=1)]
    size = len(degree)
    graph = coo_array((np.ones(len(inner)), (inner[:, 0], inner[:, 1])), shape=(size, size))
    labels = connected_components(graph, directed=False)[1]
    members = np.flatnonzero(crowded)
    if not len(members):
        return {}
    groups, index = np.unique(labels[members], return_inverse=True)
    sums = np.stack([np.bincount(index, places[members, k]) for k in (0, 1)], axis=1)
    middle = sums / np.bincount(index)[:, None]
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
                continue  # walked from its other end
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


def _points(
    path: list[int], first: tuple[int, np.ndarray] | None, last: tuple[int, np.ndarray] | None, places: np.ndarray
) -> np.ndarray:
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
