"""The timing job: latency, memory and energy of one cell in one block."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from mtlbench.execute.jobs.cell import OpenCell
from mtlbench.measure.clock import clock_for
from mtlbench.measure.energy import measure_energy, select_meter
from mtlbench.measure.environment import capture
from mtlbench.measure.health import Health, compare
from mtlbench.measure.latency import LatencySamples, time_calls
from mtlbench.measure.memory import peak_mib
from mtlbench.measure.process import prepare
from mtlbench.measure.warmup import warm_up
from mtlbench.variants.base import Runnable

if TYPE_CHECKING:
    from mtlbench.execute.worker import Channel

__all__ = ["time_job"]


def time_job(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Time the fixed list of test inputs, each issued equally often.

    Writes `<launch>.latency.parquet`: one row per call.
    """
    settings = job["measure"]
    threads = job["cell"]["hardware"]["threads"]
    process = prepare(threads)
    cell = OpenCell(job)
    normalise = cell.normaliser()
    inputs = [normalise(batch.images) for batch in cell.batches(cell.inputs)]
    clock = clock_for(cell.device)
    started = clock.now_ns()
    _, runnable = cell.runnable()
    load_ms = (clock.now_ns() - started) / 1e6
    call = _Call(runnable)
    with torch.inference_mode():
        warm = warm_up(
            call, inputs, clock, max_seconds=settings["warmup_max_seconds"], before_call=runnable.reset
        )
        before = Health.read()
        samples = time_calls(
            call,
            inputs,
            clock,
            rounds=settings["rounds"],
            max_seconds=settings["max_seconds"],
            seed=job["block"],
            before_call=runnable.reset,
        )
        health = compare(before, Health.read(), threads=threads)
        memory = _memory(cell.device)
        energy = _energy(call, runnable.reset, inputs, cell, settings)
    _write(samples, Path(job["samples"]), job)
    return {
        "latency_ms": samples.mean_floor_ms(),
        "floors_ms": samples.floors_ms().tolist(),
        "n_calls": len(samples.latency_ns),
        "n_rounds": samples.n_rounds,
        "load_ms": load_ms,
        "first_call_ms": warm.first_call_ms,
        "warmup_calls": warm.n_calls,
        **memory,
        **energy,
        **{f"health.{name}": value for name, value in health.as_dict().items()},
        **{f"process.{name}": value for name, value in process.as_dict().items()},
        "warnings": sorted({*warm.warnings, *samples.warnings, *health.warnings, *process.warnings}),
        "environment": capture(),
    }


class _Call:
    """What is timed: the runnable, and nothing around it."""

    def __init__(self, runnable: Runnable) -> None:
        self._runnable = runnable

    def __call__(self, x: Tensor) -> object:
        return self._runnable(x)


def _memory(device: str) -> dict[str, float]:
    """Peaks of this process; the headline is the device's own tensors on CUDA, the whole process elsewhere."""
    peaks = peak_mib(device)
    named = {f"memory_{name}_mib": value for name, value in peaks.items()}
    return named | {"memory_peak_mib": peaks.get("cuda_allocated", peaks["rss"])}


def _energy(
    call: _Call, reset: Callable[[], None], inputs: list[Tensor], cell: OpenCell, settings: dict[str, Any]
) -> dict[str, Any]:
    """Energy per image where there is a meter; the reason where there is none."""
    meter = select_meter(settings["energy"], cell.device)
    clock = clock_for(cell.device)
    window = measure_energy(
        meter, call, inputs, clock, min_seconds=settings["energy_min_seconds"], before_call=reset
    )
    row = {f"energy_{name}": value for name, value in window.reading.as_dict().items() if name != "joules"}
    per_call = window.millijoules_per_call
    return row | {"energy_mj": None if per_call is None else per_call / cell.batch}


def _write(samples: LatencySamples, folder: Path, job: dict[str, Any]) -> None:
    """Raw samples, each row saying which launch, process, block and position it comes from."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{job['launch_id']}.latency.parquet"
    n = len(samples.latency_ns)
    table = pa.table(
        {
            "launch_id": pa.array([job["launch_id"]] * n).dictionary_encode(),
            "cell_id": pa.array([job["cell_id"]] * n).dictionary_encode(),
            "pid": np.full(n, os.getpid(), dtype=np.int32),
            "started_unix_s": np.full(n, int(time.time()), dtype=np.int64),
            "block": np.full(n, job["block"], dtype=np.int32),
            "position": np.full(n, job["position"], dtype=np.int32),
            "round": samples.round,
            "order": samples.order,
            "input": samples.input_index,
            "latency_ns": samples.latency_ns,
        }
    )
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial)
    partial.replace(path)
