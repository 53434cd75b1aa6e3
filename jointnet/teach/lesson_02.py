"""Checks of lesson 02: rates without blind spots, and parameters by hand."""

from __future__ import annotations

from collections.abc import Sequence

from jointnet.network.receptive_field import receptive_field, unseen_share
from jointnet.teach.checks import exercise, known_answer

HIGHEST = 5  # of the rates to choose from


@exercise("02.1", f"three dilation rates from 1 to {HIGHEST}, as (1, 2, 5)")
def widest_rates(answer: Sequence[int], given: None) -> str | None:
    """Looks for blind spots, then for the width."""
    return _judged(answer, dense=False, width=known_answer("02.1"))


@exercise("02.2", f"three dilation rates from 1 to {HIGHEST}, as (1, 2, 5)")
def widest_dense_rates(answer: Sequence[int], given: None) -> str | None:
    """The same, where the shortcuts of the dense block count as ways."""
    return _judged(answer, dense=True, width=known_answer("02.2"))


def _judged(rates: Sequence[int], dense: bool, width: int) -> str | None:
    rates = tuple(rates)
    if len(rates) != 3 or not all(rate in range(1, HIGHEST + 1) for rate in rates):
        return f"{rates} are not three whole numbers from 1 to {HIGHEST}"
    unseen = unseen_share(rates, dense=dense)
    if unseen:
        return f"these rates leave {unseen:.0%} of their field unseen"
    return None if receptive_field(rates) == width else "no blind spot, but there is a wider field without one"


@exercise("02.3", "a whole number of parameters")
def block_parameters(answer: int, given: None) -> str | None:
    """Says on which side of the right number an answer lies, and what is often left out."""
    expected = known_answer("02.3")
    if answer == expected:
        return None
    if answer < expected:
        return "too few. Convolutions have biases, normalised channels a scale and a shift, the block two 1 x 1 ends"
    return "too many. Convolution k reads the image's bands and the k outputs before it, and gives g channels"
