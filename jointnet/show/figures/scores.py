"""Figures of trainings and of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jointnet.errors import InputError
from jointnet.show.figures.drawing import BLUE, GREEN, GREY, ORANGE, RED, finished, new_figure, styled

SCORES_WIDTH = 7.2  # inches of all panels: a notebook beside its files has 700 px, and shrinks what is wider


@styled
def show_history(history: Any, metric: str = "iou") -> Figure:
    """Loss and a metric over the epochs, of training and validation, the best epoch marked.

    Args:
        history: mapping of name -> one value per epoch ("loss", "val_loss", "iou", ...), a Keras `History`, a run
            that has one, or a CSV file as `keras.callbacks.CSVLogger` writes it.
        metric: what to show beside the loss; left out where the history has none.

    Raises:
        ValueError: if the history holds no loss.
    """
    values = _history(history)
    if not len(values.get("loss", ())):
        raise InputError(f"the history holds no loss, only {sorted(values) or 'nothing'}; train for at least one epoch")
    shown = ["loss", *([metric] if metric in values or f"val_{metric}" in values else [])]
    figure, axes = new_figure(1, len(shown), 5.2, 0.68)
    for axis, name in zip(axes, shown, strict=True):
        for key, label, colour in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
            if key in values:
                epochs = np.arange(1, len(values[key]) + 1)
                axis.plot(epochs, values[key], color=colour, label=label, marker="o", markersize=4)
        _mark_best(axis, values, name)
        axis.set(xlabel="epoch", title=_title(name))
        axis.locator_params(axis="x", integer=True)
        axis.grid(axis="y")
        axis.legend()
    return finished(figure)


@styled
def show_scores(
    table: pd.DataFrame, measures: Sequence[str] = ("iou", "accuracy"), drawn: bool = False,
    unseen: Sequence[str] = (),
) -> Figure:
    """Scores as bars, a row for each city and one for all.

    Args:
        table: DataFrame with a row per city (the index names it), or mapping of city -> {measure: value}.
        measures: columns to show, each in [0, 1]; those that the table lacks are left out.
        drawn: True adds that the scenes were drawn.
        unseen: rows that are set off by another colour: cities that the network was not trained in.

    Raises:
        ValueError: if the table has none of the measures.
    """
    rows = table.to_dict("index") if hasattr(table, "to_dict") else {k: dict(v) for k, v in table.items()}
    columns = {str(c).lower(): c for row in rows.values() for c in row}
    shown = [m for m in measures if m.lower() in columns]
    if not shown:
        raise InputError(f"the table has none of {', '.join(measures)}; it has {', '.join(columns) or 'no rows'}")
    width = min(4.8, SCORES_WIDTH / len(shown))
    figure, axes = new_figure(1, len(shown), width, max(1.7, 0.41 * len(rows)) / width, sharey=True)
    for axis, measure in zip(axes, shown, strict=True):
        scores = [float(row[columns[measure.lower()]]) for row in rows.values()]
        colours = [GREY if str(city).lower() in ("overall", "all") else ORANGE if city in unseen else BLUE
                   for city in rows]
        axis.barh(range(len(rows)), np.nan_to_num(scores), color=colours, height=0.65)
        for y, score in enumerate(scores):
            axis.text(np.nan_to_num(score) + 0.015, y, "no truth" if np.isnan(score) else f"{score:.3f}", va="center")
        axis.set(xlim=(0, 1.3), title=_title(measure), xlabel="share", xticks=np.linspace(0, 1, 5 if width > 3 else 3))
        axis.grid(axis="x")
        axis.tick_params(left=False)
    axes[0].set_yticks(range(len(rows)), [_short(str(city)) for city in rows])
    axes[0].invert_yaxis()
    if len(unseen):
        figure.legend(handles=[Patch(color=BLUE, label="trained there"), Patch(color=ORANGE, label="never seen")],
                      loc="outside lower left", ncols=2)
    return finished(figure, drawn)


@styled
def show_gap(table: pd.DataFrame, score: str = "IoU", drawn: bool = False) -> Figure:
    """What a network loses in a city that it has never seen: a dot for seen, a ring for unseen, the gap between them.

    The thin bar through a dot spans the runs that saw the city: a gap shorter than that is no gap.

    Args:
        table: what `city_gap` returns: a row per city with `seen`, `seen_low`, `seen_high` and `unseen`.
        score: its name.
        drawn: True adds that the scenes were drawn.
    """
    rows = table.drop(index="mean", errors="ignore")
    figure, (axis,) = new_figure(1, 1, 7.5, 0.1 + 0.075 * len(rows))
    y = np.arange(len(rows))
    axis.hlines(y, rows["unseen"], rows["seen"], color=GREY, lw=2, zorder=1)
    axis.hlines(y, rows["seen_low"], rows["seen_high"], color=BLUE, lw=7, alpha=0.35, zorder=2)
    axis.scatter(rows["seen"], y, s=60, color=BLUE, zorder=3, label="trained there (bar: lowest to highest run)")
    axis.scatter(rows["unseen"], y, s=60, facecolor="white", edgecolor=RED, lw=2, zorder=3, label="never seen")
    for at, (_, row) in enumerate(rows.iterrows()):
        middle = (row["seen"] + row["unseen"]) / 2
        axis.text(middle, at - 0.18, f"{-row['gap']:+.3f}", ha="center", va="bottom")
    axis.set(yticks=y, yticklabels=[_short(str(city)) for city in rows.index], xlabel=score,
             title=f"{score} of a city, seen and unseen")
    axis.set_ylim(len(rows) - 0.4, -0.7)
    axis.margins(x=0.12)
    axis.grid(axis="x")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    return finished(figure, drawn)


@styled
def show_sweep(
    table: pd.DataFrame, chosen: float | None = None, measures: Sequence[str] = ("iou", "precision", "recall"),
    drawn: bool = False,
) -> Figure:
    """Scores over the threshold, one line each, the chosen threshold marked.

    Args:
        table: DataFrame with a row per threshold, which is its index, and a column per measure.
        chosen: the threshold in use.
        measures: columns to show.
        drawn: True adds that the scenes were drawn.
    """
    figure, axes = new_figure(1, 1, 6.2, 0.62)
    axis = axes[0]
    for measure, colour in zip(measures, (BLUE, ORANGE, GREEN, RED), strict=False):
        axis.plot(table.index, table[measure], color=colour, label=_title(measure))
    if chosen is not None:
        axis.axvline(chosen, color="#333333", linewidth=1.2, linestyle="--", label=f"threshold {chosen:.2f}")
    axis.set(xlabel="threshold", ylabel="score", xlim=(0, 1), ylim=(0, 1.005), title="scores over the threshold")
    axis.grid()
    axis.legend(loc="lower center", ncols=2)
    return finished(figure, drawn)


@styled
def show_reliability(
    confidence: np.ndarray, frequency: np.ndarray, count: np.ndarray | None = None, drawn: bool = False
) -> Figure:
    """How often pixels of each predicted probability really were foreground; the diagonal is perfect calibration.

    Args:
        confidence: mean predicted probability of each bin.
        frequency: share of foreground among its pixels; NaN for an empty bin.
        count: pixels in each bin, shown below.
        drawn: True adds that the scenes were drawn.
    """
    confidence, frequency = np.asarray(confidence, float), np.asarray(frequency, float)
    kept = ~np.isnan(frequency) & ~np.isnan(confidence)
    shares = {"height_ratios": (3, 1)} if count is not None else None
    figure, axes = plt.subplots(1 if count is None else 2, 1, figsize=(5, 4.6 if count is None else 5.8),
                                sharex=True, squeeze=False, gridspec_kw=shares)
    top = axes[0, 0]
    top.plot((0, 1), (0, 1), color=GREY, linewidth=1.2, linestyle="--", label="perfect")
    top.plot(confidence[kept], frequency[kept], color=BLUE, marker="o", label="the network")
    top.set(ylabel="share that is foreground", xlim=(0, 1), ylim=(0, 1), title="reliability")
    top.grid()
    top.legend()
    if count is not None:
        axes[1, 0].bar(confidence[kept], np.asarray(count)[kept], width=0.7 / max(len(confidence), 1), color=GREY)
        axes[1, 0].set(ylabel="pixels", yscale="log")
    axes[-1, 0].set_xlabel("predicted probability")
    return finished(figure, drawn)


@styled
def show_pr_curve(
    precision: np.ndarray, recall: np.ndarray, thresholds: np.ndarray | None = None, chosen: float | None = None,
    drawn: bool = False,
) -> Figure:
    """Precision against recall over all thresholds, with lines of equal F1; the chosen threshold is marked.

    Args:
        precision: one value per threshold, in [0, 1].
        recall: one value per threshold, in [0, 1].
        thresholds: the thresholds.
        chosen: the one in use.
        drawn: True adds that the scenes were drawn.
    """
    precision, recall = np.asarray(precision, float), np.asarray(recall, float)
    figure, axes = new_figure(1, 1, 5.2, 0.95)
    axis = axes[0]
    r = np.linspace(0.01, 1, 200)
    for f1 in (0.5, 0.6, 0.7, 0.8, 0.9):
        on = r > f1 / 2 + 0.005
        p = f1 * r[on] / (2 * r[on] - f1)
        axis.plot(r[on][p <= 1], p[p <= 1], color="#CCCCCC", linewidth=0.9)
        axis.text(1.015, f1 / (2 - f1), f"F1 {f1}", color="#6B6B6B", fontsize=8, va="center")
    axis.plot(recall, precision, color=BLUE)
    if thresholds is not None and chosen is not None:
        at = int(np.argmin(np.abs(np.asarray(thresholds) - chosen)))
        axis.plot(recall[at], precision[at], "o", color=RED, markersize=8)
        axis.annotate(f"threshold {chosen:.2f}", (recall[at], precision[at]), (-10, -14), ha="right",
                      textcoords="offset points", color=RED)
    axis.set(xlabel="recall: share of the truth that is found", ylabel="precision: share of the found that is true",
             xlim=(0, 1.005), ylim=(0, 1.005), title="precision and recall")
    return finished(figure, drawn)


def _mark_best(axis: Axes, values: Mapping[str, Sequence[float]], name: str) -> None:
    """A ring and a label at the best epoch of the validation."""
    series = np.asarray(values.get(f"val_{name}", ()), float)
    if not len(series) or np.isnan(series).all():
        return
    best = int(np.nanargmin(series) if "loss" in name else np.nanargmax(series))
    axis.plot(best + 1, series[best], "o", color=RED, markersize=11, fillstyle="none", markeredgewidth=1.8,
              label=f"best: {series[best]:.3f}")


def _history(history: Any) -> dict[str, Sequence[float]]:
    """Name -> values per epoch, of whatever `show_history` takes."""
    if isinstance(history, str | Path):
        table = np.genfromtxt(history, delimiter=",", names=True, ndmin=1)
        return {name: table[name].tolist() for name in table.dtype.names or ()}
    while not isinstance(history, Mapping):
        history = history.history
    return dict(history)


def _short(name: str) -> str:
    """A name that leaves room for what it names."""
    return name if len(name) <= 40 else f"{name[:39]}…"


def _title(name: str) -> str:
    """A measure's name as people write it."""
    return {"iou": "IoU", "f1": "F1", "accuracy": "accuracy"}.get(name.lower(), name.replace("_", " "))
