"""Figures of imagery, and of labels, predictions and errors on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from jointnet.data.scene import Scene
from jointnet.errors import InputError
from jointnet.evaluate.error_rasters import ERROR_CODES, ERROR_NAMES, error_codes, error_rgba
from jointnet.predict.rasters import class_bands, foreground, to_probability
from jointnet.show.figures.drawing import (
    PROBABILITY,
    add_legend,
    add_scale_bar,
    draw_image,
    finished,
    new_figure,
    plane,
    styled,
)
from jointnet.show.layers import (
    COLOURS,
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
    read_image,
    read_layer,
    read_mask_layer,
    resize,
)

ERRORS = ("TP", "FP", "FN")
SIZE = 1024  # longest side of an image in a figure, in pixels


@styled
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
    figure, axes = new_figure(1, 1 + labelled, 5.2, image.shape[0] / image.shape[1])
    for axis in axes:
        draw_image(axis, image)
    axes[0].set_title(_name(shown))
    if labelled and isinstance(shown, Scene):
        whole, valid = shown.read_labels(class_name, window), shown.read_valid(window, class_name)
        truth = resize(whole, image.shape[:2], "nearest")
        axes[1].imshow(paint(truth, COLOURS["truth"]), alpha=0.45, interpolation="nearest")
        axes[1].imshow(paint(outline(truth), COLOURS["truth"]), interpolation="nearest")
        axes[1].set_title(f"{class_name}: {whole[valid].mean():.1%} of the ground" if valid.any() else
                          f"{class_name}: no ground that is labelled")
    add_scale_bar(axes[0], _gsd(shown, image, window))
    return finished(figure, origin_of(shown))


@styled
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
    figure, axes = new_figure(1, 1, 6.5, read(None).shape[0] / read(None).shape[1], space=1)
    axis = axes[0]
    draw_image(axis, read(None))
    if truth is not None and mask is not None:
        codes = error_codes(read(truth, True), read(mask, True))
        axis.imshow(error_rgba(codes), alpha=opacity, interpolation="nearest")
        add_legend(axis, {ERROR_NAMES[k]: COLOURS[k] for k in ERRORS})
    elif mask is not None:
        axis.imshow(paint(read(mask, True), COLOURS["prediction"]), alpha=opacity, interpolation="nearest")
        axis.imshow(paint(outline(read(mask, True)), COLOURS["prediction"]), interpolation="nearest")
        add_legend(axis, {"predicted": COLOURS["prediction"]})
    elif probability is not None:
        values = np.nan_to_num(to_probability(read(probability), meaning_of_layer(probability)))
        layer = axis.imshow(values, PROBABILITY, vmin=0, vmax=1, alpha=opacity)
        solids = figure.colorbar(layer, ax=axis, label="probability", shrink=0.8).solids
        if solids is not None:
            solids.set_alpha(1)
    axis.set_title(title or name)
    return finished(figure, origin if drawn is None else drawn)


@styled
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
    figure, axes = new_figure(groups * per, columns, max(1.4, 11 / columns), images.shape[1] / images.shape[2])
    grid: np.ndarray = np.reshape(np.array(axes, object), (groups, per, columns))
    for axis in axes:
        axis.set_axis_off()
    for i, image in enumerate(images):
        axis = grid[i // columns, 0, i % columns]
        axis.imshow(as_rgb(np.asarray(image).astype(np.uint8)))
        if weights is not None:
            axis.imshow(paint(plane(weights[i]) == 0, "#777777"), alpha=0.7, interpolation="nearest")
        if masks is not None:
            mask = plane(masks[i])
            axis.imshow(paint(mask, COLOURS["outline"]), alpha=0.25, interpolation="nearest")
            axis.imshow(paint(outline(mask), COLOURS["outline"]), interpolation="nearest")
            axis.set_title(f"{i + 1}: {(mask > 0).mean():.0%}" if numbered else f"{(mask > 0).mean():.0%}", fontsize=9,
                           pad=2)
        if probabilities is not None:
            grid[i // columns, 1, i % columns].imshow(plane(probabilities[i]), PROBABILITY, vmin=0, vmax=1)
    return finished(figure, drawn)


@styled
def show_side_by_side(pictures: Mapping[str, np.ndarray], drawn: bool = False) -> Figure:
    """Pictures of one size in a row, each under its name: images as they are, probabilities and masks by colour.

    Args:
        pictures: name -> uint8 (height, width, bands), or probability or mask (height, width[, 1]) in [0, 1].
        drawn: True adds that the scenes were drawn.
    """
    shape = next(iter(pictures.values())).shape
    figure, axes = new_figure(1, len(pictures), min(4.6, 12 / len(pictures)), shape[0] / shape[1])
    for axis, (name, picture) in zip(axes, pictures.items(), strict=True):
        if picture.ndim == 3 and picture.shape[-1] > 1:
            axis.imshow(as_rgb(picture))
        else:
            axis.imshow(plane(picture), PROBABILITY, vmin=0, vmax=1, interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(name)
    return finished(figure, drawn)


@styled
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
    figure, axes = new_figure(1, len(outlines), min(4.6, 12 / len(outlines)), height / width)
    for axis, (name, table) in zip(axes, outlines.items(), strict=True):
        draw_image(axis, as_rgb(image))
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
    return finished(figure, origin_of(scene))


@styled
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
    true = _truth(shown, class_name, window) if truth is None else read_mask_layer(truth, shown, window, full)[..., 0]
    image = read_image(shown, window, max_size)
    mask = read_mask_layer(prediction, shown, window, full)[..., class_bands(prediction, class_name)[class_name]]
    valid = shown.read_valid(window, class_name if truth is None else None)
    codes = error_codes(true > 0, mask, valid)
    figure, axes = new_figure(1, 2, 5.6, image.shape[0] / image.shape[1], space=1)
    for axis in axes:
        draw_image(axis, image)
    axes[0].set_title(_name(shown))
    axes[1].imshow(error_rgba(resize(codes, image.shape[:2], "nearest")), alpha=0.65, interpolation="nearest")
    counts = {name: int((codes == ERROR_CODES[name]).sum()) for name in ERRORS}
    union = sum(counts.values())
    axes[1].set_title(f"IoU {counts['TP'] / union:.3f}" if union else "nothing true, nothing predicted")
    add_legend(axes[1], {f"{ERROR_NAMES[k]} {n / max(union, 1):.0%}": COLOURS[k] for k, n in counts.items()})
    add_scale_bar(axes[0], _gsd(shown, image, window))
    return finished(figure, origin_of(shown))


def _mark(axis: Axes, at: tuple[float, float], text: str) -> None:
    """A dot with its name on an image."""
    axis.plot(*at, "o", color="white", markeredgecolor="black", markersize=9)
    axis.annotate(text, at, xytext=(7, 7), textcoords="offset points", fontsize=9, fontweight="bold",
                  bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.85, "edgecolor": "none"})


def _truth(shown: Shown, class_name: str, window: Window | None) -> np.ndarray:
    """uint8 (height, width): the labels that a scene brings with it."""
    if isinstance(shown, Scene) and class_name in shown.labels:
        return shown.read_labels(class_name, window)
    raise InputError(f"{shown.name} has no labels of {class_name!r}, so its errors are unknown; pass truth=, a "
                     f"mask file")


def _reader(
    image: Scene | str | Path | np.ndarray, max_size: int
) -> tuple[Callable[..., np.ndarray], str, str]:
    """(function from a layer, None for the image, to its pixels; name; origin) of `show_overlay`'s first argument.

    The function's second argument says that the layer is a mask, of which it gives where it shows its class.
    """
    if isinstance(image, np.ndarray):
        shape = fit(image.shape[:2], max_size)

        def read(layer: Layer | None, is_mask: bool = False) -> np.ndarray:
            if layer is None:
                return resize(as_rgb(image), shape, "average")
            layer = np.asarray(layer)
            if layer.shape[:2] != image.shape[:2]:
                raise InputError(f"the layer is {layer.shape[:2]} px, its image {image.shape[:2]}; they must be equal")
            sized = resize(plane(layer), shape, "nearest")
            return foreground(sized) if is_mask else sized

        return read, "", ""
    scene = as_shown(image)

    def read_on_scene(layer: Layer | None, is_mask: bool = False) -> np.ndarray:
        if layer is None:
            return read_image(scene, None, max_size)
        return plane((read_mask_layer if is_mask else read_layer)(layer, scene, None, max_size))

    return read_on_scene, _name(scene), origin_of(scene)


def _name(scene: Shown) -> str:
    """The title of a scene."""
    gsd = f", {scene.gsd:.2g} m per pixel" if scene.gsd else ""
    return f"{scene.name}{gsd}"


def _gsd(scene: Shown, image: np.ndarray, window: Window | None) -> float | None:
    """Metres per pixel of the picture of a scene's window."""
    width = (window or (0, 0, *scene.info.shape))[3]
    return None if scene.gsd is None else scene.gsd * width / image.shape[1]
