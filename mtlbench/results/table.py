"""The table: a pure function of a run folder's journal, its `run.json` and its statistics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mtlbench.hashing import canonical_json
from mtlbench.results.cell_row import cell_row, with_interval
from mtlbench.results.columns import ordered_columns
from mtlbench.results.comparisons import DELTA_M_BASELINE, compare_cell, delta_m_over_seeds
from mtlbench.results.evidence import Evidence, gather, mixed_code
from mtlbench.results.folder import RunFolder, write_atomically

__all__ = ["load_results", "load_tables", "seed_table", "write_tables"]

_MIN_SEEDS = 3


def load_results(path: str | Path) -> pd.DataFrame:
    """The result table of a run folder: one row per cell and machine, columns as in `docs/columns.md`.

    Raises:
        UsageError: `path` is not a run folder.
        JournalError: the journal cannot be read; names file and line.
    """
    return load_tables(path)[0]


def seed_table(path: str | Path) -> pd.DataFrame:
    """One row per cell over all its seeds: means, and delta-m with an interval over seeds and images together.

    Raises:
        UsageError: `path` is not a run folder.
        JournalError: the journal cannot be read; names file and line.
    """
    return load_tables(path)[1]


def load_tables(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`load_results` and `seed_table` in one pass."""
    folder = RunFolder(Path(path))
    run = folder.require_run()
    evidence = gather(folder, run)
    table = _table(run, evidence)
    return table, _seeds(run, evidence, table)


def write_tables(folder: RunFolder) -> pd.DataFrame:
    """Write `cells.csv` and `seeds.csv`; returns the table."""
    table, seeds = load_tables(folder.path)
    write_atomically(folder.path / "cells.csv", table.to_csv(index=False))
    write_atomically(folder.path / "seeds.csv", seeds.to_csv(index=False))
    return table


def _table(run: Mapping[str, Any], evidence: Mapping[tuple[str, str], Evidence]) -> pd.DataFrame:
    by_machine: dict[str, dict[str, Evidence]] = {}
    for (cell, machine), found in evidence.items():
        by_machine.setdefault(machine, {})[cell] = found
    mixed = {machine for machine, found in by_machine.items() if mixed_code(found.values())}
    rows = []
    for (_, machine), own in evidence.items():
        row = cell_row(own, run, machine)
        others = by_machine[machine]
        row |= compare_cell(own, row, others, run["measure"]["resamples"])
        codes = set(row["warnings"])
        if _is_split(own, others):
            codes.add("not_interleaved")
        if machine in mixed and own.evaluation is not None:
            codes.add("mixed_code")
        rows.append(row | {"warnings": ";".join(sorted(codes))})
    table = pd.DataFrame(rows)
    return table[ordered_columns(table.columns)]


def _is_split(own: Evidence, others: Mapping[str, Evidence]) -> bool:
    """Whether some block of this cell ran apart from a cell that it is compared with."""
    entry = own.entry
    companions = {entry["reference_id"], *entry["baseline_ids"].values(), *entry["companions"].values()}
    found = [others[cell_id] for cell_id in companions if cell_id in others]
    return any(len(own.pairs(other)) < len(own.timings.keys() & other.timings.keys()) for other in found)


def _seeds(
    run: Mapping[str, Any], evidence: Mapping[tuple[str, str], Evidence], table: pd.DataFrame
) -> pd.DataFrame:
    families: dict[str, list[int]] = {}
    keys = list(evidence)
    for i, (cell_id, machine) in enumerate(keys):
        spec = {**run["cells"][cell_id]["spec"], "seed": None}
        families.setdefault(canonical_json([spec, machine]), []).append(i)
    rows = []
    for members in families.values():
        ok = [i for i in members if table["status"].iloc[i] == "ok"]
        if ok:
            rows.append(
                _seed_row(run, [evidence[keys[i]] for i in ok], evidence, keys[ok[0]][1], table.iloc[ok])
            )
    return pd.DataFrame(rows, columns=None if rows else ["variant", "n_seeds"])


_SHARED = ("machine_id", "suite", "variant", "budget", "tasks", "dataset", "encoder", "hardware", "role")
_MEANS = (
    "metric.",
    "macs_",
    "flops_",
    "latency_",
    "throughput_",
    "memory_",
    "energy_mj",
    "params",
    "realisation",
)


def _seed_row(
    run: Mapping[str, Any],
    models: list[Evidence],
    evidence: Mapping[tuple[str, str], Evidence],
    machine: str,
    rows: pd.DataFrame,
) -> dict[str, Any]:
    first = rows.iloc[0]
    baselines = [
        evidence.get((model.entry["baseline_ids"].get(DELTA_M_BASELINE, ""), machine)) for model in models
    ]
    result = delta_m_over_seeds(models, baselines, run["measure"]["resamples"])
    row: dict[str, Any] = {name: first[name] for name in _SHARED}
    row |= {name: first[name] for name in rows.columns if name.startswith("axis.")}
    row |= {"seeds": "+".join(str(seed) for seed in rows["seed"]), "n_seeds": len(rows)}
    row |= with_interval("delta_m", result.value, result.interval)
    row["delta_m_reason"] = result.reason
    for name in rows.columns:
        if name.startswith(_MEANS) and ".ci_" not in name and pd.api.types.is_numeric_dtype(rows[name]):
            row[name] = rows[name].mean()
            if len(rows) > 1:
                row[f"{name}.sd_seeds"] = rows[name].std(ddof=1)
    trained = models[0].entry["spec"]["training"] is not None
    row["warnings"] = "few_seeds" if trained and len(rows) < _MIN_SEEDS else ""
    return row
