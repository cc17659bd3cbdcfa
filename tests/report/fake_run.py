"""A made-up but realistic run: the shapes and the holes of a real table, from a seeded generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.report import RunView

PRIMARY = {
    "semseg": {"metric": "miou", "direction": "higher"},
    "human_parts": {"metric": "miou", "direction": "higher"},
    "saliency": {"metric": "miou", "direction": "higher"},
    "edge": {"metric": "odsf", "direction": "higher"},
    "normals": {"metric": "mean_angle", "direction": "lower"},
}
TASKS = tuple(PRIMARY)
BASE = {"semseg": 0.673, "human_parts": 0.602, "saliency": 0.651, "edge": 0.712, "normals": 14.3}
HOSTILE = "<script>alert(1)</script>"
# variant: (keep ratios, (executed, nominal) share of its reference, reference MACs, latency, memory, delta-m)
WAYS: dict[str, list[tuple[float | None, float, float, float, float, float, float]]] = {
    "single_task": [(None, 1.0, 1.0, 5.4e9, 212.0, 410.0, 0.0)],
    "static_mtl": [(None, 1.0, 1.0, 1.62e9, 61.5, 265.0, -1.9)],
    "adamtl": [(1.0, 1.02, 1.02, 1.62e9, 66.8, 281.0, -1.7), (0.5, 0.64, 0.58, 1.62e9, 60.9, 274.0, -3.4)],
    "computation_sharing": [
        (1.0, 1.0, 1.0, 5.4e9, 219.0, 455.0, 0.1),
        (0.5, 0.83, 0.51, 5.4e9, 204.0, 455.0, -0.8),
    ],
}
WARNINGS = {
    "steal_time": "Another tenant used the processor during the measurement; repeat on a quieter machine.",
    "few_launches": "Fewer than six launches, so no 95 % interval of the median exists; raise `launches`.",
}


def reference_of(variant: str, seed: int) -> str:
    return f"static_mtl-None-{seed}" if variant == "adamtl" else f"single_task-None-{seed}"


def spread(name: str, value: float, half: float) -> dict[str, float]:
    return {name: value, f"{name}.ci_low": value - half, f"{name}.ci_high": value + half}


def cell(
    variant: str, point: tuple[Any, ...], seed: int, tasks: tuple[str, ...], rng: np.random.Generator
) -> dict[str, Any]:
    keep, executed, nominal, reference, latency, memory, delta = point
    own = variant in ("single_task", "static_mtl")
    cell_id = f"{variant}-{keep}-{seed}"
    row: dict[str, Any] = {
        "run_id": "2031-05-04T10-22-07",
        "machine_id": "m-51c0",
        "suite": "pascal-small",
        "cell_id": cell_id,
        "reference_cell_id": cell_id if own else reference_of(variant, seed),
        "variant": variant,
        "axis.keep_ratio": keep,
        "tasks": "+".join(tasks),
        "dataset": "pascal_context",
        "encoder": "vit_tiny",
        "hardware": "cpu-1t-b1",
        "seed": seed,
        "role": "baseline" if variant == "single_task" else "requested",
        "n_launches": 7,
        "params": 5.7e6,
        "macs_reference": reference,
        "macs_nominal": nominal * reference,
        "macs_executed": executed * reference,
        "flops_executed": 2 * executed * reference,
        "macs_claimed": 0.47 * reference if variant == "computation_sharing" and keep == 0.5 else np.nan,
        "uncounted_ops": 0,
        "memory_peak_mib": memory + rng.normal(0, 1.5),
        "weights_mib": 22.8,
        "energy_mj": np.nan,
        "energy_quality": "unavailable",
        "energy_reason": "RAPL cannot be read: permission denied",
        "status": "ok",
        "reason": None,
        "warnings": "steal_time" if keep == 0.5 else "",
        "environment.cpu": "Xeon",
        **spread("latency_ms", latency * (1 + rng.normal(0, 0.01)), 0.012 * latency),
    }
    change = delta + (0.0 if variant == "single_task" else rng.normal(0, 0.15))
    row.update({"delta_m": 0.0} if variant == "single_task" else spread("delta_m", change, 0.6))
    for task in tasks:
        sign = 1 if PRIMARY[task]["direction"] == "higher" else -1
        value = BASE[task] * (1 + sign * (change + rng.normal(0, 0.3)) / 100)
        row.update(spread(f"metric.{task}.{PRIMARY[task]['metric']}", value, 0.012 * value))
    if nominal < 0.95:
        row.update(spread("realisation", 0.11 if variant == "computation_sharing" else 0.03, 0.02))
    else:
        row["realisation_reason"] = "the nominal saving is under 5 %"
    return row


def broken(row: dict[str, Any], status: str, reason: str) -> dict[str, Any]:
    kept = {name: row[name] for name in list(row)[:14]}
    return {**kept, "status": status, "reason": reason}


def full_table(tasks: tuple[str, ...] = TASKS, seeds: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    rows = [
        cell(variant, point, seed, tasks, rng)
        for variant, points in WAYS.items()
        for point in points
        for seed in range(seeds)
    ]
    extra = {
        **cell("adamtl", (0.25, 0.4, 0.3, 1.62e9, 50.0, 270.0, -9.0), 0, tasks, rng),
        "cell_id": "adamtl-0.25-0",
    }
    rows.append(broken(extra, "failed", "the worker was killed: out of memory"))
    rows.append(broken({**extra, "cell_id": "adamtl-int8"}, "unsupported", "adamtl has no int8 path"))
    return pd.DataFrame(rows)


def fake_view(folder: Path, table: pd.DataFrame | None = None, **changes: Any) -> RunView:
    table = full_table() if table is None else table
    run = {
        "run_id": "2031-05-04T10-22-07",
        "suite": "pascal-small",
        "created": "2031-05-04T10:22:07Z",
        "mtlbench_version": "0.1.0",
        "code_version": "a1b2c3d4",
        "primary": PRIMARY,
    }
    environment = {
        "cpu": "Intel Xeon Platinum",
        "threads": 1,
        "libraries": {"torch": "2.13.0", "numpy": "2.4"},
    }
    given = {"run": run, "environment": environment, "warnings": WARNINGS, **changes}
    return RunView(folder=folder, table=table, **given)


def random_weights(table: pd.DataFrame) -> pd.DataFrame:
    """The same run without training: no metrics, no delta-m."""
    kept = [name for name in table.columns if not name.startswith(("metric.", "delta_m"))]
    return table[kept].assign(
        delta_m=np.nan, delta_m_reason="the weights are random, so there is no accuracy"
    )


def hostile(table: pd.DataFrame) -> pd.DataFrame:
    """Names, axis values and reasons that try to leave their place."""
    out = table.copy()
    out["variant"] = out["variant"].replace(
        {"adamtl": HOSTILE, "computation_sharing": r"$\frac{a}{$ _b|`c`*"}
    )
    out["axis.keep_ratio"] = out["axis.keep_ratio"].map(
        lambda value: f'{value}"><img src=x onerror=alert(2)>'
    )
    out["dataset"] = "&lt;b&gt;</style><b>pascal"
    out["energy_reason"] = "[link](javascript:alert(3))\x00\x1b[31m </td>"
    return out
