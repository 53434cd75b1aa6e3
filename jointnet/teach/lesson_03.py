"""Checks of lesson 03: what Dice says to a constant, what sampling does, two more runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jointnet.teach.checks import exercise, wrong_keys

LOSSES = ("dice", "focal")
PATCHES = 32  # in the batch of exercise 2


@exercise("03.1", "a function of (share, constant), both between 0 and 1, that returns the Dice loss")
def dice_of_constant(answer: Callable, given: None) -> str | None:
    """Tries the function on four pairs."""
    pairs = [(0.5, 0.5), (0.2, 0.2), (0.1, 0.9), (0.25, 0.75)]
    right = [1 - 2 * share * constant / (share + constant) for share, constant in pairs]
    found = [float(answer(*pair)) for pair in pairs]
    if np.allclose(found, right, atol=1e-3):
        return None
    if np.allclose(found, [1 - r for r in right], atol=1e-3):
        return "this is the Dice score; the loss falls when the score rises"
    if not all(0 <= value <= 1 for value in found):
        return "a Dice loss lies between 0 and 1"
    return "the overlap is share x constant, and both areas are added below the line"


@exercise("03.2", "a table {0.0: share, 1.0: share} of the pixels of the two batches that are building, from 0 to 1")
def sampled_shares(answer: Mapping[float, float], given: tuple[Any, int]) -> str | None:
    """Draws both batches again; `given` is (training scenes, patch size)."""
    if wrong := wrong_keys(answer, (0.0, 1.0)):
        return wrong
    if not all(0 <= share <= 1 for share in answer.values()):
        return "shares lie between 0 and 1; these may be percents"
    from jointnet.data.patches import PatchBatches  # late: it loads Keras

    scenes, size = given
    drawn = [PatchBatches(scenes, size, PATCHES, foreground_share=s, seed=0)[0][1].mean() for s in (0.0, 1.0)]
    if np.allclose([answer[0.0], answer[1.0]], drawn, atol=1e-3):
        return None
    return f"another share was drawn. Take the labels of the first batch of {PATCHES} patches, with seed=0"


@exercise("03.3", "(runs, best): {'dice': run, 'focal': run} as train gives them, and the name of the better")
def two_losses(answer: tuple[Mapping[str, Any], str], given: None) -> str | None:
    """Looks whether the runs are those that were asked for, as long as each other, and which ends higher."""
    if isinstance(answer, Mapping):
        return "these are the runs alone; the name of the better one belongs beside them"
    runs, best = answer
    if wrong := wrong_keys(runs, LOSSES):
        return wrong
    swapped = [f"the run {name!r} was trained with {run.card.loss}" for name, run in runs.items()
               if run.card.loss != name]
    if swapped:
        return swapped[0]
    lengths = {name: len(run.history["val_iou"]) for name, run in runs.items()}
    if len(set(lengths.values())) > 1:
        return f"the runs have {lengths['dice']} and {lengths['focal']} epochs, which is no fair comparison"
    last = {name: run.history["val_iou"][-1] for name, run in runs.items()}
    if not max(last.values()) > 0:
        return "neither run has found a building yet, so there is nothing to compare; give both more epochs"
    if best not in last:
        return f"{best!r} is none of the two runs"
    return None if last[best] == max(last.values()) else "compare the validation IoU of the last epochs once more"
