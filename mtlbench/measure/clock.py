"""Clocks: one reading of time per device, synchronisation included.

A caller never asks which device it times: reading the clock waits until the device has done what it was
given, so the difference of two readings is the time a user waits.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns
from typing import Protocol

from mtlbench.errors import MachineUnfitError, UsageError

__all__ = ["Clock", "CpuClock", "CudaClock", "clock_for", "overhead_ns"]


class Clock(Protocol):
    """What every timed loop reads."""

    @property
    def device(self) -> str:
        """The torch name of the device that this clock waits for."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds, once the device has done all its work; only differences mean something."""


class CpuClock:
    """`time.perf_counter_ns`: CPU work is done when the call returns."""

    device = "cpu"
    now_ns = staticmethod(perf_counter_ns)


class CudaClock:
    """`torch.cuda.synchronize`, then `time.perf_counter_ns`: without the wait one would time the enqueueing.

    Args:
        device: a torch device name, such as `cuda` or `cuda:1`.

    Raises:
        MachineUnfitError: the machine has no such device.
    """

    def __init__(self, device: str = "cuda") -> None:
        import torch

        index = torch.device(device).index or 0
        if index >= torch.cuda.device_count():
            raise MachineUnfitError(
                f"device {device!r} does not exist: torch sees {torch.cuda.device_count()} CUDA devices",
                fix="Install the driver and a CUDA build of torch, or choose hardware with device cpu",
            )
        self.device = device
        self._synchronize = torch.cuda.synchronize

    def now_ns(self) -> int:
        """Nanoseconds after every stream of the device is idle."""
        self._synchronize(self.device)
        return perf_counter_ns()


def clock_for(device: str) -> Clock:
    """The clock of a torch device name.

    Raises:
        UsageError: no clock knows such a device.
        MachineUnfitError: the machine has no such device.
    """
    kind, _, index = device.partition(":")
    if device == "cpu":
        return CpuClock()
    if kind == "cuda" and (device == kind or index.isdecimal()):
        return CudaClock(device)
    raise UsageError(f"no clock for device {device!r}", fix="Use cpu, cuda or cuda:N")


def overhead_ns(clock: Clock, n: int = 1000) -> float:
    """Median cost in nanoseconds of two back-to-back readings, which every timed call contains once.

    Args:
        clock: the clock; its device should be idle.
        n: pairs of readings, at least 1.
    """
    pairs = ((clock.now_ns(), clock.now_ns()) for _ in range(n))
    return float(median(stop - start for start, stop in pairs))
