"""Open loops: inputs arrive at their own times, whether or not the last one is done.

A closed loop (`time_calls`) asks for the next result when it has the last. A camera does not wait: frames come at a
fixed rate, and one that is not answered before its deadline is missed. Requests of many users come at random
(Poisson). Both are one queue with one server; what is reported is the response time, from arrival to result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import UsageError
from mtlbench.measure.clips import checked_clips
from mtlbench.measure.clock import Clock
from mtlbench.measure.process import frozen_gc
from mtlbench.stats.quantiles import reportable_from

__all__ = ["ArrivalSamples", "fixed_rate", "poisson", "serve"]

T = TypeVar("T")

# A sleep may overshoot by a scheduler tick; the rest of the wait is spent looking at the clock.
_SPIN_NS = 2_000_000


@dataclass(frozen=True, eq=False)
class ArrivalSamples:
    """One window of an open loop, one element per input that arrived.

    Attributes:
        arrival_ns: int64 [n], when it was due, from the start of the window.
        start_ns: int64 [n], when its call began: not before it arrived, nor before the last one was done.
        finish_ns: int64 [n], when its result was there.
    """

    arrival_ns: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    finish_ns: NDArray[np.int64]

    @property
    def response_ms(self) -> NDArray[np.float64]:
        """From arrival to result, float64 [n]."""
        return (self.finish_ns - self.arrival_ns) / 1e6

    def missed(self, deadline_ms: float) -> float:
        """Share of inputs whose result came after `deadline_ms`."""
        return float((self.response_ms > deadline_ms).mean())

    def quantile_ms(self, q: float) -> float | None:
        """A quantile of the response time; None where there are too few inputs to tell it."""
        if len(self.arrival_ns) < reportable_from(q):
            return None
        return float(np.quantile(self.response_ms, q, method="inverted_cdf"))

    @property
    def busy_share(self) -> float:
        """Share of the window in which a call was running; near 1 the queue only grows."""
        window_ns = max(int(self.finish_ns[-1]), 1)
        return float((self.finish_ns - self.start_ns).sum() / window_ns)


def fixed_rate(rate_hz: float, n: int) -> NDArray[np.int64]:
    """Arrival times of a camera: n frames, `1 / rate_hz` apart, in nanoseconds from the first."""
    _require_positive(rate_hz, n)
    times: NDArray[np.int64] = np.rint(np.arange(n) * (1e9 / rate_hz)).astype(np.int64)
    return times


def poisson(rate_hz: float, n: int, seed: int) -> NDArray[np.int64]:
    """Arrival times of independent users: n arrivals of a Poisson process, in nanoseconds from its start."""
    _require_positive(rate_hz, n)
    gaps_s = np.random.default_rng(seed).exponential(1 / rate_hz, n)
    times: NDArray[np.int64] = np.rint(np.cumsum(gaps_s) * 1e9).astype(np.int64)
    return times


def serve(
    call: Callable[[T], object],
    inputs: Sequence[T],
    clock: Clock,
    arrival_ns: NDArray[np.int64],
    *,
    clips: Sequence[range] | None = None,
    before_clip: Callable[[], object] | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> ArrivalSamples:
    """Answer inputs as they arrive, in order, none dropped; input k is `inputs[k % len(inputs)]`.

    The wait for an arrival is a sleep and then a look at the clock, so the processor idles between calls as it would in
    use, and may have slowed down: that is part of what an open loop shows.

    Args:
        call: what a closed loop timed; warm.
        inputs: ready on the device.
        clock: of the device.
        arrival_ns: when each input is due, from the start, not decreasing.
        clips: as `time_calls` takes them.
        before_clip: called before the first input of a clip is waited for.
        sleep: for tests.

    Raises:
        UsageError: there are no inputs or no arrivals.
    """
    if not inputs or not len(arrival_ns):
        raise UsageError("an open loop needs inputs and arrivals", fix="Give at least one of each")
    starts = {clip.start for clip in checked_clips(len(inputs), clips)}
    start_ns, finish_ns = np.zeros_like(arrival_ns), np.zeros_like(arrival_ns)
    with frozen_gc():
        begin = clock.now_ns()
        for k, due in enumerate(arrival_ns.tolist()):
            index = k % len(inputs)
            if before_clip is not None and index in starts:
                before_clip()
            start_ns[k] = _wait_until(begin + due, clock, sleep) - begin
            call(inputs[index])
            finish_ns[k] = clock.now_ns() - begin
    return ArrivalSamples(arrival_ns, start_ns, finish_ns)


def _wait_until(due_ns: int, clock: Clock, sleep: Callable[[float], object]) -> int:
    now = clock.now_ns()
    while now < due_ns:
        left = due_ns - now
        if left > _SPIN_NS:
            sleep((left - _SPIN_NS) / 1e9)
        now = clock.now_ns()
    return now


def _require_positive(rate_hz: float, n: int) -> None:
    if not rate_hz > 0 or n < 1:
        raise UsageError(f"no arrivals at {rate_hz} a second, {n} of them", fix="Both must be above 0")
