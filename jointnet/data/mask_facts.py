"""What lies in a mask file: the values of its pixels, what they hide, and how many there are, looked up once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from jointnet.data.raster import RasterError, RasterReader, kept_raster
from jointnet.files import cache_folder, written_whole

STRIP = 4_000_000  # pixels looked at at a time
MANY = 64  # no mask has more different values than this
WORTH_KEEPING = 2_000_000  # pixels; what was found in a mask of at least as many is kept on disk

Value = float | tuple[float, ...]  # of one band, or a colour


class MaskError(RasterError):
    """A mask whose values or place do not say what they mean; the message says what to do."""


@dataclass(frozen=True)
class MaskFacts:
    """What was found in a mask file.

    Attributes:
        values: numbers or colours of the pixels that no-data, alpha or mask band do not hide; `MANY` + 1 at most.
        hidden: values of the pixels that they hide.
        palette: number -> colour, of a paletted file.
        alpha: whether it has an alpha band.
        lit: pixels that are not hidden and not 0.
        counted: pixels that are not hidden.
    """

    values: frozenset[Value]
    hidden: frozenset[Value]
    palette: Mapping[Any, tuple[float, ...]]
    alpha: bool = False
    lit: int = 0
    counted: int = 0


def look_at(path: Path) -> MaskFacts:
    """What is in a mask file, looked up once: of a large one, in the cache on disk."""
    return _look_at(path, _state(path))


@lru_cache(maxsize=100_000)
def _look_at(path: Path, state: tuple) -> MaskFacts:
    raster = kept_raster(path)
    keep = raster.info.height * raster.info.width >= WORTH_KEEPING
    fingerprint = hashlib.sha256(repr(state).encode()).hexdigest()[:32]
    kept = cache_folder() / "mask_values" / f"{fingerprint}.json"
    if keep:
        try:
            return _from_json(kept.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there, or damaged: looked at anew
    facts = _facts(raster)
    if keep:
        try:
            with written_whole(kept) as draft:
                draft.write_text(_to_json(facts), encoding="utf-8")
        except OSError:
            pass  # a place that cannot be written to only costs the next look
    return facts


def _facts(raster: RasterReader) -> MaskFacts:
    """The values of a whole raster, strip by strip."""
    height, width = raster.info.shape
    rows = max(1, STRIP // width)
    values: set[Value] = set()
    hidden: set[Value] = set()
    lit = counted = 0
    for top in range(0, height, rows):
        window = (top, 0, min(rows, height - top), width)
        pixels = raster.read(window)
        known = labelled_pixels(raster, pixels, window)
        whole = known.all()
        lit, counted = lit + int((pixels.any(axis=-1) & known).sum()), counted + int(known.sum())
        if len(values) <= MANY:
            values |= _distinct(pixels.reshape(-1, pixels.shape[-1]) if whole else pixels[known])
        if len(hidden) <= MANY and not whole:
            hidden |= _distinct(pixels[~known])
    alpha = raster.info.alpha is not None
    return MaskFacts(greys_as_numbers(values), greys_as_numbers(hidden), raster.palette, alpha, lit, counted)


def _distinct(pixels: np.ndarray) -> set[Value]:
    """The values among pixels (n, bands), `MANY` + 1 of them at most; NaN is none."""
    if pixels.shape[-1] == 1 and pixels.dtype == np.uint8:
        found = np.flatnonzero(np.bincount(pixels[:, 0], minlength=256))[:, None]
    elif pixels.dtype == np.uint8 and pixels.shape[-1] <= 4:
        packed = np.zeros(len(pixels), np.uint32)
        for band in range(pixels.shape[-1]):
            packed = packed << 8 | pixels[:, band]
        packed = np.unique(packed)[: MANY + 1]
        found = np.stack([packed >> 8 * b & 255 for b in reversed(range(pixels.shape[-1]))], axis=-1)
    else:
        found = np.unique(pixels[np.isfinite(pixels).all(axis=-1)], axis=0)
    return set(map(value_of, found[: MANY + 1]))


def value_of(pixel: np.ndarray) -> Value:
    """One pixel: a number, or a colour."""
    numbers = tuple(int(v) if float(v).is_integer() else float(v) for v in pixel)
    return numbers[0] if len(numbers) == 1 else numbers


def greys_as_numbers(values: set[Value]) -> frozenset[Value]:
    """Colours that are all grey as one number each."""
    greys = [v[0] for v in values if isinstance(v, tuple) and len(set(v)) == 1]
    return frozenset(greys if len(greys) == len(values) else values)


def as_values(given: Any, what: str = "") -> frozenset[Value]:
    """One value or several, numbers or colours, as a set.

    Raises:
        MaskError: if something else is among them.
    """
    if given is None:
        return frozenset()
    each = [given] if isinstance(given, str | bytes) or not isinstance(given, Iterable) else list(given)
    values: list[Any] = [tuple(v) if isinstance(v, list | tuple | np.ndarray) else v for v in each]
    for value in values:
        parts = value if isinstance(value, tuple) else (value,)
        if not parts or not all(isinstance(part, int | float | np.number) for part in parts):
            raise MaskError(f"{what}={given!r} should be numbers, as 1 or [1, 2], or colours, as [(255, 0, 0)]")
    return frozenset(values)


def labelled_pixels(raster: RasterReader, pixels: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    """Where a file itself says that it is labelled."""
    return raster.read_valid(window) & finite_pixels(pixels)


def finite_pixels(pixels: np.ndarray) -> np.ndarray:
    """Where pixels (height, width, bands) hold numbers in every band: bool (height, width)."""
    return np.isfinite(pixels).all(axis=-1) if pixels.dtype.kind == "f" else np.ones(pixels.shape[:2], bool)


def _state(path: Path) -> tuple:
    """What changes when a mask, or what lies beside it to say more, is written anew."""
    beside = (path, Path(f"{path}.msk"), Path(f"{path}.aux.xml"))
    return (str(path.resolve()), *((p.stat().st_size, p.stat().st_mtime_ns) if p.exists() else None for p in beside))


def _to_json(facts: MaskFacts) -> str:
    return json.dumps({"values": sorted(facts.values, key=str), "hidden": sorted(facts.hidden, key=str),
                       "palette": list(facts.palette.items()), "alpha": facts.alpha, "lit": facts.lit,
                       "counted": facts.counted})


def _from_json(text: str) -> MaskFacts:
    found = json.loads(text)
    values, hidden = (as_values(found[name]) for name in ("values", "hidden"))
    palette = {number: tuple(colour) for number, colour in found["palette"]}
    return MaskFacts(values, hidden, palette, found["alpha"], found["lit"], found["counted"])
