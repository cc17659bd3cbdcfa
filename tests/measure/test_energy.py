from __future__ import annotations

from typing import Any, Literal

import pytest

from mtlbench.errors import MtlbenchError, UnknownNameError, UsageError
from mtlbench.measure import energy
from mtlbench.measure.energy import (
    EnergyReading,
    EnergyWindow,
    Meter,
    Unmetered,
    measure_energy,
    select_meter,
)
from mtlbench.testing.fakes import FakeClock, FakeMeter

INPUTS = [100.0, 300.0]  # ms


class Load:
    """A call that lasts as long as its input says and draws more power than idling."""

    def __init__(self, clock: FakeClock, meter: FakeMeter) -> None:
        self.clock = clock
        self.meter = meter
        self.calls: list[float] = []

    def __call__(self, milliseconds: float) -> None:
        self.meter.watts = 50.0
        self.calls.append(milliseconds)
        self.clock.advance_ms(milliseconds)


def metered(meter: FakeMeter, clock: FakeClock, **options: Any) -> tuple[EnergyWindow, Load]:
    load = Load(clock, meter)
    return measure_energy(meter, load, INPUTS, clock, sleep=clock.sleep, **options), load


def test_energy_is_power_times_the_window_and_idle_is_stated_beside_it() -> None:
    clock = FakeClock()
    window, load = metered(FakeMeter(clock, watts=12.0), clock, min_seconds=1.0)
    assert window.n_calls == len(load.calls) == 6
    assert window.reading.window_s == pytest.approx(1.2)
    assert window.reading.joules == pytest.approx(50 * 1.2)
    assert window.reading.idle_w == pytest.approx(12.0)
    assert window.millijoules_per_call == pytest.approx(1000 * 50 * 0.2)


@pytest.mark.parametrize("min_seconds", [0.0, 0.39, 0.4, 0.41, 7.7])
def test_a_window_holds_whole_rounds_and_is_long_enough(min_seconds: float) -> None:
    clock = FakeClock()
    window, load = metered(FakeMeter(clock), clock, min_seconds=min_seconds)
    assert load.calls == INPUTS * (window.n_calls // 2)
    assert max(min_seconds, 0.4) <= window.reading.window_s + 1e-9 < max(min_seconds, 0.4) + 0.4


def test_the_meter_is_read_at_the_edges_of_both_windows_only() -> None:
    clock = FakeClock()
    meter = FakeMeter(clock)
    metered(meter, clock, min_seconds=2.0, idle_seconds=3.0)
    assert meter.reads == pytest.approx([0.0, 3.0, 3.0, 5.0])


def test_no_idle_window_leaves_idle_empty() -> None:
    clock = FakeClock()
    meter = FakeMeter(clock)
    window, _ = metered(meter, clock, min_seconds=1.0, idle_seconds=0.0)
    assert window.reading.idle_w is None
    assert len(meter.reads) == 2


def test_both_windows_are_as_long_as_the_meter_needs() -> None:
    class Coarse(FakeMeter):
        min_window_s = 5.0

    clock = FakeClock()
    meter = Coarse(clock)
    window, _ = metered(meter, clock, min_seconds=1.0, idle_seconds=1.0)
    assert meter.reads[1] - meter.reads[0] == pytest.approx(5.0)
    assert window.reading.window_s == pytest.approx(5.2)


def test_an_unmetered_machine_calls_nothing_and_says_why() -> None:
    clock = FakeClock()
    window, load = metered(FakeMeter(clock, refusal="no counter"), clock, min_seconds=10)
    assert load.calls == []
    assert (window.n_calls, window.millijoules_per_call) == (0, None)
    assert (window.reading.joules, window.reading.quality) == (None, "unavailable")
    assert window.reading.reason == "no counter"


def test_a_window_that_failed_has_its_reason_and_no_idle_power() -> None:
    clock = FakeClock()
    window, _ = metered(FakeMeter(clock, failure="wrapped"), clock, min_seconds=1)
    assert (window.reading.joules, window.reading.reason, window.reading.idle_w) == (None, "wrapped", None)
    assert window.millijoules_per_call is None


def test_no_inputs_is_a_usage_error() -> None:
    clock = FakeClock()
    with pytest.raises(UsageError, match="no inputs"):
        measure_energy(FakeMeter(clock), print, [], clock, min_seconds=1)


@pytest.mark.parametrize(
    ("joules", "quality", "reason"),
    [
        (None, "measured", None),
        (None, "unavailable", None),
        (None, "unavailable", ""),
        (0.0, "unavailable", "why"),
        (1.0, "measured", "why"),
        (-1.0, "measured", None),
    ],
)
def test_a_reading_that_contradicts_itself_is_refused(
    joules: float | None, quality: Literal["measured", "unavailable"], reason: str | None
) -> None:
    with pytest.raises(MtlbenchError, match="inconsistent"):
        EnergyReading(joules, "x", quality, reason)


def test_a_reading_is_flat() -> None:
    record = EnergyReading(1.5, "x", "replayed", window_s=2.0).as_dict()
    assert record["joules"] == 1.5
    assert all(isinstance(value, int | float | str | None) for value in record.values())


def test_every_registered_meter_loads_and_answers_here() -> None:
    for name in ("nvml", "pyrapl", "unmetered"):
        meter = energy.registry.get(name)("cpu")
        assert isinstance(meter, Meter)
        assert meter.name == name
        assert meter.unavailable() is None or not str(meter.unavailable()).endswith(".")
        assert energy.registry.summary(name)
    assert energy.registry.group == "mtlbench.meters"


@pytest.mark.parametrize(
    ("name", "device", "reason"),
    [
        ("auto", "mps", "no meter is known for device mps"),
        ("nvml", "cpu", "nvml: NVML counts the energy of NVIDIA GPUs, not of cpu"),
        ("pyrapl", "cuda:0", "pyrapl: RAPL counts the energy of the CPU, not of cuda:0"),
        ("unmetered", "cpu", "no meter was asked for"),
    ],
)
def test_where_no_meter_fits_the_null_meter_says_why(name: str, device: str, reason: str) -> None:
    meter = select_meter(name, device)
    assert isinstance(meter, Unmetered)
    assert meter.unavailable() == reason
    meter.start()
    assert meter.stop() == EnergyReading.missing("unmetered", reason)


def test_auto_takes_the_meter_of_the_device_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    class Available(Unmetered):
        def unavailable(self) -> None:  # type: ignore[override]  # the test needs a meter that can measure
            return None

    def get(name: str) -> type[Meter]:
        class Named(Available):
            def __init__(self, device: str) -> None:
                asked.append((name, device))
                super().__init__(device)

        return Named

    monkeypatch.setattr(energy.registry, "get", get)
    assert select_meter("auto", "cpu").unavailable() is None
    select_meter("auto", "cuda:1")
    assert asked == [("pyrapl", "cpu"), ("nvml", "cuda:1")]


def test_an_unknown_meter_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'pyrapl'"):
        select_meter("pirapl")
