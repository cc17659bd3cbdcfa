"""The profiling job: memory, and time by part, of one cell; in a launch of its own, because both disturb the clock."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import torch

from mtlbench.cost.audit import unique_parts
from mtlbench.execute.jobs.cell import PROFILE_CALLS, OpenCell
from mtlbench.execute.jobs.parts import without_copies
from mtlbench.execute.jobs.time import Call
from mtlbench.measure.allocations import peak_allocated_mib
from mtlbench.measure.attribution import attribute_time
from mtlbench.measure.clock import clock_for
from mtlbench.measure.environment import capture
from mtlbench.measure.health import Health, compare
from mtlbench.measure.memory import current_rss_mib, peak_mib, reset_peak
from mtlbench.measure.process import prepare

if TYPE_CHECKING:
    from mtlbench.execute.worker import Channel

__all__ = ["profile_job"]


def profile_job(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Memory first, then time by part: the peak of the process must not hold what a profiler allocates."""
    threads = job["cell"]["hardware"]["threads"]
    prepare(threads)
    cell = OpenCell(job)
    base_mib = current_rss_mib()
    _, runnable = cell.runnable()
    inputs = cell.fixed_inputs(runnable, PROFILE_CALLS)
    clock = clock_for(cell.device)
    call = Call(runnable)
    gc.collect()
    restarted = reset_peak(cell.device)  # loading holds the stored weights beside the networks
    with torch.inference_mode():
        for planned in inputs.calls * 2:
            call(planned)
        peaks = peak_mib(cell.device)
        runnable.reset()
        tensors_mib = max(peak_allocated_mib(call, planned, cell.device) for planned in inputs.calls)
        before = Health.read()
        found = attribute_time(
            call,
            inputs.calls,
            clock,
            unique_parts(runnable.parts()),
            rounds=job["measure"]["rounds"],
            max_seconds=job["measure"]["max_seconds"],
            clips=inputs.clips,
            before_clip=runnable.reset,
        )
        health = compare(before, Health.read(), threads=threads)
    return {
        **{f"memory_{name}_mib": value for name, value in peaks.items()},
        # On CUDA the headline is what the device's tensors take, elsewhere the whole process.
        "memory_peak_mib": peaks.get("cuda_allocated", peaks["rss"]),
        "peak_of_calls": restarted,
        "memory_base_mib": base_mib,
        "memory_tensors_mib": tensors_mib,
        **{f"time_part.{part}": ms for part, ms in without_copies(found.part_ms).items()},
        "time_watched_ms": found.watched_ms,
        "time_distortion": found.distortion,
        "warnings": sorted(health.warnings),
        "environment": capture(),
    }
