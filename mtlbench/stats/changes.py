"""What changed in quality between two versions of the same networks: paired over images and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlbench.stats.bootstrap import (
    MetricsFn,
    expanded,
    image_weights,
    percentile_interval,
    resample_counts,
    with_plain,
)
from mtlbench.stats.delta_m import TaskScore, gain
from mtlbench.stats.quantiles import Interval

__all__ = ["Drawn", "PairedDraws"]

Statistics = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A quantity of the sample itself and of its resamples.

    Attributes:
        values: [1 + n_resamples]; the first is the sample's.
        level: of the interval.
    """

    values: NDArray[np.float64]
    level: float

    @property
    def value(self) -> float | None:
        """The sample's own; None where it is undefined."""
        return None if np.isnan(self.values[0]) else float(self.values[0])

    @property
    def interval(self) -> Interval | None:
        """The middle `level` of the resamples; None where the value or too many of them are undefined."""
        return None if self.value is None else percentile_interval(self.values[1:], self.level)

    def p_worse(self, allowed: float) -> float:
        """The level at which "worse by at most `allowed`" can be refused, of a gain.

        A resample without a value tells of no loss.
        """
        return float(1 + np.count_nonzero(~(self.values[1:] < -allowed))) / len(self.values)


class PairedDraws:
    """One draw of images and seeds that everything compared shares, so that only what differs is left.

    Args:
        n_images: images that both versions predicted.
        n_seeds: seeds that both versions were trained with.
        level: of intervals, between 0 and 1.
        seeds_vary: whether seeds are drawn too: not where both versions have the same weights, whose difference has
            nothing to do with training. One seed is never drawn, so its interval is over images alone.
        n_resamples: number of resamples.
        seed: of the drawing.
    """

    def __init__(
        self,
        n_images: int,
        n_seeds: int,
        *,
        level: float,
        seeds_vary: bool,
        n_resamples: int = 4000,
        seed: int = 0,
    ) -> None:
        self.level = level
        self._weights = with_plain(image_weights(n_images, n_resamples, seed))
        shares = np.ones((n_resamples, n_seeds))
        if seeds_vary:
            rng = np.random.default_rng((seed, 1))  # independent of the draw of images
            shares = expanded(resample_counts(n_seeds, n_resamples, rng), level)
        self._shares = with_plain(shares) / n_seeds

    def scores(
        self, seeds: Sequence[NDArray[np.float64]], metrics_fn: MetricsFn, metric: str
    ) -> NDArray[np.float64]:
        """One metric of one task, [seeds, 1 + n_resamples], from statistics [images, S] of each seed."""
        return np.stack([metrics_fn(self._weights @ statistics)[metric] for statistics in seeds])

    def over_seeds(self, values: NDArray[np.float64]) -> Drawn:
        """The mean over seeds of values [seeds, 1 + n_resamples]."""
        return Drawn((self._shares.T * values).sum(axis=0), self.level)

    def gain(
        self,
        base: Sequence[NDArray[np.float64]],
        head: Sequence[NDArray[np.float64]],
        task: TaskScore,
    ) -> Drawn:
        """How much better head is than base in one metric, in percent of base; NaN where base is zero."""
        metrics_fn, metric, direction = task
        ours, theirs = (self.scores(side, metrics_fn, metric) for side in (head, base))
        return self.over_seeds(gain(ours, theirs, direction))

    def delta_m(
        self, model: Sequence[Statistics], baseline: Sequence[Statistics], tasks: Mapping[str, TaskScore]
    ) -> NDArray[np.float64]:
        """Delta-m in percent, [seeds, 1 + n_resamples]."""
        gains = []
        for name, (metrics_fn, metric, direction) in tasks.items():
            ours, theirs = (
                self.scores([statistics[name] for statistics in side], metrics_fn, metric)
                for side in (model, baseline)
            )
            gains.append(gain(ours, theirs, direction))
        mean: NDArray[np.float64] = np.mean(gains, axis=0)
        return mean
