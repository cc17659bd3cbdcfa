"""One row of the table from one cell's own launches; nothing here looks at another cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.results.evidence import Evidence, code_version, is_disturbed
from mtlbench.stats.bootstrap import bootstrap_metrics
from mtlbench.stats.quantiles import Interval, median_and_p95, median_interval, reportable_from

__all__ = ["BOOTSTRAP_SEED", "cell_row", "time_columns", "with_interval"]

BOOTSTRAP_SEED = 0

_COST = (
    *("params", "params_active", "cache_mib"),
    *("macs_nominal", "macs_nominal_p50", "macs_nominal_p95"),
    *("macs_nominal_timed", "macs_executed"),
    *(
        "macs_executed_p50",
        "macs_executed_p95",
        "macs_claimed",
        "macs_policy",
        "macs_policy_p50",
        "macs_policy_p95",
    ),
    *(
        "macs_fvcore",
        "macs_ptflops",
        "macs_torch",
        "macs_source",
        "uncounted_time_share",
        "weights_mib",
        "n_images",
    ),
)
_ARRIVALS = (
    *(
        "frames_missed",
        "frames_response_ms_p50",
        "frames_response_ms_p90",
        "frames_response_ms_p99",
        "frames_busy",
    ),
    *("poisson_response_ms_p50", "poisson_response_ms_p90", "poisson_response_ms_p99", "poisson_busy"),
)
_ENERGY = ("energy_source", "energy_quality", "energy_reason")
_COUNTER_TOLERANCE = 0.01
_SAME_ENVIRONMENT = tuple(
    f"environment.{name}" for name in ("python", "torch", "numpy", "mtlbench", "kernel", "governor")
)


def cell_row(evidence: Evidence, run: Mapping[str, Any], machine: str) -> dict[str, Any]:
    """All columns that need this cell alone."""
    return {
        **_identity(evidence, run, machine),
        **_status(evidence, timed=run["measure"]["launches"] > 0),
        **_quality(evidence, run["measure"]["resamples"]),
        **_cost(evidence),
        **time_columns(evidence),
        **_profile(evidence),
        **_energy(evidence),
        **_environment(evidence),
        "warnings": _warnings(evidence),
    }


def with_interval(name: str, value: float | None, interval: Interval | None) -> dict[str, float | None]:
    """A value and the two columns of its interval."""
    return {
        name: value,
        f"{name}.ci_low": interval.low if interval else None,
        f"{name}.ci_high": interval.high if interval else None,
    }


def _identity(evidence: Evidence, run: Mapping[str, Any], machine: str) -> dict[str, Any]:
    entry = evidence.entry
    spec = entry["spec"]
    launch = evidence.any_launch or {}
    return {
        "run_id": launch.get("run_id", run["run_id"]),
        "machine_id": machine,
        "suite": run["suite"],
        "cell_id": entry["cell_id"],
        "label": entry["label"],
        "role": entry["role"],
        "variant": spec["variant"]["name"],
        **{f"axis.{name}": value for name, value in spec["point"].items()},
        "budget": entry["budget"],
        "tasks": "+".join(evidence.asked),
        "trained_tasks": "+".join(task["name"] for task in spec["problem"]["tasks"]),
        "dataset": entry["dataset"],
        "encoder": entry["encoder"],
        "hardware": entry["hardware"],
        **{
            name: spec["hardware"].get(name)
            for name in ("device", "threads", "precision", "runtime", "batch")
        },
        "seed": spec["seed"],
        "n_launches": len(evidence.timings),
        "whole_cell_id": entry.get("whole_id", entry["cell_id"]),
        "reference_cell_id": entry["reference_id"],
        "baseline_cell_ids": ";".join(f"{name}={cell}" for name, cell in entry["baseline_ids"].items()),
        "artifact_ids": "+".join(launch.get("artifact_ids", [])),
        "weights_from": "+".join(sorted(set(launch.get("weights_from", [])))),
        "weights_hash": launch.get("weights_hash"),
        "data_hash": launch.get("data_hash"),
        "code_version": ";".join(f"{name}={v}" for name, v in code_version(launch).items()),
    }


def _status(evidence: Evidence, *, timed: bool) -> dict[str, str | None]:
    """The cell's status: its failures outweigh what it has."""
    if evidence.entry["unsupported"]:
        return {"status": "unsupported", "reason": evidence.entry["unsupported"]}
    if evidence.failures:
        last = evidence.failures[-1]
        return {"status": "failed", "reason": f"{last['kind']}: {last.get('reason')}"}
    if evidence.evaluation is None:
        return {"status": "skipped", "reason": "not run yet"}
    if timed and not evidence.timings:
        return {"status": "skipped", "reason": "not timed yet"}
    return {"status": "ok", "reason": None}


def _quality(evidence: Evidence, resamples: int) -> dict[str, Any]:
    if evidence.evaluation is None:
        return {}
    row: dict[str, Any] = {}
    for name, task in evidence.tasks.items():
        intervals: Mapping[str, Interval | None] = {}
        if name in evidence.statistics:
            statistics = evidence.statistics[name]
            intervals = bootstrap_metrics(
                statistics, task.metrics, n_resamples=resamples, seed=BOOTSTRAP_SEED
            )
        for metric in task.directions:
            column = f"metric.{name}.{metric}"
            if column in evidence.evaluation:
                row |= with_interval(column, evidence.evaluation[column], intervals.get(metric))
    return row


def _cost(evidence: Evidence) -> dict[str, Any]:
    launch = evidence.evaluation
    if launch is None:
        return {}
    row = {name: launch.get(name) for name in _COST}
    row |= {name: value for name, value in launch.items() if name.startswith("macs_part.")}
    row["macs_claimed_reference"] = launch.get("macs_claimed_full")
    row["uncounted_ops"] = ";".join(launch["uncounted_ops"])
    row["macs_notes"] = "; ".join(launch.get("macs_notes", []))
    if launch["macs_refused"]:
        row |= dict.fromkeys(name for name in row if name.startswith("macs_executed"))
    executed = row["macs_executed"]
    row["flops_executed"] = None if executed is None else 2 * executed
    return row


def time_columns(evidence: Evidence) -> dict[str, Any]:
    """Latency, cold start and open loops over the launches that count; empty where none was timed."""
    if not evidence.timings:
        return {}
    launches = evidence.numbers("latency_ms")
    batch = evidence.entry["spec"]["hardware"]["batch"]
    latency_ms = float(np.median(launches))
    floors = np.mean([launch["floors_ms"] for launch in evidence.timings.values()], axis=0)
    row = with_interval("latency_ms", latency_ms, median_interval(launches))
    for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        enough = len(evidence.latencies_ms) >= reportable_from(q)
        value = float(np.quantile(evidence.latencies_ms, q, method="inverted_cdf")) if enough else None
        row[f"latency_ms_{name}"] = value
    row["latency_input_ms_p50"], row["latency_input_ms_p95"] = median_and_p95(floors)
    row["throughput_ips"] = 1e3 * batch / latency_ms
    for name in ("load_ms", "first_call_ms"):
        row[name] = float(np.median(evidence.numbers(name)))
    row["compile_ms"] = None
    return row | {name: _median(evidence.numbers(name)) for name in _ARRIVALS}


def _median(values: NDArray[np.float64]) -> float | None:
    return float(np.median(values)) if len(values) else None


def _profile(evidence: Evidence) -> dict[str, Any]:
    """Memory, and time by part, from the launch that looked at nothing else."""
    launch: Mapping[str, Any] = evidence.profile or {}
    row: dict[str, Any] = {
        name: launch.get(name) for name in ("memory_peak_mib", "memory_base_mib", "memory_tensors_mib")
    }
    row |= {name: ms for name, ms in launch.items() if name.startswith("time_part.")}
    return row | {"time_distortion": launch.get("time_distortion")}


def _energy(evidence: Evidence) -> dict[str, Any]:
    if not evidence.timings:
        return {}
    last = list(evidence.timings.values())[-1]
    values = evidence.numbers("energy_mj")
    row = {name: last.get(name) for name in _ENERGY}
    if len(values) == 0:
        return row | with_interval("energy_mj", None, None) | {"energy_modelled_mj": None}
    measured = with_interval("energy_mj", float(np.median(values)), median_interval(values))
    return row | measured | {"energy_modelled_mj": None}


def _environment(evidence: Evidence) -> dict[str, Any]:
    launch = evidence.any_launch or {}
    return {
        name: value
        for name, value in launch.items()
        if name.startswith(("environment.", "process.", "health.")) and not isinstance(value, list | dict)
    }


def _warnings(evidence: Evidence) -> set[str]:
    codes = {code for launch in evidence.timings.values() for code in launch.get("warnings", [])}
    if evidence.timings and median_interval(evidence.numbers("latency_ms")) is None:
        codes.add("few_launches")
    launch = evidence.evaluation
    if launch is not None and launch["macs_refused"]:
        codes.add("macs_refused")
    elif launch is not None and evidence.entry["decision"] == "static":
        difference = abs(launch["macs_executed"] - launch["macs_full"])
        if difference > _COUNTER_TOLERANCE * launch["macs_full"]:
            codes.add("counter_differs_from_formula")
    if evidence.profile is not None and is_disturbed(evidence.profile):
        codes.add("profile_disturbed")
    if launch is not None and launch.get("decided_untrained"):
        codes.add("untrained_decisions")
    if evidence.entry["waivers"]:
        codes.add("waiver")
    if evidence.lacks_samples:
        codes.add("samples_missing")
    if any(len({str(t.get(name)) for t in evidence.timings.values()}) > 1 for name in _SAME_ENVIRONMENT):
        codes.add("mixed_environment")
    return codes
