"""Histograms of probabilities in, how far they can be believed out; and the temperature that mends them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logit

from jointnet.errors import InputError
from jointnet.evaluate.thresholds import ProbabilityCounts
from jointnet.predict.rasters import LEVELS
from jointnet.predict.settings import with_temperature

BINS = 10
UNCERTAIN = (0.05, 0.95)  # empty land, where any network is sure and right, lies outside
TEMPERATURES = (0.05, 20.0)
LEAST = 0.25 / LEVELS  # smallest probability, a quarter of a stored level: 0 itself has no finite logit


def reliability(counts: ProbabilityCounts, bins: int = BINS) -> pd.DataFrame:
    """One row per bin of equal width: its limits, pixels, mean probability and share of foreground.

    Probabilities are to be believed where both agree. Empty bins have NaN in both.
    """
    edges = np.linspace(0, 1, bins + 1)
    which = np.searchsorted(edges[1:-1], counts.probabilities)  # a probability on an edge belongs below it
    pixels = counts.positives + counts.negatives
    total = np.bincount(which, pixels, bins)
    known = total > 0
    means, shares = np.full(bins, math.nan), np.full(bins, math.nan)
    means[known] = np.bincount(which, pixels * counts.probabilities, bins)[known] / total[known]
    shares[known] = np.bincount(which, counts.positives, bins)[known] / total[known]
    return pd.DataFrame({
        "low": edges[:-1], "high": edges[1:], "pixels": total.astype(np.int64),
        "mean_probability": means, "share": shares,
    })


def expected_calibration_error(
    counts: ProbabilityCounts, bins: int = BINS, between: tuple[float, float] | None = None
) -> float:
    """Mean gap between probability and share of foreground over bins, weighted by pixels; NaN without pixels.

    Naeini et al. (AAAI 2015), with the probability of the foreground.

    Args:
        counts: probabilities counted on validation scenes.
        bins: number of bins, all of the same width.
        between: only probabilities strictly within these limits, as `UNCERTAIN`; without it all, and then the empty
            land flatters the result.
    """
    if between is not None:
        inside = (counts.probabilities > between[0]) & (counts.probabilities < between[1])
        counts = replace(counts, positives=counts.positives * inside, negatives=counts.negatives * inside)
    if counts.total == 0:
        return math.nan
    table = reliability(counts, bins).dropna()
    gaps = (table["mean_probability"] - table["share"]).abs()
    return float((gaps * table["pixels"]).sum() / table["pixels"].sum())


def brier_score(counts: ProbabilityCounts) -> float:
    """Mean squared distance of the probabilities from the labels (Brier 1950); NaN without pixels."""
    if counts.total == 0:
        return math.nan
    p = counts.probabilities
    return float((counts.positives * (1 - p) ** 2 + counts.negatives * p**2).sum() / counts.total)


def fit_temperature(counts: ProbabilityCounts) -> float:
    """The temperature whose probabilities make the labels most likely (Guo et al., ICML 2017).

    Above 1 the network was too sure, below 1 too timid. The first and the last level of a stored raster
    stand for a quarter of a level inside, since they hold whatever was rounded to them.

    Args:
        counts: probabilities counted on validation scenes, at temperature 1.

    Raises:
        ValueError: if foreground or background is missing.
    """
    if not (counts.positives.any() and counts.negatives.any()):
        raise InputError("a temperature needs pixels of foreground and of background; add scenes that hold both")
    logits = logit(np.clip(counts.probabilities, LEAST, 1 - LEAST))

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = logits / math.exp(log_temperature)
        return float((counts.positives * np.logaddexp(0, -scaled) + counts.negatives * np.logaddexp(0, scaled)).sum())

    fit = minimize_scalar(negative_log_likelihood, bounds=tuple(map(math.log, TEMPERATURES)), method="bounded")
    return float(math.exp(fit.x))


def at_temperature(counts: ProbabilityCounts, temperature: float) -> ProbabilityCounts:
    """The same pixels with their probabilities at another temperature; see `jointnet.predict.rasters`."""
    return replace(counts, probabilities=with_temperature(counts.probabilities, temperature, LEAST))


def calibration_summary(counts: ProbabilityCounts) -> dict[str, float]:
    """Calibration error over all and over uncertain pixels, Brier score and average precision."""
    return {
        "calibration_error": expected_calibration_error(counts),
        "calibration_error_uncertain": expected_calibration_error(counts, between=UNCERTAIN),
        "brier": brier_score(counts),
        "average_precision": counts.average_precision,
    }
