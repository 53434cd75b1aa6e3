"""Weights with their cards: saved together, loaded by name or path, never unpickled."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from jointnet.files import written_whole
from jointnet.network.card import (
    PUBLISHED,
    SUFFIX,
    Card,
    WeightsError,
    card_of,
    card_path,
    file_digest,
    open_weights,
)
from jointnet.network.digest import network_digest

__all__ = ["PUBLISHED", "load_model", "save_model"]  # the folder of the published ones, beside what handles them


def save_model(model: keras.Model, path: str | Path, card: Card | None = None, half: bool = False) -> Path:
    """Writes the weights, and the card beside them as `.json`; both appear complete or not at all.

    Args:
        model: a network as the card describes it: `card.build()` makes one with the same layers.
        path: ends in `.weights.h5`.
        card: the card to write in place of the model's own.
        half: stores float16, half the size; `load_model` gives float32 again, with three digits of each weight.

    Raises:
        WeightsError: if the path ends otherwise, the card cannot be right, or a weight is too large for float16.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIX):
        raise WeightsError(f"{path.name} must end in {SUFFIX}")
    card = card or card_of(model)
    card.check()
    with written_whole(path, card_path(path)) as draft:
        plain = _in_half_precision(model, card) if half else _without_optimizer(model, card)
        plain.save_weights(draft)
        card.sha256, card.digest = file_digest(draft), network_digest(plain)
        card_path(draft).write_text(card.to_json(), encoding="utf-8")
    return path


def load_model(name_or_path: str | Path) -> keras.Model:
    """A network with its weights, and its card as `.card`.

    Args:
        name_or_path: one of `published_weights()`, or a `.weights.h5` file with its card beside it.

    Raises:
        WeightsError: if there is no such name or file, no card, or the weights do not fit it or are damaged.
    """
    weights = open_weights(name_or_path)
    path, card = weights.path, weights.card
    try:
        model = card.build()
    except ValueError as error:
        raise WeightsError(f"{card_path(path).name} describes no network that can be built: {error}") from error
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} cannot be loaded into the network its card describes ({error})") from error
    model.card = card
    return model


def _without_optimizer(model: keras.Model, card: Card) -> keras.Model:
    """A copy of the model that was never compiled, so that the file holds weights alone."""
    if getattr(model, "optimizer", None) is None:
        return model
    plain = card.build()
    plain.set_weights(model.get_weights())
    return plain


def _in_half_precision(model: keras.Model, card: Card) -> keras.Model:
    """A copy of the model whose variables are float16."""
    weights = [np.asarray(w) for w in model.get_weights()]
    largest = max(np.abs(w).max() for w in weights)
    if not largest <= np.finfo(np.float16).max:
        raise WeightsError(f"a weight of {largest:.4g} is beyond float16's range of 65504; save with half=False")
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float16")
    try:
        halved = card.build()
    finally:
        keras.config.set_dtype_policy(policy)
    halved.set_weights([w.astype(np.float16) for w in weights])
    return halved
