"""Warm-up: every path and shape once, then until the times are steady by a test, not by a constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import UsageError
from mtlbench.measure.clips import checked_clips
from mtlbench.measure.clock import Clock

__all__ = ["WarmupReport", "is_steady", "warm_up"]

T = TypeVar("T")

_TOLERANCE = 0.05
_MIN_HALF = 2


@dataclass(frozen=True)
class WarmupReport:
    """How the warm-up went.

    Attributes:
        first_call_ms: the very first call, compilation and lazy loading included.
        n_calls: all calls.
        seconds: from before the first call to after the last.
        steady: whether `is_steady` held at the end.
    """

    first_call_ms: float
    n_calls: int
    seconds: float
    steady: bool

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of `mtlbench.measure.warnings`."""
        return () if self.steady else ("not_steady",)


def warm_up(
    call: Callable[[T], object],
    inputs: Sequence[T],
    clock: Clock,
    *,
    max_seconds: float,
    min_rounds: int = 2,
    clips: Sequence[range] | None = None,
    before_clip: Callable[[], object] | None = None,
) -> WarmupReport:
    """Call every input round by round until the times are steady.

    Args:
        call: what will be timed.
        inputs: what it will be timed on; all of them, because each may take another path or shape.
        clock: the clock that will time it.
        max_seconds: no round starts after this much time, except the first `min_rounds`.
        clips: as `time_calls` takes them.
        before_clip: called before every clip, outside the clock, as `time_calls` does.
        min_rounds: rounds that always run. CUDA graphs need 3: the first call of a shape warms, the second
            records.

    Raises:
        UsageError: there are no inputs.
    """
    if not inputs:
        raise UsageError("there are no inputs to warm up on", fix="Give at least one")
    starts = {clip.start for clip in checked_clips(len(inputs), clips)}
    begin = clock.now_ns()
    rounds: list[list[int]] = []
    steady = False
    seconds = 0.0
    while len(rounds) < max(min_rounds, 1) or (not steady and seconds < max_seconds):
        rounds.append(
            [_time_one(call, x, clock, before_clip if i in starts else None) for i, x in enumerate(inputs)]
        )
        seconds = (clock.now_ns() - begin) / 1e9
        steady = is_steady(np.asarray(rounds))
    return WarmupReport(rounds[0][0] / 1e6, len(rounds) * len(inputs), seconds, steady)


def is_steady(times_ns: NDArray[Any]) -> bool:
    """Whether the latest rounds agree with the ones before them.

    The first round is cold by definition and left out. Of the others the last two thirds (at least four
    rounds) are cut into two halves of equal length, and the estimate that will be reported, the mean over
    inputs of each input's floor, is taken of both: they must agree within 5 %.

    Source: ours. pyperf calibrates its warm-ups by a comparison of halves too, on quartiles; floors hold
    still when other processes disturb single calls. A test is needed at all because at most 43.5 % of
    benchmarks reach a consistent steady state (Barrett et al., "Virtual machine warmup blows hot and cold",
    OOPSLA 2017).

    Args:
        times_ns: [rounds, inputs], in the order of the calls.
    """
    warm = times_ns[1:]
    half = max(_MIN_HALF, len(warm) // 3)
    if len(warm) < 2 * half:
        return False
    earlier = warm[-2 * half : -half].min(axis=0).mean()
    later = warm[-half:].min(axis=0).mean()
    return bool(abs(later - earlier) <= _TOLERANCE * min(earlier, later))


def _time_one(
    call: Callable[[T], object], x: T, clock: Clock, before_clip: Callable[[], object] | None
) -> int:
    if before_clip is not None:
        before_clip()
    start = clock.now_ns()
    call(x)
    return clock.now_ns() - start
