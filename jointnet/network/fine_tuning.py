"""A network that knows other towns, and a few hundred labels of this one: what going on with it needs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from jointnet.data.lengths import same_gsd
from jointnet.errors import InputError
from jointnet.network.card import Card, card_of
from jointnet.options import TrainOptions

if TYPE_CHECKING:
    from jointnet.data.scene import Scene

NEW: dict[str, Any] = {"learning_rate": 1e-3, "epochs": 20, "frozen_statistics": False}
# At a new network's rate, the places that it knew are forgotten in a hundred steps: recipes/town.py, docs/results.md.
GOING_ON: dict[str, Any] = {"learning_rate": 3e-4, "epochs": 8, "frozen_statistics": True}
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


def mixed(before: keras.Model, after: keras.Model, share: float = 0.5) -> keras.Model:
    """A network halfway between one and what became of it in training: it gains less, and forgets far less.

    Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903. Only for networks of which one
    was trained on from the other; others have their features in other places.

    Args:
        before: the network that training began with.
        after: the same network, trained on; its card is kept.
        share: of `after` in each weight, 0 to 1.

    Returns:
        a new network, with a card without scores, as nobody has measured it.

    Raises:
        InputError: if the two have not the same form or classes, or the share is not between 0 and 1.
    """
    if not (isinstance(share, Real) and 0 <= share <= 1):
        raise InputError(f"share={share!r}; give the part of the new weights, from 0 to 1")
    for network in (before, after):
        if not isinstance(network, keras.Model):
            raise InputError(f"a {type(network).__name__} cannot be mixed; give Keras networks, as load_model(...) or "
                             f"train(...).model")
    known = [card_of(network).classes for network in (before, after)]
    if known[0] != known[1]:
        raise InputError(f"one network knows {', '.join(known[0])}, the other {', '.join(known[1])}; mix one with what "
                         f"training made of it")
    pairs = list(zip(before.get_weights(), after.get_weights(), strict=False))
    if len(before.weights) != len(after.weights) or any(b.shape != a.shape for b, a in pairs):
        raise InputError("the two networks have not the same form; mix one with what training made of it")
    card = replace(card_of(after), scores={}, sha256="", digest="")
    network = card.build()
    network.set_weights([(1 - share) * b + share * a for b, a in pairs])
    network.card = card
    return network


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
    return one is not None and other is not None and same_gsd(one, other)
