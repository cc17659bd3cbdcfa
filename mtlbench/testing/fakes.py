"""Test doubles of the slow boundaries: a clock that only moves when told to, and a meter that reads it."""

from __future__ import annotations

from mtlbench.measure.energy.base import EnergyReading, Meter

__all__ = ["FakeClock", "FakeMeter"]


class FakeClock:
    """A `Clock` whose time is set by the test.

    Args:
        device: the device it pretends to synchronise.
        overhead_ns: how far each reading itself moves it.

    Attributes:
        readings: how often it was read.
    """

    def __init__(self, device: str = "cpu", overhead_ns: int = 0) -> None:
        self.device = device
        self.overhead_ns = overhead_ns
        self.readings = 0
        self._now_ns = 0

    def now_ns(self) -> int:
        """The time."""
        self.readings += 1
        self._now_ns += self.overhead_ns
        return self._now_ns

    def advance_ms(self, milliseconds: float) -> None:
        """Let time pass."""
        self._now_ns += round(milliseconds * 1e6)

    def sleep(self, seconds: float) -> None:
        """Let time pass, as `time.sleep` does."""
        self.advance_ms(1000 * seconds)

    @property
    def seconds(self) -> float:
        """The time in seconds, without the side effects of a reading."""
        return self._now_ns / 1e9


class FakeMeter(Meter):
    """A `Meter` of constant power over the time of a `FakeClock`.

    Args:
        clock: whose time it integrates over.
        watts: the power; a test may change the attribute between windows.
        refusal: what `unavailable` answers.
        failure: the reason of every reading, if there is to be no number.

    Attributes:
        reads: the times in seconds at which it was read.
    """

    name = "fake"

    def __init__(
        self, clock: FakeClock, *, watts: float = 10.0, refusal: str | None = None, failure: str | None = None
    ) -> None:
        super().__init__(clock.device)
        self.clock = clock
        self.watts = watts
        self.refusal = refusal
        self.failure = failure
        self.reads: list[float] = []
        self._begin = 0.0

    def unavailable(self) -> str | None:
        """The `refusal` it was made with."""
        return self.refusal

    def start(self) -> None:
        """Begin a window."""
        self.reads.append(self.clock.seconds)
        self._begin = self.clock.seconds

    def stop(self) -> EnergyReading:
        """End the window: watts times seconds, or the `failure`."""
        self.reads.append(self.clock.seconds)
        window_s = self.clock.seconds - self._begin
        if self.failure is not None:
            return EnergyReading.missing(self.name, self.failure, window_s=window_s)
        return EnergyReading(self.watts * window_s, self.name, "measured", window_s=window_s)
