"""NetworkExplorer: dilation rates to receptive field and gridding; feature maps of a chosen layer on a chosen patch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from jointnet.errors import InputError
from jointnet.network.receptive_field import count_paths, receptive_field
from jointnet.show.layers import as_rgb, encode, probability_table, resize
from jointnet.show.widgets.base import Explorer, code_of, shows_errors

MOST_MAPS = 32  # channels shown
COLUMNS = 8
LARGEST = 96  # side of a map in the browser, in pixels
QUIET = ("InputLayer", "Concatenate", "Scaling")  # layers that only pass on


class NetworkExplorer(Explorer):
    """What one pixel sees through a stack of dilations, and what each layer of a network makes of a patch.

    Feature maps are computed in Python when a layer is chosen; the receptive field in the browser. A channel that is
    clicked, or chosen with arrow keys, is shown as large as the patch.

    Args:
        model: a Keras network; without it, the receptive field alone.
        patch: uint8 (height, width, bands), sides that the network takes; needed with a model.
        rates: dilation rates to begin with.
        layer: name of the layer to begin with; the network's last 3x3 convolution without it.
        note: a line below, as where the patch is from.

    Raises:
        ValueError: if a model comes without a patch, or the layer does not exist.
    """

    _esm = code_of("network")
    title = "Network - JointNet"

    about = traitlets.Dict().tag(sync=True)
    rates = traitlets.List([1, 2, 5, 1, 2, 5]).tag(sync=True)
    dense = traitlets.Bool(True).tag(sync=True)
    layer = traitlets.Unicode("").tag(sync=True)
    channel = traitlets.Int(0, min=0).tag(sync=True)  # that is shown large
    patch = traitlets.Bytes().tag(sync=True)
    found = traitlets.Dict().tag(sync=True)
    maps = traitlets.Bytes().tag(sync=True)

    def __init__(
        self, model: Any = None, patch: np.ndarray | None = None, rates: Sequence[int] = (1, 2, 5, 1, 2, 5),
        layer: str | None = None, note: str = "",
    ) -> None:
        super().__init__()
        receptive_field(rates)
        self.rates = [int(r) for r in rates]
        self._model, self._pixels = model, patch
        names = [] if model is None else [x.name for x in model.layers if type(x).__name__ not in QUIET]
        if model is not None and patch is None:
            raise InputError("feature maps need a patch to be computed on; pass patch=, uint8 (height, width, bands)")
        if layer is not None and layer not in names:
            raise InputError(f"the network has no layer {layer!r} to show; choose one of {', '.join(names[:8])}, ...")
        ramp = [f"#{bytes(entry).hex()}" for entry in probability_table()]
        self.about = {"layers": names, "ramp": ramp, "note": note}
        if model is not None:
            self.patch = encode(as_rgb(np.asarray(patch)))
            convolutions = [n for n in names if "atrous" in n] or names
            self.layer = layer or convolutions[0]
            self._compute()
            self.observe(self._chosen, "layer")

    def features(self, layer: str) -> np.ndarray:
        """float32 (rows, columns, channels): the output of a layer for the patch.

        Raises:
            ValueError: if there is no network, or it has no such layer.
        """
        if self._model is None:
            raise InputError("there are no feature maps without a network; pass NetworkExplorer a model and a patch")
        from jointnet.backend import keras  # the receptive field alone needs no Keras

        part = keras.Model(self._model.input, self._model.get_layer(layer).output)
        return np.asarray(part(np.asarray(self._pixels)[None].astype(np.float32), training=False))[0]

    def preview(self) -> bytes:
        """A PNG of the feature maps, or of the receptive field."""
        if self._model is None:
            paths = np.log1p(count_paths(self.rates, self.dense))
            picture = probability_table()[np.round(255 * paths / paths.max()).astype(int)]
            picture[paths == 0] = 255
            scale = max(1, 330 // len(picture))
            return encode(picture.repeat(scale, 0).repeat(scale, 1))
        sheet, _ = _sheet(self.features(self.layer))
        return encode(probability_table()[sheet])

    def page_state(self) -> dict:
        """As the widget's; without Python there is no other layer to choose."""
        state = super().page_state()
        layers = [self.layer] if self._model is not None else []
        return state | {"about": state["about"] | {"layers": layers}}

    @shows_errors
    def _chosen(self, _change: Any) -> None:
        """Computes the maps of a layer that was chosen."""
        self._compute()

    def _compute(self) -> None:
        """Fills `maps` and `found` for the layer, and begins with a channel that answers to something."""
        values = self.features(self.layer)
        sheet, ranges = _sheet(values)
        self.channel = _liveliest(values[..., :MOST_MAPS])
        height, width = sheet.shape[0] // math.ceil(len(ranges) / COLUMNS), sheet.shape[1] // COLUMNS
        self.found = {
            "layer": self.layer, "rows": values.shape[0], "cols": values.shape[1], "channels": values.shape[2],
            "columns": COLUMNS, "height": height, "width": width, "ranges": ranges,
            "flat": int((np.mean(abs(values - np.median(values, axis=(0, 1))) > 1e-6, axis=(0, 1)) < 0.01).sum()),
        }
        self.maps = encode(sheet)


def _liveliest(values: np.ndarray) -> int:
    """The channel of (rows, columns, channels) whose values spread most, measured by their range."""
    return int((values.std((0, 1)) / np.maximum(np.ptp(values, (0, 1)), 1e-6)).argmax())


def _sheet(values: np.ndarray) -> tuple[np.ndarray, list[list[float]]]:
    """The first channels as bytes on one sheet, `COLUMNS` in a row, and the smallest and largest value of each."""
    shown = values[..., :MOST_MAPS]
    low, high = shown.min((0, 1)), shown.max((0, 1))
    stretched = np.round(255 * (shown - low) / np.where(high > low, high - low, 1)).astype(np.uint8)
    side = max(stretched.shape[:2])
    if side > LARGEST:
        size = (max(1, stretched.shape[0] * LARGEST // side), max(1, stretched.shape[1] * LARGEST // side))
        stretched = resize(stretched, size, "average")
    height, width, count = stretched.shape
    rows = math.ceil(count / COLUMNS)
    sheet = np.zeros((rows * height, COLUMNS * width), np.uint8)
    for i in range(count):
        top, left = i // COLUMNS * height, i % COLUMNS * width
        sheet[top : top + height, left : left + width] = stretched[..., i]
    return sheet, [[float(f"{a:.3g}"), float(f"{b:.3g}")] for a, b in zip(low, high, strict=True)]
