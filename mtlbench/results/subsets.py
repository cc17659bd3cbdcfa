"""What running only some of a cell's tasks costs: one row per cell, machine and subset of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mtlbench.results.cell_row import time_columns
from mtlbench.results.evidence import Evidence, gather
from mtlbench.results.folder import RunFolder

__all__ = ["COLUMNS", "subset_table"]

COLUMNS = (
    *("cell_id", "machine_id", "tasks", "n_tasks", "macs_executed", "macs_nominal", "params_active"),
    *("latency_ms", "latency_ms.ci_low", "latency_ms.ci_high", "source"),
)
_PREFIX = "subset."
_LATENCY = ("latency_ms", "latency_ms.ci_low", "latency_ms.ci_high")


def subset_table(path: str | Path) -> pd.DataFrame:
    """The cost of every subset of tasks that a run knows of.

    MACs are counted when a cell is evaluated, on a few inputs (`source` counted). Where the suite asked for a subset
    (`ask`), there is a cell of its own, and with it a latency (`source` measured).

    Returns:
        Columns as in `COLUMNS`; `cell_id` is the cell that is asked for all its tasks, `tasks` joined by `+`.
    """
    folder = RunFolder(Path(path))
    evidence = gather(folder, folder.require_run())
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for (cell_id, machine), found in evidence.items():
        for tasks, costs in _counted(found).items():
            rows[cell_id, machine, tasks] = {**costs, "source": "counted"}
    for (cell_id, machine), found in evidence.items():
        whole = found.entry.get("whole_id", cell_id)
        if found.evaluation is not None and (whole, machine) in evidence:
            key = (whole, machine, "+".join(found.asked))
            # Counted MACs stay: all subsets of a cell are counted on the same inputs.
            rows[key] = {**_measured(found), **rows.get(key, {}), "source": "measured"}
    identified = [
        {"cell_id": cell, "machine_id": machine, "tasks": tasks, "n_tasks": tasks.count("+") + 1, **row}
        for (cell, machine, tasks), row in rows.items()
    ]
    return pd.DataFrame(identified, columns=list(COLUMNS))


def _counted(evidence: Evidence) -> dict[str, dict[str, float]]:
    """By subset, what the evaluation counted; nothing where totals are refused."""
    found: dict[str, dict[str, float]] = {}
    launch: Mapping[str, Any] = evidence.evaluation or {}
    if not launch.get("macs_refused"):
        for key, value in launch.items():
            if key.startswith(_PREFIX):
                tasks, _, name = key.removeprefix(_PREFIX).rpartition(".")
                found.setdefault(tasks, {})[name] = value
    return found


def _measured(evidence: Evidence) -> dict[str, Any]:
    launch: Mapping[str, Any] = evidence.evaluation or {}
    timed = time_columns(evidence)
    refused = launch.get("macs_refused")
    return {
        "macs_executed": None if refused else launch.get("macs_executed"),
        "macs_nominal": launch.get("macs_nominal"),
        "params_active": launch.get("params_active"),
        **{name: timed.get(name) for name in _LATENCY},
    }
