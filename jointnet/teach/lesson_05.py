"""Checks of lesson 05: two scores, a threshold that flatters, what goes along with being found, one more idea."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from jointnet.evaluate.counts import Counts
from jointnet.evaluate.explain import FEATURES, explain_recall
from jointnet.evaluate.thresholds import ProbabilityCounts
from jointnet.teach.checks import exercise


@exercise("05.1", "a function of an IoU that returns F1, both between 0 and 1")
def f1_of(answer: Callable, given: None) -> str | None:
    """Tries the function on counts whose scores are known."""
    counts = [Counts(tp, fp, fn) for tp, fp, fn in ((1, 1, 0), (3, 1, 2), (9, 0, 1), (0, 1, 1))]
    found = [float(answer(c.iou)) for c in counts]
    off = [c for c, f1 in zip(counts, found, strict=True) if not np.isclose(f1, c.f1)]
    if not off:
        return None
    return (f"for tp, fp, fn = {tuple(off[0][:3])} it does not give F1 = 2 tp / (2 tp + fp + fn). Divide above and "
            "below by tp + fp + fn")


@exercise("05.2", "a difference of two IoUs, a number such as 0.0012")
def flattery(answer: float, given: tuple[ProbabilityCounts, float]) -> str | None:
    """Works the difference out; `given` is (counts of the test cities, threshold chosen on validation)."""
    counts, chosen = given
    expected = counts.counts_at(counts.best_threshold("iou")).iou - counts.counts_at(chosen).iou
    if np.isclose(answer, expected, atol=1e-6):
        return None
    if answer < 0:
        return "a best threshold cannot lose: take the IoU at the test cities' own best threshold first"
    return "score both thresholds on the test cities, and take the difference of the IoUs, not in percent"


@exercise("05.3", f"the name of one property: {', '.join(FEATURES)}")
def strongest_feature(answer: str, given: pd.DataFrame) -> str | None:
    """Fits the regression; the strongest is the one whose odds ratio lies farthest from 1, up or down by a factor."""
    if answer not in FEATURES:
        return f"{answer!r} is none of the properties"
    strength = np.log(explain_recall(given, resamples=1)["odds_ratio"]).abs()  # no interval is needed
    if answer == strength.idxmax():
        return None
    return "another one is stronger: an odds ratio of 0.5 is as far from 1 as one of 2"


@exercise("05.4", "a list of Counts, one for each scene, of the same squares as without the idea")
def one_more_idea(answer: Sequence[Counts], given: Sequence[Counts]) -> str | None:
    """Looks whether like is compared with like; `given` are the counts without the idea."""
    if len(answer) != len(given):
        return f"{len(answer)} counts were given, for {len(given)} scenes"
    for number, (mine, plain) in enumerate(zip(answer, given, strict=True)):
        if (mine.total, mine.tp + mine.fn) != (plain.total, plain.tp + plain.fn):
            return f"scene {number} was scored on another square than before"
    if list(answer) == list(given):
        return "nothing changed in any scene: the idea was not used, or one window holds the whole square; try another"
    return None
