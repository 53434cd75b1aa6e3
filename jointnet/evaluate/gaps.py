"""Scores of several runs or many tiles in, tables out of where the network is at home and where it is not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

import pandas as pd

from jointnet.evaluate.counts import Counts, bootstrap_interval
from jointnet.evaluate.scores import Scores

COVERS = (0.0, 0.05, 0.15, 0.3, 1.0)


def cover_table(scores: Scores, edges: Sequence[float] = COVERS) -> pd.DataFrame:
    """Pooled scores of the tiles by the share of them that is foreground in the labels.

    Accuracy rises as cover falls, whatever the network does: compare it with `background_accuracy`.

    Args:
        scores: of `evaluate`.
        edges: limits of the shares, rising; a tile on a limit belongs below it, the first limit to the first group.

    Raises:
        ValueError: if the limits do not rise.
    """
    if len(edges) < 2 or list(edges) != sorted(set(edges)):
        raise ValueError(f"edges={list(edges)} must rise, as {list(COVERS)}")
    rows = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        tiles = [t.pixels for t in scores.tiles if low < t.pixels.cover <= high or t.pixels.cover == low == edges[0]]
        pooled = reduce(add, tiles, Counts())
        interval = bootstrap_interval(tiles, seed=scores.seed)
        rows.append({"low": low, "high": high, "tiles": len(tiles), **pooled.scores(),
                     "iou_low": interval[0], "iou_high": interval[1]})
    return pd.DataFrame(rows)


def city_gap(runs: Mapping[str, Scores], score: str = "iou") -> pd.DataFrame:
    """What a network loses in a city that it has never seen: one row per city, and their mean as "mean".

    Args:
        runs: city that was left out of the training -> scores of that run on all cities, the left-out one included.
        score: name of a `Counts` score.

    Returns:
        Columns `seen` (mean over the runs that were trained on the city), `unseen` (the run that was not), and their
        difference `gap`; NaN where no run tells.

    Raises:
        ValueError: if a run holds no score of the city that it left out.
    """
    missing = sorted(city for city, scores in runs.items() if city not in scores.cities)
    if missing:
        raise ValueError(f"the run without {', '.join(missing)} was not scored there; evaluate it on all cities")
    rows = []
    for city in sorted(runs):
        seen = [getattr(s.pixels(city), score) for left_out, s in runs.items() if left_out != city and city in s.cities]
        unseen = getattr(runs[city].pixels(city), score)
        mean = sum(seen) / len(seen) if seen else math.nan
        rows.append({"city": city, "seen": mean, "unseen": unseen, "gap": mean - unseen})
    table = pd.DataFrame(rows, columns=["city", "seen", "unseen", "gap"]).set_index("city")
    table.loc["mean"] = table.mean()
    return table
