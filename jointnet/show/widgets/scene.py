"""SceneExplorer: a scene, what was predicted for it and what is true, on one canvas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
import traitlets

from jointnet.data.labels import read_features
from jointnet.data.raster import read_info
from jointnet.data.scene import Scene
from jointnet.evaluate.counts import Counts
from jointnet.evaluate.errors import ERROR_NAMES, error_codes, error_rgba
from jointnet.evaluate.inputs import class_band
from jointnet.show.layers import (
    COLOURS,
    DRAWN,
    as_bytes,
    as_scene,
    encode,
    encode_photo,
    fit,
    paint,
    probability_table,
    read_image,
    read_layer,
    resize,
)
from jointnet.show.widgets.base import Explorer, code_of, shows_errors

STRIP = 512  # rows counted at once
PREVIEW = 900  # longest side of the picture, in pixels
NOT_COUNTED = 2  # code beside 0 (background) and 1 (foreground) in the truth that the browser gets


class SceneExplorer(Explorer):
    """A scene under its prediction, truth and polygons; pan, zoom, threshold and swipe at once, in any notebook.

    The threshold is applied in the browser. IoU, precision and recall come from counts that Python makes once, over
    every pixel at full resolution: how many pixels of foreground and of background have each probability.

    Args:
        scene: a scene, an image file, or an array (height, width, bands); a georeference is not needed.
        probability: raster file or array on the scene's grid: float in [0, 1], or uint8 with 255 for 1.
        truth: mask file or array; without it the scene's labels, where it has some; False for none.
        polygons: vector file or GeoDataFrame in any CRS; of a scene without georeference, in (column, row) pixels.
        mask: in place of the probability: file or array, 0 for background.
        threshold: what is foreground, in (0, 1).
        kind: class of the scene's labels.
        max_size: longest side in pixels of what is sent at first; closer looks are fetched at full resolution.
        height: of the canvas, in CSS pixels.
        bands: 1-based numbers of the bands to show as red, green, blue.

    Raises:
        ValueError: if a layer is not on the scene's grid, or the threshold is not between 0 and 1.
    """

    _esm = code_of("scene")

    about = traitlets.Dict().tag(sync=True)
    image = traitlets.Bytes().tag(sync=True)
    probability = traitlets.Bytes().tag(sync=True)
    truth = traitlets.Bytes().tag(sync=True)
    points = traitlets.Bytes().tag(sync=True)
    ends = traitlets.Bytes().tag(sync=True)
    counts = traitlets.List().tag(sync=True)
    threshold = traitlets.Float(0.6).tag(sync=True)
    opacity = traitlets.Float(0.7).tag(sync=True)
    layer = traitlets.Unicode("image").tag(sync=True)
    swipe = traitlets.Unicode("off").tag(sync=True)
    swipe_at = traitlets.Float(0.5).tag(sync=True)
    show_image = traitlets.Bool(True).tag(sync=True)
    show_polygons = traitlets.Bool(True).tag(sync=True)
    view = traitlets.List().tag(sync=True)

    def __init__(
        self,
        scene: Scene | str | Path | np.ndarray,
        probability=None,
        truth=None,
        polygons=None,
        mask=None,
        threshold: float = 0.6,
        kind: str = "buildings",
        max_size: int = 2048,
        height: int = 520,
        bands=None,
    ):
        super().__init__()
        if not 0 < threshold < 1:
            raise ValueError(f"threshold={threshold} must lie between 0 and 1, for example 0.5")
        self._kind, self._bands, self._max_size, self._height = kind, bands, max_size, height
        self._use(as_scene(scene), probability, truth, polygons, mask)
        self._show(threshold)
        self.layer = next((x for x in ("errors", "prediction", "truth") if x in self.about["layers"]), "image")
        self.on_msg(self._receive)

    def _use(self, scene, probability=None, truth=None, polygons=None, mask=None) -> None:
        """Takes a scene and its layers as those to be shown."""
        self._scene = scene
        self._has_probability = probability is not None
        self._probability = probability if probability is not None else mask
        self._truth = truth
        self._rings = _rings(polygons, scene)

    def _show(self, threshold: float) -> None:
        """Sends the layers that are in use, all at once."""
        with self.hold_sync():
            for name, value in self._layers().items():
                self.set_trait(name, value)
            self.threshold = threshold

    def _layers(self) -> dict:
        """The traits that hold a scene and its layers, `about` last."""
        photo, probability, truth = self._read((0, 0, *self._scene.info.shape), self._max_size)
        points, ends = self._rings
        return {
            "image": photo, "probability": probability, "truth": truth, "points": points.tobytes(),
            "ends": ends.tobytes(), "counts": self._count(), "about": self._describe(self._height, len(ends) > 0),
        }

    @property
    def title(self) -> str:
        """The scene's name."""
        return f"{self._scene.name} - JointNet"

    @property
    def scores(self) -> dict[str, float]:
        """IoU, precision and recall at the explorer's threshold, over every pixel of the scene at full resolution.

        Raises:
            ValueError: if the explorer has no prediction, or no truth.
        """
        if not self.counts:
            raise ValueError("there is no score without a prediction and a truth; pass both to SceneExplorer")
        background, foreground = np.array(self.counts)
        cut = cut_of(self.threshold)
        pooled = Counts(*map(int, (
            foreground[cut:].sum(), background[cut:].sum(), foreground[:cut].sum(), background[:cut].sum())))
        return {"iou": pooled.iou, "precision": pooled.precision, "recall": pooled.recall}

    def zoom_to(self, row: float, col: float, span: float) -> None:
        """Moves the view: its middle in pixels of the scene, and how many columns lie across it."""
        self.view = [float(row), float(col), float(span)]

    def preview(self) -> bytes:
        """A PNG of the scene under the layer that is chosen, with the errors in colour where truth is known."""
        picture = read_image(self._scene, None, PREVIEW, self._bands)
        shape = picture.shape[:2]
        codes = self._codes(None, PREVIEW)
        values = None if self._probability is None else as_bytes(self._layer(self._probability, None, PREVIEW))
        found = None if values is None else values >= cut_of(self.threshold)
        painted = {
            "truth": lambda: paint(codes == 1, COLOURS["truth"]),
            "prediction": lambda: paint(found, COLOURS["prediction"]),
            "errors": lambda: error_rgba(error_codes(codes == 1, found, codes != NOT_COUNTED)),
            "probability": lambda: np.dstack([probability_table()[values], np.full(shape, 255, np.uint8)]),
        }.get(self.layer)
        if painted is not None:
            over = painted().astype(np.float32)
            alpha = over[..., 3:] / 255 * self.opacity
            picture = np.round(picture * (1 - alpha) + over[..., :3] * alpha).astype(np.uint8)
        return encode(picture)

    def page_state(self) -> dict:
        """As the widget's, but without a Python to ask for closer looks."""
        state = super().page_state()
        return state | {"about": state["about"] | {"live": False}}

    def _read(self, window, max_size: int) -> tuple[bytes, bytes, bytes]:
        """A window as the browser gets it: the image, PNG of the probability, PNG of the truth's codes."""
        photo = encode_photo(read_image(self._scene, window, max_size, self._bands))
        values, codes = b"", self._codes(window, max_size)
        if self._probability is not None:
            values = encode(as_bytes(self._layer(self._probability, window, max_size)))
        return photo, values, b"" if codes is None else encode(codes)

    def _layer(self, source, window, max_size: int) -> np.ndarray:
        """(height, width) of the prediction of the class; a mask's foreground becomes 255."""
        pixels = read_layer(source, self._scene, window, max_size)[..., _band(source, self._kind)]
        return pixels if self._has_probability else (pixels > 0).astype(np.uint8) * np.uint8(255)

    @property
    def _has_truth(self) -> bool:
        """Whether it is known what is true."""
        return self._truth is not False and (self._truth is not None or self._kind in self._scene.labels)

    def _codes(self, window, max_size: int) -> np.ndarray | None:
        """uint8 (height, width): 0 background, 1 foreground, 2 not counted; None without truth."""
        row, col, height, width = window or (0, 0, *self._scene.info.shape)
        if not self._has_truth:
            return None
        shape = fit((height, width), max_size)
        if self._truth is None:
            truth = resize(self._scene.read_labels(self._kind, window), shape, "nearest")
        else:
            truth = read_layer(self._truth, self._scene, window, max_size)[..., 0]
        valid = resize(self._scene.read_valid(window), shape, "nearest")
        return np.where(valid, truth > 0, NOT_COUNTED).astype(np.uint8)

    def _count(self) -> list:
        """Pixels of background and of foreground with each probability byte, at full resolution; [] without both."""
        if self._probability is None or not self._has_truth:
            return []
        rows, columns = self._scene.info.shape
        counts = np.zeros((2, 256), np.int64)
        for row in range(0, rows, STRIP):
            window = (row, 0, min(STRIP, rows - row), columns)
            full = max(window[2:])
            codes = self._codes(window, full)
            values = as_bytes(self._layer(self._probability, window, full))
            for code in (0, 1):
                counts[code] += np.bincount(values[codes == code], minlength=256)
        return counts.tolist()

    def _describe(self, height: int, polygons: bool) -> dict:
        """What the browser must know about the scene."""
        info, scene = self._scene.info, self._scene
        layers = ["probability"] if self._has_probability else []
        layers += ["prediction"] if self._probability is not None else []
        layers += ["truth"] if self._has_truth else []
        layers += ["errors"] if self._probability is not None and self._has_truth else []
        table = [f"#{bytes(entry).hex()}" for entry in probability_table()]
        return {
            "name": scene.name, "rows": info.height, "columns": info.width, "layers": layers, "height": height,
            "polygons": polygons, "colours": COLOURS, "ramp": table, "kind": self._kind.removesuffix("s"),
            "gsd": scene.gsd, "note": DRAWN if scene.drawn else "", "live": True,
            "errors": [[code, ERROR_NAMES[code]] for code in ("TP", "FP", "FN")],
            "transform": list(info.transform)[:6] if info.crs else None,
            "crs": (info.crs.to_string() if len(info.crs.to_string()) < 24 else "x, y") if info.crs else "",
            "geographic": bool(info.crs and info.crs.is_geographic),
        }

    @shows_errors
    def _receive(self, _widget, message: Mapping, _buffers) -> None:
        """Answers the browser's wish for a closer look."""
        if message.get("kind") != "crop":
            return
        window = tuple(int(v) for v in message["window"])
        size = min(int(message["size"]), self._max_size)
        self.send({"kind": "crop", "id": message["id"], "window": window}, list(self._read(window, size)))


def cut_of(threshold: float) -> int:
    """The lowest probability byte that counts as foreground: value / 255 >= threshold, and never 0."""
    return max(1, int(np.ceil(threshold * 255 - 1e-6)))


def _band(source, kind: str) -> int:
    """Index of the band of a class: in a file of this package that holds several, the one named so; else the first."""
    if isinstance(source, np.ndarray) or "JOINTNET_SETTINGS" not in (read_info(source).tags or {}):
        return 0
    return class_band(Path(source), kind)


def _rings(polygons, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Outlines in pixels: float32 (points, 2) of (column, row), and uint32 (rings,) with the end of each."""
    if polygons is None:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.uint32)
    info = scene.info
    placed = info.crs is not None
    table = polygons if isinstance(polygons, gpd.GeoDataFrame) else read_features(
        polygons, info, None if placed else "pixels")
    if placed and table.crs is None:
        raise ValueError("the polygons state no CRS, so their place is unknown; set it with polygons.set_crs(...)")
    shapes = (table.to_crs(info.crs) if placed else table).geometry.to_numpy()
    lines = shapely.get_parts(shapely.boundary(shapely.get_parts(shapes[~shapely.is_missing(shapes)])))
    points, index = shapely.get_coordinates(lines, return_index=True)
    if placed and len(points):
        points = np.column_stack(~info.transform @ (points[:, 0], points[:, 1]))
    return points.astype(np.float32), np.cumsum(np.bincount(index, minlength=len(lines))).astype(np.uint32)
