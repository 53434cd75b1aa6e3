"""Weights and their cards: saved together, loaded by name or path, never unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import keras

from jointnet.network.model import DILATION_RATES, build_jointnet
from jointnet.network.unet import build_unet

PUBLISHED = Path(__file__).resolve().parents[2] / "data" / "weights"
SUFFIX = ".weights.h5"
DEFAULT_THRESHOLD = 0.6
ARCHITECTURES = ("jointnet", "unet")


class WeightsError(ValueError):
    """Weights or a card that cannot be used; the message says what to do."""


@dataclass
class Card:
    """What weights are, how they came about and how good they are.

    Attributes:
        architecture: "jointnet", or "unet" for the baseline of the same size.
        preset, bands, reduction_from, normalization, dilation_rates, growth_rates: arguments of `build_jointnet`; a
            U-Net takes `growth_rates` as its widths, and has no reductions and dilations.
        classes: name of each output, in order.
        patch_size: side of the patches seen in training, in pixels; prediction uses windows of this size.
        gsd: metres per pixel of what the network sees, in training and in prediction; None where unknown.
        image_gsd: metres per pixel taken for an image that does not state its own; without it, `gsd`.
        thresholds: class -> probability above which a pixel is foreground.
        temperature: divides the logits before anything else is done with the probability.
        data, terms: what it was trained on, and the terms of that.
        drawn: True where the training scenes were drawn by a program.
        scores: measured results, as {"validation": {"austin": {"iou": ...}, ...}}.
        limits: known failures.
        sha256: of the weights file.
    """

    name: str = "untitled"
    architecture: str = "jointnet"
    preset: str = "base"
    bands: int = 3
    classes: tuple[str, ...] = ("buildings",)
    reduction_from: str = "block"
    normalization: str = "group"
    dilation_rates: tuple[int, ...] = DILATION_RATES
    growth_rates: tuple[int, ...] | None = None
    patch_size: int = 256
    gsd: float | None = None
    image_gsd: float | None = None
    scaling: str = "pixel values 0 to 255, divided by 255 inside the network"
    thresholds: dict[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    loss: str = ""
    data: str = ""
    terms: str = ""
    drawn: bool = False
    date: str = ""
    seed: int | None = None
    steps: int = 0
    batch_size: int | None = None
    recipe: str = ""
    scores: dict = field(default_factory=dict)
    limits: str = ""
    sha256: str = ""

    def __post_init__(self):
        for name in ("classes", "dilation_rates", "growth_rates"):
            value = getattr(self, name)
            setattr(self, name, tuple(value) if value is not None else None)
        for name in self.classes:
            self.thresholds.setdefault(name, DEFAULT_THRESHOLD)

    @property
    def threshold(self) -> float:
        """Of the first class."""
        return self.thresholds[self.classes[0]]

    def build(self) -> keras.Model:
        """The network that the card describes, with random weights.

        Raises:
            ValueError: if there is no such network.
        """
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture {self.architecture!r} is unknown; choose from {', '.join(ARCHITECTURES)}")
        if self.architecture == "unet":
            if (self.reduction_from, self.dilation_rates) != ("block", DILATION_RATES):
                raise ValueError("a U-Net has no reduction_from and no dilation_rates; leave them as they are")
            return build_unet(self.preset, self.bands, len(self.classes), self.normalization, self.growth_rates)
        return build_jointnet(
            self.preset, self.bands, len(self.classes), self.reduction_from,
            self.dilation_rates, self.normalization, self.growth_rates,
        )

    def to_json(self) -> str:
        """The card as text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Card:
        """A card from text. Raises WeightsError if it is not one."""
        try:
            values = json.loads(text)
            known = {f.name for f in fields(cls)}
            return cls(**{k: v for k, v in values.items() if k in known})
        except (TypeError, AttributeError, json.JSONDecodeError) as error:
            raise WeightsError(f"the card is not a JSON object of a card's fields ({error})") from error


def card_of(model: keras.Model) -> Card:
    """The model's card, or one of defaults for a model without it (threshold 0.6, windows of 256 px).

    What `build_jointnet` or `build_unet` was told stands on it in either case.
    """
    card = getattr(model, "card", None)
    if card is not None:
        return card
    classes = model.output_shape[-1]
    names = ("buildings", "roads")[:classes] if classes <= 2 else tuple(f"class{k}" for k in range(1, classes + 1))
    built_with = dict(getattr(model, "built_with", {}))
    return Card(bands=model.input_shape[-1], classes=names, **built_with)


def published_weights() -> list[str]:
    """Names that `load_model` knows, sorted."""
    return sorted(p.name.removesuffix(SUFFIX) for p in PUBLISHED.glob(f"*{SUFFIX}"))


def save_model(model: keras.Model, path: str | Path, card: Card | None = None) -> Path:
    """Writes the weights, and the card beside them as `.json`; both appear complete or not at all.

    Args:
        model: of which the card's `build` makes an equal.
        path: ends in `.weights.h5`.
        card: in place of the model's own.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIX):
        raise WeightsError(f"{path.name} must end in {SUFFIX}")
    card = card or card_of(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".draft-{path.name}")
    try:
        _without_optimizer(model, card).save_weights(draft)
        card.sha256 = _sha256(draft)
        card_draft = card_path(draft)
        card_draft.write_text(card.to_json(), encoding="utf-8")
        os.replace(draft, path)
        os.replace(card_draft, card_path(path))
    finally:
        draft.unlink(missing_ok=True)
        card_path(draft).unlink(missing_ok=True)
    return path


def load_model(name_or_path: str | Path) -> keras.Model:
    """A network with its weights, and its card as `.card`.

    Args:
        name_or_path: one of `published_weights()`, or a `.weights.h5` file with its card beside it.

    Raises:
        WeightsError: if there is no such name or file, no card, or the weights do not fit it or are damaged.
    """
    path = _find(name_or_path)
    if not card_path(path).exists():
        raise WeightsError(f"{path.name} has no card; put {card_path(path).name} beside it")
    card = Card.from_json(card_path(path).read_text(encoding="utf-8"))
    if card.sha256 and card.sha256 != _sha256(path):
        raise WeightsError(f"{path} is damaged: its SHA-256 is not its card's; fetch it again or save the model anew")
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


def card_path(path: Path) -> Path:
    """Where the card of a weights file lies."""
    return path.with_name(path.name.removesuffix(SUFFIX) + ".json")


def _find(name_or_path: str | Path) -> Path:
    """The weights file of a name or path."""
    path = Path(name_or_path)
    if path.name.endswith(SUFFIX):
        if not path.is_file():
            raise WeightsError(f"{path} does not exist; check the path")
        return path
    published = PUBLISHED / f"{name_or_path}{SUFFIX}"
    if published.is_file():
        return published
    known = ", ".join(published_weights()) or "none"
    raise WeightsError(f"no weights called {str(name_or_path)!r}; choose from {known}, or give a file *{SUFFIX}")


def _without_optimizer(model: keras.Model, card: Card) -> keras.Model:
    """An equal model that was never compiled, so that the file holds weights alone."""
    if getattr(model, "optimizer", None) is None:
        return model
    plain = card.build()
    plain.set_weights(model.get_weights())
    return plain


def _sha256(path: Path) -> str:
    """Checksum of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
