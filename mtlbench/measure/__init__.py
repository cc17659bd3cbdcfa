"""Clock, warm-up, latency, memory, environment, health, energy. What and why: `docs/measuring.md`.

What is named here is public: benchmarks and other packages time things the way suites do. `attribute_time` (time by
part of a network) and `peak_allocated_mib` need torch, so they are imported from their own modules,
`mtlbench.measure.attribution` and `mtlbench.measure.allocations`.
"""

from __future__ import annotations

from mtlbench.measure.arrivals import ArrivalSamples, fixed_rate, poisson, serve
from mtlbench.measure.clock import Clock, CpuClock, CudaClock, clock_for, overhead_ns
from mtlbench.measure.energy import EnergyReading, EnergyWindow, Meter, measure_energy, select_meter
from mtlbench.measure.environment import capture, machine_id
from mtlbench.measure.health import Health, HealthReport, compare
from mtlbench.measure.latency import MIN_ROUNDS, LatencySamples, time_calls
from mtlbench.measure.memory import current_rss_mib, module_weights_mib, peak_mib, peak_rss_mib, reset_peak
from mtlbench.measure.paired import PairedTimes, Ratio, compare_calls
from mtlbench.measure.process import ProcessSettings, frozen_gc, prepare, thread_environment
from mtlbench.measure.warmup import WarmupReport, is_steady, warm_up
from mtlbench.measure.warnings import WARNINGS

__all__ = [
    "MIN_ROUNDS",
    "WARNINGS",
    "ArrivalSamples",
    "Clock",
    "CpuClock",
    "CudaClock",
    "EnergyReading",
    "EnergyWindow",
    "Health",
    "HealthReport",
    "LatencySamples",
    "Meter",
    "PairedTimes",
    "ProcessSettings",
    "Ratio",
    "WarmupReport",
    "capture",
    "clock_for",
    "compare",
    "compare_calls",
    "current_rss_mib",
    "fixed_rate",
    "frozen_gc",
    "is_steady",
    "machine_id",
    "measure_energy",
    "module_weights_mib",
    "overhead_ns",
    "peak_mib",
    "peak_rss_mib",
    "poisson",
    "prepare",
    "reset_peak",
    "select_meter",
    "serve",
    "thread_environment",
    "time_calls",
    "warm_up",
]
