"""Validation probabilities in, the threshold and temperature that a card should hold out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jointnet.errors import InputError
from jointnet.evaluate.calibration import LEAST, at_temperature, fit_temperature
from jointnet.evaluate.thresholds import ProbabilityCounts
from jointnet.files import written_whole
from jointnet.predict.settings import with_temperature

if TYPE_CHECKING:  # the card's module loads Keras
    from jointnet.network.card import Card


def tuned_card(
    card: Card, counts: ProbabilityCounts, class_name: str = "buildings", score: str = "iou", temperature: bool = False
) -> Card:
    """A copy of a card with the best threshold for one class, and on request a fitted temperature.

    A temperature changes every class's probabilities: the other classes' thresholds are moved along, so that their
    masks stay as they are. It multiplies the card's own, at which the probabilities were predicted.

    Args:
        card: card of the weights that predicted the counted probabilities.
        counts: probabilities counted on validation scenes, `evaluate(...).probabilities`.
        class_name: class that was counted.
        score: that the threshold is to make highest.
        temperature: fit one too; the threshold is chosen after it, as prediction applies them.

    Raises:
        ValueError: if the card has no such class, or the counts hold no foreground.
    """
    if class_name not in card.classes:
        raise InputError(f"the card of {card.name} has no class {class_name!r}; it has {', '.join(card.classes)}")
    factor = fit_temperature(counts) if temperature else 1.0
    thresholds = dict(card.thresholds)
    if factor != 1.0:
        counts = at_temperature(counts, factor)
        thresholds = {name: float(with_temperature(t, factor, LEAST)) for name, t in thresholds.items()}
    thresholds[class_name] = counts.best_threshold(score)
    return replace(card, thresholds=thresholds, temperature=card.temperature * factor)


def tune_weights(
    path: str | Path, counts: ProbabilityCounts, class_name: str = "buildings", score: str = "iou",
    temperature: bool = False,
) -> Card:
    """`tuned_card`, written over the card beside the weights at `path`; prediction uses it from then on.

    Arguments and errors as `tuned_card`; the weights stay as they are.
    """
    from jointnet.network.card import Card, card_path

    place = card_path(Path(path))
    card = tuned_card(Card.from_json(place.read_text(encoding="utf-8")), counts, class_name, score, temperature)
    with written_whole(place) as draft:
        draft.write_text(card.to_json(), encoding="utf-8")
    return card
