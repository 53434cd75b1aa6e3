"""Predictions and labelled scenes in, pooled scores out: per tile, per city and overall."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path

import pandas as pd

from jointnet.data.catalogue import Dataset, Scene
from jointnet.evaluate.counts import Counts, bootstrap_interval, count_pixels
from jointnet.evaluate.inputs import Prediction, find_predictions, read_strips

OVERALL = "overall"


@dataclass(frozen=True)
class TileScores:
    """What was counted on one scene; everything in it adds up."""

    name: str
    city: str
    pixels: Counts


@dataclass(frozen=True)
class Scores:
    """Counts of every scored tile and the scores that follow from them.

    Attributes:
        dataset: name of the dataset.
        kind: class that was scored.
        threshold: applied to the probabilities; None where masks were taken as they were.
        tiles: one entry per scored scene.
        predicted_only: scenes with a prediction and no labels: shown, never scored.
        unpredicted: scenes with labels and no prediction.
        drawn: True if any scored scene was drawn by a program.
    """

    dataset: str
    kind: str
    threshold: float | None
    tiles: tuple[TileScores, ...]
    predicted_only: tuple[str, ...] = ()
    unpredicted: tuple[str, ...] = ()
    drawn: bool = False
    seed: int = field(default=0, repr=False)

    @property
    def cities(self) -> tuple[str, ...]:
        """The scored cities, sorted."""
        return tuple(sorted({t.city for t in self.tiles}))

    def of(self, city: str | None = None) -> tuple[TileScores, ...]:
        """The tiles of one city, or all.

        Raises:
            ValueError: if no tile of that city was scored.
        """
        if city is not None and city not in self.cities:
            raise ValueError(f"no tile of {city!r} was scored; choose from {', '.join(self.cities) or 'none'}")
        return tuple(t for t in self.tiles if city in (None, t.city))

    def pixels(self, city: str | None = None) -> Counts:
        """Pooled pixel counts of a city, or of all tiles."""
        return reduce(add, (t.pixels for t in self.of(city)), Counts())

    @property
    def overall(self) -> Counts:
        """Pooled pixel counts of all tiles."""
        return self.pixels()

    def interval(self, city: str | None = None, score: str = "iou", level: float = 0.95) -> tuple[float, float]:
        """Bootstrap interval over tiles; (NaN, NaN) with fewer than two tiles. See `bootstrap_interval`."""
        return bootstrap_interval([t.pixels for t in self.of(city)], score, level, seed=self.seed)

    def table(self) -> pd.DataFrame:
        """One row per city and one for all: tiles, scores, the 95 % interval of the IoU, counts."""
        rows = [self._row(city) for city in self.cities] + [self._row(None)]
        return pd.DataFrame(rows).set_index("city")

    def tile_table(self) -> pd.DataFrame:
        """One row per tile: city, scores, share of foreground, counts."""
        rows = [
            {"tile": t.name, "city": t.city, **t.pixels.scores(), "cover": t.pixels.cover, **t.pixels._asdict()}
            for t in self.tiles
        ]
        columns = ["tile", "city", *Counts().scores(), "cover", *Counts._fields]
        return pd.DataFrame(rows, columns=columns).set_index("tile")

    def as_dict(self) -> dict:
        """Everything as plain numbers, strings, lists and dicts; undefined scores are None."""
        return _plain({
            "dataset": self.dataset, "kind": self.kind, "threshold": self.threshold, "drawn": self.drawn,
            "overall": self._row(None), "cities": {c: self._row(c) for c in self.cities},
            "tiles": self.tile_table().reset_index().to_dict("records"),
            "predicted_only": list(self.predicted_only), "unpredicted": list(self.unpredicted),
        })

    def to_json(self, path: str | Path | None = None) -> str:
        """`as_dict` as JSON text, also written to `path` if one is given."""
        text = json.dumps(self.as_dict(), indent=2, allow_nan=False)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def _row(self, city: str | None) -> dict:
        pixels = self.pixels(city)
        low, high = self.interval(city)
        return {"city": city or OVERALL, "tiles": len(self.of(city)), **pixels.scores(),
                "iou_low": low, "iou_high": high, "cover": pixels.cover, **pixels._asdict()}


def evaluate(
    predictions: str | Path | Mapping[str, str | Path | Prediction],
    dataset: Dataset,
    kind: str = "buildings",
    threshold: float | None = None,
    seed: int = 0,
) -> Scores:
    """Pooled scores of the predictions of a dataset, as INRIA's contest pools them.

    Sums of pixels over all tiles of a city, then over all cities; never means of tiles' scores. Scenes without labels
    are listed in `predicted_only`. Scenes are read strip by strip.

    Args:
        predictions: folder that `predict_scene` wrote into, or a mapping; see `find_predictions`.
        dataset: scenes with their labels.
        kind: class of the labels, "buildings" or "roads".
        threshold: applied to the probabilities; without it the masks are scored as they are.
        seed: of the bootstrap.

    Raises:
        ValueError: if there is no prediction, one lies on another grid than its scene, or a threshold is asked for
            where there is a mask only.
    """
    found = find_predictions(predictions, dataset)
    scored = [s for s in dataset if s.name in found and kind in s.labels]
    tiles = tuple(score_scene(s, found[s.name], kind, threshold) for s in scored)
    return Scores(
        dataset.name, kind, threshold, tiles,
        predicted_only=tuple(s.name for s in dataset if s.name in found and kind not in s.labels),
        unpredicted=tuple(s.name for s in dataset if s.name not in found and kind in s.labels),
        drawn=any(s.drawn for s in scored), seed=seed,
    )


def score_scene(
    scene: Scene, prediction: Prediction, kind: str = "buildings", threshold: float | None = None
) -> TileScores:
    """The counts of one scene. Arguments and errors as `evaluate`."""
    pixels = Counts()
    for strip in read_strips(scene, prediction, kind, threshold):
        pixels += count_pixels(strip.truth, strip.predicted, strip.valid)
    return TileScores(scene.name, scene.city, pixels)


def _plain(value):
    """NaN to None and NumPy scalars to Python's, all the way down."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
