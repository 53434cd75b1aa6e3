"""Figures of scenes, patches, trainings and scores; every function returns the matplotlib Figure.

The figure is closed for pyplot, so that a notebook shows it once: where it is the value of a cell.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jointnet.data.scene import Scene
from jointnet.errors import InputError
from jointnet.evaluate.error_rasters import ERROR_CODES, ERROR_NAMES, error_codes, error_rgba
from jointnet.predict.rasters import class_bands, to_probability
from jointnet.show.layers import (
    COLOURS,
    DRAWN,
    Layer,
    Shown,
    Window,
    as_rgb,
    as_shown,
    fit,
    meaning_of_layer,
    origin_of,
    outline,
    paint,
    probability_table,
    read_image,
    read_layer,
    resize,
    round_length,
)

STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False, "axes.axisbelow": True,
    "grid.color": "#DDDDDD", "grid.linewidth": 0.8, "legend.frameon": False, "figure.dpi": 100, "savefig.dpi": 150,
    "lines.linewidth": 2, "figure.constrained_layout.use": True,
    "text.parse_math": False,  # names of places are no formulas, whatever they hold
}
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
ERRORS = ("TP", "FP", "FN")
SCORES_WIDTH = 7.2  # inches of all panels: a notebook beside its files has 700 px, and shrinks what is wider
SIZE = 1024  # longest side of an image in a figure, in pixels
PROBABILITY = ListedColormap(probability_table() / 255, "probability")


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """A function that draws in the style of this module, whatever the reader has set."""

    @functools.wraps(draw)
    def styled(*arguments: Any, **keywords: Any) -> Figure:
        with plt.rc_context(STYLE):
            return draw(*arguments, **keywords)

    return styled


@_styled
def show_scene(
    scene: Scene | str | Path, class_name: str = "buildings", window: Window | None = None, max_size: int = SIZE
) -> Figure:
    """The image, and beside it the image with its labels outlined where it has some.

    Args:
        scene: a scene, or an image file.
        class_name: the labels' class.
        window: (row, col, height, width) in pixels; the whole scene without it.
        max_size: longest side of the picture in pixels.
    """
    shown = as_shown(scene)
    image = read_image(shown, window, max_size)
    labelled = class_name in shown.labels
    figure, axes = _figure(1, 1 + labelled, 5.2, image.shape[0] / image.shape[1])
    for axis in axes:
        _image(axis, image)
    axes[0].set_title(_name(shown))
    if labelled and isinstance(shown, Scene):
        truth = resize(shown.read_labels(class_name, window), image.shape[:2], "nearest")
        axes[1].imshow(paint(truth, COLOURS["truth"]), alpha=0.45, interpolation="nearest")
        axes[1].imshow(paint(outline(truth), COLOURS["truth"]), interpolation="nearest")
        axes[1].set_title(f"{class_name}: {truth.mean():.1%} of the ground")
    _scale_bar(axes[0], _gsd(shown, image, window))
    return _finish(figure, origin_of(shown))


@_styled
def show_overlay(
    image: Any,
    mask: Layer | None = None,
    probability: Layer | None = None,
    truth: Layer | None = None,
    opacity: float = 0.55,
    title: str = "",
    drawn: bool | None = None,
    max_size: int = SIZE,
) -> Figure:
    """An image under a prediction: the probability, the mask, or with truth every pixel's kind of error.

    Args:
        image: scene, image file, or uint8 (height, width, bands).
        mask: file or array of the same size, 0 for background.
        probability: file or array of the same size: float in [0, 1], or uint8 with 255 for 1.
        truth: file or array of the same size; with `mask`, errors are shown by colour.
        opacity: opacity of what lies over the image, from 0 to 1.
        title: text to show in place of the scene's name.
        drawn: True adds that the scene was drawn; a scene knows it.
        max_size: longest side of the picture in pixels.

    Raises:
        ValueError: if there is nothing to lay over the image, or it has another size.
    """
    if mask is None and probability is None:
        raise InputError("show_overlay needs a mask or a probability to lay over the image; show_scene shows it alone")
    read, name, origin = _reader(image, max_size)
    figure, axes = _figure(1, 1, 6.5, read(None).shape[0] / read(None).shape[1], space=1)
    axis = axes[0]
    _image(axis, read(None))
    if truth is not None and mask is not None:
        codes = error_codes(read(truth) > 0, read(mask) > 0)
        axis.imshow(error_rgba(codes), alpha=opacity, interpolation="nearest")
        _legend(axis, {ERROR_NAMES[k]: COLOURS[k] for k in ERRORS})
    elif mask is not None:
        axis.imshow(paint(read(mask), COLOURS["prediction"]), alpha=opacity, interpolation="nearest")
        axis.imshow(paint(outline(read(mask)), COLOURS["prediction"]), interpolation="nearest")
        _legend(axis, {"predicted": COLOURS["prediction"]})
    elif probability is not None:
        values = np.nan_to_num(to_probability(read(probability), meaning_of_layer(probability)))
        layer = axis.imshow(values, PROBABILITY, vmin=0, vmax=1, alpha=opacity)
        solids = figure.colorbar(layer, ax=axis, label="probability", shrink=0.8).solids
        if solids is not None:
            solids.set_alpha(1)
    axis.set_title(title or name)
    return _finish(figure, origin if drawn is None else drawn)


@_styled
def show_patches(
    images: np.ndarray,
    masks: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    columns: int = 8,
    drawn: bool = False,
    numbered: bool = False,
) -> Figure:
    """Patches in rows: images with their masks outlined, what is not counted hatched grey, predictions below.

    Args:
        images: (n, height, width, bands) in [0, 255].
        masks: (n, height, width[, 1]) of {0, 1}.
        weights: (n, height, width[, 1]); 0 where a pixel counts in no loss.
        probabilities: (n, height, width[, 1]) in [0, 1], shown below each patch.
        columns: patches in a row.
        drawn: True adds that the scenes were drawn.
        numbered: True writes the number of each patch, from 1, above it; it needs masks.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise InputError(f"show_patches got images of shape {images.shape}; it needs (n, height, width, bands), n > 0")
    columns = min(columns, len(images))
    groups = -(-len(images) // columns)
    per = 1 if probabilities is None else 2
    figure, axes = _figure(groups * per, columns, max(1.4, 11 / columns), images.shape[1] / images.shape[2])
    grid: np.ndarray = np.reshape(np.array(axes, object), (groups, per, columns))
    for axis in axes:
        axis.set_axis_off()
    for i, image in enumerate(images):
        axis = grid[i // columns, 0, i % columns]
        axis.imshow(as_rgb(np.asarray(image).astype(np.uint8)))
        if weights is not None:
            axis.imshow(paint(_plane(weights[i]) == 0, "#777777"), alpha=0.7, interpolation="nearest")
        if masks is not None:
            mask = _plane(masks[i])
            axis.imshow(paint(mask, COLOURS["outline"]), alpha=0.25, interpolation="nearest")
            axis.imshow(paint(outline(mask), COLOURS["outline"]), interpolation="nearest")
            axis.set_title(f"{i + 1}: {(mask > 0).mean():.0%}" if numbered else f"{(mask > 0).mean():.0%}", fontsize=9,
                           pad=2)
        if probabilities is not None:
            grid[i // columns, 1, i % columns].imshow(_plane(probabilities[i]), PROBABILITY, vmin=0, vmax=1)
    return _finish(figure, drawn)


@_styled
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
    figure, axes = _figure(1, len(shown), 5.2, 0.68)
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
    return _finish(figure)


@_styled
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
    figure, axes = _figure(1, len(shown), width, max(1.7, 0.41 * len(rows)) / width, sharey=True)
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
    return _finish(figure, drawn)


@_styled
def show_gap(table: pd.DataFrame, score: str = "IoU", drawn: bool = False) -> Figure:
    """What a network loses in a city that it has never seen: a dot for seen, a ring for unseen, the gap between them.

    The thin bar through a dot spans the runs that saw the city: a gap shorter than that is no gap.

    Args:
        table: what `city_gap` returns: a row per city with `seen`, `seen_low`, `seen_high` and `unseen`.
        score: its name.
        drawn: True adds that the scenes were drawn.
    """
    rows = table.drop(index="mean", errors="ignore")
    figure, (axis,) = _figure(1, 1, 7.5, 0.1 + 0.075 * len(rows))
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
    return _finish(figure, drawn)


@_styled
def show_blending_weights(weights: np.ndarray, stride: int | None = None) -> Figure:
    """The weight of each pixel of a window, and the sum of neighbouring windows along a line.

    Args:
        weights: (size,) along one side, as `jointnet.predict.windows.ramp_weights` gives it.
        stride: step between windows in pixels; half a window without it.
    """
    weights = np.asarray(weights, float)
    size = len(weights)
    stride = stride or size // 2
    figure, axes = _figure(1, 2, 5.2, 0.68)
    layer = axes[0].imshow(np.outer(weights, weights), PROBABILITY, vmin=0, vmax=1)
    figure.colorbar(layer, ax=axes[0], label="weight", shrink=0.8)
    axes[0].set(title=f"one window of {size} px", xlabel="column", ylabel="row")
    total = np.zeros(size + 3 * stride)
    for number in range(4):
        at = number * stride
        total[at : at + size] += weights
        axes[1].plot(np.arange(at, at + size), weights, color=(BLUE, ORANGE)[number % 2], label=None if number else
                     "one window")
    axes[1].plot(total, color="#333333", linewidth=1.2, linestyle="--", label="their sum")
    axes[1].set(title=f"windows every {stride} px", xlabel="pixel", ylabel="weight", ylim=(0, None))
    axes[1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    return _finish(figure)


@_styled
def show_side_by_side(pictures: Mapping[str, np.ndarray], drawn: bool = False) -> Figure:
    """Pictures of one size in a row, each under its name: images as they are, probabilities and masks by colour.

    Args:
        pictures: name -> uint8 (height, width, bands), or probability or mask (height, width[, 1]) in [0, 1].
        drawn: True adds that the scenes were drawn.
    """
    shape = next(iter(pictures.values())).shape
    figure, axes = _figure(1, len(pictures), min(4.6, 12 / len(pictures)), shape[0] / shape[1])
    for axis, (name, picture) in zip(axes, pictures.items(), strict=True):
        if picture.ndim == 3 and picture.shape[-1] > 1:
            axis.imshow(as_rgb(picture))
        else:
            axis.imshow(_plane(picture), PROBABILITY, vmin=0, vmax=1, interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(name)
    return _finish(figure, drawn)


@_styled
def show_outlines(
    scene: Scene, outlines: Mapping[str, gpd.GeoDataFrame], window: tuple[int, int, int, int],
    points: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """One piece of a scene under each of several sets of outlines, side by side.

    Args:
        scene: the image below.
        outlines: name -> polygons or lines in any CRS; of a scene without georeference, in (column, row) pixels.
        window: (row, col, height, width) in pixels.
        points: name -> (x, y) in the scene's CRS; each is marked and named in every picture.
    """
    row, col, height, width = window
    image = scene.read(window)
    figure, axes = _figure(1, len(outlines), min(4.6, 12 / len(outlines)), height / width)
    for axis, (name, table) in zip(axes, outlines.items(), strict=True):
        _image(axis, as_rgb(image))
        placed = scene.info.crs is not None
        shapes = (table.to_crs(scene.info.crs) if placed else table).geometry.to_numpy()
        shapes = shapely.get_parts(shapes)
        flat = shapely.get_dimensions(shapes) == 2
        rings = [*shapely.get_parts(shapely.boundary(shapes[flat])), *shapes[~flat]]
        lines = [shapely.get_coordinates(ring) for ring in rings]
        if placed:
            lines = [np.column_stack(~scene.info.transform @ tuple(line.T)) for line in lines]
        corner = (col + 0.5, row + 0.5)  # a picture counts from the middle of its first pixel
        axis.add_collection(LineCollection([line - corner for line in lines], colors=COLOURS["outline"], linewidths=2))
        for text, place in (points or {}).items():
            x, y = ~scene.info.transform @ place
            _mark(axis, (x - corner[0], y - corner[1]), text)
        axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), title=name)
    return _finish(figure, origin_of(scene))


@_styled
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
    figure, axes = _figure(1, 1, 6.2, 0.62)
    axis = axes[0]
    for measure, colour in zip(measures, (BLUE, ORANGE, GREEN, RED), strict=False):
        axis.plot(table.index, table[measure], color=colour, label=_title(measure))
    if chosen is not None:
        axis.axvline(chosen, color="#333333", linewidth=1.2, linestyle="--", label=f"threshold {chosen:.2f}")
    axis.set(xlabel="threshold", ylabel="score", xlim=(0, 1), ylim=(0, 1.005), title="scores over the threshold")
    axis.grid()
    axis.legend(loc="lower center", ncols=2)
    return _finish(figure, drawn)


@_styled
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
    return _finish(figure, drawn)


@_styled
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
    figure, axes = _figure(1, 1, 5.2, 0.95)
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
    return _finish(figure, drawn)


@_styled
def show_errors(scene: Scene | str | Path, prediction: Layer, truth: Layer | None = None,
                class_name: str = "buildings", window: Window | None = None,
                max_size: int = SIZE) -> Figure:
    """Image, truth and prediction side by side with the errors by colour, and their share in words.

    Args:
        scene: a scene, or an image file.
        prediction: mask file or array on the scene's grid, of one class or with a band for each.
        truth: mask file or array; the scene's own labels without it.
        class_name: their class.
        window: (row, col, height, width) in pixels; the whole scene without it.
        max_size: longest side of the picture in pixels.

    Raises:
        ValueError: if neither the scene nor `truth` says what is true.
    """
    shown = as_shown(scene)
    _, _, height, width = window or (0, 0, *shown.info.shape)
    full = max(height, width)
    true = _truth(shown, class_name, window) if truth is None else read_layer(truth, shown, window, full)[..., 0]
    image = read_image(shown, window, max_size)
    mask = read_layer(prediction, shown, window, full)[..., class_bands(prediction, class_name)[class_name]]
    valid = shown.read_valid(window, class_name if truth is None else None)
    codes = error_codes(true > 0, mask > 0, valid)
    figure, axes = _figure(1, 2, 5.6, image.shape[0] / image.shape[1], space=1)
    for axis in axes:
        _image(axis, image)
    axes[0].set_title(_name(shown))
    axes[1].imshow(error_rgba(resize(codes, image.shape[:2], "nearest")), alpha=0.65, interpolation="nearest")
    counts = {name: int((codes == ERROR_CODES[name]).sum()) for name in ERRORS}
    union = sum(counts.values())
    axes[1].set_title(f"IoU {counts['TP'] / union:.3f}" if union else "nothing true, nothing predicted")
    _legend(axes[1], {f"{ERROR_NAMES[k]} {n / max(union, 1):.0%}": COLOURS[k] for k, n in counts.items()})
    _scale_bar(axes[0], _gsd(shown, image, window))
    return _finish(figure, origin_of(shown))


@_styled
def show_grids(grids: Mapping[str, np.ndarray], rings: Sequence = (), centres: bool = False, columns: int = 4,
               drawn: bool = False) -> Figure:
    """Small arrays side by side, pixel by pixel, each on a scale of its own that holds 0.

    Args:
        grids: title -> (height, width).
        rings: outlines drawn over each picture, as lists of (column, row), where a pixel's centre is at one half.
        centres: mark the centre of every pixel.
        columns: grids in a row.
        drawn: True adds that the scenes were drawn.
    """
    columns = min(columns, len(grids))
    height, width = next(iter(grids.values())).shape
    figure, axes = _figure(-(-len(grids) // columns), columns, 11 / max(columns, 3), height / width)
    for axis in axes:
        axis.set_axis_off()
    for axis, (title, grid) in zip(axes, grids.items(), strict=False):
        height, width = np.shape(grid)
        values = np.asarray(grid, float)
        axis.pcolormesh(np.arange(width + 1), np.arange(height + 1), values, cmap=PROBABILITY,
                        vmin=min(values.min(), 0), vmax=max(values.max(), np.finfo(float).tiny),
                        edgecolors="#FFFFFF" if max(height, width) <= 40 else "none", linewidth=0.5)
        for ring in rings:
            axis.plot(*np.array([*ring, ring[0]]).T, color=RED)
        if centres:
            y, x = np.mgrid[:height, :width] + 0.5
            axis.plot(x.ravel(), y.ravel(), ".", color="#7F7F7F", markersize=4)
        axis.set(title=title, aspect="equal", ylim=(height, 0))
    return _finish(figure, drawn)


@_styled
def show_curves(x: np.ndarray, curves: Mapping[str, np.ndarray], xlabel: str = "", ylabel: str = "",
                ylim: tuple[float, float] | None = None, drawn: bool = False) -> Figure:
    """Lines over one axis.

    Args:
        x: values along the axis.
        curves: label -> one value for each of `x`.
        xlabel, ylabel: labels of the axes.
        ylim: lowest and highest y; without it, what the curves span.
        drawn: True adds that the scenes were drawn.
    """
    figure, (axis,) = _figure(1, 1, 6.5, 0.6)
    for (label, y), colour in zip(curves.items(), (BLUE, ORANGE, GREEN, RED, GREY), strict=False):
        axis.plot(x, y, color=colour, label=label)
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=ylim)
    axis.grid()
    axis.legend()
    return _finish(figure, drawn)


@_styled
def show_architecture(growth_rates: Sequence[int] = (32, 64, 128), bridge: int = 256, classes: int = 1) -> Figure:
    """The network as a picture: its blocks at four sizes, with their channels, and where features go.

    Args:
        growth_rates: of the three encoder blocks, as in `jointnet.network.model.PRESETS`; preset "base" without them.
        bridge: channels of the bridge.
        classes: bands of the answer.
    """
    figure, (axis,) = _figure(1, 1, 9.5, 0.46)
    for level, growth in enumerate(growth_rates):
        down, up = (level, -level), (7 - level, -level)
        size = "full size" if level == 0 else f"1/{2**level}"
        _block(axis, down, f"dense atrous block\n{4 * growth} channels, {size}", BLUE)
        words = f"dense atrous block\n{4 * growth} channels" if level == 0 else f"1 x 1\n{growth} channels"
        _block(axis, up, f"{words}, {size}", GREEN if level == 0 else GREY)
        _arrow(axis, down, up, "distribution output")
        below = (level + 1, -level - 1) if level < 2 else (3.5, -3)
        _arrow(axis, down, below, f"{growth} channels, halved")
        _arrow(axis, (7 - level - 1, -level - 1) if level < 2 else (3.5, -3), up, "doubled")
    _block(axis, (3.5, -3), f"bridge, 1 x 1\n{bridge} channels, 1/8", ORANGE)
    axis.text(-0.95, 0, "image", ha="right", va="center")
    axis.text(7.95, 0, f"probability\nof {classes} class{'es' * (classes > 1)}", va="center")
    axis.set(xlim=(-1.6, 9), ylim=(-3.5, 0.6))
    axis.set_axis_off()
    return _finish(figure)


def _mark(axis: Axes, at: tuple[float, float], text: str) -> None:
    """A dot with its name on an image."""
    axis.plot(*at, "o", color="white", markeredgecolor="black", markersize=9)
    axis.annotate(text, at, xytext=(7, 7), textcoords="offset points", fontsize=9, fontweight="bold",
                  bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.85, "edgecolor": "none"})


def _block(axis: Axes, at: tuple[float, float], text: str, colour: str) -> None:
    axis.text(*at, text, ha="center", va="center", fontsize=9, zorder=3,
              bbox={"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": colour, "linewidth": 2})


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], text: str) -> None:
    """An arrow between two blocks, under them, and what goes along it."""
    axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#666666", "shrinkA": 32, "shrinkB": 32},
                  zorder=1)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    level = start[1] == end[1]
    axis.text(*middle, f"{text}   ", fontsize=8, color="#555555", ha="center" if level else "right",
              va="bottom" if level else "center")


def _figure(
    rows: int, columns: int, width: float, form: float, sharey: bool = False, space: float = 0.6
) -> tuple[Figure, list[Axes]]:
    """A figure, and its list of `rows` x `columns` axes, each `width` inches wide and `form` times as high.

    `space` inches are added to the height for titles, legends and captions.
    """
    size = (columns * width, rows * width * form + space)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=sharey)
    return figure, list(axes.flat)


def _finish(figure: Figure, origin: bool | str = False) -> Figure:
    """The figure with its caption (what it shows was drawn, or who provided it), taken out of pyplot's hands."""
    if origin:
        text = DRAWN if origin is True else origin
        figure.supxlabel(text, x=0.99, fontsize=8, color="#666666", ha="right", style="italic")
    plt.close(figure)
    return figure


def _image(axis: Axes, image: np.ndarray) -> None:
    """An image without ticks."""
    axis.imshow(image)
    axis.set_axis_off()


def _legend(axis: Axes, colours: Mapping[str, str]) -> None:
    """A legend of coloured boxes below an image."""
    handles = [Patch(facecolor=colour, label=label) for label, colour in colours.items()]
    axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(handles), handlelength=1.2)


def _scale_bar(axis: Axes, gsd: float | None) -> None:
    """A bar of a round length in metres, in the image's lower left corner."""
    if gsd is None:
        return
    height, width = axis.images[0].get_size()
    length = round_length(width * gsd / 4)
    x, y = width * 0.04, height * 0.95
    axis.add_line(Line2D((x, x + length / gsd), (y, y), color="black", linewidth=5, solid_capstyle="butt"))
    axis.add_line(Line2D((x, x + length / gsd), (y, y), color="white", linewidth=3, solid_capstyle="butt"))
    axis.text(x, y - height * 0.02, f"{length:g} m", color="white", fontsize=9, va="bottom",
              bbox={"facecolor": "black", "alpha": 0.55, "pad": 1.5, "edgecolor": "none"})


def _mark_best(axis: Axes, values: Mapping[str, Sequence[float]], name: str) -> None:
    """A ring and a label at the best epoch of the validation."""
    series = np.asarray(values.get(f"val_{name}", ()), float)
    if not len(series) or np.isnan(series).all():
        return
    best = int(np.nanargmin(series) if "loss" in name else np.nanargmax(series))
    axis.plot(best + 1, series[best], "o", color=RED, markersize=11, fillstyle="none", markeredgewidth=1.8,
              label=f"best: {series[best]:.3f}")


def _truth(shown: Shown, class_name: str, window: Window | None) -> np.ndarray:
    """uint8 (height, width): the labels that a scene brings with it."""
    if isinstance(shown, Scene) and class_name in shown.labels:
        return shown.read_labels(class_name, window)
    raise InputError(f"{shown.name} has no labels of {class_name!r}, so its errors are unknown; pass truth=, a "
                     f"mask file")


def _history(history: Any) -> dict[str, Sequence[float]]:
    """Name -> values per epoch, of whatever `show_history` takes."""
    if isinstance(history, str | Path):
        table = np.genfromtxt(history, delimiter=",", names=True, ndmin=1)
        return {name: table[name].tolist() for name in table.dtype.names or ()}
    while not isinstance(history, Mapping):
        history = history.history
    return dict(history)


def _reader(
    image: Scene | str | Path | np.ndarray, max_size: int
) -> tuple[Callable[[Layer | None], np.ndarray], str, str]:
    """(function from a layer, None for the image, to its pixels; name; origin) of `show_overlay`'s first argument."""
    if isinstance(image, np.ndarray):
        shape = fit(image.shape[:2], max_size)

        def read(layer: Layer | None) -> np.ndarray:
            if layer is None:
                return resize(as_rgb(image), shape, "average")
            layer = np.asarray(layer)
            if layer.shape[:2] != image.shape[:2]:
                raise InputError(f"the layer is {layer.shape[:2]} px, its image {image.shape[:2]}; they must be equal")
            return resize(_plane(layer), shape, "nearest")

        return read, "", ""
    scene = as_shown(image)
    return (
        lambda layer: read_image(scene, None, max_size) if layer is None else _plane(
            read_layer(layer, scene, None, max_size)),
        _name(scene),
        origin_of(scene),
    )


def _plane(values: np.ndarray) -> np.ndarray:
    """(height, width) of (height, width[, 1])."""
    values = np.asarray(values)
    return values[..., 0] if values.ndim == 3 else values


def _name(scene: Shown) -> str:
    """The title of a scene."""
    gsd = f", {scene.gsd:.2g} m per pixel" if scene.gsd else ""
    return f"{scene.name}{gsd}"


def _short(name: str) -> str:
    """A name that leaves room for what it names."""
    return name if len(name) <= 40 else f"{name[:39]}…"


def _title(name: str) -> str:
    """A measure's name as people write it."""
    return {"iou": "IoU", "f1": "F1", "accuracy": "accuracy"}.get(name.lower(), name.replace("_", " "))


def _gsd(scene: Shown, image: np.ndarray, window: Window | None) -> float | None:
    """Metres per pixel of the picture of a scene's window."""
    width = (window or (0, 0, *scene.info.shape))[3]
    return None if scene.gsd is None else scene.gsd * width / image.shape[1]
