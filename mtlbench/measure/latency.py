"""Latency: the time of each call, every input issued equally often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import UsageError
from mtlbench.measure.clips import checked_clips
from mtlbench.measure.clock import Clock
from mtlbench.measure.process import frozen_gc

__all__ = ["MIN_ROUNDS", "LatencySamples", "time_calls"]

T = TypeVar("T")

MIN_ROUNDS = 5
"""Repeats of an input below which its minimum is not yet a floor (DESIGN section 4)."""


@dataclass(frozen=True, eq=False)
class LatencySamples:
    """Raw samples of one launch, one element per call, in the order of the calls.

    Attributes:
        latency_ns: int64 [n], one overhead of the clock included.
        input_index: int32 [n], which input.
        round: int32 [n], which round; every round holds every input once.
        order: int32 [n], position within the round.
    """

    latency_ns: NDArray[np.int64]
    input_index: NDArray[np.int32]
    round: NDArray[np.int32]
    order: NDArray[np.int32]

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return int(self.input_index.max()) + 1

    @property
    def n_rounds(self) -> int:
        """Rounds really run."""
        return int(self.round.max()) + 1

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of `mtlbench.measure.warnings`."""
        return ("few_rounds",) if self.n_rounds < MIN_ROUNDS else ()

    def floors_ms(self) -> NDArray[np.float64]:
        """The minimum over rounds of each input, in milliseconds: [n_inputs].

        Disturbances only ever add time, so the minimum is the estimate that they move least; it is taken per
        input, because the minimum over all calls would time an adaptive network's cheapest path.
        """
        floors = np.full(self.n_inputs, np.iinfo(np.int64).max)
        np.minimum.at(floors, self.input_index, self.latency_ns)
        return floors / 1e6

    def mean_floor_ms(self) -> float:
        """The mean over inputs of their floors, in milliseconds: the launch's one number."""
        return float(self.floors_ms().mean())

    def quantile_ms(self, q: float) -> float:
        """The `q` quantile over all calls, in milliseconds.

        It is the smallest sample with at least a share `q` of all at or below it. It says nothing on how many
        calls a quantile needs; 662 for p99 (MLPerf's early-stopping bound).
        """
        return float(np.quantile(self.latency_ns, q, method="inverted_cdf")) / 1e6


def time_calls(
    call: Callable[[T], object],
    inputs: Sequence[T],
    clock: Clock,
    *,
    rounds: int,
    max_seconds: float,
    seed: int,
    clips: Sequence[range] | None = None,
    before_clip: Callable[[], object] | None = None,
) -> LatencySamples:
    """Time `call` on every input, round by round, each round with its clips in a freshly shuffled order.

    Between the two readings of the clock there is the call and nothing else: the garbage collector is off,
    the results are dropped after the second reading, the samples go to arrays that exist already.

    The loop may stop early, only between rounds. It stops before a round that would end after `max_seconds`,
    judged by the mean round so far, but while fewer than `MIN_ROUNDS` are done it takes up to twice
    `max_seconds`. The first round always runs.

    Args:
        call: takes one input; it must have done, or queued on the clock's device, all its work when it
            returns.
        inputs: ready on the device, the preparation of inputs is not timed.
        clock: the clock of the device that runs the call.
        rounds: how often each input is issued, at most.
        max_seconds: limit of the loop.
        seed: of the orders.
        clips: inputs that follow each other in a stream; a clip is replayed whole and in order. By default every input
            is a clip of its own.
        before_clip: runs before the first call of each clip, outside the clock; the place for `runnable.reset`.

    Raises:
        UsageError: there are no inputs, `rounds` is less than 1, or the clips do not cover the inputs.
    """
    if not inputs or rounds < 1:
        raise UsageError(
            f"nothing to time: {len(inputs)} inputs, {rounds} rounds", fix="Give at least one of each"
        )
    n_inputs = len(inputs)
    played = checked_clips(n_inputs, clips)
    order = _shuffled_rounds(rounds, played, seed)
    starts = [index == clip.start for clip in played for index in clip]
    latency_ns = np.zeros((rounds, n_inputs), dtype=np.int64)
    with frozen_gc():
        done = _issue(
            call, inputs, clock, order, latency_ns, starts, max_seconds=max_seconds, before_clip=before_clip
        )
    round_index, position = np.indices((done, n_inputs), dtype=np.int32)
    return LatencySamples(
        latency_ns[:done].ravel(), order[:done].ravel(), round_index.ravel(), position.ravel()
    )


def _shuffled_rounds(rounds: int, clips: Sequence[range], seed: int) -> NDArray[np.int32]:
    """[rounds, inputs]: every round holds all clips, in an order of its own."""
    identity = np.tile(np.arange(len(clips), dtype=np.int32), (rounds, 1))
    orders = np.random.default_rng(seed).permuted(identity, axis=1)
    return np.array([[index for clip in order for index in clips[clip]] for order in orders], dtype=np.int32)


def _issue(
    call: Callable[[T], object],
    inputs: Sequence[T],
    clock: Clock,
    order: NDArray[np.int32],
    latency_ns: NDArray[np.int64],
    starts: Sequence[bool],
    *,
    max_seconds: float,
    before_clip: Callable[[], object] | None,
) -> int:
    """Fill `latency_ns` and return how many rounds are done."""
    now = clock.now_ns
    begin = now()
    for done, (indices, row) in enumerate(zip(order.tolist(), latency_ns, strict=True)):
        if done and not _has_time(done, (now() - begin) / 1e9, max_seconds):
            return done
        for position, index in enumerate(indices):
            x = inputs[index]
            if starts[index] and before_clip is not None:
                before_clip()
            start = now()
            result = call(x)
            stop = now()
            row[position] = stop - start
            del result
    return len(order)


def _has_time(done: int, seconds: float, max_seconds: float) -> bool:
    allowed = max_seconds if done >= MIN_ROUNDS else 2 * max_seconds
    return seconds + seconds / done <= allowed
