"""An array of pixels in; its probability or its mask out. Needs no library that opens files or knows places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jointnet.network.card import open_weights
from jointnet.network.digest import is_keras
from jointnet.predict.engines import Engine, make_engine
from jointnet.predict.resample import resample_array
from jointnet.predict.settings import PredictionError, Settings, settings_of, shown_shape, with_temperature
from jointnet.predict.windows import WindowGrid, predict_windows, stride_of, with_flips

BEYOND = 1e-3  # an answer may lie so far outside 0 to 1, by rounding in half precision or 8 bits


def predict_array(model: Any, image: np.ndarray, overlap: float | None = None, size: int | None = None,
                  tta: bool = False, engine: str | None = None, gsd: float | None = None) -> np.ndarray:
    """Probability of every pixel: float32 (height, width, classes).

    Where the network was trained at another gsd, it is shown the image enlarged or shrunk, and the answer comes back
    on the image's own pixels.

    Args:
        model: a name or path as `open_weights` takes it, what that gives, a Keras model, or a function of a batch of
            windows.
        image: uint8 (height, width, bands), of any height and width.
        overlap: share of a window that it has in common with its neighbour; without it the card's.
        size: window in pixels, a multiple of 8; without it the patch size that the card states, or less for a small
            image where the normalisation allows it.
        tta: True averages over the eight turns and flips of each window, at eight times the cost.
        engine: "keras", "openvino" or "auto" for the one that is likely the fastest here; without it "keras" for a
            Keras model, which is there already, else "auto".
        gsd: metres per pixel of the image; without it, what the card takes for images that do not state theirs.

    Raises:
        ValueError: if the image is empty, has another dtype, or other bands than the network takes.
    """
    model = resolve(model)
    settings = settings_of(model)
    image = _as_bytes(np.asarray(image), settings)
    _check_image(image, settings)
    whole = image.shape[:2]
    overlap = settings.overlap if overlap is None else overlap
    shape = shown_shape(whole, None if gsd is None else (gsd, gsd), settings)
    shown = image if shape is None else np.rint(resample_array(image, shape)).astype(np.uint8)
    size = settings.window_for(shown.shape[:2]) if size is None else size
    grid = WindowGrid(shown.shape[0], shown.shape[1], size, stride_of(size, overlap))
    run, network = network_of(model, engine, size, tta)
    blocks = predict_windows(lambda r, c, h, w: shown[r : r + h, c : c + w], grid, run, network.batch)
    answer = np.concatenate([check_answer(rows, settings) for _, rows in blocks])
    return with_temperature(answer if shape is None else resample_array(answer, whole), settings.temperature)


def predict_mask(model: Any, image: np.ndarray, threshold: float | Mapping[str, float] | None = None,
                 overlap: float | None = None, size: int | None = None, tta: bool = False,
                 engine: str | None = None, gsd: float | None = None) -> np.ndarray:
    """uint8 {0, 1} at the card's threshold: (height, width), or (height, width, classes) of several classes.

    Args:
        model: as in `predict_array`.
        image: uint8 (height, width, bands), of any height and width.
        threshold: one for all classes, or class -> threshold; without it the card's.
        overlap: as in `predict_array`.
        size: as in `predict_array`.
        tta: as in `predict_array`.
        engine: as in `predict_array`.
        gsd: as in `predict_array`.
    """
    model = resolve(model)
    probability = predict_array(model, image, overlap, size, tta, engine, gsd)
    settings = settings_of(model, probability.shape[-1])
    mask = (probability >= settings.threshold_array(threshold)).astype(np.uint8)
    return mask[..., 0] if mask.shape[-1] == 1 else mask


def check_answer(rows: np.ndarray, settings: Settings) -> np.ndarray:
    """A network's answer (rows, width, classes) as it is.

    Raises:
        PredictionError: if it is no probability of each class of the card: no number, beyond 0 to 1, of other classes.
    """
    if settings.classes is not None and rows.shape[-1] != len(settings.classes):
        raise PredictionError(f"the network answers with {rows.shape[-1]} classes and its card names "
                              f"{len(settings.classes)} ({', '.join(settings.classes)}); mend the card")
    least, most = (rows.min(), rows.max()) if rows.size else (0.0, 1.0)
    if np.isnan(least):
        raise PredictionError("the network answers with no number (NaN): its training went astray, or its weights are "
                              "damaged; take weights of an earlier epoch, or train at a lower rate")
    if not (least >= -BEYOND and most <= 1 + BEYOND):
        raise PredictionError(f"the network answers with {least:g} to {most:g}, probabilities of 0 to 1 are needed: "
                              f"end it with a sigmoid, or divide by what stands for 1")
    return rows


def resolve(model: Any) -> Any:
    """The network behind a name or path; anything else as it is."""
    return open_weights(model) if isinstance(model, str | Path) else model


def network_of(model: Any, engine: str | None, size: int, tta: bool
               ) -> tuple[Callable[[np.ndarray], np.ndarray], Engine]:
    """(what is shown the windows, the engine behind it)."""
    run = make_engine(model, engine or ("keras" if is_keras(model) else "auto"), size)
    return (with_flips(run) if tta else run), run


def _as_bytes(image: np.ndarray, settings: Settings) -> np.ndarray:
    """An image of the type that the network was trained on as 0 to 255, by the card's limits; others as they are."""
    kept = settings.stretch
    if kept.get("dtype") != str(image.dtype) or image.shape[-1] != len(kept["low"]):
        return image
    from jointnet.data.stretch import Stretch  # opens images, which an array has no need of

    return Stretch(tuple(kept["low"]), tuple(kept["high"]))(image)


def _check_image(image: np.ndarray, settings: Settings) -> None:
    if image.ndim != 3 or not image.size:
        raise PredictionError(f"an image is (height, width, bands) with at least one pixel, not {image.shape}")
    if image.dtype != np.uint8:
        raise PredictionError(f"an image is uint8, 0 to 255, not {image.dtype}; scale it to 8 bits first")
    if settings.bands not in (None, image.shape[-1]) and image.shape[0] == settings.bands:
        raise PredictionError(f"the image is {image.shape}, its bands first; the network takes (height, width, "
                              f"{settings.bands}): give np.moveaxis(image, 0, -1)")
    if settings.bands is not None and image.shape[-1] != settings.bands:
        raise PredictionError(f"the image has {image.shape[-1]} bands and the network takes {settings.bands}; "
                              f"choose them, for example image[..., :{settings.bands}]")
