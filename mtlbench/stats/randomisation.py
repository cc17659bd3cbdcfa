"""Is one side slower than the other? An exact test on pairs of launches, and the interval that it gives.

Within a block it is chance which side a disturbance hits, so under the hypothesis that the sides differ by a given
factor, and by nothing else, exchanging them within any block changes nothing about what may be seen (Fisher's
randomisation test, here in blocks: Edgington and Onghena, Randomization Tests, chapter 5). The level holds for any
distribution of the noise, correlated from launch to launch or not; only the chance of finding a difference depends on
the statistic.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mtlbench.stats.quantiles import Interval

__all__ = ["Randomisation", "fewest_pairs", "location"]

QUARTILE = 0.25
_MOST_EXACT = 12
_DRAWS = 4095
_TIE = 1e-6
_SLACK = 1e-12
_STEPS = 12

Values = NDArray[np.float64]


class Randomisation:
    """The test of one set of pairs: made once, asked at several ratios.

    Args:
        base: [pairs, n], above zero: n times per launch (an input's floor each), or one.
        head: the same of the other side; row b ran beside row b of `base`.
        seed: of the assignments, where there are too many for all of them (more than 12 pairs): 4095 are drawn then.
        draws: how many instead.

    Attributes:
        value: how many times as much head takes as base: the ratio of the two sides' `location`.

    Raises:
        ValueError: the shapes differ, there is no pair, or a value is not above zero.
    """

    def __init__(self, base: Values, head: Values, *, seed: int = 0, draws: int = _DRAWS) -> None:
        if base.shape != head.shape or base.ndim != 2 or base.size == 0:
            raise ValueError(f"pairs need two equal shapes [pairs, n], got {base.shape} and {head.shape}")
        both = np.stack([base, head])
        if not (np.isfinite(both).all() and (both > 0).all()):
            raise ValueError("values must be finite and above zero")
        self._base, self._head = base, head
        self._swaps = _assignments(len(base), seed, draws)
        self.value = float(location(head) / location(base))

    @property
    def pairs(self) -> int:
        """How many."""
        return len(self._base)

    def p_slower(self, ratio: float) -> float:
        """The level at which it can be refused that head takes at most `ratio` times as much as base."""
        statistic = self._statistic(ratio)
        return float(np.mean(statistic >= statistic[0] - _SLACK))

    def p_faster(self, ratio: float) -> float:
        """The level at which it can be refused that head takes at least `ratio` times as much as base."""
        statistic = self._statistic(ratio)
        return float(np.mean(statistic <= statistic[0] + _SLACK))

    def interval(self, alpha: float) -> Interval | None:
        """The ratios that neither side refuses at `alpha`, its ends found to a thousandth of their distance from 1.

        None with fewer than `fewest_pairs(alpha)` pairs.
        """
        if self.pairs < fewest_pairs(alpha):
            return None
        logs = np.log(self._head.mean(axis=1) / self._base.mean(axis=1))
        reach = float(np.abs(np.log(self._head / self._base)).max() + np.ptp(logs)) + 1e-3
        centre = math.log(self.value)
        low = _edge(lambda log: self.p_slower(math.exp(log)) <= alpha, centre - 2 * reach, centre)
        high = _edge(lambda log: self.p_faster(math.exp(log)) <= alpha, centre + 2 * reach, centre)
        return Interval(math.exp(low), math.exp(high), 1 - 2 * alpha)

    def _statistic(self, ratio: float) -> Values:
        """Log ratio of locations under each assignment, with head brought down to `ratio`; row 0 is as it was.

        The mean log ratio, weighed a millionth, breaks ties of values that do not vary.
        """
        scaled = self._head / ratio
        swapped = self._swaps[:, :, None]
        first = np.where(swapped, scaled, self._base)
        second = np.where(swapped, self._base, scaled)
        mean = np.log(scaled / self._base).mean(axis=1)
        tie = np.where(self._swaps, -mean, mean).mean(axis=1)
        found: Values = np.log(location(second) / location(first)) + _TIE * tie
        return found


def location(launches: Values) -> Values:
    """What one side takes: of each input the lower quartile over launches, then the mean over inputs.

    Disturbances only ever add time, and hit some launches and some inputs of them, so a low quantile of each input
    moves less than a median, and far less than a mean (measured: `benchmarks/gate_rates.py`).

    Args:
        launches: [..., launches, n].

    Returns:
        [...].
    """
    ordered = np.sort(launches, axis=-2)
    place = QUARTILE * (launches.shape[-2] - 1)
    below = int(place)
    above = min(below + 1, launches.shape[-2] - 1)
    share = place - below
    quartile = (1 - share) * ordered[..., below, :] + share * ordered[..., above, :]
    mean: Values = quartile.mean(axis=-1)
    return mean


def fewest_pairs(alpha: float) -> int:
    """Fewest pairs with which the test can refuse anything at `alpha`: 7 at 1 %, 10 at 0.1 %."""
    return math.ceil(-math.log2(alpha))


def _assignments(pairs: int, seed: int, draws: int) -> NDArray[np.bool_]:
    """Which pairs are exchanged, [assignments, pairs]; the first is none."""
    if pairs <= _MOST_EXACT:
        every = np.arange(2**pairs)[:, None] >> np.arange(pairs)
        return (every & 1).astype(bool)
    drawn = np.random.default_rng((seed, pairs)).random((draws + 1, pairs)) < 0.5
    drawn[0] = False
    return drawn


def _edge(refused: Callable[[float], bool], outside: float, inside: float) -> float:
    """The point between a ratio that is refused and one that is not at which that turns, by halving."""
    for _ in range(_STEPS):
        middle = (outside + inside) / 2
        if refused(middle):
            outside = middle
        else:
            inside = middle
    return outside
