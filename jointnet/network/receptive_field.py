"""Dilation rates in; how far a stack of convolutions sees, and which pixels it misses, out. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jointnet.errors import InputError


def receptive_field(dilation_rates: Sequence[int], kernel: int = 3) -> int:
    """Side in pixels of the square that one output pixel of stacked convolutions can see: 1 + (kernel - 1) * sum.

    Args:
        dilation_rates: one for each convolution, in order.
        kernel: side of the kernels, odd.

    Raises:
        ValueError: if a rate is less than 1, or the kernel is even.
    """
    if kernel % 2 == 0 or kernel < 1:
        raise InputError(f"a kernel of {kernel} px has no middle; use an odd side, such as 3")
    if any(rate < 1 for rate in dilation_rates):
        raise InputError(f"dilation rates {tuple(dilation_rates)} must all be 1 or more")
    return 1 + (kernel - 1) * sum(dilation_rates)


def count_paths(dilation_rates: Sequence[int], dense: bool = False, kernel: int = 3) -> np.ndarray:
    """From how many ways each input pixel reaches the output pixel in the middle: int64 (side, side).

    A pixel with 0 inside the field is never looked at: the gridding of equal rates (Wang et al. 2018, "Understanding
    Convolution for Semantic Segmentation", doi:10.1109/WACV.2018.00163, section 3.2).

    Args:
        dilation_rates: one for each convolution, in order.
        dense: count the ways around each convolution too, as in a block whose outputs are joined with their inputs.
        kernel: side of the kernels, odd.

    Raises:
        ValueError: as `receptive_field`.
    """
    side = receptive_field(dilation_rates, kernel)
    paths = np.zeros((side, side), np.int64)
    paths[side // 2, side // 2] = 1
    for rate in dilation_rates:
        reach = rate * (kernel // 2)
        steps = range(-reach, reach + 1, rate)
        moved = np.sum([np.roll(paths, (dy, dx), (0, 1)) for dy in steps for dx in steps], axis=0)
        paths = moved + paths if dense else moved
    return paths


def unseen_share(dilation_rates: Sequence[int], dense: bool = False, kernel: int = 3) -> float:
    """The share of the receptive field's pixels that no path reaches, in [0, 1)."""
    return float((count_paths(dilation_rates, dense, kernel) == 0).mean())
