"""One scene, labelled in part: its labelled area cut into blocks, dealt to training and validation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from jointnet.data.patch_index import CELL, index_scene
from jointnet.data.scene import Dataset, Scene, Window
from jointnet.errors import InputError

LARGEST, SMALLEST = 512, 64  # sides of blocks, in pixels
JUDGED = 4  # validation blocks that there should be at least: an interval of a score needs several
FILLED = 0.25  # share of a block that must be labelled for it to validate


@dataclass(frozen=True)
class Block:
    """A square of a scene: its window in pixels of the image, and how many of them are labelled."""

    window: Window
    labelled: int


def split_labelled_area(scene: Scene, validation: float = 0.25, seed: int = 0) -> Dataset:
    """A scene of which a part is labelled, twice: once to train on, once to validate on.

    The labelled area is cut into square blocks, as large as give four of them to validation, no larger than 512 px and
    no smaller than 64 px, which are dealt to the two. Each has its blocks in `Scene.counted`: labels count there and
    nowhere else. What lies around a block is seen, as in every patch, but without any weight.

    Args:
        scene: a scene whose labels say where they are complete, see `Scene`.
        validation: share of the labelled pixels that validate, about.
        seed: start of the random choice; the same seed deals alike.

    Raises:
        InputError: if nothing is labelled, or too little to be dealt to both.
    """
    if not 0 < validation < 1:
        raise InputError(f"validation={validation} must lie between 0 and 1; a quarter is usual: validation=0.25")
    blocks = labelled_blocks(scene, validation)
    judged = _deal(blocks, validation, seed)
    training = [block for block in blocks if block not in judged]
    if not training or not judged:
        raise InputError(f"of {scene.name} too little is marked as done to train on one part and judge on another; "
                         f"label and mark an area of {3 * SMALLEST} x {3 * SMALLEST} px or more")
    parts = {"train": (scene.name, training), "validation": (f"{scene.name}-validation", judged)}
    return Dataset(f"{scene.name}, its labelled area in blocks", tuple(
        replace(scene, name=name, split=split, counted=tuple(b.window for b in blocks))
        for split, (name, blocks) in parts.items()
    ))


def labelled_blocks(scene: Scene, validation: float = 0.25) -> list[Block]:
    """The blocks of the labelled area, row by row; those without a labelled pixel are left out. Errors as above."""
    cells = index_scene(scene, tuple(scene.labels)).valid
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    if not len(rows):
        raise InputError(f"nothing of {scene.name} is marked as done, so no pixel of it counts; in the LabelEditor, "
                         f"drag a rectangle with the tool 'done' over what you have labelled")
    top, left = int(rows[0]), int(columns[0])
    area = cells[top : rows[-1] + 1, left : columns[-1] + 1]
    wanted = math.ceil(JUDGED / min(validation, 1 - validation))
    for side in range(LARGEST // CELL, SMALLEST // CELL, -1):
        found = _blocks(area, side)
        if sum(b.labelled >= FILLED * b.window[2] * b.window[3] for b in found) >= wanted:
            break
    else:
        found = _blocks(area, SMALLEST // CELL)
    origin = scene.part[:2] if scene.part else (0, 0)
    return [replace(b, window=_in_image(b.window, origin[0] + CELL * top, origin[1] + CELL * left,
                                        scene.info.shape, origin)) for b in found]


def _blocks(cells: np.ndarray, side: int) -> list[Block]:
    """Squares of `side` cells with a labelled pixel, windows in pixels of the area; the last ones may be larger."""
    cuts = [[*range(0, max(1, length // side) * side, side), length] for length in cells.shape]
    found = []
    for top, bottom in pairwise(cuts[0]):
        for left, right in pairwise(cuts[1]):
            labelled = int(cells[top:bottom, left:right].sum())
            window = (CELL * top, CELL * left, CELL * (bottom - top), CELL * (right - left))
            found += [Block(window, labelled)] * bool(labelled)
    return found


def _in_image(window: Window, top: int, left: int, shape: tuple[int, int], origin: tuple[int, int]) -> Window:
    """A window of the area in pixels of the image, its last cells cut off where the scene ends."""
    row, col = top + window[0], left + window[1]
    return (row, col, min(window[2], origin[0] + shape[0] - row), min(window[3], origin[1] + shape[1] - col))


def _deal(blocks: list[Block], validation: float, seed: int) -> list[Block]:
    """The blocks that validate, drawn at random among well filled ones until they hold their share of the pixels."""
    filled = [b for b in blocks if b.labelled >= FILLED * b.window[2] * b.window[3]]
    wanted, held, chosen = validation * sum(b.labelled for b in blocks), 0, []
    for number in np.random.default_rng(seed).permutation(len(filled)):
        block = filled[number]
        if held and held + block.labelled / 2 > wanted:
            break
        chosen.append(block)
        held += block.labelled
    return [b for b in filled if b in chosen]
