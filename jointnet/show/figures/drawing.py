"""What all figures have in common: their style, colours, captions, legends and scale bars."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jointnet.show.layers import DRAWN, probability_table, round_length

STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False, "axes.axisbelow": True,
    "grid.color": "#DDDDDD", "grid.linewidth": 0.8, "legend.frameon": False, "figure.dpi": 100, "savefig.dpi": 150,
    "lines.linewidth": 2, "figure.constrained_layout.use": True,
    "text.parse_math": False,  # names of places are no formulas, whatever they hold
}
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
PROBABILITY = ListedColormap(probability_table() / 255, "probability")


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """A function that draws in the style of this module, whatever the reader has set."""

    @functools.wraps(draw)
    def styled(*arguments: Any, **keywords: Any) -> Figure:
        with plt.rc_context(STYLE):
            return draw(*arguments, **keywords)

    return styled


def new_figure(
    rows: int, columns: int, width: float, form: float, sharey: bool = False, space: float = 0.6
) -> tuple[Figure, list[Axes]]:
    """A figure, and its list of `rows` x `columns` axes, each `width` inches wide and `form` times as high.

    `space` inches are added to the height for titles, legends and captions.
    """
    size = (columns * width, rows * width * form + space)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=sharey)
    return figure, list(axes.flat)


def finished(figure: Figure, origin: bool | str = False) -> Figure:
    """The figure with its caption (what it shows was drawn, or who provided it), taken out of pyplot's hands."""
    if origin:
        text = DRAWN if origin is True else origin
        figure.supxlabel(text, x=0.99, fontsize=8, color="#666666", ha="right", style="italic")
    plt.close(figure)
    return figure


def draw_image(axis: Axes, image: np.ndarray) -> None:
    """An image without ticks."""
    axis.imshow(image)
    axis.set_axis_off()


def add_legend(axis: Axes, colours: Mapping[str, str]) -> None:
    """A legend of coloured boxes below an image."""
    handles = [Patch(facecolor=colour, label=label) for label, colour in colours.items()]
    axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(handles), handlelength=1.2)


def add_scale_bar(axis: Axes, gsd: float | None) -> None:
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


def plane(values: np.ndarray) -> np.ndarray:
    """(height, width) of (height, width[, 1])."""
    values = np.asarray(values)
    return values[..., 0] if values.ndim == 3 else values
