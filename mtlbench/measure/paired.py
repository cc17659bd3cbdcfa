"""Several calls against each other in one process: interleaved, so that what changes on the machine hits all alike.

For benchmarks, and for anyone who wants to know which of two functions is faster without writing a suite. Suites
compare in fresh processes, which also sees what differs from process to process; one process is quicker and tells
smaller differences, but only about itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import UsageError
from mtlbench.measure.clock import Clock
from mtlbench.measure.health import Health, HealthReport, compare
from mtlbench.measure.latency import time_calls
from mtlbench.measure.warmup import warm_up
from mtlbench.stats.quantiles import Interval, median_interval

__all__ = ["PairedTimes", "Ratio", "compare_calls"]

T = TypeVar("T")


@dataclass(frozen=True)
class Ratio:
    """One call's time over another's.

    Attributes:
        value: the median over blocks.
        interval: 95 %, distribution-free, over blocks; None with fewer than 6.
    """

    value: float
    interval: Interval | None


@dataclass(frozen=True, eq=False)
class PairedTimes:
    """Times of several calls, block by block.

    Attributes:
        block_ms: by name, float64 [blocks]: in each block the mean over inputs of each input's floor.
        health: of the whole measurement.
        warnings: codes of `mtlbench.measure.warnings`: a call that did not become steady, too few rounds, a disturbed
            machine.
    """

    block_ms: Mapping[str, NDArray[np.float64]]
    health: HealthReport
    warnings: tuple[str, ...] = ()

    def latency_ms(self, name: str) -> float:
        """Median over blocks."""
        return float(np.median(self.block_ms[name]))

    def ratio(self, name: str, to: str) -> Ratio:
        """Time of `name` over that of `to`, paired by block."""
        ratios = self.block_ms[name] / self.block_ms[to]
        return Ratio(float(np.median(ratios)), median_interval(ratios))


def compare_calls(
    calls: Mapping[str, Callable[[T], object]],
    inputs: Sequence[T],
    clock: Clock,
    *,
    blocks: int = 12,
    rounds: int = 5,
    max_seconds: float = 60.0,
    threads: int = 1,
    seed: int = 0,
    clips: Sequence[range] | None = None,
    before_clip: Mapping[str, Callable[[], object]] | None = None,
) -> PairedTimes:
    """Time several calls on the same inputs, in blocks that hold every call once, in shuffled order.

    Every call is warmed on every input first. Call `mtlbench.measure.prepare` before any of it.

    Args:
        calls: by name; each takes one input.
        inputs: ready on the device.
        clock: of the device.
        blocks: 6 give a 95 % interval.
        rounds: repeats of every input in each block, of which the floor is taken.
        max_seconds: bound on the warm-up of one call, and on one call in one block.
        threads: that the calls may use; for the judgement of the machine's health.
        seed: of the orders.
        clips: as `time_calls` takes them.
        before_clip: by name, what runs before each clip, such as a reset.

    Raises:
        UsageError: fewer than two calls, or no blocks.
    """
    if len(calls) < 2 or blocks < 1:
        raise UsageError(
            f"{len(calls)} calls in {blocks} blocks compare nothing", fix="Give two calls and a block"
        )
    resets = before_clip or {}
    codes: set[str] = set()
    for name, call in calls.items():
        warm = warm_up(
            call, inputs, clock, max_seconds=max_seconds, clips=clips, before_clip=resets.get(name)
        )
        codes.update(warm.warnings)
    times = {name: np.empty(blocks) for name in calls}
    before = Health.read()
    for block in range(blocks):
        names = list(calls)
        random.Random(f"{seed}#{block}").shuffle(names)  # noqa: S311  # an order, not a secret
        for name in names:
            samples = time_calls(
                calls[name],
                inputs,
                clock,
                rounds=rounds,
                max_seconds=max_seconds,
                seed=block,
                clips=clips,
                before_clip=resets.get(name),
            )
            times[name][block] = samples.mean_floor_ms()
            codes.update(samples.warnings)
    health = compare(before, Health.read(), threads=threads)
    return PairedTimes(times, health, tuple(sorted({*codes, *health.warnings})))
