"""Distribution-free quantiles: what a sample says about a quantile, and when it says nothing yet.

scipy is imported where it is called: `scipy.stats` takes a second, and every launch imports this module.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "Interval",
    "median_and_p95",
    "median_interval",
    "min_samples",
    "quantile_interval",
    "reportable_from",
]

MEDIAN_LEVEL = 1 - 2 / 2**6

_FEWEST_FOR_P95 = 20


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval, in the unit of what it is about.

    Args:
        low: lower end.
        high: upper end.
        level: confidence, between 0 and 1.
    """

    low: float
    high: float
    level: float


def median_and_p95(values: ArrayLike) -> tuple[float, float | None]:
    """The middle of all inputs that there are, and the least of their values that at most one in twenty exceeds.

    Args:
        values: [n] of a fixed set of inputs, any unit.

    Returns:
        The median, and the 95th percentile; None for the latter under 20 inputs, where it would be the largest.
    """
    inputs = np.asarray(values, dtype=np.float64)
    tail = float(np.quantile(inputs, 0.95, method="inverted_cdf")) if inputs.size >= _FEWEST_FOR_P95 else None
    return float(np.median(inputs)), tail


def median_interval(samples: ArrayLike, level: float = MEDIAN_LEVEL) -> Interval | None:
    """Confidence interval of the median by order statistics; None with too few samples (under 6).

    The level is at least 95 %: what the range of six launches gives, 1 - 2 / 2**6 = 96.9 %, asked of more launches too.
    A level of exactly 95 % would drop to that as launches are added, and leave nothing for what they have in common.
    """
    return quantile_interval(samples, 0.5, level)


def quantile_interval(samples: ArrayLike, q: float, level: float = 0.95) -> Interval | None:
    """Confidence interval of the `q` quantile of the distribution that independent `samples` come from.

    Its ends are order statistics whose ranks follow from the binomial distribution alone (David and Nagaraja,
    Order Statistics, section 7.1), so nothing is assumed about the shape, and coverage is at least `level`.
    Each tail may miss with (1 - level) / 2; where the sample is too short for that on one side, its end is
    used there and the other side gets what is left.

    Args:
        samples: [n], any unit, infinite values allowed.
        q: between 0 and 1, exclusive.
        level: between 0 and 1, exclusive.

    Returns:
        The interval, or None with fewer than `min_samples(q, level)` samples.

    Raises:
        ValueError: a sample is NaN, or `q` or `level` is out of range.
    """
    ordered = np.sort(np.asarray(samples, dtype=np.float64).ravel())
    if np.isnan(ordered).any():
        raise ValueError("samples hold NaN")
    if ordered.size < min_samples(q, level):
        return None
    low, high = _ranks(ordered.size, q, level)
    return Interval(float(ordered[low - 1]), float(ordered[high - 1]), level)


def min_samples(q: float, level: float = 0.95) -> int:
    """Fewest samples whose range covers the `q` quantile with confidence `level`.

    At 95 %: 6 for the median, 29 for p90, 59 for p95, 299 for p99.

    Raises:
        ValueError: `q` or `level` is not strictly between 0 and 1.
    """
    _check_fraction(q=q, level=level)
    return _smallest(lambda n: 1 - q**n - (1 - q) ** n >= level)


def reportable_from(q: float, over: int = 1, confidence: float = 0.99) -> int:
    """Number of samples from which the `q` quantile of latency is reported.

    The early-stopping rule of MLPerf Inference (loadgen, `early_stopping.cc`): the fewest samples with which
    at most `over` slower ones would, with `confidence`, rule out that the quantile is exceeded more often
    than 1 - q. 64 for p90, 130 for p95, 662 for p99, 6636 for p99.9.

    Raises:
        ValueError: `q` or `confidence` is not strictly between 0 and 1, or `over` is negative.
    """
    _check_fraction(q=q, confidence=confidence)
    if over < 0:
        raise ValueError(f"over must not be negative, got {over}")
    from scipy.special import betainc

    # The binomial distribution function of `over` among n with probability 1 - q.
    return _smallest(lambda n: n > over and bool(betainc(n - over, over + 1, q) <= 1 - confidence))


def _ranks(n: int, q: float, level: float) -> tuple[int, int]:
    """Ranks (from 1) of the two order statistics; n is at least `min_samples(q, level)`."""
    from scipy.stats import binom

    below = binom(n, q)  # how many of n samples lie below the quantile
    miss = 1 - level
    low = int(below.ppf(miss / 2))
    high = int(below.ppf(1 - miss / 2)) + 1
    if high > n:
        low = int(below.ppf(miss - below.sf(n - 1)))
    elif low < 1:
        high = int(below.ppf(1 - (miss - below.cdf(0)))) + 1
    return max(low, 1), min(high, n)


def _smallest(enough: Callable[[int], bool]) -> int:
    """Smallest n >= 1 for which `enough`, true from some n on, holds."""
    return 1 + bisect_left(range(1, 2**40), True, key=enough)


def _check_fraction(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie strictly between 0 and 1, got {value}")
