"""Predictions and labelled scenes in, pooled scores out: per tile, per city and overall."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pandas as pd

from jointnet.data.scene import Dataset
from jointnet.errors import InputError
from jointnet.evaluate.boundary import BOUNDARY_WIDTH, RHO
from jointnet.evaluate.calibration import calibration_summary
from jointnet.evaluate.counts import Counts, MatchedCounts, bootstrap_interval
from jointnet.evaluate.inputs import Prediction, find_predictions
from jointnet.evaluate.scene_scores import TileScores, score_scene
from jointnet.evaluate.thresholds import ProbabilityCounts
from jointnet.files import written_whole

OVERALL = "overall"


@dataclass(frozen=True)
class Scores:
    """Counts of every scored tile and the scores that follow from them.

    Attributes:
        dataset: name of the dataset.
        class_name: class that was scored.
        threshold: applied to the probabilities; None where masks were taken as they were.
        tiles: one entry per scored scene.
        predicted_only: scenes with a prediction and no labels: shown, never scored.
        unpredicted: scenes with labels and no prediction.
        drawn: True if any scored scene was drawn by a program.
        rho: tolerance of the relaxed scores in pixels.
        boundary_width: width of the boundary IoU's band, in pixels.
        boundary_edge: whether the scene's edge counted as an outline there, as its authors have it.
        seed: start of the bootstrap's random samples.
    """

    dataset: str
    class_name: str
    threshold: float | None
    tiles: tuple[TileScores, ...]
    predicted_only: tuple[str, ...] = ()
    unpredicted: tuple[str, ...] = ()
    drawn: bool = False
    rho: float = RHO
    boundary_width: float = BOUNDARY_WIDTH
    boundary_edge: bool = True
    seed: int = field(default=0, repr=False)

    @property
    def cities(self) -> tuple[str, ...]:
        """The scored cities, sorted; tiles of no named city count in the sum of all alone."""
        return tuple(sorted({t.city for t in self.tiles if t.city}))

    def of(self, city: str | None = None) -> tuple[TileScores, ...]:
        """The tiles of one city, or all.

        Raises:
            ValueError: if no tile of that city was scored.
        """
        if city is not None and city not in self.cities:
            raise InputError(f"no tile of {city!r} was scored; choose from {', '.join(self.cities) or 'none'}")
        return tuple(t for t in self.tiles if city in (None, t.city))

    def pixels(self, city: str | None = None) -> Counts:
        """Pooled pixel counts of a city, or of all tiles."""
        return reduce(add, (t.pixels for t in self.of(city)), Counts())

    def pooled(self, what: str, city: str | None = None) -> Any:
        """Pooled "relaxed", "boundary", "objects" or "probabilities" of a city or of all; None where no tile has it."""
        parts = [part for t in self.of(city) if (part := getattr(t, what)) is not None]
        return reduce(add, parts) if parts else None

    @property
    def probabilities(self) -> ProbabilityCounts | None:
        """Pooled histogram of all tiles that have probabilities, for thresholds, curves and calibration."""
        return self.pooled("probabilities")

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

    def detail_table(self) -> pd.DataFrame:
        """One row per city and one for all: relaxed, boundary and object scores, calibration and average precision.

        NaN where a score was not asked for, or cannot be had without probabilities.
        """
        rows = [{"city": city or OVERALL, **self._deeper(city)} for city in (*self.cities, None)]
        return pd.DataFrame(rows).set_index("city")

    def object_table(self) -> pd.DataFrame:
        """One row per city and area class: objects matched at IoU 0.5, their precision, recall and F1."""
        rows = []
        for city in (*self.cities, None):
            objects = self.pooled("objects", city)
            for name, counts in (objects.by_class if objects else {}).items():
                rows.append({"city": city or OVERALL, "area": name, **counts.scores(), **counts._asdict()})
        return pd.DataFrame(rows, columns=["city", "area", "precision", "recall", "f1", *MatchedCounts._fields])

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
        return plain({
            "dataset": self.dataset, "class_name": self.class_name, "threshold": self.threshold, "drawn": self.drawn,
            "overall": self._row(None) | self._deeper(None),
            "cities": {c: self._row(c) | self._deeper(c) for c in self.cities},
            "objects": self.object_table().to_dict("records"),
            "tiles": self.tile_table().reset_index().to_dict("records"),
            "rho": self.rho, "boundary_width": self.boundary_width, "boundary_edge": self.boundary_edge,
            "predicted_only": list(self.predicted_only), "unpredicted": list(self.unpredicted),
        })

    def to_json(self, path: str | Path | None = None) -> str:
        """`as_dict` as JSON text, also written to `path` if one is given."""
        text = json.dumps(self.as_dict(), indent=2, allow_nan=False)
        if path is not None:
            with written_whole(path) as draft:
                draft.write_text(text + "\n", encoding="utf-8")
        return text

    def _row(self, city: str | None) -> dict:
        pixels = self.pixels(city)
        low, high = self.interval(city)
        return {"city": city or OVERALL, "tiles": len(self.of(city)), **pixels.scores(),
                "iou_low": low, "iou_high": high, "cover": pixels.cover, **pixels._asdict()}

    def _deeper(self, city: str | None) -> dict[str, float]:
        """Scores beyond pixels; NaN where they were not asked for, or no pixel counts."""
        parts = [self.pooled(what, city) for what in ("relaxed", "boundary", "objects", "probabilities")]
        relaxed, boundary, objects, probabilities = parts if self.pixels(city).total else [None] * 4
        return {
            **_named("relaxed", relaxed),
            "boundary_iou": boundary.iou if boundary else math.nan,
            **_named("object", objects and objects.all),
            "merged": objects.merged if objects else math.nan,
            "split": objects.split if objects else math.nan,
            **calibration_summary(probabilities or ProbabilityCounts()),
        }


def evaluate(
    predictions: str | Path | Mapping[str, str | Path | Prediction],
    dataset: Dataset,
    class_name: str = "buildings",
    threshold: float | None = None,
    rho: float = RHO,
    boundary_width: float = BOUNDARY_WIDTH,
    detail: bool = True,
    seed: int = 0,
    boundary_edge: bool = True,
) -> Scores:
    """Pooled scores of the predictions of a dataset, as INRIA's contest pools them.

    Sums of pixels over all tiles of a city, then over all cities; never means of tiles' scores. Scenes without labels
    are listed in `predicted_only`. Scenes are read strip by strip; with `detail` the objects of one scene at a
    time are held in memory, some 20 bytes for each of its pixels.

    Args:
        predictions: folder that `predict_scene` wrote into, or a mapping; see `find_predictions`.
        dataset: scenes with their labels.
        class_name: class of the labels, "buildings" or "roads".
        threshold: applied to the probabilities; without it the masks are scored as they are.
        rho: tolerance of the relaxed precision and recall, in pixels.
        boundary_width: width of the bands whose overlap is the boundary IoU, in pixels.
        detail: also relaxed, boundary and object scores, which take longer.
        seed: start of the bootstrap's random samples.
        boundary_edge: False makes no outline of a scene's edge; the boundary IoU is then not the published one.

    Raises:
        ValueError: if there is no prediction, one lies on another grid than its scene, or a threshold is asked for
            where there is a mask only, or a tolerance or a width holds no pixel.
    """
    if not rho >= 0:
        raise InputError(f"rho={rho} must be pixels, 0 or more; {RHO:g} is usual")
    if not boundary_width >= 1:
        raise InputError(f"boundary_width={boundary_width} must be 1 px or more: a narrower band holds no pixel")
    found = find_predictions(predictions, dataset)
    scored = [s for s in dataset if s.name in found and class_name in s.labels]
    tiles = tuple(score_scene(s, found[s.name], class_name, threshold, rho, boundary_width, boundary_edge, detail)
                  for s in scored)
    return Scores(
        dataset.name, class_name, threshold, tiles,
        predicted_only=tuple(s.name for s in dataset if s.name in found and class_name not in s.labels),
        unpredicted=tuple(s.name for s in dataset if s.name not in found and class_name in s.labels),
        drawn=any(s.drawn for s in scored), rho=rho, boundary_width=boundary_width, boundary_edge=boundary_edge,
        seed=seed,
    )


def _named(prefix: str, counts: MatchedCounts | None) -> dict[str, float]:
    """The scores with a prefix to their names; NaN without counts."""
    return {f"{prefix}_{k}": v if counts else math.nan for k, v in (counts or MatchedCounts()).scores().items()}


def plain(value: Any) -> Any:
    """NaN to None and NumPy scalars to Python's, all the way down."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(v) for v in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
