"""A reader of pixels and a network in; a scene's probability out, a band of rows at a time. NumPy only.

The network is shown overlapping windows. Their answers are averaged with weights that fall smoothly from a window's
middle to its border, where a network sees least of the surroundings, so that no window's edge shows in the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jointnet.errors import InputError

Read = Callable[[int, int, int, int], np.ndarray]  # (row, col, height, width) -> uint8 (height, width, bands)
Engine = Callable[[np.ndarray], np.ndarray]  # uint8 (n, size, size, bands) -> float32 (n, size, size, classes)

STEP = 8  # networks halve three times, so windows are multiples of this many pixels


def window_starts(length: int, size: int, stride: int) -> np.ndarray:
    """Starts of the windows over a line, centred on it: the first is 0 or less, and what hangs over is mirrored.

    At least half an overlap hangs over each end, so that a scene's border lies as deep inside its windows as every
    seam between windows does.

    Args:
        length: pixels to cover.
        size: window, in pixels.
        stride: step between neighbouring windows; less than `size` overlaps them.

    Raises:
        ValueError: if the line is empty or the stride leaves gaps.
    """
    if length < 1:
        raise InputError(f"a scene of {length} px is empty; give it at least one pixel")
    if not 1 <= stride <= size:
        raise InputError(f"a stride of {stride} px must lie between 1 and the window's {size} px")
    margin = (size - stride) // 2 if length > size else 0
    count = max(0, math.ceil((length + 2 * margin - size) / stride)) + 1
    over = (count - 1) * stride + size - length
    return np.arange(count) * stride - over // 2


def ramp_weights(size: int, stride: int) -> np.ndarray:
    """Blending weights along one side of a window: float32 (size,), in (0, 1].

    A tapered-cosine window (Tukey's; Harris 1978, doi:10.1109/PROC.1978.10837): a squared sine over the overlap, 1
    between. Of the usual shapes it alone has both properties wanted here: neighbours' weights add up to 1 wherever
    overlaps are at most half a window, and the middle is one window's own answer. Without overlap it is a box.
    """
    overlap = min(size - stride, size // 2)
    weights = np.ones(size)
    ramp = np.sin(np.pi / 2 * (np.arange(overlap) + 0.5) / max(overlap, 1)) ** 2
    weights[:overlap], weights[size - overlap :] = ramp, ramp[::-1]
    return weights.astype(np.float32)


def mirror_index(index: np.ndarray, length: int) -> np.ndarray:
    """Positions folded into [0, length) by mirrors at both ends; the end pixel is repeated, as often as it takes."""
    folded = np.mod(index, 2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)


def stride_of(size: int, overlap: float) -> int:
    """Step between windows, in pixels, for an overlap that is a share of the window.

    Raises:
        ValueError: if the window is no multiple of 8 px, or the overlap is not in [0, 0.9].
    """
    if size < STEP or size % STEP:
        raise InputError(f"a window of {size} px must be a positive multiple of {STEP} px")
    if not 0 <= overlap <= 0.9:
        raise InputError(f"overlap={overlap} must be a share of the window between 0 and 0.9, for example 0.25")
    return max(1, round(size * (1 - overlap)))


@dataclass(frozen=True)
class WindowGrid:
    """Where the windows of a scene lie. Rows and columns count in pixels of the scene and may start below 0."""

    height: int
    width: int
    size: int
    stride: int

    @cached_property
    def tops(self) -> np.ndarray:
        """First row of each row of windows."""
        return window_starts(self.height, self.size, self.stride)

    @cached_property
    def lefts(self) -> np.ndarray:
        """First column of each column of windows."""
        return window_starts(self.width, self.size, self.stride)

    @property
    def work(self) -> float:
        """Pixels that the network is shown for each pixel of the scene; 1 would be none twice."""
        return len(self.tops) * len(self.lefts) * self.size**2 / (self.height * self.width)

    def finished(self, k: int) -> tuple[int, int]:
        """(start, stop) of the scene's rows that are complete once row `k` of windows is, and were not before."""
        start = 0 if k == 0 else int(np.clip(self.tops[k], 0, self.height))
        stop = self.height if k == len(self.tops) - 1 else int(np.clip(self.tops[k + 1], 0, self.height))
        return start, stop

    def total_weight(self, ramp: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Sum of all windows' weights over rows [start, stop) of the scene: float32 (stop - start, width)."""
        rows = _line_weight(self.tops, ramp, start, stop)
        return rows[:, None] * _line_weight(self.lefts, ramp, 0, self.width)


def predict_windows(read: Read, grid: WindowGrid, engine: Engine, batch: int = 1, first: int = 0,
                    on_windows: Callable[[int], object] | None = None, equal: bool = False
                    ) -> Iterator[tuple[int, np.ndarray]]:
    """The blended answer, top to bottom: yields (k, float32 (rows, width, classes)) for rows `grid.finished(k)`.

    Only one row of windows is held, whatever the scene's height. A run that starts at `first` repeats the rows of
    windows that overlap it and yields exactly what a whole run yields from there.

    Args:
        read: gives the pixels of (row, col, height, width) inside the scene.
        grid: the windows.
        engine: the network on a batch of windows.
        batch: windows shown to the engine at once.
        first: row of windows to start from.
        on_windows: called with the number of windows just done, for progress.
        equal: True averages with equal weights, to show what blending is for.
    """
    ramp = np.ones(grid.size, np.float32) if equal else ramp_weights(grid.size, grid.stride)
    weight = (ramp[:, None] * ramp)[..., None]
    reach = math.ceil(grid.size / grid.stride) - 1
    pool = np.empty(0, np.float32)  # the sums of a row of windows; its classes are told by the first answer
    for k in range(max(0, first - reach), len(grid.tops)):
        strip = _read_strip(read, grid, int(grid.tops[k]))
        for i, answer in _run(strip, grid, engine, batch):
            if not pool.size:
                pool = np.zeros((*strip.shape[:2], answer.shape[-1]), np.float32)
            pool[:, i * grid.stride : i * grid.stride + grid.size] += answer * weight
            if on_windows and k >= first:
                on_windows(1)
        start, stop = grid.finished(k)
        if k >= first:
            yield k, _normalised(pool, grid, ramp, k, start, stop)
        pool[: grid.size - grid.stride] = pool[grid.stride :]
        pool[grid.size - grid.stride :] = 0


def with_flips(engine: Engine) -> Engine:
    """The engine averaged over the eight turns and flips of its windows: eight times the work, a little better."""

    def averaged(windows: np.ndarray) -> np.ndarray:
        total = np.zeros(1, np.float32)
        for turns in range(4):
            for flip in (False, True):
                turned = np.rot90(windows, turns, axes=(1, 2))
                turned = turned[:, :, ::-1] if flip else turned
                answer = engine(np.ascontiguousarray(turned))
                answer = answer[:, :, ::-1] if flip else answer
                answer = np.rot90(answer, -turns, axes=(1, 2))
                total = total + answer.astype(np.float32)
        return total / 8

    return averaged


def _line_weight(starts: np.ndarray, ramp: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Sum of the windows' weights at positions [start, stop) of a line."""
    total = np.zeros(stop - start, np.float32)
    for first in starts:
        low, high = max(start, first), min(stop, first + len(ramp))
        if low < high:
            total[low - start : high - start] += ramp[low - first : high - first]
    return total


def _read_strip(read: Read, grid: WindowGrid, top: int) -> np.ndarray:
    """The pixels under one row of windows, mirrored where it hangs over: (size, columns of all windows, bands)."""
    rows = mirror_index(np.arange(top, top + grid.size), grid.height)
    columns = mirror_index(np.arange(grid.lefts[0], grid.lefts[-1] + grid.size), grid.width)
    low, high = int(rows.min()), int(rows.max()) + 1
    pixels = read(low, 0, high - low, grid.width)
    return pixels[rows - low][:, columns]


def _run(strip: np.ndarray, grid: WindowGrid, engine: Engine, batch: int) -> Iterator[tuple[int, np.ndarray]]:
    """The engine's answer for each window of a strip, with the window's number."""
    count = len(grid.lefts)
    for at in range(0, count, batch):
        numbers = range(at, min(at + batch, count))
        answers = engine(np.stack([strip[:, i * grid.stride : i * grid.stride + grid.size] for i in numbers]))
        yield from zip(numbers, answers, strict=True)


def _normalised(pool: np.ndarray, grid: WindowGrid, ramp: np.ndarray, k: int, start: int, stop: int) -> np.ndarray:
    """Rows [start, stop) of the scene out of the pool of row `k` of windows, divided by their weights."""
    top, left = int(grid.tops[k]), int(grid.lefts[0])
    rows = pool[start - top : stop - top, -left : -left + grid.width]
    return rows / grid.total_weight(ramp, start, stop)[..., None]
