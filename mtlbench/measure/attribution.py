"""Where the time of a call goes: a pass of its own, with what the looking itself costs.

Reading a clock at every boundary between parts makes a call slower, and on an accelerator it also keeps the call from
running ahead. So time by part is never taken from the timed calls: watched and unwatched calls alternate on the same
inputs, and the difference of their floors is stated as the distortion. Shares are what this pass is for; the time of a
call is what `time_calls` says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch import nn

from mtlbench.errors import UsageError
from mtlbench.measure.clips import checked_clips
from mtlbench.measure.clock import Clock
from mtlbench.measure.parts import PartTracker
from mtlbench.measure.process import frozen_gc

__all__ = ["Attribution", "attribute_time"]

T = TypeVar("T")


@dataclass(frozen=True)
class Attribution:
    """Time by part, per call, averaged over inputs.

    Attributes:
        part_ms: own time of each part, without the parts inside it; `other` is what runs outside all of them. Per input
            the round with the shortest watched call, so the parts of one call add up.
        watched_ms: of a watched call: the sum of `part_ms`.
        plain_ms: of an unwatched call, measured in turn with the watched ones.
    """

    part_ms: Mapping[str, float]
    watched_ms: float
    plain_ms: float

    @property
    def distortion(self) -> float:
        """By what share the watching slowed the calls down; parts with many small modules are inflated most."""
        return self.watched_ms / self.plain_ms - 1

    def shares(self) -> dict[str, float]:
        """Share of each part in the watched call."""
        return {part: ms / self.watched_ms for part, ms in self.part_ms.items()}


def attribute_time(
    call: Callable[[T], object],
    inputs: Sequence[T],
    clock: Clock,
    parts: Mapping[str, nn.Module],
    *,
    rounds: int = 5,
    max_seconds: float = 60.0,
    clips: Sequence[range] | None = None,
    before_clip: Callable[[], object] | None = None,
) -> Attribution:
    """Split the time of a warm call among the parts of a network.

    Args:
        call: what was timed.
        inputs: what it was timed on.
        clock: of the device.
        parts: the module of each named part; may be nested, see `PartTracker`.
        rounds: watched and unwatched calls of every input.
        max_seconds: after which no further round begins; the first always runs.
        clips: as `time_calls` takes them; each is played once plain and once watched.
        before_clip: runs before each clip, outside the clock.

    Raises:
        UsageError: there are no inputs, or no rounds.
    """
    if not inputs or rounds < 1:
        raise UsageError("nothing to attribute", fix="Give at least one input and one round")
    prepare = before_clip or _nothing
    played = checked_clips(len(inputs), clips)
    best: dict[int, tuple[int, dict[str, int]]] = {}
    plain_ns = np.full(len(inputs), np.iinfo(np.int64).max, dtype=np.int64)
    begun = clock.now_ns()
    with frozen_gc():
        for done in range(rounds):
            if done and clock.now_ns() - begun > max_seconds * 1e9:
                break
            for clip in played:
                prepare()
                for index in clip:
                    start = clock.now_ns()
                    call(inputs[index])
                    plain_ns[index] = min(plain_ns[index], clock.now_ns() - start)
                prepare()
                for index in clip:
                    watched = _watched_call(call, inputs[index], clock, parts)
                    if index not in best or watched[0] < best[index][0]:
                        best[index] = watched
    part_ms: dict[str, float] = defaultdict(float)
    for _, by_part in best.values():
        for part, ns in by_part.items():
            part_ms[part] += ns / 1e6 / len(inputs)
    watched_ms = float(np.mean([ns for ns, _ in best.values()])) / 1e6
    return Attribution(dict(part_ms), watched_ms, float(plain_ns.mean()) / 1e6)


def _watched_call(
    call: Callable[[T], object], x: T, clock: Clock, parts: Mapping[str, nn.Module]
) -> tuple[int, dict[str, int]]:
    """(nanoseconds of the call, of each part without those inside it)."""
    watch = _PartClock(parts, clock)
    watch.start()
    try:
        start = watch.begin()
        call(x)
        stop = watch.end()
    finally:
        watch.stop()
    return stop - start, dict(watch.own_ns)


class _PartClock(PartTracker):
    """Books the time between two boundaries to the part that ran between them."""

    def __init__(self, parts: Mapping[str, nn.Module], clock: Clock) -> None:
        super().__init__(parts)
        self.own_ns: dict[str, int] = defaultdict(int)
        self._clock = clock
        self._since = 0

    def begin(self) -> int:
        """The first boundary."""
        self._since = self._clock.now_ns()
        return self._since

    def end(self) -> int:
        """The last boundary."""
        return self._book(self.current)

    def changed(self, before: str, after: str) -> None:
        """Another part runs now."""
        self._book(before)

    def _book(self, part: str) -> int:
        now = self._clock.now_ns()
        self.own_ns[part] += now - self._since
        self._since = now
        return now


def _nothing() -> None:
    """What runs before a call that needs no preparation."""
