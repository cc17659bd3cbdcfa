"""Clock, warm-up, latency, memory, environment, health, energy. What and why: `docs/measuring.md`."""

from __future__ import annotations

from mtlbench.measure.clock import Clock, CpuClock, CudaClock, clock_for, overhead_ns
from mtlbench.measure.energy import EnergyReading, EnergyWindow, Meter, measure_energy, select_meter
from mtlbench.measure.environment import capture, machine_id
from mtlbench.measure.health import Health, HealthReport, compare
from mtlbench.measure.latency import MIN_ROUNDS, LatencySamples, time_calls
from mtlbench.measure.memory import current_rss_mib, module_weights_mib, peak_mib, peak_rss_mib, reset_peak
from mtlbench.measure.process import ProcessSettings, frozen_gc, prepare, thread_environment
from mtlbench.measure.warmup import WarmupReport, is_steady, warm_up
from mtlbench.measure.warnings import WARNINGS

__all__ = [
    "MIN_ROUNDS",
    "WARNINGS",
    "Clock",
    "CpuClock",
    "CudaClock",
    "EnergyReading",
    "EnergyWindow",
    "Health",
    "HealthReport",
    "LatencySamples",
    "Meter",
    "ProcessSettings",
    "WarmupReport",
    "capture",
    "clock_for",
    "compare",
    "current_rss_mib",
    "frozen_gc",
    "is_steady",
    "machine_id",
    "measure_energy",
    "module_weights_mib",
    "overhead_ns",
    "peak_mib",
    "peak_rss_mib",
    "prepare",
    "reset_peak",
    "select_meter",
    "thread_environment",
    "time_calls",
    "warm_up",
]
