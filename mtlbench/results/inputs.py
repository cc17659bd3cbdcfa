"""What happened per input: one row for each test image of each cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mtlbench.results.evidence import Evidence, gather
from mtlbench.results.folder import RunFolder

__all__ = ["COLUMNS", "load_inputs"]

COLUMNS = ("cell_id", "machine_id", "image", "macs_nominal", "macs_executed", "floor_ms")
"""Columns that are always there; `attribute.<name>` and `quality.<task>` follow where a cell has them."""

_STATISTICS = "statistics."


def load_inputs(folder: Path) -> pd.DataFrame:
    """What each test image of each cell cost, and how well it was predicted.

    A cell that was not evaluated, or has lost its samples, has no rows.

    Returns:
        One row per (cell, machine, image), in the order of the split. `macs_*` are per image; `macs_executed` is NaN
        where totals are refused. `floor_ms` is the median over launches of the input's fastest repeat, NaN for inputs
        that were not timed, or not alone (a batch above 1). `attribute.<name>` is what the dataset knows of the image.
        `quality.<task>` is the image's own primary metric, NaN where it has no label and for untrained weights.
        `cell_id`, `machine_id` and `image` are categorical.

    Raises:
        UsageError: `folder` is not a run folder.
        JournalError: the journal cannot be read.
    """
    run_folder = RunFolder(folder)
    found = gather(run_folder, run_folder.require_run())
    parts = {key: columns for key, evidence in found.items() if (columns := _columns(evidence))}
    sizes = [len(columns["image"]) for columns in parts.values()]
    images = pa.chunked_array([columns["image"] for columns in parts.values()], pa.string())
    table: dict[str, Any] = {
        "cell_id": pd.Categorical([cell for cell, _ in parts]).repeat(sizes),
        "machine_id": pd.Categorical([machine for _, machine in parts]).repeat(sizes),
        "image": images.dictionary_encode().to_pandas(),
    }
    others = {name for columns in parts.values() for name in columns} - set(COLUMNS)
    for name in (*COLUMNS[len(table) :], *sorted(others)):
        table[name] = np.concatenate(
            [
                np.empty(0),
                *(columns.get(name, np.full(len(columns["image"]), np.nan)) for columns in parts.values()),
            ]
        )
    return pd.DataFrame(table)


def _columns(evidence: Evidence) -> dict[str, Any]:
    """All columns of one cell but its identity; empty where there is nothing to read."""
    launch = evidence.evaluation
    if launch is None or not evidence.folder.has_samples(launch):
        return {}
    table = pq.read_table(evidence.folder.sample_file(launch))
    columns: dict[str, Any] = {"image": table["id"].combine_chunks()}
    for name in table.column_names:
        if name in COLUMNS or name.startswith("attribute."):
            columns[name] = table[name].to_numpy().astype(np.float64)
    if launch["macs_refused"]:
        del columns["macs_executed"]
    columns["floor_ms"] = _floors(evidence, len(table))
    return columns | _qualities(evidence, table)


def _floors(evidence: Evidence, count: int) -> NDArray[np.float64]:
    """The timed inputs are the first of the split, in order, where a call takes a single image."""
    floors = np.full(count, np.nan)
    if evidence.timings and evidence.entry["spec"]["hardware"]["batch"] == 1:
        floors_ms = [launch["floors_ms"] for launch in evidence.timings.values()]
        medians = np.median(np.array(floors_ms, dtype=np.float64), axis=0)
        floors[: len(medians)] = medians[:count]
    return floors


def _qualities(evidence: Evidence, table: pa.Table) -> dict[str, NDArray[np.float64]]:
    found = {}
    for name, task in evidence.tasks.items():
        if _STATISTICS + name in table.column_names:
            lists = table[_STATISTICS + name].combine_chunks()
            rows = lists.values.to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(table), -1)
            found[f"quality.{name}"] = task.metrics(rows)[task.primary]
    return found
