"""Figures of how the method works: the network, the weights of a window, what a formula does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jointnet.show.figures.drawing import BLUE, GREEN, GREY, ORANGE, PROBABILITY, RED, finished, new_figure, styled


@styled
def show_blending_weights(weights: np.ndarray, stride: int | None = None) -> Figure:
    """The weight of each pixel of a window, and the sum of neighbouring windows along a line.

    Args:
        weights: (size,) along one side, as `jointnet.predict.windows.ramp_weights` gives it.
        stride: step between windows in pixels; half a window without it.
    """
    weights = np.asarray(weights, float)
    size = len(weights)
    stride = stride or size // 2
    figure, axes = new_figure(1, 2, 5.2, 0.68)
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
    return finished(figure)


@styled
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
    figure, axes = new_figure(-(-len(grids) // columns), columns, 11 / max(columns, 3), height / width)
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
    return finished(figure, drawn)


@styled
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
    figure, (axis,) = new_figure(1, 1, 6.5, 0.6)
    for (label, y), colour in zip(curves.items(), (BLUE, ORANGE, GREEN, RED, GREY), strict=False):
        axis.plot(x, y, color=colour, label=label)
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=ylim)
    axis.grid()
    axis.legend()
    return finished(figure, drawn)


@styled
def show_architecture(growth_rates: Sequence[int] = (32, 64, 128), bridge: int = 256, classes: int = 1) -> Figure:
    """The network as a picture: its blocks at four sizes, with their channels, and where features go.

    Args:
        growth_rates: of the three encoder blocks, as in `jointnet.network.model.PRESETS`; preset "base" without them.
        bridge: channels of the bridge.
        classes: bands of the answer.
    """
    figure, (axis,) = new_figure(1, 1, 9.5, 0.46)
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
    return finished(figure)


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
