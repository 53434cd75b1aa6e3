"""A network in; what its card says about predicting with it out, with defaults where there is no card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from jointnet.data.lengths import same_gsd
from jointnet.errors import InputError
from jointnet.network.card import DEFAULT_THRESHOLD, OVERLAP, class_names

PATCH_SIZE = 256
WINDOW_STEP = 64  # px; smaller windows are multiples of it, so that few sizes have to be made ready


class PredictionWarning(UserWarning):
    """Something about a scene that its prediction copes with, and that its user should know."""


class PredictionError(InputError):
    """A scene, a setting or a prediction that cannot be used; the message says what to do."""


class BusyError(PredictionError):
    """Another run is predicting the scene into the same folder."""


@dataclass(frozen=True)
class Settings:
    """How a network wants to be used.

    Attributes:
        bands: bands it takes, or None for any number.
        classes: their names, or None where only running the network tells how many there are.
        patch_size: window in pixels.
        overlap: share of a window that it has in common with its neighbour.
        gsd: metres per pixel that it was trained at, or None.
        image_gsd: metres per pixel taken for an image that does not state its own; without it, `gsd`.
        thresholds: class -> probability from which a pixel belongs to it.
        temperature: that its logits are divided by.
        stretch: what a card says of images of more than 8 bits; {} of a network for 8-bit images.
        any_window: whether a pixel's answer does not depend on the size of the window, as with batch normalisation.
    """

    bands: int | None = None
    classes: tuple[str, ...] | None = None
    patch_size: int = PATCH_SIZE
    overlap: float = OVERLAP
    gsd: float | None = None
    image_gsd: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    stretch: Mapping = field(default_factory=dict)
    any_window: bool = False

    def window_for(self, shape: tuple[int, int]) -> int:
        """Side of the windows for an image that is shown with this height and width, in pixels.

        It is the patch size; for a small image no more than that needs, where the network allows it.
        """
        needed = math.ceil(max(shape) / WINDOW_STEP) * WINDOW_STEP
        return min(self.patch_size, needed) if self.any_window else self.patch_size

    @property
    def assumed_gsd(self) -> float | None:
        """Metres per pixel of an image that does not say."""
        return self.image_gsd or self.gsd

    def threshold_array(self, threshold: float | Mapping[str, float] | None = None) -> np.ndarray:
        """One threshold per class, float32 (classes,): those given, else the card's, else 0.6.

        Raises:
            ValueError: if a class does not exist or a threshold is not between 0 and 1.
        """
        classes = self.classes or ()
        given = threshold if isinstance(threshold, Mapping) else {}
        unknown = sorted(set(given) - set(classes))
        if unknown:
            raise InputError(f"threshold names {', '.join(unknown)}; the network has {', '.join(classes)}")
        default = {name: self.thresholds.get(name, DEFAULT_THRESHOLD) for name in classes}
        if threshold is not None and not isinstance(threshold, Mapping):
            default = dict.fromkeys(classes, threshold)
        limits = np.array([{**default, **given}[name] for name in classes], np.float32)
        if not np.all((limits > 0) & (limits < 1)):
            raise InputError(f"thresholds {limits.tolist()} must lie between 0 and 1, for example {DEFAULT_THRESHOLD}")
        return limits


def settings_of(model: Any, classes: int | None = None) -> Settings:
    """The settings of a model's card; without one, bands and classes as the network has them and the defaults.

    Args:
        model: a Keras model or a function of a batch, with or without a `card`.
        classes: how many there are, where that is known.
    """
    card = getattr(model, "card", None)
    if card is not None:
        return Settings(card.bands, tuple(card.classes), card.patch_size, getattr(card, "overlap", OVERLAP), card.gsd,
                        card.image_gsd, dict(card.thresholds), card.temperature, dict(getattr(card, "stretch", {})),
                        getattr(card, "normalization", "group") != "group")
    bands = model.input_shape[-1] if hasattr(model, "input_shape") else None
    count = model.output_shape[-1] if hasattr(model, "output_shape") else classes
    return Settings(bands, None if count is None else class_names(count))


def shown_shape(shape: tuple[int, int], pixel: tuple[float, float] | None, settings: Settings
                ) -> tuple[int, int] | None:
    """(height, width) that brings an image to the network's gsd, or None where it may stay as it is.

    Args:
        shape: (height, width) of the image.
        pixel: (height, width) of one pixel in metres; None takes the card's `image_gsd`.
        settings: the network's.

    Raises:
        PredictionError: if a pixel has no size.
    """
    if pixel is not None and not all(isinstance(side, Real) and 0 < side < math.inf for side in pixel):
        raise PredictionError(f"gsd={pixel[0]!r} must be metres per pixel, above 0")
    wanted, assumed = settings.gsd, settings.assumed_gsd
    if wanted is None or assumed is None:
        return None
    down, across = pixel or (assumed, assumed)
    if all(same_gsd(side, wanted) for side in (down, across)):
        return None
    return max(1, round(shape[0] * down / wanted)), max(1, round(shape[1] * across / wanted))


def with_temperature(probability: np.ndarray | float, temperature: float, least: float = 1e-7) -> np.ndarray:
    """Probabilities whose logits are divided by `temperature` (Guo et al. 2017, arXiv:1706.04599), same shape and type.

    Args:
        probability: float, in [0, 1].
        temperature: a number above 0; 1 changes nothing, and a probability of 0.5 stays where it is at any temperature.
        least: probabilities nearer than this to 0 or 1 are taken for this, since their logits are infinite.

    Raises:
        PredictionError: if the temperature is not above 0.
    """
    if not temperature > 0:
        raise PredictionError(f"temperature {temperature} must be above 0; 1 changes nothing")
    if temperature == 1:
        return np.asarray(probability)
    p = np.clip(probability, least, 1 - least)
    return 1 / (1 + (1 / p - 1) ** (1 / temperature))
