"""An analysis in, one page out: tables, figures and a live explorer, that opens in any browser without a network."""

from __future__ import annotations

import base64
import datetime
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from jointnet.data.scene import Dataset
from jointnet.errors import InputError
from jointnet.evaluate.analysis import Analysis, analyse
from jointnet.evaluate.calibration import reliability
from jointnet.evaluate.inputs import Prediction, find_predictions
from jointnet.evaluate.scores import OVERALL
from jointnet.evaluate.unseen_cities import cover_table
from jointnet.files import written_whole
from jointnet.show import figures
from jointnet.show.layers import fit
from jointnet.show.pages import read_asset, render
from jointnet.show.widgets.base import STYLE
from jointnet.show.widgets.errors import ErrorExplorer
from jointnet.show.widgets.scene import SceneExplorer

EXPLORED = 8_000_000  # pixels of imagery in the page's explorer, at most; two overviews of large scenes
OVERVIEW = 2048  # longest side of an overview
LISTED = 300  # errors in its table, at most
SHIFTS = 30  # tiles in the table of shifts, at most
NAMES = {"iou": "IoU", "iou_low": "IoU from", "iou_high": "to", "f1": "F1", "area_m2": "m²", "area_px": "px",
         "fp": "invented px", "fn": "missed px", "lost_iou": "lost IoU", "boundary_iou": "boundary IoU",
         "iou_in_place": "IoU in place"}


def write_report(
    path: str | Path,
    predictions: str | Path | Mapping[str, str | Path | Prediction],
    dataset: Dataset,
    class_name: str = "buildings",
    threshold: float | None = None,
    analysis: Analysis | None = None,
) -> Path:
    """Writes a report of one HTML file, and beside it the same as JSON; returns the page's path.

    The page holds everything that it shows: scores by city, thresholds, calibration, kinds of errors, shifts of labels,
    and an explorer of the worst scenes in which each error can be flown to. Both files appear complete or not at all.

    Args:
        path: ends in .html; the other file ends in .json.
        predictions: folder or mapping, as in `evaluate`.
        dataset: scenes with their labels.
        class_name: class of the labels.
        threshold: as in `evaluate`.
        analysis: the analysis of these predictions, if it has been made already.

    Raises:
        ValueError: as `analyse`, or if the path does not end in .html.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"a report is a web page, so {path.name} should end in .html")
    analysis = analysis or analyse(predictions, dataset, class_name, threshold)
    explorer = _explorer(analysis, predictions, dataset, class_name, threshold)
    title = f"Error analysis: {class_name} of {dataset.name}"
    style = "\n".join([read_asset("widgets/page.css"), read_asset("report.css"), STYLE])
    page = render("report.html", title=title, style=style, piece=explorer.to_piece(), table=_table, figure=_figure,
                  lists_errors=isinstance(explorer, ErrorExplorer), **_sections(analysis))
    numbers = path.with_suffix(".json")
    with written_whole(path, numbers) as draft:
        draft.write_text(page, encoding="utf-8")
        draft.with_name(numbers.name).write_text(analysis.to_json() + "\n", encoding="utf-8")
    return path


def _sections(analysis: Analysis) -> dict[str, object]:
    """What `report.html` shows, from top to bottom; None for a section that this analysis does not have."""
    return {
        "scores": analysis.scores, "interval": analysis.scores.interval(), "overall": OVERALL,
        "today": datetime.date.today().isoformat(), "shown_scores": _scores(analysis), "errors": _errors(analysis),
        "outlines": _outlines(analysis), "explanation": analysis.explanation, "thresholds": _thresholds(analysis),
        "calibration": _calibration(analysis), "labels": _labels(analysis),
    }


def _scores(analysis: Analysis) -> dict[str, object]:
    """By city, and by the share of the tiles that is foreground."""
    table = analysis.scores.table()
    shown = ["tiles", "iou", "iou_low", "iou_high", "accuracy", "background_accuracy", "precision", "recall", "f1",
             "cover"]
    covers = cover_table(analysis.scores).query("tiles > 0")
    limits = [f"{low:.0%} to {high:.0%}" for low, high in zip(covers["low"], covers["high"], strict=True)]
    columns = ["tiles", "iou", "iou_low", "iou_high", "accuracy", "background_accuracy"]
    return {"cities": table[shown], "covers": covers[columns].set_axis(limits),
            "figure": figures.show_scores(table, ("iou", "precision", "recall"), analysis.scores.drawn)}


def _errors(analysis: Analysis) -> dict[str, object]:
    """What kind the errors are, and where they cost most."""
    columns = ["scene", "row", "col", "fp", "fn", "iou", "lost_iou"]
    clear = analysis.without_specks()
    every, kept = (0 if errors is None else len(errors) for errors in (analysis.errors, clear.errors))
    kinds = clear.kinds.dropna(axis=1, how="all") if kept else None
    worst = analysis.worst.head(10)
    return {"kinds": kinds, "specks": every - kept, "count": every,
            "worst": worst[columns].set_index("scene") if len(worst) else None}


def _outlines(analysis: Analysis) -> dict[str, object]:
    """Relaxed, boundary and object scores."""
    scores, objects = analysis.scores, None
    columns = ["relaxed_precision", "relaxed_recall", "boundary_iou"]
    if analysis.errors is not None:
        columns += ["object_precision", "object_recall", "merged", "split"]
        areas = scores.object_table().query("city == @OVERALL").set_index("area")
        objects = areas[["precision", "recall", "f1", "predicted", "truth"]].rename(
            columns={"predicted": "predicted objects", "truth": "labelled objects"})
    return {"cities": pd.concat([scores.table()["iou"], scores.detail_table()[columns]], axis=1), "objects": objects}


def _thresholds(analysis: Analysis) -> dict[str, object] | None:
    """The sweep and the curve; None for masks, which have no threshold."""
    counts, choices = analysis.scores.probabilities, analysis.choices
    if not choices or counts is None:
        return None
    best, drawn = choices["best_threshold"], analysis.scores.drawn
    curve = counts.precision_recall()
    return {"best": best, "iou": choices["best_iou"], "average_precision": counts.average_precision,
            "sweep": figures.show_sweep(counts.sweep(), best, drawn=drawn),
            "curve": figures.show_pr_curve(curve["precision"], curve["recall"], curve["threshold"], best, drawn)}


def _calibration(analysis: Analysis) -> dict[str, object] | None:
    """Whether probabilities can be believed; None for masks."""
    counts = analysis.scores.probabilities
    if not analysis.choices or counts is None:
        return None
    bins = reliability(counts)
    return {"found": analysis.scores.detail_table().loc[OVERALL], "choices": analysis.choices,
            "figure": figures.show_reliability(bins["mean_probability"], bins["share"], bins["pixels"],
                                               analysis.scores.drawn)}


def _labels(analysis: Analysis) -> dict[str, object]:
    """Whether labels can be believed: the farthest shifts of a long table, all of a short one as they come."""
    shifts, many = analysis.shifts, len(analysis.shifts) > SHIFTS
    shown = shifts.sort_values("metres", ascending=False).head(SHIFTS) if many else shifts
    return {"shifts": shown, "count": len(shifts), "suspects": analysis.as_dict()["label_suspects"]}


def _explorer(
    analysis: Analysis, predictions: str | Path | Mapping[str, str | Path | Prediction], dataset: Dataset,
    class_name: str, threshold: float | None,
) -> SceneExplorer:
    """The live explorer: errors of the worst scenes, as many scenes as a page can hold; a scene where none errs."""
    found = find_predictions(predictions, dataset)
    order = [*dict.fromkeys(analysis.worst["scene"]), *(t.name for t in analysis.scores.tiles)]
    names: list[str] = []
    pixels = 0
    for name in dict.fromkeys(order):
        height, width = fit(dataset[name].info.shape, OVERVIEW)
        pixels += height * width
        if names and pixels > EXPLORED:
            break
        names.append(name)
    errors = analysis.worst if analysis.errors is None else analysis.errors
    errors = errors[errors["scene"].isin(names)]
    if errors.empty:
        files = found[names[0]]
        at = threshold or files.threshold(class_name) or 0.5
        return SceneExplorer(dataset[names[0]], files.probability, mask=files.mask, threshold=at, class_name=class_name)
    if "area_px" in errors:
        errors = errors.sort_values("area_px", ascending=False)
    return ErrorExplorer(errors, dataset.select(names=names), {n: found[n] for n in names}, class_name, threshold,
                         limit=LISTED, max_size=OVERVIEW)


def _table(table: pd.DataFrame) -> str:
    """A table of HTML: headings as people write them, numbers with the digits that they deserve, all text escaped."""
    shown = table.rename(columns=lambda c: NAMES.get(c, str(c).replace("_", " "))).rename_axis(columns=None)
    index = [NAMES.get(name, str(name).replace("_", " ")) for name in shown.index]
    shown = shown.set_axis(index).rename_axis(None)
    return shown.to_html(classes="report", border=0, float_format=_number, na_rep="–")


def _number(value: float) -> str:
    """Large numbers without a fraction, small ones to the third decimal."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def _figure(figure: Any) -> str:
    """The address of a figure that lies inside the page, as SVG: sharp at any size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
