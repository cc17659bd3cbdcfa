"""Bootstrap over images: with sufficient statistics, all resamples are one matrix product.

Percentile intervals (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mtlbench.stats.quantiles import Interval

__all__ = [
    "MetricsFn",
    "bootstrap_metrics",
    "expanded",
    "image_weights",
    "percentile_interval",
    "resample_counts",
    "with_plain",
]

MetricsFn = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]
"""From pooled statistics [..., S] to metrics [...], as `Task.metrics` does."""


def image_weights(n_images: int, n_resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each image is in each resample: counts [n_resamples, n_images], each row summing to n_images.

    Equal arguments give equal weights, so that whatever was measured on the same images is resampled in step.
    """
    return resample_counts(n_images, n_resamples, np.random.default_rng(seed))


def resample_counts(n: int, n_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draws of n from n with replacement, as counts [n_resamples, n]."""
    if n == 0:
        return np.zeros((n_resamples, 0))
    drawn = rng.integers(n, size=(n_resamples, n)) + n * np.arange(n_resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=n_resamples * n).reshape(n_resamples, n).astype(np.float64)


def with_plain(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts [1 + n_resamples, n]; row 0 is the sample itself, so that the estimate takes the same path."""
    return np.vstack([np.ones((1, counts.shape[1])), counts])


def expanded(counts: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Counts of seeds, with their deviation from 1 widened to what so few of them warrant.

    By sqrt(n / (n - 1)) and the ratio of the t to the normal quantile (Hesterberg, The American Statistician 2015,
    expanded percentile interval).
    """
    seeds = counts.shape[1]
    if seeds == 1:
        return counts
    from scipy.stats import norm, t

    tail = (1 + level) / 2
    factor = float(np.sqrt(seeds / (seeds - 1)) * t.ppf(tail, seeds - 1) / norm.ppf(tail))
    return 1 + factor * (counts - 1)


def bootstrap_metrics(
    stats: NDArray[np.float64],
    metrics_fn: MetricsFn,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval | None]:
    """Confidence intervals of metrics over images.

    Args:
        stats: sufficient statistics [N, S], one row per image.
        metrics_fn: from pooled statistics to metrics.
        n_resamples: number of resamples.
        seed: of the resampling; the result is a function of the arguments.
        level: confidence, between 0 and 1.

    Returns:
        For each metric its interval; None with fewer than two images, or where `percentile_interval` has
        none.
    """
    pooled = image_weights(len(stats), n_resamples, seed) @ stats
    resampled = metrics_fn(pooled)
    few = len(stats) < 2
    return {name: None if few else percentile_interval(values, level) for name, values in resampled.items()}


def percentile_interval(resampled: NDArray[np.float64], level: float) -> Interval | None:
    """The middle `level` of resampled values [n_resamples].

    Resamples in which the value is undefined (NaN) are left out. None where they are more than 1 - level of
    all: then so few images carry the value that its spread is unknown.
    """
    defined = resampled[~np.isnan(resampled)]
    if defined.size == 0 or defined.size < level * resampled.size:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)
