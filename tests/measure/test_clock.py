from __future__ import annotations

import pytest
import torch

from mtlbench.errors import MachineUnfitError, UsageError
from mtlbench.measure import clock as module
from mtlbench.measure.clock import Clock, CpuClock, CudaClock, clock_for, overhead_ns
from mtlbench.testing.fakes import FakeClock


def test_the_overhead_of_a_clock_is_one_reading() -> None:
    assert overhead_ns(FakeClock(overhead_ns=40), n=11) == 40


def test_the_cpu_clock_is_monotonic_and_cheap() -> None:
    clock: Clock = clock_for("cpu")
    readings = [clock.now_ns() for _ in range(100)]
    assert isinstance(clock, CpuClock)
    assert clock.device == "cpu"
    assert readings == sorted(readings)
    assert 0 < overhead_ns(clock) < 100_000


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cpu:0", "mps", ""])
def test_an_unknown_device_is_a_usage_error_that_names_it(device: str) -> None:
    with pytest.raises(UsageError, match=f"'{device}'"):
        clock_for(device)


def test_a_device_that_this_machine_lacks_makes_it_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(MachineUnfitError, match="sees 1 CUDA") as error:
        clock_for("cuda:1")
    assert error.value.exit_code == 5


def test_the_cuda_clock_waits_for_its_own_device_before_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "synchronize", seen.append)
    monkeypatch.setattr(module, "perf_counter_ns", lambda: seen.append("time") or 7)
    clock = clock_for("cuda:1")
    assert isinstance(clock, CudaClock)
    assert clock.now_ns() == 7
    assert seen == ["cuda:1", "time"]
