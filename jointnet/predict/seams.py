"""A probability and its windows in; one number for the seams between them out."""

from __future__ import annotations

import numpy as np

from jointnet.errors import InputError
from jointnet.predict.windows import WindowGrid

NEAR = (4, 16)  # pixels from a border, from and to: steps there are what the steps across it are compared with


def seam_ratio(probability: np.ndarray, grid: WindowGrid) -> float:
    """How much larger the steps between neighbouring pixels are across window borders than beside them.

    1 means that no seam shows. Steps beside a border are those 4 to 16 pixels from it, on ground alike, so that a
    scene with more edges at the borders does not pass for one with seams.

    Args:
        probability: float (height, width), blended from the windows of `grid`.
        grid: the windows, whose first and last pixels are the borders.

    Raises:
        ValueError: if no border lies inside the scene.
    """
    across = _steps(probability, grid.lefts, grid.size)
    down = _steps(probability.T, grid.tops, grid.size)
    at_border = np.concatenate([across[0], down[0]])
    if not len(at_border):
        raise InputError(f"one window covers the scene of {grid.height} x {grid.width} px: there is no seam to measure")
    return float(at_border.mean() / np.concatenate([across[1], down[1]]).mean())


def _steps(probability: np.ndarray, starts: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Absolute steps from column to column: (those across window borders, those near them)."""
    step = np.abs(np.diff(probability, axis=1))
    borders = np.unique(np.concatenate([starts, starts + size]))
    distance = np.abs(np.arange(1, probability.shape[1])[:, None] - borders).min(axis=1)
    near = (distance >= NEAR[0]) & (distance <= NEAR[1])
    return step[:, distance == 0].ravel(), step[:, near].ravel()
