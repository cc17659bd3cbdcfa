"""Which points nothing beats in cost and gain, and whether that holds wherever in their intervals they lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlbench.stats.pareto import pareto_front

__all__ = ["on_front", "settled"]

Triples = NDArray[np.float64]


def on_front(cost: Triples, gain: Triples) -> NDArray[np.bool_]:
    """Which points nothing beats by their values; unknown points never are.

    Args:
        cost: value, low and high, [n, 3]; less is better.
        gain: the same; more is better.
    """
    return pareto_front(cost[:, 0], gain[:, 0])


def settled(cost: Triples, gain: Triples, on: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which points stay where they are, on the front or off it, wherever in their intervals all values lie.

    On it stays what no rival can beat: each is surely dearer or surely worse. Off it stays what some rival
    surely beats; only rivals that no other surely beats need be asked, which keeps this fast. What has no interval
    may be anything, so it settles nothing.

    Args:
        cost: value, low and high, [n, 3]; NaN limits where there is no interval.
        gain: the same.
        on: from `on_front`, [n].
    """
    (cheap, dear), (worst, best) = _unbounded(cost), _unbounded(gain)
    sure = np.zeros(len(on), dtype=bool)
    for index in np.flatnonzero(on):
        beaten = (dear[index] < cheap) | (best < worst[index])
        beaten[index] = True
        sure[index] = beaten.all()
    for rival in np.flatnonzero(pareto_front(dear, worst)):
        surely = (dear[rival] <= cheap) & (best <= worst[rival])
        strictly = (dear[rival] < cheap) | (best < worst[rival])
        sure |= ~on & surely & strictly
    return sure


def _unbounded(values: Triples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lows and highs; infinitely far away where there is no interval."""
    return np.nan_to_num(values[:, 1], nan=-np.inf), np.nan_to_num(values[:, 2], nan=np.inf)
