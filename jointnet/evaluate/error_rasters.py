"""Labels against predictions in, maps and tables of errors out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jointnet.data.raster import create_raster
from jointnet.data.scene import Scene
from jointnet.evaluate.counts import as_masks
from jointnet.evaluate.inputs import Prediction, read_strips

# Okabe and Ito's palette, told apart with every common kind of colour blindness. Right background is transparent.
ERROR_COLOURS = {"TP": "#009E73", "FP": "#D55E00", "FN": "#0072B2", "ignored": "#999999"}
ERROR_NAMES = {"TP": "found", "FP": "invented", "FN": "missed", "ignored": "no imagery"}
ERROR_CODES = {"TN": 0, "TP": 1, "FP": 2, "FN": 3, "ignored": 4}


def error_codes(truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """uint8 (height, width) of `ERROR_CODES`: 0 right background, 1 found, 2 invented, 3 missed, 4 ignored.

    Arguments and errors as `count_pixels`.
    """
    truth, predicted, valid = as_masks(truth, predicted, valid)
    codes = np.uint8(ERROR_CODES["FN"]) * truth
    codes[predicted] = ERROR_CODES["FP"]
    codes[truth & predicted] = ERROR_CODES["TP"]
    codes[~valid] = ERROR_CODES["ignored"]
    return codes


def error_rgba(codes: np.ndarray) -> np.ndarray:
    """uint8 (height, width, 4): the colours of error codes, right background transparent."""
    palette = np.zeros((len(ERROR_CODES), 4), np.uint8)
    for name, colour in ERROR_COLOURS.items():
        palette[ERROR_CODES[name]] = (*_rgb(colour), 255)
    return palette[codes]


def write_error_raster(
    path: str | Path, scene: Scene, prediction: Prediction, class_name: str = "buildings",
    threshold: float | None = None,
) -> Path:
    """Writes where a scene's prediction is right and wrong, as a paletted GeoTIFF of `ERROR_CODES`; returns its path.

    Right background is the file's no-data value, so that it is transparent in any GIS.

    Args:
        path: where the file goes.
        scene: a scene with labels of `class_name`.
        prediction: its files.
        class_name: class of the labels.
        threshold: as in `evaluate`.

    Raises:
        ValueError: if the prediction lies on another grid than the scene, or a threshold cannot be applied.
    """
    tags = {f"value_{code}": name for name, code in ERROR_CODES.items()} | {"class_name": class_name}
    tags |= {"drawn": "true"} if scene.drawn else {}
    colours = {code: _rgb(ERROR_COLOURS.get(name, "#FFFFFF")) for name, code in ERROR_CODES.items()}
    with create_raster(
        path, scene.info, nodata=ERROR_CODES["TN"], tags=tags, colormap=colours, overview="nearest"
    ) as out:
        for strip in read_strips(scene, prediction, class_name, threshold, probabilities=False):
            out.write(error_codes(strip.truth, strip.predicted, strip.valid), strip.row)
    return Path(path)


def _rgb(colour: str) -> tuple[int, int, int]:
    """(red, green, blue) of "#RRGGBB"."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
