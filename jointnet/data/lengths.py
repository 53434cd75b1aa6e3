"""Lengths as people write them in tables ("6 m", "6,5", "20 ft" in, metres out), and those of a pixel."""

from __future__ import annotations

import re

from jointnet.errors import InputError

GSD_TOLERANCE = 0.1  # share by which metres per pixel may differ and still be one scale, in training and prediction
_NUMBER = r"(\d+(?:[.,]\d+)?|[.,]\d+)"
_UNITS = {"": 1.0, "m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0, "cm": 0.01,
          "ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "'": 0.3048}


def parse_length(text: str) -> float:
    """Metres, from a number with or without a unit (m, cm, ft); a comma before the decimals is understood.

    Raises:
        ValueError: for anything else, and for "1,000", which is one to some and a thousand to others.
    """
    written = text.strip().lower()
    if feet := re.fullmatch(r"(\d+)\s*'\s*(\d+)\s*(?:\"|'')", written):
        return int(feet[1]) * 0.3048 + int(feet[2]) * 0.0254
    parts = re.fullmatch(rf"\+?{_NUMBER}\s*([a-z']*)\.?", written)
    if not parts or parts[2] not in _UNITS:
        raise InputError(f"{text!r} is no length; write a number of metres, as 6.5 or '6.5 m'")
    if re.fullmatch(r"[1-9]\d*,\d{3}", parts[1]):
        raise InputError(f"{text!r} may be {parts[1].replace(',', '.')} or {parts[1].replace(',', '')}; write the "
                         "decimals after a point")
    return float(parts[1].replace(",", ".")) * _UNITS[parts[2]]


def same_gsd(one: float, other: float) -> bool:
    """Whether two ground sample distances, metres per pixel, are one to a network: they differ by a tenth at most."""
    return abs(one / other - 1) <= GSD_TOLERANCE
