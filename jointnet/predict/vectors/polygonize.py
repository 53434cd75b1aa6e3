"""Rows of a mask in, a strip at a time; its patches as polygons along the pixel edges out. NumPy and shapely.

A boundary between pixels turns at corners of the pixel lattice. On every line of the lattice, corners pair up from one
end to the other into the straight pieces of boundary, along the rows and along the columns; following the two pairings
in turn walks round every ring. Only corners are kept, so memory grows with the outlines and not with the image; and
patches that have ended can be taken out on the way, so that it does not grow with the image's height either.
"""

from __future__ import annotations

import numpy as np
import shapely

SIMPLE, LEFT, RIGHT = 0, 1, 2  # kinds of corner; where four pieces meet there is one for the left and one for the right


class Tracer:
    """Collects a mask from top to bottom; `take` and `finish` give its 4-connected patches.

    Attributes:
        width: width of the mask, in pixels.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._rows = 0
        self._labels = 0  # given so far; a patch that is cut by the border of strips has one in each strip
        self._last = np.zeros(width + 2, np.int32)  # labels of the last row, between two pixels of background
        self._corners: list[tuple[np.ndarray, ...]] = []
        self._same: list[np.ndarray] = [np.zeros((0, 2), np.int32)]
        self._pixels: list[np.ndarray] = []
        self._total: list[np.ndarray] = []

    def add(self, mask: np.ndarray, values: np.ndarray | None = None) -> None:
        """The next rows of the mask.

        Args:
            mask: (rows, width), foreground where it is not 0.
            values: (rows, width), whose mean over each patch is wanted.
        """
        labels = np.zeros((len(mask) + 1, self.width + 2), np.int32)
        count = label_patches(mask, labels[1:, 1:-1])
        self._measure(labels[1:, 1:-1], count, values)
        labels[1:][labels[1:] > 0] += self._labels
        labels[0] = self._last  # so that corners on the border of two strips are seen, once
        self._corners.append(_corners(labels, self._rows))
        self._same.append(labels[:2, (labels[0] > 0) & (labels[1] > 0)].T - 1)  # one patch on both sides of the border
        self._last = labels[-1].copy()
        self._labels += count
        self._rows += len(mask)

    def take(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The patches that ended above the last row, as `finish` gives them; they are not held any longer."""
        patch = self._patches()
        if not len(patch):
            return _nothing()
        is_open = np.zeros(patch.max() + 1, bool)
        is_open[patch[self._last[self._last > 0] - 1]] = True  # what touches the last row may go on in the next
        corners, pixels, total = self._held(patch)
        mine = is_open[_owner(corners)]
        found = _traced(tuple(part[~mine] for part in corners), pixels, total)
        self._keep(patch, is_open, tuple(part[mine] for part in corners), pixels, total)
        return found

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The patches that were not taken: polygons in (column, row) pixels, pixels and mean value of each.

        The mean is NaN where no values were given.
        """
        self._corners.append(_corners(np.stack([self._last, np.zeros_like(self._last)]), self._rows))
        patch = self._patches()
        if not len(patch):
            return _nothing()
        corners, pixels, total = self._held(patch)
        return _traced(corners, pixels, total)

    def _held(self, patch: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """All corners in reading order, patches in place of labels around them; pixels and sum of values by patch."""
        row, col, kind, around = (np.concatenate(parts) for parts in zip(*self._corners, strict=True))
        pixels, total = (np.bincount(patch, np.concatenate(parts)) for parts in (self._pixels, self._total))
        return (row, col, kind, np.concatenate([[-1], patch])[around]), pixels, total

    def _keep(self, patch: np.ndarray, is_open: np.ndarray, corners: tuple[np.ndarray, ...], pixels: np.ndarray,
              total: np.ndarray) -> None:
        """Goes on with the open patches alone. Label 1 stands for all that were taken: a neighbour may touch them."""
        label = np.where(is_open, np.cumsum(is_open) + 1, 1)
        row, col, kind, around = corners
        self._corners = [(row, col, kind, np.append(label, 0)[around].astype(np.int32))]
        self._last = np.concatenate([[0], label[patch]]).astype(np.int32)[self._last]
        self._same = self._same[:1]
        self._pixels, self._total = ([np.append(0, part[is_open])] for part in (pixels, total))
        self._labels = 1 + int(is_open.sum())

    def _measure(self, labels: np.ndarray, count: int, values: np.ndarray | None) -> None:
        """Pixels and sum of values under each label of a strip."""
        inside = labels > 0
        numbers = labels[inside] - 1
        self._pixels.append(np.bincount(numbers, minlength=count))
        weights = np.full(len(numbers), np.nan) if values is None else values[inside]
        self._total.append(np.bincount(numbers, weights, minlength=count))

    def _patches(self) -> np.ndarray:
        """The patch that each label is a part of."""
        if not self._labels:
            return np.empty(0, int)
        one, other = np.concatenate(self._same).T
        return join_pairs(self._labels, one, other)


def label_patches(mask: np.ndarray, labels: np.ndarray) -> int:
    """Numbers the 4-connected patches of a mask in reading order, from 1; returns how many there are.

    What `scipy.ndimage.label` does; importing that takes a third of a second, which every prediction would wait for.

    Args:
        mask: (rows, width), foreground where it is not 0.
        labels: int (rows, width) of zeros, which takes the numbers.
    """
    filled = np.zeros((mask.shape[0], mask.shape[1] + 1), bool)  # a pixel of background ends every row
    filled[:, :-1] = mask != 0
    edges = np.flatnonzero(np.diff(filled.ravel(), prepend=False))
    starts, stops = edges[0::2], edges[1::2]  # of the runs of foreground along the rows
    above = starts - filled.shape[1], stops - filled.shape[1]
    first, last = np.searchsorted(stops, above[0], "right"), np.searchsorted(starts, above[1], "left")
    touched = np.maximum(last - first, 0)  # runs in the row above that a run has a pixel edge in common with
    lower = np.repeat(np.arange(len(starts)), touched)
    upper = np.arange(len(lower)) + np.repeat(first - np.cumsum(touched) + touched, touched)
    patch = join_pairs(len(starts), lower, upper)
    labels[filled[:, :-1]] = np.repeat(patch + 1, stops - starts)
    return int(patch.max(initial=-1)) + 1


def join_pairs(count: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The group of each of `count` things: int (count,), numbered from 0 by the groups' first members.

    Each points to the least that it is known to belong to; pairs draw both ends to the lesser, and pointers are
    followed until nothing moves.

    Args:
        count: how many things there are.
        one: int (pairs,), things that belong together with those of `other`.
        other: int (pairs,).
    """
    least = np.arange(count)
    while len(one):
        before = least.copy()
        lesser = np.minimum(least[one], least[other])
        np.minimum.at(least, before[one], lesser)
        np.minimum.at(least, before[other], lesser)
        least = least[least]
        if np.array_equal(least, before):
            break
    return np.unique(least, return_inverse=True)[1]


def _corners(labels: np.ndarray, first_row: int) -> tuple[np.ndarray, ...]:
    """Corners on the lattice lines between the rows of `labels`, in reading order.

    Returns:
        (row, col, kind, around): their place on the lattice, and the labels of the pixels above left, above right,
        below left and below right, int32 (corners, 4).
    """
    filled = labels > 0
    upright = filled[:, 1:] ^ filled[:, :-1]  # boundary between neighbours in a row
    columns = upright.shape[1]
    simple = np.flatnonzero(upright[1:] ^ upright[:-1])  # a vertical piece ends here, so the boundary turns
    both = np.flatnonzero(upright[1:] & upright[:-1])  # it goes on; if its filled side changes, four meet
    saddle = both[filled[both // columns, both % columns] != filled[both // columns + 1, both % columns]]
    place = np.concatenate([simple, saddle, saddle])
    kind = np.repeat(np.array([SIMPLE, LEFT, RIGHT], np.int8), [len(simple), len(saddle), len(saddle)])
    order = np.argsort(place * 4 + kind)  # reading order: 0 and 1, 2 and 3, ... are the ends of horizontal pieces
    place, kind = place[order], kind[order]
    row, col = place // columns, place % columns
    around = np.stack([labels[row + i, col + j] for i in (0, 1) for j in (0, 1)], axis=1)
    return row + first_row, col, kind, around


def _nothing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An empty list of patches: polygons, pixels, mean value."""
    return np.empty(0, object), np.empty(0, int), np.empty(0)


def _owner(corners: tuple[np.ndarray, ...]) -> np.ndarray:
    """The patch whose ring turns at each corner: where two meet, the left corner is that of the patch on the left."""
    _, _, kind, around = corners
    left, right = np.maximum(around[:, 0], around[:, 2]), np.maximum(around[:, 1], around[:, 3])
    return np.where(kind == LEFT, left, np.where(kind == RIGHT, right, np.maximum(left, right)))


def _traced(
    corners: tuple[np.ndarray, ...], pixels: np.ndarray, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The patches that own these corners: polygons, pixels, mean value."""
    row, col, kind, around = corners
    if not len(row):
        return _nothing()
    order, starts = _walk(_vertical_partners(row, col, kind, around))
    first = order[starts]  # at the first corner of a ring its inside is below, to the right
    owners, owner = np.unique(_owner(corners)[first], return_inverse=True)
    polygons = _polygons(col, row, order, starts, owner, is_hole=around[first, 3] < 0)
    return polygons, pixels[owners].astype(int), total[owners] / pixels[owners]


def _vertical_partners(row: np.ndarray, col: np.ndarray, kind: np.ndarray, around: np.ndarray) -> np.ndarray:
    """The corner at the other end of each corner's vertical piece; that of its horizontal piece is its index ^ 1.

    Where four pieces meet, each ring turns round the one pixel that it encloses there: foreground where two patches
    touch, background where a patch touches itself, and closes a hole.
    """
    falling = around[:, 0] >= 0  # foreground above left and below right
    one, other = np.where(falling, around[:, 0], around[:, 1]), np.where(falling, around[:, 3], around[:, 2])
    left_goes_up = falling ^ (one == other)
    goes_down = np.where(kind == LEFT, ~left_goes_up, (kind == RIGHT) & left_goes_up)
    # Down each column, the first corner begins a piece, the second ends it, and so on. Where four pieces meet, the
    # corner that ends the piece above comes before the one that begins the piece below.
    order = np.lexsort((goes_down, row, col))
    partner = np.empty(len(order), int)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner


def _walk(vertical: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every second corner of every ring, in order, and where the rings start among them."""
    step = vertical[np.arange(len(vertical)) ^ 1].tolist()  # along the row to the other end, then along its column
    order: list[int] = []
    starts: list[int] = []
    seen = bytearray(len(step))
    for first in range(0, len(step), 2):
        if seen[first]:
            continue
        starts.append(len(order))
        at = first
        while True:
            seen[at] = seen[at ^ 1] = 1
            order.append(at)
            at = step[at]
            if at == first:
                break
    return np.array(order), np.array(starts)


def _polygons(col: np.ndarray, row: np.ndarray, order: np.ndarray, starts: np.ndarray, owner: np.ndarray,
              is_hole: np.ndarray) -> np.ndarray:
    """Polygons, one per owner, out of rings."""
    corners = np.stack([order, order ^ 1], axis=1).ravel()
    lengths = np.diff(np.append(starts, len(order)))
    points = np.stack([col[corners], row[corners]], axis=1).astype(float)
    rings = shapely.linearrings(points, indices=np.repeat(np.arange(len(starts)), 2 * lengths))
    by_owner = np.lexsort((is_hole, owner))  # shapely takes the first ring of each polygon for its outside
    return shapely.polygons(rings[by_owner], indices=owner[by_owner])
