"""Bands of rows on the network's grid in; the same ground on the scene's grid out, a band at a time. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axis:
    """How positions of one output line come from an input line: weights over neighbouring input pixels.

    A triangle filter: linear interpolation when enlarging, and as wide as an output pixel when shrinking, so that no
    input pixel is left out. The ends repeat the last pixel.

    Attributes:
        index: int (output pixels, taps), positions in the input.
        weight: float32 (output pixels, taps), each row adding up to 1.
    """

    index: np.ndarray
    weight: np.ndarray

    @classmethod
    def between(cls, outputs: int, inputs: int, scale: float, offset: float = 0.0) -> Axis:
        """Output pixel i is centred at input position (i + 0.5) * scale + offset, pixel edges counted from 0.

        Args:
            outputs: pixels of the output line.
            inputs: pixels of the input line.
            scale: input pixels per output pixel.
            offset: where the output line starts in the input, in input pixels.
        """
        centre = (np.arange(outputs) + 0.5) * scale + offset - 0.5
        radius = max(1.0, scale)
        taps = int(np.ceil(2 * radius)) + 1
        position = np.floor(centre - radius).astype(int)[:, None] + 1 + np.arange(taps - 1)
        weight = np.maximum(0, 1 - np.abs(position - centre[:, None]) / radius)
        weight /= weight.sum(axis=1, keepdims=True)
        return cls(np.clip(position, 0, inputs - 1), weight.astype(np.float32))

    def apply(self, array: np.ndarray, axis: int, start: int = 0, stop: int | None = None, first: int = 0
              ) -> np.ndarray:
        """Output pixels [start, stop) along `axis`; `array` holds the input from pixel `first` on."""
        index, weight = self.index[start:stop] - first, self.weight[start:stop]
        shape = [1] * array.ndim
        shape[axis] = len(index)
        return sum(
            np.take(array, index[:, tap], axis=axis) * weight[:, tap].reshape(shape) for tap in range(index.shape[1])
        )


def resample_array(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An array (height, width, ...) on another number of rows and columns, float32."""
    rows, columns = (Axis.between(new, old, old / new) for new, old in zip(shape, array.shape, strict=False))
    return rows.apply(columns.apply(array, axis=1), axis=0)


def resample_rows(bands: Iterator[tuple[int, np.ndarray]], rows: Axis, columns: Axis, first: int = 0, done: int = 0
                  ) -> Iterator[tuple[int, np.ndarray]]:
    """Each band of input rows as the output rows it completes: yields (key, float32 (rows, width, classes)).

    Args:
        bands: (key, float32 (rows, input width, classes)), top to bottom without gaps.
        rows: the map from input rows to output rows.
        columns: the map from input columns to output columns.
        first: input row that the first band starts at.
        done: output rows that are there already.
    """
    held = None
    for key, band in bands:
        narrow = columns.apply(band, 1)
        held = narrow if held is None else np.concatenate([held, narrow])
        stop = max(done, completed(rows, first + len(held)))
        yield key, rows.apply(held, 0, done, stop, first)
        done = stop
        needed = min(needed_from(rows, done), first + len(held))
        held, first = held[max(0, needed - first) :], max(first, needed)


def completed(rows: Axis, available: int) -> int:
    """Output rows that the first `available` input rows suffice for."""
    return int(np.searchsorted(rows.index.max(axis=1), available))


def needed_from(rows: Axis, done: int) -> int:
    """First input row that the output rows from `done` on look at; past the end when all are done."""
    return int(rows.index[done:].min()) if done < len(rows.index) else int(rows.index.max()) + 1
