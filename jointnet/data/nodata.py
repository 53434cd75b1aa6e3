"""Which pixels of an image show ground, by the rule of its dataset. NumPy alone, for machines that open no imagery."""

from __future__ import annotations

from functools import reduce

import numpy as np

from jointnet.errors import InputError

NODATA_RULES = (None, "black", "white")


def valid_pixels(image: np.ndarray, rule: str | None) -> np.ndarray:
    """Where an image shows ground: bool (height, width).

    Args:
        image: uint8 (height, width, bands).
        rule: "black" - pixels whose bands are all 0 are no-data; "white" - all 254 or more; None - all are valid.
    """
    if rule == "white" and image.dtype != np.uint8:
        raise InputError(f"the no-data rule 'white' is for 8-bit images, not for {image.dtype} values; declare "
                         f"no-data in the files in its place")
    bands = np.moveaxis(image, -1, 0)  # one band after the other is many times faster than `any` over three values
    if rule == "black":
        return reduce(np.logical_or, (band != 0 for band in bands))
    if rule == "white":
        return reduce(np.logical_or, (band < 254 for band in bands))
    if rule is None:
        return np.ones(image.shape[:2], bool)
    raise InputError(f"no-data rule {rule!r} is unknown; choose one of {NODATA_RULES}")
