"""Label rasters in; 0, 1 and "not labelled" out: what a file's values mean and how it lies is decided once."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jointnet.data.mask_facts import (
    MANY,
    MaskError,
    MaskFacts,
    Value,
    as_values,
    finite_pixels,
    greys_as_numbers,
    labelled_pixels,
    look_at,
    value_of,
)
from jointnet.data.raster import RasterWarning, kept_raster

MOST = 0.6  # share of their pixels from which on masks are suspected to be inverted
UPPER_HALF = "label_values=range(128, 256) (--label-values 128-255)"


@dataclass(frozen=True)
class MaskValues:
    """What the values of masks mean.

    Attributes:
        shown: values, or colours, of what the mask shows.
        ignored: values of what nobody has labelled.
        background: values of all else; None where it is every other value.
        own_nodata: whether no-data, alpha and mask band of a file say "not labelled", too.
        expand: whether the numbers of a palette are read as colours.
    """

    shown: frozenset[Value]
    ignored: frozenset[Value] = frozenset()
    background: frozenset[Value] | None = None
    own_nodata: bool = True
    expand: bool = False


@dataclass(frozen=True)
class MaskGroup:
    """Masks that mean the same by the same value; what it is is found out when the first of them is read.

    Attributes:
        files: all of them.
        label_values, ignore_values: as in `values_of`.
    """

    files: tuple[Path, ...]
    label_values: tuple[Value, ...] | None = None
    ignore_values: tuple[Value, ...] | None = None

    @cached_property
    def values(self) -> MaskValues:
        """What their values mean. Errors as `values_of`."""
        return values_of(self.files, self.label_values, self.ignore_values)


def read_mask_window(
    path: Path, window: tuple[int, int, int, int], values: MaskValues, flips: tuple[bool, bool] = (False, False)
) -> tuple[np.ndarray, np.ndarray]:
    """A window of a mask: uint8 {0, 1} and where it is labelled, bool, both (height, width).

    Args:
        path: the mask file.
        window: (row, col, height, width) in pixels of its image.
        values: what its values mean.
        flips: whether the mask's rows, and columns, run against its image's, as `orientation` tells.

    Raises:
        MaskError: if it holds a value that means nothing.
    """
    raster = kept_raster(path, values.expand)
    row, col, height, width = window
    turned = (raster.info.height - row - height if flips[0] else row,
              raster.info.width - col - width if flips[1] else col, height, width)
    pixels = raster.read(turned)
    shown, ignored = _is_one_of(pixels, values.shown), _is_one_of(pixels, values.ignored)
    labelled = labelled_pixels(raster, pixels, turned) if values.own_nodata else finite_pixels(pixels)
    if values.background is not None:
        strange = labelled & ~(shown | ignored | _is_one_of(pixels, values.background))
        if strange.any():
            raise MaskError(f"{path} holds {_listed({value_of(pixels[strange][0])})}, which other parts of it, or "
                            f"other masks, do not; say what its values mean with label_values= and ignore_values=")
    labelled &= ~ignored
    turn = np.s_[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
    return (shown & labelled).astype(np.uint8)[turn], labelled[turn]


def values_of(
    files: Iterable[Path],
    label_values: Value | Sequence[Value] | None = None,
    ignore_values: Value | Sequence[Value] | None = None,
) -> MaskValues:
    """What the values of mask files of one kind mean: as the caller says, or as found in all of them together.

    0 and 1, 0 and 255, and one colour on black speak for themselves; so does 255 beside 0 and 1: not labelled.

    Args:
        files: masks that mean the same by the same value.
        label_values: values, or colours, of what the masks show; everything else is background.
        ignore_values: values of what nobody has labelled; given, the files' own no-data, alpha and mask bands
            are passed over: `()` says that every pixel is labelled.

    Raises:
        MaskError: if they cannot be understood; the message says what was found and what to do.
    """
    own = ignore_values is None
    ignored = as_values(ignore_values, "ignore_values")
    facts = {path: look_at(path) for path in files}
    if label_values is not None:
        return _given(label_values, ignored, own, facts)
    values = _together(f.values if own else f.values | f.hidden for f in facts.values()) - ignored
    colours = _together(_colours(f, own) for f in facts.values()) - ignored
    some = next(iter(facts), Path("the mask"))
    if {1, 255} <= values and not any({1, 255} <= f.values for f in facts.values()):
        ones, others = (next(p for p, f in facts.items() if v in f.values) for v in (1, 255))
        raise MaskError(f"{ones} holds 1 and {others} holds 255, and no mask both: is 255 the class or not labelled? "
                        f"Say label_values=[1, 255], or label_values=1, ignore_values=255")
    decided = _decide(values, ignored, own)
    if decided is not None:
        if _contradicted(decided, facts.values()):
            raise MaskError(f"{some} numbers its pixels {_listed(values)}, and its palette paints 0 light and the "
                            f"others black: say which show the class, for example label_values=0 or label_values=1")
        _check_sides(facts, decided)
        _tell_doubts(facts, decided)
        return decided
    paletted = any(f.palette for f in facts.values())
    decided = _decide(colours, ignored, own, expand=True) if paletted else None
    if decided is None:
        raise MaskError(_puzzled(next((p for p, f in facts.items() if not f.values <= {0, 1, 255}), some), values))
    return decided


def _given(label_values: Any, ignored: frozenset[Value], own: bool, facts: Mapping[Path, MaskFacts]) -> MaskValues:
    """The meaning that a caller names, held against what the masks hold.

    Raises:
        MaskError: if it cannot be meant so: colours of masks without any, a colour written as three values, a value
            that shows the class and is not labelled at once.

    Warns:
        RasterWarning: if no mask holds any of the values.
    """
    shown = as_values(label_values, "label_values")
    if not shown:
        raise MaskError("label_values is empty: name the values that show the class, as label_values=1")
    found = _together(f.values | f.hidden for f in facts.values())
    painted = [f for f in facts.values() if f.palette or any(isinstance(v, tuple) for v in f.values)]
    if isinstance(label_values, tuple) and len(label_values) in (3, 4) and painted:
        raise MaskError(f"label_values={label_values} may be one colour or {len(label_values)} values; write the "
                        f"colour as label_values=[{label_values}], the values as label_values={list(label_values)}")
    colours = {v for v in shown | ignored if isinstance(v, tuple)}
    if colours and not painted and facts:
        raise MaskError(f"label_values names the colour {sorted(colours)[0]}, and {next(iter(facts))} is not in "
                        f"colour: it holds {_listed(found)}")
    if shown & ignored:
        raise MaskError(f"{_listed(shown & ignored)} stands in label_values and in ignore_values: it shows the class, "
                        "or nobody has labelled it")
    expand = bool(colours) and any(f.palette for f in facts.values())
    if expand:
        if any(not isinstance(v, tuple) for v in shown | ignored):
            raise MaskError("label_values and ignore_values name colours and numbers of a palette together; name one "
                            "or the other")
        found = _together(_colours(f, own=False) for f in facts.values())
    if facts and not shown & _with_greys(found):
        warnings.warn(f"no mask holds label_values={_listed(shown)}, so none shows the class: {next(iter(facts))} and "
                      f"those beside it hold {_listed(found) or 'nothing'}", RasterWarning, stacklevel=2)
    return MaskValues(shown, ignored, None, own, expand)


def _with_greys(values: frozenset[Value]) -> frozenset[Value]:
    """The values, and greys both as one number and as a colour, since either may be named."""
    greys = {v[0] for v in values if isinstance(v, tuple) and len(set(v)) == 1}
    return values | greys | {(v,) * 3 for v in values if not isinstance(v, tuple)}


def _decide(values: frozenset[Value], ignored: frozenset[Value], own: bool, expand: bool = False) -> MaskValues | None:
    """The meaning of values that speak for themselves, else None."""
    black = frozenset(v for v in values if v == 0 or (isinstance(v, tuple) and not any(v)))
    rest = values - black
    background = black | {0}
    if rest <= {1} or rest <= {255}:
        return MaskValues(rest or frozenset({1, 255}), ignored, background, own, expand)
    if rest == {1, 255} and black:
        return MaskValues(frozenset({1}), ignored | {255}, background, own, expand)
    if len(rest) == 1 and black and isinstance(next(iter(rest)), tuple):
        return MaskValues(rest, ignored, background, own, expand)
    return None


def _contradicted(decided: MaskValues, facts: Iterable[MaskFacts]) -> bool:
    """Whether a palette paints what would be background white, and what would be shown black."""
    for found in facts:
        light = sum(found.palette.get(0, (0,))[:3])
        dark = [sum(found.palette[v][:3]) for v in decided.shown & found.values if v in found.palette]
        if dark and min(dark) == 0 and light > 0:
            return True
    return False


def _check_sides(facts: Mapping[Path, MaskFacts], decided: MaskValues) -> None:
    """Refuses masks of which one hides all of one side by its own no-data, alpha or mask band.

    Raises:
        MaskError: says how to take it.
    """
    if not decided.own_nodata:
        return
    shown, background = decided.shown, decided.background or frozenset()
    bare = not any(f.values & shown for f in facts.values())
    for path, found in facts.items():
        hides_background = found.hidden & background and found.values & shown and not found.values & background
        hides_shown = found.hidden & shown and not found.values & shown
        hides_all = bare and found.alpha and found.hidden and not hides_shown
        if hides_background or hides_shown or hides_all or (found.hidden and not found.values):
            way_out = (f"ignore_values=() takes every pixel for labelled, ignore_values={_first(found.hidden)} leaves "
                       "those out")
            raise MaskError(
                f"{path} holds nothing but {_listed(found.values) or 'no-data'} beside what its own no-data, alpha or "
                f"mask band leaves out ({_listed(found.hidden)}): is that background, the class, or not labelled? "
                + ("Write a mask of 0 and 1 without it" if hides_all else way_out))


def _tell_doubts(facts: Mapping[Path, MaskFacts], decided: MaskValues) -> None:
    """Warns of masks that speak for themselves, but perhaps not as they were meant."""
    lit, counted = (sum(getattr(f, what) for f in facts.values()) for what in ("lit", "counted"))
    if decided.shown == {1} and 255 in decided.ignored:
        unsure = [p for p, f in facts.items() if 255 in f.values and 1 not in f.values]
        if unsure:
            warnings.warn(f"{unsure[0]} holds 255 and no 1, other masks 0, 1 and 255: 255 is taken for not labelled "
                          f"there, too", RasterWarning, stacklevel=3)
    elif MOST * counted < lit < counted:
        warnings.warn(f"{next(iter(facts))} and the masks beside it show the class on {lit / counted:.0%} of their "
                      f"pixels: if it is 0 that shows it, say label_values=0", RasterWarning, stacklevel=3)


def _puzzled(path: Path, values: frozenset[Value]) -> str:
    """What to do about values that do not speak for themselves."""
    if len(values) > MANY:
        return (f"{path} holds more than {MANY} values, so it is no mask of 0 and 1, or 0 and 255; make one of it, or "
                f"say which values show the class, for example {UPPER_HALF}")
    if any(isinstance(v, tuple) for v in values):
        return (f"{path} holds several colours; make one mask of 0 and 255 for each class, or say which one shows the "
                f"class, for example label_values=[(255, 0, 0)] (--label-values #ff0000): {_listed(values)}")
    said = f"{path} holds values other than 0 and 1, or 0 and 255: {_listed(values)}; say which show the class"
    blurred = all(not isinstance(v, tuple) and min(abs(v), abs(255 - v)) < 55 for v in values) and len(values) > 3
    if blurred or path.suffix.lower() in (".jpg", ".jpeg"):
        return f"{said}, for example {UPPER_HALF} where they are 0 and 255 blurred, as in JPEG"
    example = _first({v for v in values if v != 0} - {255} or values)
    return (f"{said}, for example label_values={example} (--label-values {example}), and with ignore_values= which "
            f"nobody has labelled, if any")


def _first(values: Iterable[Value]) -> str:
    """The last of some values that a message shows."""
    return str(sorted(values, key=lambda v: v if isinstance(v, tuple) else (v,))[-1])


def _colours(facts: MaskFacts, own: bool) -> frozenset[Value]:
    """The colours that a paletted file's numbers stand for; the values of any other file."""
    values = facts.values if own else facts.values | facts.hidden
    return greys_as_numbers({facts.palette[v][:3] for v in values}) if facts.palette else values


def _together(parts: Iterable[frozenset[Value]]) -> frozenset[Value]:
    """The values of several files; where one is in colour, the greys of the others are colours, too."""
    values = frozenset().union(*parts)
    lengths = {len(v) for v in values if isinstance(v, tuple)}
    if len(lengths) != 1:
        return values
    return frozenset(v if isinstance(v, tuple) else (v,) * next(iter(lengths)) for v in values)


def _is_one_of(pixels: np.ndarray, values: frozenset[Value]) -> np.ndarray:
    """Where pixels (height, width, bands) are one of some values: bool (height, width)."""
    found = np.zeros(pixels.shape[:2], bool)
    numbers = [v for v in values if not isinstance(v, tuple)]
    if pixels.shape[-1] == 1 and len(numbers) > 2:
        return np.isin(pixels[..., 0], numbers)
    for value in values:
        if not isinstance(value, tuple) or len(value) == pixels.shape[-1]:
            same = pixels == np.array(value) if isinstance(value, tuple) else pixels == value
            found |= same[..., 0] if pixels.shape[-1] == 1 else same.all(axis=-1)
    return found


def _listed(values: Iterable[Value]) -> str:
    """Values in order, a few of many."""
    ordered = sorted(values, key=lambda v: v if isinstance(v, tuple) else (v,))
    return ", ".join(map(str, ordered[:8])) + (", ..." if len(ordered) > 8 else "")
