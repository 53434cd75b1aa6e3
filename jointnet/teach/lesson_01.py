"""Checks of lesson 01: pixels and places, areas, leaks, a folder of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jointnet.data.raster import Affine
from jointnet.data.scene import Dataset
from jointnet.data.splits import find_leaks
from jointnet.teach.checks import exercise, known_answer, wrong_keys

TRANSFORMS = (Affine(0.3, 0, 500_000, 0, -0.3, 4_000_000), Affine(2, 0, 100, 0, -0.5, 50))
PLACES = ((7, 3, 0.5, 0.5), (0, 12, 0.9, 0.1), (25, 4, 0.1, 0.9))  # row, column, and where in the pixel
TEN = 10  # images of one's own


@exercise("01.1", "a function of (transform, east, north) that returns (row, col), two whole numbers")
def pixel_of(answer: Callable, given: None) -> str | None:
    """Tries the function on places inside pixels of two grids."""
    for transform in TRANSFORMS:
        for row, col, down, right in PLACES:
            found = tuple(answer(transform, *(transform @ (col + right, row + down))))
            if found == (row, col):
                continue
            if found == (col, row):
                return "rows and columns are swapped"
            if all(abs(a - b) <= 1 for a, b in zip(found, (row, col), strict=True)):
                return "a pixel holds every place from its first corner on, so round down to a whole number"
            return "another pixel holds the place. Solve the two formulas of section 1 for x and y; e is negative"
    return None


@exercise("01.2", "a table {1: area, 2: area, 4: area, 8: area, 16: area}, areas in pixels of the coarse grid")
def finer_areas(answer: Mapping[int, float], given: None) -> str | None:
    """Compares with the counts that are known."""
    expected = {int(finer): area for finer, area in known_answer("01.2").items()}
    if wrong := wrong_keys(answer, expected):
        return wrong
    off = [finer for finer, area in expected.items() if not np.isclose(answer[finer], area, atol=1e-3)]
    if off and all(np.isclose(answer[n], expected[n] * n**2) for n in expected):
        return "these are counts of fine pixels; how many of them fill a coarse one?"
    return f"the area is off on the grids {', '.join(map(str, off))} times finer" if off else None


@exercise("01.3", "a function of (train_at, check_at, size) that returns a share between 0 and 1; places are (n, 2)")
def overlapping_share(answer: Callable, given: None) -> str | None:
    """Tries the function on places for which the share can be told at a look."""
    first = np.array([[0, 0]])
    one = [answer(first, np.array([at]), 10) for at in ([9, 9], [0, 10], [9, 20])]
    if not all(0 <= share <= 1 for share in one):
        return "a share lies between 0 and 1"
    if one[1]:
        return "patches that touch, 10 px apart at a size of 10, share no pixel"
    if one[2] or not one[0]:
        return "two squares overlap if they are near in rows and in columns"
    many = answer(np.array([[0, 0], [0, 5], [40, 40]]), np.array([[5, 3], [-9, 0], [30, 40], [60, 0]]), 10)
    return None if np.isclose(many, 0.5) else "count a validation patch once, however many training patches it meets"


@exercise("01.4", f"the dataset that open_dataset gives for a folder with {TEN} or more labelled images of your own")
def own_folder(answer: Dataset, given: None) -> str | None:
    """Looks whether it is a folder of enough images, with labels and without leaks."""
    if answer.drawn or answer.name != "folder":
        return f"this is {answer.name!r}; open your own with open_dataset('folder', root=...)"
    if len(answer) < TEN:
        return f"the folder holds {len(answer)} images"
    bare = [scene.name for scene in answer if not scene.labels]
    if bare:
        return f"{len(bare)} images have no labels, among them {bare[0]}"
    leaks: Any = find_leaks(answer)
    return f"{len(leaks)} pairs of images share ground across splits" if leaks else None
