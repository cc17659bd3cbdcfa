"""Pareto fronts of cost (less is better) against quality (more is better)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["hypervolume_2d", "pareto_front"]


def pareto_front(cost: ArrayLike, quality: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other point beats.

    A point is beaten by one that costs no more and is no worse, and is strictly better in one of the two;
    equal points do not beat each other. A point with a NaN is never on the front and beats nothing.

    Args:
        cost: [n].
        quality: [n].

    Returns:
        Mask [n].
    """
    costs, qualities = _columns(cost, quality)
    front = ~np.isnan(costs) & ~np.isnan(qualities)
    c, q = costs[front], qualities[front]
    # the best quality for this money is its own, and the lowest price for this quality too
    front[front] = (_best_within(c, q) == q) & (-_best_within(-q, -c) == c)
    return front


def hypervolume_2d(cost: ArrayLike, quality: ArrayLike, ref_cost: float, ref_quality: float) -> float:
    """Area between front and reference point, in cost times quality (Zitzler and Thiele, IEEE TEC 1999).

    Args:
        cost: [n].
        quality: [n].
        ref_cost: the cost above which a point counts for nothing.
        ref_quality: the quality below which a point counts for nothing.
    """
    costs, qualities = _columns(cost, quality)
    counted = pareto_front(costs, qualities) & (costs < ref_cost) & (qualities > ref_quality)
    order = np.argsort(costs[counted])
    c, q = costs[counted][order], qualities[counted][order]
    widths = np.diff(c, append=ref_cost)
    return float(widths @ (q - ref_quality))


def _best_within(limit: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each point the largest `value` among points whose `limit` is at most its own."""
    order = np.argsort(limit)
    best = np.maximum.accumulate(value[order])
    return best[np.searchsorted(limit[order], limit, side="right") - 1]


def _columns(cost: ArrayLike, quality: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    costs, qualities = np.asarray(cost, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    if costs.ndim != 1 or costs.shape != qualities.shape:
        raise ValueError(
            f"cost and quality must be equally long, got shapes {costs.shape} and {qualities.shape}"
        )
    return costs, qualities
