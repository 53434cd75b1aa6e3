"""Cards: what weights are, how they came about and how good they are. Read and checked without Keras."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jointnet.errors import InputError
from jointnet.files import check_file_name, settle

if TYPE_CHECKING:
    import keras

_INSIDE = Path(__file__).resolve().parents[1] / "weights"  # where a wheel keeps them
PUBLISHED = _INSIDE if _INSIDE.is_dir() else _INSIDE.parents[1] / "data" / "weights"  # or those of the clone that runs
SUFFIX = ".weights.h5"
DEFAULT_THRESHOLD = 0.6
OVERLAP = 0.25  # share of a window; where nobody has measured what a network can do with
ARCHITECTURES = ("jointnet", "unet")
DILATION_RATES = (1, 2, 5, 1, 2, 5)


class WeightsError(InputError):
    """Weights or a card that cannot be used; the message says what to do."""


@dataclass
class Card:
    """What weights are, how they came about and how good they are.

    Attributes:
        architecture: "jointnet", or "unet" for the baseline of the same size.
        preset, bands, reduction_from, normalization, dilation_rates, growth_rates: arguments of `build_jointnet`; a
            U-Net takes `growth_rates` as its widths, and has no reductions and dilations.
        classes: name of each output, in order.
        patch_size: side of the windows that prediction uses, in pixels: that of the patches seen in training, or with
            batch normalisation a larger one, as measured.
        overlap: share of a window that it has in common with its neighbour, as measured; a quarter, where nobody has.
        gsd: metres per pixel of what the network sees, in training and in prediction; None where unknown.
        image_gsd: metres per pixel taken for an image that does not state its own; without it, `gsd`.
        stretch: what makes 0 to 255 of images of more bits before the network, see `data.stretch`; {} of 8-bit images.
        thresholds: class -> probability from which on a pixel is foreground.
        temperature: divides the logits before anything else is done with the probability.
        data, terms: what it was trained on, and the terms on which those data may be used.
        drawn: True where the training scenes were drawn by a program.
        scores: measured results, as {"validation": {"austin": {"iou": ...}, ...}}.
        limits: known failures.
        purpose: why the weights are published, where that is not to map anything, as "lesson 06".
        sha256: checksum of the weights file.
        digest: checksum of the network's form and weights, as `network_digest` gives it for the model in memory.
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
    overlap: float = OVERLAP
    gsd: float | None = None
    image_gsd: float | None = None
    stretch: dict = field(default_factory=dict)
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
    purpose: str = ""
    sha256: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        for name in ("classes", "dilation_rates", "growth_rates"):
            value = getattr(self, name)
            if isinstance(value, str | dict):
                raise WeightsError(f"the card's {name} are {value!r}; a list is expected")
            setattr(self, name, tuple(value) if value is not None else None)
        for name in self.classes:
            self.thresholds.setdefault(name, DEFAULT_THRESHOLD)

    @property
    def threshold(self) -> float:
        """The threshold of the first class."""
        return self.thresholds[self.classes[0]]

    def build(self) -> keras.Model:
        """The network that the card describes, with random weights.

        Raises:
            ValueError: if there is no such network.
        """
        from jointnet.network.model import build_jointnet
        from jointnet.network.unet import build_unet

        if self.architecture not in ARCHITECTURES:
            raise InputError(f"architecture {self.architecture!r} is unknown; choose from {', '.join(ARCHITECTURES)}")
        if self.architecture == "unet":
            if (self.reduction_from, self.dilation_rates) != ("block", DILATION_RATES):
                raise InputError("a U-Net has no reduction_from and no dilation_rates; leave them as they are")
            return build_unet(self.preset, self.bands, len(self.classes), self.normalization, self.growth_rates)
        return build_jointnet(
            self.preset, self.bands, len(self.classes), self.reduction_from,
            self.dilation_rates, self.normalization, self.growth_rates,
        )

    def check(self) -> None:
        """Raises WeightsError, with what is expected, for the first field that cannot be right."""
        for name, (is_right, expected) in EXPECTED.items():
            value = getattr(self, name)
            if not is_right(value):
                raise WeightsError(f"the card's {name} is {_shortly(value)}; {expected} is expected")
        limits = self.stretch.get("low")
        if limits is not None and len(limits) != self.bands:
            raise WeightsError(f"the card's stretch has limits of {len(limits)} bands; {self.bands} are expected")
        for name in self.classes:
            try:
                check_file_name(name, "a class of the card")
            except InputError as error:
                raise WeightsError(str(error)) from error
        if len({name.casefold() for name in self.classes}) != len(self.classes):
            raise WeightsError(f"the card's classes {', '.join(self.classes)} hold a name twice")

    def to_json(self) -> str:
        """The card as text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Card:
        """A card from text. Raises WeightsError if it is not one."""
        try:
            values = json.loads(text)
            known = {f.name for f in fields(cls)}
            card = cls(**{k: v for k, v in values.items() if k in known})
        except (TypeError, AttributeError, RecursionError, ValueError) as error:
            raise WeightsError(f"the card is not a JSON object of a card's fields ({error})") from error
        card.check()
        return card


def _shortly(value: object) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_number(value: object, low: float, high: float) -> bool:
    """Whether it is a number, finite and between two others; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and _is_number(value, low, high)


def _is_stretch(value: object) -> bool:
    """Whether it is what `data.stretch.Stretch.on_card` writes, or an empty object."""
    if not isinstance(value, dict) or not value:
        return value == {}
    if value.get("per") != "dataset":
        return value.get("per") == "scene"
    low, high = value.get("low"), value.get("high")
    if not (isinstance(low, list) and isinstance(high, list) and 0 < len(low) == len(high)):
        return False
    if not all(_is_number(v, -1e30, 1e30) for v in [*low, *high]) or not isinstance(value.get("dtype"), str):
        return False
    return all(first <= last for first, last in zip(low, high, strict=True))


def _are_whole(values: object, high: int) -> bool:
    """Whether it is a tuple of one to twenty whole numbers from 1 on."""
    return isinstance(values, tuple) and 0 < len(values) <= 20 and all(_is_whole(v, 1, high) for v in values)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_name(value: object) -> bool:
    """Whether it is one line, which leads to no other folder where somebody names a file after it."""
    return isinstance(value, str) and len(value) <= LONGEST_NAME and value == name_of(value)


def name_of(text: str) -> str:
    """A name that a card may have, from that of a folder, say: what it may not hold becomes "_"."""
    name = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in text)[:LONGEST_NAME]
    return "_" if name in (".", "..") else name


def _is_metres(value: object) -> bool:
    return value is None or _is_number(value, 1e-3, 1e3)


LONGEST_NAME = 200  # characters
TINY = 1e-6  # how near thresholds may be to 0 and 1
METRES = (_is_metres, "null, or metres per pixel from 0.001 to 1000,")
TEXT = (_is_text, "text")
COUNT = (lambda v: v is None or _is_whole(v, 0, 2**63), "null, or a whole number from 0 on,")
# Field -> whether a value is right, and what is expected of it.
EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_name, "one printable line of at most 200 characters without / and \\"),
    "bands": (lambda v: _is_whole(v, 1, 1000), "a whole number from 1 to 1000"),
    "classes": (lambda v: isinstance(v, tuple) and 0 < len(v) <= 100 and all(map(_is_text, v)), "a list of names"),
    "dilation_rates": (lambda v: _are_whole(v, 1000), "a list of whole numbers from 1 to 1000"),
    "growth_rates": (lambda v: v is None or _are_whole(v, 4096), "null, or a list of whole numbers from 1 to 4096,"),
    "patch_size": (lambda v: _is_whole(v, 8, 4096) and v % 8 == 0, "a multiple of 8 pixels from 8 to 4096"),
    "overlap": (lambda v: _is_number(v, 0, 0.9), "a share of the window from 0 to 0.9"),
    "gsd": METRES, "image_gsd": METRES,
    "thresholds": (lambda v: isinstance(v, dict) and all(_is_number(t, TINY, 1 - TINY) for t in v.values()),
                   "an object of class -> number between 0 and 1"),
    "temperature": (lambda v: _is_number(v, 1e-3, 1e3), "a number from 0.001 to 1000"),
    "drawn": (lambda v: isinstance(v, bool), "true or false"),
    "scores": (lambda v: isinstance(v, dict) and all(isinstance(part, dict) for part in v.values()),
               "an object of split -> object"),
    "stretch": (lambda v: _is_stretch(v), '{}, {"per": "scene"} or the limits "low" and "high" of each band,'),
    "seed": COUNT, "steps": COUNT, "batch_size": COUNT,
    **dict.fromkeys(("architecture", "preset", "reduction_from", "normalization", "scaling", "loss", "data",
                     "terms", "date", "recipe", "limits", "purpose", "sha256", "digest"), TEXT),
}


@dataclass(frozen=True)
class WeightsFile:
    """Weights on disk that are whole, with their card: enough to predict with, as long as nobody needs Keras.

    Attributes:
        path: the `.weights.h5` file.
        sha256: checksum of the file's bytes.
        card: the card beside the file.
    """

    path: Path
    sha256: str
    card: Card = field(compare=False)


def open_weights(name_or_path: str | Path) -> WeightsFile:
    """The weights of a name or path, found and checked against their card; the network itself is not built.

    Args:
        name_or_path: one of `published_weights()`, or a `.weights.h5` file with its card beside it.

    Raises:
        WeightsError: if there is no such name or file, no card, or the file is not the one that its card is of.
    """
    path = find_weights(name_or_path)
    if not card_path(path).exists():
        raise WeightsError(f"{path.name} has no card; put {card_path(path).name} beside it")
    card = Card.from_json(card_path(path).read_bytes())
    if path.stat().st_size < _least_bytes(card):
        raise WeightsError(f"{path.name} is {path.stat().st_size:,} bytes, too few for a network of the growth rates "
                           f"and dilation rates that {card_path(path).name} states; put its own card beside it")
    found = file_digest(path)
    if card.sha256 and card.sha256 != found:
        raise WeightsError(f"{path} is damaged: its SHA-256 is not its card's; fetch it again or save the model anew")
    return WeightsFile(path.resolve(), found, card)


def _least_bytes(card: Card) -> int:
    """What the 3x3 convolutions within the blocks of a network take at least, in half precision.

    A card may state a network that no memory holds; only one that comes with as many weights is built.
    """
    layers = len(card.dilation_rates) if card.architecture == "jointnet" else 1
    return sum(2 * 9 * rate * rate * layers * (layers - 1) // 2 for rate in card.growth_rates or ())


def card_of(model: keras.Model) -> Card:
    """The model's card, or one of defaults for a model without it (threshold 0.6, windows of 256 px).

    What `build_jointnet` or `build_unet` was told stands on it in either case.
    """
    card = getattr(model, "card", None)
    if card is not None:
        return card
    built_with = dict(getattr(model, "built_with", {}))
    return Card(bands=model.input_shape[-1], classes=class_names(model.output_shape[-1]), **built_with)


def class_names(count: int) -> tuple[str, ...]:
    """Names for the classes of a network that has none."""
    return ("buildings", "roads")[:count] if count <= 2 else tuple(f"class{k}" for k in range(1, count + 1))


def published_weights() -> list[str]:
    """Names that `load_model` knows, sorted."""
    return sorted(p.name.removesuffix(SUFFIX) for p in PUBLISHED.glob(f"*{SUFFIX}"))


def published_cards() -> list[Card]:
    """The cards of `published_weights`: those of real imagery first, those that only a lesson needs last."""
    files = [card_path(PUBLISHED / f"{name}{SUFFIX}") for name in published_weights()]
    cards = [Card.from_json(file.read_text(encoding="utf-8")) for file in files]
    return sorted(cards, key=lambda card: (bool(card.purpose), card.drawn))


def describe(card: Card) -> str:
    """One line on weights: name, what they are good for, classes, size, metres per pixel, IoU."""
    origin = f"for {card.purpose}" if card.purpose else "drawn scenes" if card.drawn else "real imagery"
    gsd = f"{card.gsd:g} m a pixel" if card.gsd else "any pixel size"
    scores = [f"{iou} on {split}" for split, values in card.scores.items() if (iou := _iou(values))]
    score = f"IoU {', '.join(scores)}" if scores else "not scored"
    return f"{card.name:25} {origin:13} {'+'.join(card.classes):16} {card.preset:6} {gsd:14} {score}"


def _iou(scores: dict) -> str:
    """The IoU among a split's scores, of each class where there are several; empty where there is none."""
    whole = scores.get("pooled", scores)
    if "iou" in whole:
        return f"{whole['iou']:.3f}"
    each = {name: part["iou"] for name, part in scores.items() if isinstance(part, dict) and "iou" in part}
    return " and ".join(f"{iou:.3f} ({name})" if len(each) > 1 else f"{iou:.3f}" for name, iou in each.items())


def check_same(weights: WeightsFile) -> None:
    """Raises WeightsError if a file holds other weights than when it was opened, as while a training goes on."""
    if not weights.path.is_file() or file_digest(weights.path) != weights.sha256:
        raise WeightsError(f"{weights.path.name} was removed or written anew since it was opened; open it again, or "
                           f"work with a copy of it and its card while a training writes there")


def card_path(path: Path) -> Path:
    """Where the card of a weights file lies."""
    return path.with_name(path.name.removesuffix(SUFFIX) + ".json")


def find_weights(name_or_path: str | Path) -> Path:
    """The weights file of a name or path."""
    path = Path(name_or_path)
    if path.name.endswith(SUFFIX):
        settle(path)  # a process that was killed may have put its card or it in place alone
        if not path.is_file():
            raise WeightsError(f"{path} does not exist; check the path")
        return path
    published = PUBLISHED / f"{name_or_path}{SUFFIX}"
    if published.is_file():
        return published
    known = ", ".join(published_weights()) or "none"
    raise WeightsError(f"no weights called {str(name_or_path)!r}; choose from {known}, or give a file *{SUFFIX}")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
