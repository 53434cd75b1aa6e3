"""A network that knows other towns, and a few hundred labels of this one: what going on with it needs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from jointnet.network.card import Card
from jointnet.options import TrainOptions

if TYPE_CHECKING:
    from jointnet.data.scene import Scene

NEW: dict[str, Any] = {"learning_rate": 1e-3, "epochs": 20, "frozen_statistics": False}
# At a new network's rate, the places that it knew are forgotten in a hundred steps: recipes/town.py, docs/results.md.
GOING_ON: dict[str, Any] = {"learning_rate": 3e-4, "epochs": 8, "frozen_statistics": True}
GSD_TOLERANCE = 0.1  # share by which metres per pixel may differ without being another scale, as in prediction
STEPS = 15  # an epoch of a network that goes on, where the labels fill fewer


class FineTuningWarning(UserWarning):
    """Something that a network will have to learn anew, though it need not."""


def settled(wanted: TrainOptions, goes_on: bool) -> TrainOptions:
    """The options with those that were not given set to what suits a new network, or one that goes on."""
    defaults = GOING_ON if goes_on else NEW
    return replace(wanted, **{name: value for name, value in defaults.items() if getattr(wanted, name) is None})


def freeze_statistics(network: keras.Model) -> None:
    """Keeps batch normalisation as it is, means, variances and scales: few patches would give poor ones."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def at_own_scale(card: Card, scenes: Sequence[Scene], folder: Path) -> list[Scene]:
    """The scenes at the metres per pixel that a network knows, as prediction shows them to it.

    Args:
        card: of the network.
        scenes: to train and to validate on.
        folder: where images of another scale are written anew.

    Warns:
        FineTuningWarning: if labels are masks, which stay at their own scale: the network has to learn it.
    """
    from jointnet.data.resampled import can_be_resampled, resample_scenes

    if card.gsd is None or all(_is_near(scene.gsd, card.gsd) for scene in scenes):
        return list(scenes)
    if all(can_be_resampled(scene, card.classes) for scene in scenes):
        return resample_scenes(scenes, card.gsd, folder)
    other = next(scene for scene in scenes if not _is_near(scene.gsd, card.gsd))
    at = "pixels of unknown size" if other.gsd is None else f"{other.gsd:.3g} m"
    warnings.warn(f"the network was trained at {card.gsd:.3g} m per pixel and goes on at {at}, which it has to learn: "
                  f"resample images and masks, or give georeferenced images with labels as vector files, which are "
                  f"drawn at its own scale", FineTuningWarning, stacklevel=3)
    return list(scenes)


def fitting_patch(card: Card, scenes: Sequence[Scene]) -> int:
    """The side of patches: the card's, or as much of it as the largest scene holds; blank ground beyond is in vain."""
    largest = max(min(scene.info.shape) for scene in scenes)
    return min(card.patch_size, max(64, largest // 8 * 8))


def assumed_gsd(card: Card, gsd: float | None) -> float | None:
    """What a network takes for an image that does not state its metres per pixel: what it took, at the same scale."""
    return card.image_gsd if _is_near(gsd, card.gsd) else None


def _is_near(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one / other - 1) <= GSD_TOLERANCE
