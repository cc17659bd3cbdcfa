"""The timing job: latency and energy of one cell in one block."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mtlbench.execute.jobs.cell import FixedInputs, OpenCell, PlannedCall
from mtlbench.measure.arrivals import ArrivalSamples, fixed_rate, poisson, serve
from mtlbench.measure.clock import Clock, clock_for
from mtlbench.measure.energy import measure_energy, select_meter
from mtlbench.measure.environment import capture
from mtlbench.measure.health import MACHINE_CODES, Health, compare
from mtlbench.measure.latency import LatencySamples, time_calls
from mtlbench.measure.memory import peak_rss_mib
from mtlbench.measure.process import prepare
from mtlbench.measure.warmup import warm_up
from mtlbench.variants.base import Runnable

if TYPE_CHECKING:
    from mtlbench.execute.worker import Channel

__all__ = ["Call", "time_job"]


def time_job(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Time the fixed list of test inputs, each issued equally often.

    Writes `<launch>.latency.parquet`: one row per call.
    """
    settings = job["measure"]
    threads = job["cell"]["hardware"]["threads"]
    process = prepare(threads)
    cell = OpenCell(job)
    clock = clock_for(cell.device)
    started = clock.now_ns()
    _, runnable = cell.runnable()
    load_ms = (clock.now_ns() - started) / 1e6
    inputs = cell.fixed_inputs(runnable)
    call = Call(runnable)
    played: Any = {"clips": inputs.clips, "before_clip": runnable.reset}
    begun = clock.now_ns()
    with torch.inference_mode():
        warm = warm_up(call, inputs.calls, clock, max_seconds=settings["warmup_max_seconds"], **played)
        before = Health.read()
        samples = time_calls(
            call,
            inputs.calls,
            clock,
            rounds=settings["rounds"],
            max_seconds=settings["max_seconds"],
            seed=job["block"],
            **played,
        )
        health = compare(before, Health.read(), threads=threads)
        before = Health.read()
        arrivals = _arrivals(call, inputs, clock, settings, played)
        energy = _energy(call, inputs, cell, settings, played)
        beside = MACHINE_CODES.intersection(compare(before, Health.read(), threads=threads).warnings)
    calling_s = (clock.now_ns() - begun) / 1e9
    _write(samples, Path(job["samples"]), job)
    return {
        "latency_ms": samples.mean_floor_ms(),
        "floors_ms": samples.floors_ms().tolist(),
        "n_calls": len(samples.latency_ns),
        "n_rounds": samples.n_rounds,
        "load_ms": load_ms,
        "first_call_ms": warm.first_call_ms,
        "warmup_calls": warm.n_calls,
        "calling_s": calling_s,
        "memory_launch_mib": peak_rss_mib(),
        **arrivals,
        **energy,
        **{f"health.{name}": value for name, value in health.as_dict().items()},
        **{f"process.{name}": value for name, value in process.as_dict().items()},
        "warnings": sorted({*warm.warnings, *samples.warnings, *health.warnings, *beside, *process.warnings}),
        "environment": capture(),
    }


class Call:
    """What is timed: the runnable, and nothing around it."""

    def __init__(self, runnable: Runnable) -> None:
        self._runnable = runnable

    def __call__(self, planned: PlannedCall) -> object:
        """One call, with the decisions that it is given, if any."""
        return self._runnable(planned.x, planned.decisions)


def _arrivals(
    call: Call, inputs: FixedInputs, clock: Clock, settings: dict[str, Any], played: dict[str, Any]
) -> dict[str, Any]:
    """Open loops, where the suite asks for them: a camera at a fixed rate, users at random."""
    found: dict[str, Any] = {}
    seconds = settings["arrival_seconds"]
    if (rate := settings["frame_rate_hz"]) is not None:
        frames = serve(call, inputs.calls, clock, fixed_rate(rate, max(1, round(rate * seconds))), **played)
        found["frames_missed"] = frames.missed(1e3 / rate)
        found |= _responses("frames", frames)
    if (rate := settings["poisson_rate_hz"]) is not None:
        arrivals = poisson(rate, max(1, round(rate * seconds)), settings["poisson_seed"])
        found |= _responses("poisson", serve(call, inputs.calls, clock, arrivals, **played))
    return found


def _responses(name: str, samples: ArrivalSamples) -> dict[str, Any]:
    quantiles = {f"{name}_response_ms_p{q}": samples.quantile_ms(q / 100) for q in (50, 90, 99)}
    return {**quantiles, f"{name}_busy": samples.busy_share}


def _energy(
    call: Call, inputs: FixedInputs, cell: OpenCell, settings: dict[str, Any], played: dict[str, Any]
) -> dict[str, Any]:
    """Energy per image where there is a meter; the reason where there is none."""
    meter = select_meter(settings["energy"], cell.device)
    clock = clock_for(cell.device)
    window = measure_energy(
        meter, call, inputs.calls, clock, min_seconds=settings["energy_min_seconds"], **played
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
