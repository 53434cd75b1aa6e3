"""SceneExplorer: a scene, what was predicted for it and what is true, on one canvas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import shapely
import traitlets

from jointnet.data.scene import Scene
from jointnet.errors import InputError
from jointnet.evaluate.counts import Counts
from jointnet.evaluate.error_rasters import ERROR_NAMES, error_codes, error_rgba
from jointnet.network.card import DEFAULT_THRESHOLD, class_names
from jointnet.predict.rasters import class_bands, class_thresholds
from jointnet.show.layers import (
    COLOURS,
    Layer,
    Shapes,
    Shown,
    Window,
    as_shown,
    class_colours,
    encode,
    encode_photo,
    fit,
    origin_of,
    paint,
    probability_table,
    read_image,
    read_mask_layer,
    read_probability_layer,
    resize,
)
from jointnet.show.widgets.base import Explorer, code_of, shows_errors

if TYPE_CHECKING:
    import geopandas as gpd

PARTS = ("sheet", "view", "scene")  # files of its JavaScript
STRIP = 512  # rows counted at once
PREVIEW = 900  # longest side of the picture, in pixels
Truth: TypeAlias = Layer | Mapping[str, Layer] | bool | None  # False for none; None for the scene's labels
IN_PACKS = ("image", "probability", "truth", "points", "ends")  # traits that a page of many scenes holds in packs
NOT_COUNTED = 2  # code beside 0 (background) and 1 (foreground) in the truth that the browser gets


class SceneExplorer(Explorer):
    """A scene under its prediction, truth and polygons; pan, zoom, threshold and swipe at once, in any notebook.

    The threshold is applied in the browser. IoU, precision and recall come from counts that Python makes once, over
    every pixel at full resolution: how many pixels of foreground and of background have each probability.

    Args:
        scene: a scene, an image file, or an array (height, width, bands); a georeference is not needed.
        probability: raster file or array on the scene's grid, one band or plane per class: float in [0, 1], or uint8
            with 255 for 1.
        truth: mask file or array, or class -> one; without it the scene's labels, where it has some; False for none.
        polygons: vector file or GeoDataFrame in any CRS, or class -> one; of a scene without georeference, in
            (column, row) pixels.
        mask: file or array, 0 for background, to show in place of the probability.
        threshold: what is foreground, in (0, 1), for all classes or class -> threshold; without it the one that the
            probability was made with, else 0.6.
        class_name: class to show, or the class of each band; without it those that the file names, else buildings and
            roads; where nothing is predicted, the classes of the scene's labels.
        max_size: longest side in pixels of what is sent at first; closer looks are fetched at full resolution.
        height: height of the canvas, in CSS pixels.
        bands: 1-based numbers of the bands to show as red, green, blue.

    Raises:
        ValueError: if a layer is not on the scene's grid, a class is unknown, or a threshold is not between 0 and 1.
    """

    _esm = code_of(*PARTS)
    _scene: Any  # a Scene; or an ArrayScene, which has no labels

    about = traitlets.Dict().tag(sync=True)
    image = traitlets.Bytes().tag(sync=True)
    probability = traitlets.Bytes().tag(sync=True)  # a PNG, the classes one below the other
    truth = traitlets.Bytes().tag(sync=True)  # the same
    points = traitlets.Bytes().tag(sync=True)
    ends = traitlets.Bytes().tag(sync=True)
    counts = traitlets.Dict().tag(sync=True)
    class_name = traitlets.Unicode("buildings").tag(sync=True)
    threshold = traitlets.Float(0.6).tag(sync=True)
    opacity = traitlets.Float(0.7).tag(sync=True)
    layer = traitlets.Unicode("image").tag(sync=True)
    swipe = traitlets.Unicode("off").tag(sync=True)
    swipe_at = traitlets.Float(0.5).tag(sync=True)
    show_image = traitlets.Bool(True).tag(sync=True)
    show_polygons = traitlets.Bool(True).tag(sync=True)
    view: Any = traitlets.List().tag(sync=True)
    arrives = traitlets.Bool(False).tag(sync=True)  # scrolls to itself when it is shown

    def __init__(
        self,
        scene: Scene | str | Path | np.ndarray,
        probability: Layer | None = None,
        truth: Truth = None,
        polygons: Shapes | None = None,
        mask: Layer | None = None,
        threshold: float | Mapping[str, float] | None = None,
        class_name: str | Sequence[str] | None = None,
        max_size: int = 2048,
        height: int = 520,
        bands: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self._wanted, self._bands, self._max_size, self._height = class_name, bands, max_size, height
        self._use(as_shown(scene), probability, truth, polygons, mask)
        self._show(threshold)
        self.layer = next((x for x in ("errors", "prediction", "truth") if x in self.about["layers"]), "image")
        self.observe(self._other_class, "class_name")
        self.observe(self._other_threshold, "threshold")
        self.on_msg(self._receive)

    def _use(
        self, scene: Shown, probability: Layer | None = None, truth: Truth = None, polygons: Shapes | None = None,
        mask: Layer | None = None,
    ) -> None:
        """Takes a scene and its layers as those to be shown."""
        self._scene = scene
        self._has_probability = probability is not None
        self._probability = probability if probability is not None else mask
        self._truth = truth
        self._class_bands = self._classes()
        self._check_truth()
        self._rings = _rings(polygons, scene)

    def _show(self, threshold: float | Mapping[str, float] | None) -> None:
        """Sends the layers that are in use, all at once."""
        self._limits = class_thresholds(self._probability, self._class_bands, threshold)
        with self.hold_sync():
            for name, value in self._layers().items():
                self.set_trait(name, value)
            if self.class_name not in self._class_bands:
                self.class_name = next(iter(self._class_bands))
            self.threshold = self._limits[self.class_name]

    def _layers(self, form: str = "jpeg") -> dict:
        """The traits that hold a scene and its layers, `about` last; a large photograph as `form`."""
        photo, probability, truth = self._read((0, 0, *self._scene.info.shape), self._max_size, form)
        points, ends, sets = self._rings
        return {
            "image": photo, "probability": probability, "truth": truth, "points": points.tobytes(),
            "ends": ends.tobytes(), "counts": self._count(), "about": self._describe(self._height, sets),
        }

    def _classes(self) -> dict[str, int]:
        """The classes that can be chosen, with the band of each in the prediction."""
        if self._probability is not None:
            return class_bands(self._probability, self._wanted)
        if isinstance(self._wanted, str):
            return {self._wanted: 0}
        many = self._truth.ndim == 3 and self._truth.shape[2] if isinstance(self._truth, np.ndarray) else 0
        names = self._wanted or (
            tuple(self._truth) if isinstance(self._truth, Mapping) else class_names(many) if many
            else tuple(self._scene.labels) if self._truth is None else ())
        return {name: i for i, name in enumerate(names or ("buildings",))}

    def _check_truth(self) -> None:
        """Raises ValueError if it is not clear which class a truth is of."""
        if isinstance(self._truth, Mapping):
            unknown = sorted(set(self._truth) - set(self._class_bands))
            if unknown:
                raise InputError(f"truth names {', '.join(unknown)}; the classes here are "
                                 f"{', '.join(self._class_bands)}")
        elif self._truth is not None and self._truth is not False and len(self._class_bands) > 1:
            planes = self._truth.shape[2] if isinstance(self._truth, np.ndarray) and self._truth.ndim == 3 else 1
            if planes != len(self._class_bands):
                raise InputError(f"truth is one mask, the classes here are {', '.join(self._class_bands)}; say which "
                                 f"it is of, for example truth={{{next(iter(self._class_bands))!r}: ...}}")

    @property
    def title(self) -> str:
        """The scene's name."""
        return f"{self._scene.name} - JointNet"

    @property
    def scores(self) -> dict[str, float]:
        """IoU, precision and recall of the class at its threshold, over every pixel of the scene at full resolution.

        Raises:
            ValueError: if the explorer has no prediction, or no truth.
        """
        if self.class_name not in self.counts:
            raise InputError("there is no score without a prediction and a truth; pass both to SceneExplorer")
        background, foreground = np.array(self.counts[self.class_name])
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
        for over in self._painted(self.layer, picture.shape[:2]):
            alpha = over[..., 3:] / np.float32(255) * self.opacity
            picture = np.round(picture * (1 - alpha) + over[..., :3] * alpha).astype(np.uint8)
        return encode(picture)

    def _painted(self, layer: str, shape: tuple[int, int]) -> list[np.ndarray]:
        """A layer as pictures uint8 (height, width, 4) to lay over each other."""
        if layer == "image":
            return []
        if layer == "classes":
            return [paint(self._foreground(k), self._colours(k)[0]) for k in self._class_bands]
        if layer == "prediction":
            return [paint(self._foreground(self.class_name), self._colours(self.class_name)[0])]
        if layer == "probability":
            values = self._layer(self._probability, None, PREVIEW)
            return [np.dstack([probability_table()[values], np.full(shape, 255, np.uint8)])]
        codes = self._codes(None, PREVIEW)
        if codes is None:
            return []
        if layer == "truth":
            return [paint(codes == 1, self._colours(self.class_name)[1])]
        return [error_rgba(error_codes(codes == 1, self._foreground(self.class_name), codes != NOT_COUNTED))]

    def _foreground(self, class_name: str) -> np.ndarray:
        """bool (height, width): what is predicted of a class, at the size of the preview."""
        limit = self.threshold if class_name == self.class_name else self._limits[class_name]
        return self._layer(self._probability, None, PREVIEW, class_name) >= cut_of(limit)

    def _colours(self, class_name: str) -> tuple[str, str]:
        """The colours of a class: predicted, true."""
        return class_colours(class_name, list(self._class_bands).index(class_name))

    def page_state(self) -> dict:
        """As the widget's, but without a Python to ask for closer looks."""
        state = super().page_state()
        return state | {"about": state["about"] | {"live": False}}

    def _page_layers(self) -> dict:
        """The traits that hold a scene and its layers, for a page that holds many."""
        layers = self._layers("webp")
        return layers | {"about": layers["about"] | {"live": False}}

    @staticmethod
    def _with_packs(state: dict, packs: dict[str, dict]) -> dict:
        """The state of a page that holds many scenes, each once: page.js begins with the pack of the one in `about`."""
        return state | dict.fromkeys(IN_PACKS, b"") | {"packs": packs}

    def _read(self, window: Window | None, max_size: int, form: str = "jpeg") -> tuple[bytes, bytes, bytes]:
        """A window as the browser gets it: the image, PNG of the probabilities, PNG of the truth's codes."""
        photo = encode_photo(read_image(self._scene, window, max_size, self._bands), form)
        values, codes = b"", b""
        if self._probability is not None:
            planes = [self._layer(self._probability, window, max_size, class_name) for class_name in self._class_bands]
            values = encode(np.vstack(planes))
        if self._has_truth:
            truths = [self._codes(window, max_size, class_name) for class_name in self._class_bands]
            known = next(p for p in truths if p is not None)
            codes = encode(np.vstack([np.full_like(known, NOT_COUNTED) if p is None else p for p in truths]))
        return photo, values, codes

    def _layer(self, source: Any, window: Window | None, max_size: int, class_name: str | None = None) -> np.ndarray:
        """uint8 (height, width) of the prediction of a class, 255 for a probability of 1 or a mask's foreground."""
        bands = [self._class_bands[class_name or self.class_name] + 1]
        if self._has_probability:
            return read_probability_layer(source, self._scene, window, max_size, bands)[..., 0]
        return np.where(read_mask_layer(source, self._scene, window, max_size, bands)[..., 0], 255, 0).astype("u1")

    @property
    def _has_truth(self) -> bool:
        """Whether it is known of any class what is true."""
        return any(self._truth_of(class_name) is not None for class_name in self._class_bands)

    def _truth_of(self, class_name: str) -> Any:
        """Where the truth of a class is: file, array, "labels" of the scene, or None."""
        if self._truth is False:
            return None
        if self._truth is None:
            return "labels" if class_name in self._scene.labels else None
        if isinstance(self._truth, Mapping):
            return self._truth.get(class_name)
        if isinstance(self._truth, np.ndarray) and self._truth.ndim == 3 and self._truth.shape[2] > 1:
            return self._truth[..., list(self._class_bands).index(class_name)]
        return self._truth

    def _codes(self, window: Window | None, max_size: int, class_name: str | None = None) -> np.ndarray | None:
        """uint8 (height, width) of a class: 0 background, 1 foreground, 2 not counted; None without truth."""
        row, col, height, width = window or (0, 0, *self._scene.info.shape)
        source = self._truth_of(class_name or self.class_name)
        if source is None:
            return None
        shape = fit((height, width), max_size)
        own = isinstance(source, str) and source == "labels"
        if own:
            truth = resize(self._scene.read_labels(class_name or self.class_name, window), shape, "nearest")
        else:
            truth = read_mask_layer(source, self._scene, window, max_size)[..., 0]
        labels_of = (class_name or self.class_name) if own else None
        valid = resize(self._scene.read_valid(window, labels_of), shape, "nearest")
        return np.where(valid, truth > 0, NOT_COUNTED).astype(np.uint8)

    def _count(self) -> dict:
        """Class -> pixels of background and of foreground with each probability byte, at full resolution."""
        if self._probability is None:
            return {}
        labelled = [c for c in self._class_bands if self._truth_of(c) is not None]
        return {class_name: self._count_class(class_name) for class_name in labelled}

    def _count_class(self, class_name: str) -> list:
        """[background, foreground], 256 numbers of pixels each."""
        rows, columns = self._scene.info.shape
        counts = np.zeros((2, 256), np.int64)
        for row in range(0, rows, STRIP):
            window = (row, 0, min(STRIP, rows - row), columns)
            full = max(window[2:])
            codes = self._codes(window, full, class_name)
            values = self._layer(self._probability, window, full, class_name)
            for code in (0, 1):
                counts[code] += np.bincount(values[codes == code], minlength=256)
        return counts.tolist()

    def _describe(self, height: int, polygons: list) -> dict:
        """What the browser must know about the scene."""
        info, scene = self._scene.info, self._scene
        layers = ["probability"] if self._has_probability else []
        layers += ["prediction"] if self._probability is not None else []
        layers += ["classes"] if self._probability is not None and len(self._class_bands) > 1 else []
        layers += ["truth"] if self._has_truth else []
        layers += ["errors"] if self._probability is not None and self._has_truth else []
        table = [f"#{bytes(entry).hex()}" for entry in probability_table()]
        return {
            "name": scene.name, "rows": info.height, "columns": info.width, "layers": layers, "height": height,
            "polygons": polygons, "colours": COLOURS, "ramp": table,
            "classes": [
                {"name": k, "one": k.removesuffix("s"), "prediction": self._colours(k)[0], "truth": self._colours(k)[1],
                 "threshold": self._limits[k]} for k in self._class_bands],
            "gsd": scene.gsd, "note": origin_of(scene), "live": True,
            "errors": [[code, ERROR_NAMES[code]] for code in ("TP", "FP", "FN")],
            "transform": list(info.transform)[:6] if info.crs else None,
            "crs": (info.crs.to_string() if len(info.crs.to_string()) < 24 else "x, y") if info.crs else "",
            "geographic": bool(info.crs and info.crs.is_geographic),
        }

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: Any) -> float:
        """Raises InputError for what is no probability."""
        if not 0 <= proposal["value"] <= 1:
            raise InputError(f"threshold={proposal['value']} must lie between 0 and 1, for example {DEFAULT_THRESHOLD}")
        return float(proposal["value"])

    def _other_class(self, change: Any) -> None:
        """Goes on with the threshold that the class had."""
        if change["new"] not in self._class_bands:
            self.class_name = change["old"]
            raise InputError(f"there is no class {change['new']!r}; choose from {', '.join(self._class_bands)}")
        self.threshold = self._limits[self.class_name]

    def _other_threshold(self, change: Any) -> None:
        """Remembers the threshold of the class."""
        self._limits[self.class_name] = change["new"]

    @shows_errors
    def _receive(self, _widget: Any, message: Mapping, _buffers: Any) -> None:
        """Answers the browser's wish for a closer look."""
        if message.get("type") != "crop":
            return
        row, col, height, width = map(int, message["window"])
        window = row, col, height, width
        size = min(int(message["size"]), self._max_size)
        self.send({"type": "crop", "id": message["id"], "window": window}, list(self._read(window, size)))


def cut_of(threshold: float) -> int:
    """The lowest probability byte that counts as foreground: value / 255 >= threshold, and never 0."""
    return max(1, int(np.ceil(threshold * 255 - 1e-6)))


def _rings(polygons: Shapes | None, scene: Shown) -> tuple[np.ndarray, np.ndarray, list]:
    """Outlines in pixels: float32 (points, 2) of (column, row), uint32 (rings,) with the end of each, and their owners.

    Owners are [class, number of its rings] for each set of polygons; "" for polygons of no class.
    """
    found = polygons if isinstance(polygons, Mapping) else {} if polygons is None else {"": polygons}
    points, ends, sets = [np.zeros((0, 2), np.float32)], [np.zeros(0, np.uint32)], []
    for class_name, source in found.items():
        outlines, stops = _outlines(source, scene)
        ends.append((stops + sum(map(len, points))).astype(np.uint32))
        points.append(outlines)
        sets.append([class_name, len(stops)])
    return np.concatenate(points), np.concatenate(ends), sets


def _outlines(polygons: str | Path | gpd.GeoDataFrame, scene: Shown) -> tuple[np.ndarray, np.ndarray]:
    """float32 (points, 2) of (column, row), and the end of each ring or line."""
    info = scene.info
    placed = info.crs is not None
    if isinstance(polygons, str | Path):
        from jointnet.data.vectors import read_features  # brings GeoPandas, which few scenes need

        polygons = read_features(polygons, info, None if placed else "pixels")
    table = polygons
    if placed and table.crs is None:
        raise InputError("the polygons state no CRS, so their place is unknown; set it with polygons.set_crs(...)")
    from jointnet.data.datums import to_image
    from jointnet.data.vectors import check_crs

    if not placed:
        check_crs(table.crs, info, "the polygons")
    shapes = shapely.get_parts((to_image(table.geometry, info) if placed else table.geometry).dropna().to_numpy())
    areal = shapely.get_dimensions(shapes) == 2
    lines = shapely.get_parts(np.concatenate([shapely.boundary(shapes[areal]), shapes[~areal]]))
    points, index = shapely.get_coordinates(lines, return_index=True)
    if placed and len(points):
        points = np.column_stack(~info.transform @ (points[:, 0], points[:, 1]))
    return points.astype(np.float32), np.cumsum(np.bincount(index, minlength=len(lines)))
