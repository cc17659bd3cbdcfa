"""The contract of a meter, and one window of measured energy."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from mtlbench.component import Component
from mtlbench.errors import MtlbenchError, UsageError
from mtlbench.measure.clips import checked_clips
from mtlbench.measure.clock import Clock
from mtlbench.measure.process import frozen_gc
from mtlbench.registry import Registry

__all__ = ["EnergyReading", "EnergyWindow", "Meter", "Quality", "measure_energy", "registry"]

T = TypeVar("T")

Quality = Literal["measured", "replayed", "unavailable"]


@dataclass(frozen=True)
class EnergyReading:
    """What a meter says about one window.

    Attributes:
        joules: energy of the window, idle share included; None exactly where `quality` is `unavailable`.
        source: the meter, and which counters it read.
        quality: `measured` from a counter, `replayed` from a recording, or `unavailable`.
        reason: why there is no number; None where there is one.
        window_s: wall time between the two reads of the meter.
        counter_updates: how often the counter moved in the window; None where only its edges were read.
        idle_w: mean power of the same counters while this process slept just before; None if it was not
            measured.
        note: what a reader of the number must know, such as its resolution.
    """

    joules: float | None
    source: str
    quality: Quality
    reason: str | None = None
    window_s: float = 0.0
    counter_updates: int | None = None
    idle_w: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a reading that could be mistaken for another one.

        Raises:
            MtlbenchError: a missing number without a reason, a number with one, or a negative number.
        """
        missing = self.joules is None
        is_consistent = missing == (self.quality == "unavailable") == bool(self.reason)
        if not is_consistent or (self.joules is not None and self.joules < 0):
            raise MtlbenchError(
                f"inconsistent energy reading {self!r}", fix="Report this as a bug of the meter"
            )

    @classmethod
    def missing(
        cls, source: str, reason: str, *, window_s: float = 0.0, counter_updates: int | None = None
    ) -> EnergyReading:
        """A reading without a number, and why."""
        return cls(None, source, "unavailable", reason, window_s, counter_updates)

    def as_dict(self) -> dict[str, float | int | str | None]:
        """Flat keys for a record."""
        return asdict(self)


class Meter(Component, ABC):
    """A source of energy readings. It is read at the edges of a window and never inside it.

    Class attributes:
        min_window_s: the shortest window that the resolution of the counter allows.

    Args:
        device: the torch name of the device that does the work.
        options: as the meter's `Options` say.
    """

    min_window_s: ClassVar[float] = 0.0

    def __init__(self, device: str = "cpu", **options: Any) -> None:
        self.device = device
        self.options = self.Options.model_validate(options)

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why this meter cannot measure here, one sentence without a full stop; None where it can."""

    @abstractmethod
    def start(self) -> None:
        """Begin a window. What fails here becomes the reason of the reading."""

    @abstractmethod
    def stop(self) -> EnergyReading:
        """End the window. A failure is a reading without a number, never an exception."""


class EnergyWindow(NamedTuple):
    """One window: the reading, and how many calls it holds."""

    reading: EnergyReading
    n_calls: int

    @property
    def millijoules_per_call(self) -> float | None:
        """Idle share included; None where there is no number."""
        if self.reading.joules is None:
            return None
        return 1000 * self.reading.joules / self.n_calls


def measure_energy(
    meter: Meter,
    call: Callable[[T], object],
    inputs: Sequence[T],
    clock: Clock,
    *,
    min_seconds: float,
    clips: Sequence[range] | None = None,
    before_clip: Callable[[], object] | None = None,
    idle_seconds: float = 1.0,
    sleep: Callable[[float], object] = time.sleep,
) -> EnergyWindow:
    """Meter whole rounds of inputs, back to back, after a window of idleness.

    Where the meter is unavailable nothing is called and the reading says why. Both windows are at least as
    long as the meter needs. The clock is read between rounds only.

    Args:
        meter: the meter.
        call: the same call that was timed.
        inputs: the same inputs that it was timed on.
        clock: the clock of the device.
        min_seconds: the window ends with the first round after this time.
        clips: as `time_calls` takes them.
        before_clip: called before every clip, as `time_calls` does; here it is inside the window.
        idle_seconds: how long the process sleeps for `idle_w`; 0 leaves `idle_w` empty.
        sleep: how to wait.

    Raises:
        UsageError: there are no inputs.
    """
    if not inputs:
        raise UsageError("there are no inputs to meter", fix="Give at least one")
    reason = meter.unavailable()
    if reason is not None:
        return EnergyWindow(EnergyReading.missing(meter.name, reason), 0)
    starts = {clip.start for clip in checked_clips(len(inputs), clips)}
    with frozen_gc():
        idle_w = _idle_watts(meter, clock, idle_seconds, sleep) if idle_seconds > 0 else None
        clock.now_ns()  # on an asynchronous device: wait for what was queued before
        meter.start()
        end_ns = clock.now_ns() + int(max(min_seconds, meter.min_window_s) * 1e9)
        n_calls = 0
        while n_calls == 0 or clock.now_ns() < end_ns:
            for index, x in enumerate(inputs):
                if before_clip is not None and index in starts:
                    before_clip()
                call(x)
            n_calls += len(inputs)
        reading = meter.stop()
    return EnergyWindow(replace(reading, idle_w=idle_w), n_calls)


def _idle_watts(meter: Meter, clock: Clock, seconds: float, sleep: Callable[[float], object]) -> float | None:
    clock.now_ns()
    meter.start()
    sleep(max(seconds, meter.min_window_s))
    reading = meter.stop()
    return None if reading.joules is None else reading.joules / reading.window_s


registry: Registry[type[Meter]] = Registry("meter", "mtlbench.meters")
