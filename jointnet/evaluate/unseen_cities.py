"""Scores of several runs or many tiles in, tables out of where the network is at home and where it is not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path

import pandas as pd

from jointnet.errors import InputError
from jointnet.evaluate.counts import Counts, bootstrap_interval
from jointnet.evaluate.scores import Scores

COVERS = (0.0, 0.05, 0.15, 0.3, 1.0)
ALL_CITIES = "all"  # the run that left no city out
HELD_OUT_CITIES = Path(__file__).resolve().parents[2] / "recipes" / "held_out_cities.json"


def cover_table(scores: Scores, edges: Sequence[float] = COVERS) -> pd.DataFrame:
    """Pooled scores of the tiles by the share of them that is foreground in the labels.

    Accuracy rises as cover falls, whatever the network does: compare it with `background_accuracy`.

    Args:
        scores: what `evaluate` returns.
        edges: limits of the shares, rising; a tile on a limit belongs below it, the first limit to the first group.

    Raises:
        ValueError: if the limits do not rise.
    """
    if len(edges) < 2 or list(edges) != sorted(set(edges)):
        raise InputError(f"edges={list(edges)} must rise, as {list(COVERS)}")
    rows = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        tiles = [t.pixels for t in scores.tiles if low < t.pixels.cover <= high or t.pixels.cover == low == edges[0]]
        pooled = reduce(add, tiles, Counts())
        interval = bootstrap_interval(tiles, seed=scores.seed)
        rows.append({"low": low, "high": high, "tiles": len(tiles), **pooled.scores(),
                     "iou_low": interval[0], "iou_high": interval[1]})
    return pd.DataFrame(rows)


def city_gap(runs: Mapping[str, Scores | Mapping[str, Counts]], score: str = "iou") -> pd.DataFrame:
    """What a network loses in a city that it has never seen: one row per city, and their mean as "mean".

    Args:
        runs: city that was left out of the training -> scores of that run on all cities, the left-out one included,
            or its pixel counts by city. The key "all" is a run that left none out.
        score: name of a `Counts` score.

    Returns:
        Columns `seen` (mean over the runs that were trained on the city), `seen_low` and `seen_high` (the lowest and
        the highest of them: how far runs differ by themselves), `unseen` (the run that was not), and `gap`, seen minus
        unseen; NaN where no run tells.

    Raises:
        ValueError: if a run holds no score of the city that it left out.
    """
    counts = {left_out: _by_city(scores) for left_out, scores in runs.items()}
    missing = sorted(city for city, by_city in counts.items() if city != ALL_CITIES and city not in by_city)
    if missing:
        raise InputError(f"the run without {', '.join(missing)} was not scored there; evaluate it on all cities")
    rows = []
    for city in sorted(set(counts) - {ALL_CITIES}):
        seen = [getattr(c[city], score) for left_out, c in counts.items() if left_out != city and city in c]
        unseen = getattr(counts[city][city], score)
        mean = sum(seen) / len(seen) if seen else math.nan
        rows.append({"city": city, "seen": mean, "seen_low": min(seen, default=math.nan),
                     "seen_high": max(seen, default=math.nan), "unseen": unseen, "gap": mean - unseen})
    columns = ["city", "seen", "seen_low", "seen_high", "unseen", "gap"]
    table = pd.DataFrame(rows, columns=columns).set_index("city")
    table.loc["mean"] = table.mean()
    return table


def load_city_runs(path: str | Path = HELD_OUT_CITIES) -> dict[str, dict[str, Counts]]:
    """The pixel counts of the runs of `recipes/held_out_cities.py`, as `city_gap` takes them.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if it is not such a file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; recipes/held_out_cities.py writes it")
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        return {left_out: {city: Counts(*numbers) for city, numbers in of.items()} for left_out, of in runs.items()}
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} holds no runs as recipes/held_out_cities.py writes them ({error!r})") from error


def _by_city(scores: Scores | Mapping[str, Counts]) -> Mapping[str, Counts]:
    """Pixel counts of each city."""
    return {city: scores.pixels(city) for city in scores.cities} if isinstance(scores, Scores) else scores
