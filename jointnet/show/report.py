"""An analysis in, one page out: tables, figures and a live explorer, that opens in any browser without a network."""

from __future__ import annotations

import base64
import datetime
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path

import pandas as pd

from jointnet.data.scene import Dataset
from jointnet.evaluate.analysis import Analysis, analyse
from jointnet.evaluate.calibration import reliability
from jointnet.evaluate.inputs import Prediction, find_predictions
from jointnet.evaluate.scores import OVERALL
from jointnet.evaluate.unseen_cities import cover_table
from jointnet.files import written_whole
from jointnet.show import figures
from jointnet.show.layers import fit
from jointnet.show.widgets.base import write_page
from jointnet.show.widgets.errors import ErrorExplorer
from jointnet.show.widgets.scene import SceneExplorer

EXPLORED = 8_000_000  # pixels of imagery in the page's explorer, at most; two overviews of large scenes
OVERVIEW = 2048  # longest side of an overview
SPECK = 25  # pixels below which an error is called a speck
LISTED = 300  # errors in its table, at most
DRAWN = "These scenes were drawn by a program. The numbers say nothing about real imagery."
NAMES = {"iou": "IoU", "iou_low": "IoU from", "iou_high": "to", "f1": "F1", "area_m2": "m²", "area_px": "px",
         "fp": "invented px", "fn": "missed px", "lost_iou": "lost IoU", "boundary_iou": "boundary IoU",
         "iou_in_place": "IoU in place"}

LOOK = """
:root { --back: #ffffff; --text: #1f1f1f; --quiet: #595959; --line: #c4c4c4; }
@media (prefers-color-scheme: dark) {
  :root { --back: #111111; --text: #eeeeee; --quiet: #bdbdbd; --line: #555555; }
}
body { margin: 0 auto; padding: 16px 24px 48px; max-width: 1280px; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 26px; margin: 8px 0 4px; }
h2 { font-size: 19px; margin: 34px 0 6px; border-bottom: 1px solid var(--line); padding-bottom: 3px; }
p { max-width: 80ch; margin: 6px 0 10px; }
.quiet { color: var(--quiet); }
.notice { border-left: 4px solid #d55e00; padding: 4px 12px; }
.wide { overflow-x: auto; }
table.report { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; margin: 6px 0 12px; }
table.report :is(th, td) { padding: 3px 12px; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; font-weight: 400; }
table.report thead th { font-weight: 600; }
table.report :is(th, td):first-child { text-align: left; padding-left: 0; }
.pair { display: flex; flex-wrap: wrap; gap: 0 32px; align-items: flex-end; }
figure { margin: 8px 0 14px; }
figure img { max-width: 100%; height: auto; background: #ffffff; border-radius: 3px; }
"""


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
        analysis: of these predictions, where it is made already.

    Raises:
        ValueError: as `analyse`, or if the path does not end in .html.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a report is a web page, so {path.name} should end in .html")
    analysis = analysis or analyse(predictions, dataset, class_name, threshold)
    explorer = _explorer(analysis, predictions, dataset, class_name, threshold)
    title = f"Error analysis: {class_name} of {dataset.name}"
    page = write_page(title, "\n".join(_sections(title, analysis, explorer)), LOOK)
    numbers = path.with_suffix(".json")
    with written_whole(path, numbers) as draft:
        draft.write_text(page, encoding="utf-8")
        draft.with_name(numbers.name).write_text(analysis.to_json() + "\n", encoding="utf-8")
    return path


def _sections(title: str, analysis: Analysis, explorer: SceneExplorer) -> list[str]:
    """The page from top to bottom."""
    return [
        *_head(title, analysis), *_scores(analysis), *_kinds(analysis), *_live(explorer), *_outlines(analysis),
        *_explanation(analysis), *_thresholds(analysis), *_calibration(analysis), *_labels(analysis),
    ]


def _head(title: str, analysis: Analysis) -> list[str]:
    """What was scored, in a few sentences."""
    scores, whole = analysis.scores, analysis.scores.overall
    low, high = scores.interval()
    between = "" if pd.isna(low) else f" (95 % of draws of tiles between {low:.3f} and {high:.3f})"
    at = "masks as they are" if scores.threshold is None else f"probabilities cut at {scores.threshold:g}"
    cities = ", ".join(filter(None, scores.cities)) or "no named city"
    lines = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{len(scores.tiles)} scenes of {escape(cities)}; {at}; '
        f"{datetime.date.today().isoformat()}</p>",
    ]
    if scores.drawn:
        lines.append(f'<p class="notice"><strong>{DRAWN}</strong></p>')
    if whole.total == 0:
        return [*lines, _words("No pixel of these scenes holds imagery, so no score is defined.")]
    lines.append(_words(
        f"IoU {whole.iou:.3f}{between}, pooled over all pixels as the INRIA contest does. Accuracy is "
        f"{whole.accuracy:.3f}; claiming nothing at all would have had {whole.background_accuracy:.3f}, so compare "
        f"the two before you praise it. Precision {whole.precision:.3f}, recall {whole.recall:.3f}."))
    for tiles, what in ((scores.predicted_only, "Predicted, without labels, and so not scored"),
                        (scores.unpredicted, "Not predicted, and so not scored")):
        if tiles:
            lines.append(_words(f"{what}: {', '.join(tiles)}."))
    return lines


def _scores(analysis: Analysis) -> list[str]:
    """By city."""
    table, drawn = analysis.scores.table(), analysis.scores.drawn
    shown = ["tiles", "iou", "iou_low", "iou_high", "accuracy", "background_accuracy", "precision", "recall", "f1",
             "cover"]
    return ["<h2>Scores by city</h2>",
            _words("A city of one tile has no interval: one tile cannot tell how tiles vary."),
            _table(table[shown]),
            _figure(figures.show_scores(table, ("iou", "precision", "recall"), drawn), "scores by city"),
            *_covers(analysis)]


def _covers(analysis: Analysis) -> list[str]:
    """By the share of the tiles that is foreground."""
    table = cover_table(analysis.scores).query("tiles > 0")
    limits = [f"{low:.0%} to {high:.0%}" for low, high in zip(table["low"], table["high"], strict=True)]
    columns = ["tiles", "iou", "iou_low", "iou_high", "accuracy", "background_accuracy"]
    return [_words("By the share of a tile that is foreground in its labels; accuracy rises as it falls, whatever the "
                   "network does:"), _table(table[columns].set_axis(limits))]


def _thresholds(analysis: Analysis) -> list[str]:
    """The sweep and the curve."""
    counts, choices = analysis.scores.probabilities, analysis.choices
    if not choices:
        return []
    best, drawn = choices["best_threshold"], analysis.scores.drawn
    curve = counts.precision_recall()
    return ["<h2>Threshold</h2>",
            _words(f"On these scenes {best:.2f} has the highest IoU, {choices['best_iou']:.3f}. If they are not "
                   f"validation scenes, do not choose by them: a choice flatters the scenes it was made on. Average "
                   f"precision {counts.average_precision:.3f}."),
            '<div class="pair">',
            _figure(figures.show_sweep(counts.sweep(), best, drawn=drawn), "scores over the threshold"),
            _figure(figures.show_pr_curve(curve["precision"], curve["recall"], curve["threshold"], best, drawn),
                    "precision against recall"), "</div>"]


def _kinds(analysis: Analysis) -> list[str]:
    """What kind the errors are, and where they cost most."""
    lines = ["<h2>Where and what the errors are</h2>"]
    kinds = analysis.kinds
    if len(kinds):
        table = kinds.dropna(axis=1, how="all")
        tiny = int((analysis.errors["area_px"] < SPECK).sum())
        lines += [_words(f"Each object is in at most one error. A kind of many small objects may cost less ground than "
                         f"one of few large ones. {tiny} of {len(analysis.errors)} errors are specks of less than "
                         f"{SPECK} pixels."), _table(table)]
    worst = analysis.worst.head(10)
    if len(worst):
        columns = ["scene", "row", "col", "fp", "fn", "iou", "lost_iou"]
        lines += [_words("The patches without which the pooled IoU would gain most:"),
                  _table(worst[columns].set_index("scene"))]
    return lines


def _live(explorer: SceneExplorer) -> list[str]:
    """The explorer, with a word on how to use it."""
    words = "Zoom with the wheel once you have clicked the scene; swipe between two layers; move the threshold."
    if isinstance(explorer, ErrorExplorer):
        words = ("Choose a row to fly to an error, then press n and p to go on; sort by a heading. Notes that you "
                 "write can be saved as GeoJSON; the page itself does not keep them.")
    return ["<h2>Look for yourself</h2>", _words(words), explorer.to_piece("explorer")]


def _outlines(analysis: Analysis) -> list[str]:
    """Relaxed, boundary and object scores."""
    scores = analysis.scores
    columns = ["relaxed_precision", "relaxed_recall", "boundary_iou"]
    columns += ["object_precision", "object_recall", "merged", "split"] if analysis.errors is not None else []
    lines = ["<h2>Boundary against area</h2>",
             _words(f"Relaxed scores forgive {scores.rho:g} pixels; boundary IoU compares bands of "
                    f"{scores.boundary_width:g} pixels along the outlines; objects match at an IoU of 0.5."),
             _table(pd.concat([scores.table()["iou"], scores.detail_table()[columns]], axis=1))]
    if analysis.errors is not None:
        areas = scores.object_table().query("city == @OVERALL").set_index("area")
        lines.append(_table(areas[["precision", "recall", "f1", "claimed", "actual"]].rename(
            columns={"claimed": "predicted objects", "actual": "labelled objects"})))
    return lines


def _explanation(analysis: Analysis) -> list[str]:
    """What goes along with being found."""
    table = analysis.explanation
    if table is None:
        return []
    facts = table.attrs
    return ["<h2>Which objects are found?</h2>",
            _words(f"Of {facts['objects']} labelled objects {facts['recall']:.0%} are found. The odds ratio says by "
                   f"what the odds of being found are multiplied when a property grows by one standard deviation and "
                   f"the others stay. Area under the ROC curve, cross-validated: {facts['auc']:.2f}; at 0.5 these "
                   f"properties explain nothing. All of this is correlation."),
            _table(table)]


def _calibration(analysis: Analysis) -> list[str]:
    """Whether probabilities can be believed."""
    counts, choices = analysis.scores.probabilities, analysis.choices
    if not choices:
        return []
    deep = analysis.scores.detail_table().loc[OVERALL]
    bins = reliability(counts)
    return ["<h2>Calibration</h2>",
            _words(f"Expected calibration error {deep['calibration_error']:.3f} over all pixels and "
                   f"{deep['calibration_error_uncertain']:.3f} over those between 0.05 and 0.95, since empty land "
                   f"flatters the first. Brier score {deep['brier']:.3f}. A temperature of "
                   f"{choices['temperature']:.2f}, fitted on these very scenes, would make the second "
                   f"{choices['calibration_error_uncertain_after']:.3f}."),
            _figure(figures.show_reliability(bins["mean_probability"], bins["share"], bins["pixels"],
                                             analysis.scores.drawn), "reliability diagram")]


def _labels(analysis: Analysis) -> list[str]:
    """Whether labels can be believed."""
    lines = ["<h2>The network or the labels?</h2>",
             _words("How far all labels of a tile would have to move to fit its prediction best. A direction that the "
                    "tiles of a city share tells of labels out of place; a single tile may be chance.")]
    shifts = analysis.shifts.sort_values("metres", ascending=False) if len(analysis.shifts) > 30 else analysis.shifts
    if len(shifts) > 30:
        lines.append(_words(f"The 30 farthest of {len(shifts)}; the JSON beside this page has all."))
    lines.append(_table(shifts.head(30)))
    suspects = analysis.as_dict()["label_suspects"]
    if suspects is not None:
        lines.append(_words(f"{suspects} errors contradict the labels with conviction: seen with a mean probability "
                            f"of 0.9 where no label is, or at most 0.1 under a label. Only the image can tell who is "
                            f"right."))
    return lines


def _explorer(analysis: Analysis, predictions, dataset: Dataset, class_name: str, threshold: float | None
              ) -> SceneExplorer:
    """The live explorer: errors of the worst scenes, as many scenes as a page can hold; a scene where none errs."""
    found = find_predictions(predictions, dataset)
    order = [*dict.fromkeys(analysis.worst["scene"]), *(t.name for t in analysis.scores.tiles)]
    names, pixels = [], 0
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
    """A table of HTML: headings as people write them, numbers with the digits that they deserve."""
    shown = table.rename(columns=lambda c: NAMES.get(c, str(c).replace("_", " "))).rename_axis(columns=None)
    index = [NAMES.get(name, str(name).replace("_", " ")) for name in shown.index]
    shown = shown.set_axis(index).rename_axis(None)
    text = shown.to_html(classes="report", border=0, float_format=_number, na_rep="–")
    return f'<div class="wide">{text}</div>'


def _number(value: float) -> str:
    """Large numbers without a fraction, small ones to the third decimal."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def _figure(figure, says: str) -> str:
    """A figure inside the page, as SVG: sharp at any size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="{escape(says)}" src="data:image/svg+xml;base64,{data}"></figure>'


def _words(text: str) -> str:
    return f"<p>{escape(text)}</p>"
