"""Predictions and labelled scenes in, everything that this folder can tell of them out, for reports and files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import pandas as pd

from jointnet.data.scene import Dataset
from jointnet.errors import InputError
from jointnet.evaluate.calibration import UNCERTAIN, at_temperature, expected_calibration_error, fit_temperature
from jointnet.evaluate.error_kinds import KINDS
from jointnet.evaluate.error_objects import find_errors, label_suspects
from jointnet.evaluate.explain import FOLDS, explain_recall, object_features, recall_by
from jointnet.evaluate.inputs import Prediction, find_predictions
from jointnet.evaluate.registration import shift_table
from jointnet.evaluate.scores import Scores, evaluate, plain
from jointnet.evaluate.worst import worst_patches
from jointnet.files import written_whole

SPECK_M2, SPECK_PX = 10, 25  # what is smaller is no building: in m2, or in pixels of a size that is not known


@dataclass(frozen=True)
class Analysis:
    """The scores of a set of predictions, and where, how and why they fail.

    Attributes:
        scores: what `evaluate` returns.
        worst: the table of `worst_patches`.
        shifts: the table of `shift_table`.
        errors: the table of `find_errors`; None for roads, which are one object from end to end.
        features: the table of `object_features` for all scenes; None for roads.
    """

    scores: Scores
    worst: pd.DataFrame
    shifts: pd.DataFrame
    errors: gpd.GeoDataFrame | None = None
    features: pd.DataFrame | None = None

    @property
    def kinds(self) -> pd.DataFrame:
        """One row per kind of error that occurs: number, share of all, ground in pixels and m2 (NaN without a gsd)."""
        columns = ["errors", "share", "area_px", "area_m2"]
        if self.errors is None or self.errors.empty:
            return pd.DataFrame(columns=columns, index=pd.Index([], name="kind"))
        groups = self.errors.groupby("kind")
        table = pd.DataFrame({
            "errors": groups.size(), "share": groups.size() / len(self.errors), "area_px": groups["area_px"].sum(),
            "area_m2": groups["area_m2"].sum(min_count=1),
        })
        return table.reindex([kind for kind in KINDS if kind in table.index])

    def without_specks(self) -> Analysis:
        """The same, but for errors of less than 10 m2 (25 pixels where the size of a pixel is not known)."""
        if self.errors is None:
            return self
        area, pixels = self.errors["area_m2"], self.errors["area_px"]
        return replace(self, errors=self.errors[(area >= SPECK_M2) | (area.isna() & (pixels >= SPECK_PX))])

    @property
    def explanation(self) -> pd.DataFrame | None:
        """`explain_recall`; None where too few objects were found or missed for it."""
        if self.features is None or min(self.features["found"].sum(), (~self.features["found"]).sum()) < FOLDS:
            return None
        return explain_recall(self.features)

    @property
    def choices(self) -> dict[str, float]:
        """The threshold and temperature that these scenes would choose, and what they would bring on these scenes.

        On other scenes they bring less. Empty without probabilities, or without foreground or background.
        """
        counts = self.scores.probabilities
        if counts is None or not (counts.positives.any() and counts.negatives.any()):
            return {}
        best, temperature = counts.best_threshold(), fit_temperature(counts)
        cooled = expected_calibration_error(at_temperature(counts, temperature), between=UNCERTAIN)
        return {"best_threshold": best, "best_iou": counts.counts_at(best).iou, "temperature": temperature,
                "calibration_error_uncertain_after": cooled}

    def as_dict(self) -> dict:
        """Everything as plain numbers, strings, lists and dicts; undefined numbers are None."""
        explained = self.explanation
        found = {
            "scores": self.scores.as_dict(),
            "choices": self.choices,
            "kinds": self.kinds.reset_index().to_dict("records"),
            "worst_patches": self.worst.to_dict("records"),
            "shifts": self.shifts.reset_index().to_dict("records"),
            "recall_by_area": self._recall_by_area(),
            "explanation": None if explained is None else
            explained.attrs | {"features": explained.reset_index().to_dict("records")},
            "label_suspects": self._suspects(),
        }
        return plain(found)

    def to_json(self, path: str | Path | None = None) -> str:
        """`as_dict` as JSON text, also written to `path` if one is given."""
        text = json.dumps(self.as_dict(), indent=1, allow_nan=False)
        if path is not None:
            with written_whole(path) as draft:
                draft.write_text(text + "\n", encoding="utf-8")
        return text

    def _recall_by_area(self) -> list[dict]:
        if self.features is None or self.features.empty:
            return []
        return recall_by(self.features, "area").to_dict("records")

    def _suspects(self) -> int | None:
        """Errors that may be the labels'; None without probabilities."""
        if self.errors is None or self.errors["mean_probability"].isna().all():
            return None
        return len(label_suspects(self.errors))


def analyse(
    predictions: str | Path | Mapping[str, str | Path | Prediction], dataset: Dataset, class_name: str = "buildings",
    threshold: float | None = None, patch: int = 256, patches: int = 20, seed: int = 0,
) -> Analysis:
    """All scores and all tables of errors at once. Each scene is read several times, one at a time.

    Args:
        predictions: folder or mapping, as in `evaluate`.
        dataset: scenes with their labels.
        class_name: class of the labels.
        threshold: as in `evaluate`.
        patch: side of the patches among which the worst are looked for, in pixels.
        patches: rows of that table at most.
        seed: start of the bootstrap's random samples.

    Raises:
        ValueError: as `evaluate`, or if no scene has both labels and a prediction.
    """
    scores = evaluate(predictions, dataset, class_name, threshold, seed=seed)
    if not scores.tiles:
        raise InputError(f"no scene of {dataset.name} has both a prediction and labels of {class_name!r}; there is "
                         f"nothing to analyse, only something to look at: SceneExplorer")
    found = find_predictions(predictions, dataset)
    worst = worst_patches(predictions, dataset, class_name, threshold, patch, patches)
    shifts = shift_table(predictions, dataset, class_name, threshold)
    if class_name == "roads":
        return Analysis(scores, worst, shifts)
    scenes = [s for s in dataset if s.name in found and class_name in s.labels]
    features = [object_features(s, found[s.name], class_name, threshold) for s in scenes]
    errors = find_errors(predictions, dataset, class_name, threshold)
    return Analysis(scores, worst, shifts, errors, pd.concat(features, ignore_index=True))
