"""What the journal says about one cell: the launches that count, and the statistics beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mtlbench import tasks
from mtlbench.results.folder import RunFolder
from mtlbench.results.journal import Launch
from mtlbench.tasks.base import Task

__all__ = ["Evidence", "gather"]


@dataclass
class Evidence:
    """One cell on one machine.

    Args:
        entry: the cell's entry in `run.json`.
        samples: the run's `samples` folder.
        evaluation: the last evaluation that succeeded, or None.
        timings: by block, the launches that succeeded with the evaluation's weights, data and code, under the same
            settings as the last of them.
        failures: launches that failed after the last success of their kind.
    """

    entry: Mapping[str, Any]
    samples: Path
    evaluation: Launch | None = None
    timings: dict[int, Launch] = field(default_factory=dict)
    failures: list[Launch] = field(default_factory=list)

    @property
    def any_launch(self) -> Launch | None:
        """A launch that names identity and environment, timings first."""
        known = [*self.failures, *filter(None, [self.evaluation]), *self.timings.values()]
        return known[-1] if known else None

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The cell's tasks, for their metrics."""
        specs = self.entry["spec"]["problem"]["tasks"]
        return {spec["name"]: tasks.registry.get(spec["name"])(**spec["options"]) for spec in specs}

    @cached_property
    def statistics(self) -> dict[str, NDArray[np.float64]]:
        """Sufficient statistics by task, [images, S]; empty for untrained weights."""
        if self.evaluation is None:
            return {}
        path = self.samples / f"{self.evaluation['launch_id']}.images.parquet"
        if not path.exists():
            return {}
        names = [name for name in pq.read_schema(path).names if name.startswith("statistics.")]
        table = pq.read_table(path, columns=names)
        return {
            name.removeprefix("statistics."): np.array(table[name].to_pylist(), dtype=np.float64) for name in names
        }

    @cached_property
    def latencies_ms(self) -> NDArray[np.float64]:
        """All calls of all launches, pooled."""
        paths = [self.samples / f"{launch['launch_id']}.latency.parquet" for launch in self.timings.values()]
        columns = [pq.read_table(p, columns=["latency_ns"])["latency_ns"].to_numpy() for p in paths if p.exists()]
        return np.concatenate(columns) / 1e6 if columns else np.empty(0)

    def numbers(self, key: str) -> NDArray[np.float64]:
        """The values of one key over the timing launches that have it."""
        values = [launch.get(key) for launch in self.timings.values()]
        return np.array([v for v in values if v is not None and math.isfinite(v)], dtype=np.float64)


def gather(folder: RunFolder, cells: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Evidence]:
    """Evidence by (cell, machine), for every cell of `run.json`; machine is empty for a cell without launches."""
    grouped: dict[tuple[str, str], list[Launch]] = {}
    for launch in folder.launches():
        if launch["cell_id"] in cells:
            grouped.setdefault((launch["cell_id"], launch["machine_id"]), []).append(launch)
    machines: dict[str, list[str]] = {}
    for cell_id, machine in grouped:
        machines.setdefault(cell_id, []).append(machine)
    return {
        (cell_id, machine): _evidence(entry, folder.samples, grouped.get((cell_id, machine), []))
        for cell_id, entry in cells.items()
        for machine in machines.get(cell_id, [""])
    }


def _evidence(entry: Mapping[str, Any], samples: Path, launches: Iterable[Launch]) -> Evidence:
    evidence = Evidence(entry, samples)
    timings: list[Launch] = []
    for launch in launches:
        if launch["status"] != "ok":
            evidence.failures.append(launch)
            continue
        evidence.failures = [f for f in evidence.failures if (f["kind"], f["block"]) != (launch["kind"], launch["block"])]
        if launch["kind"] == "evaluate":
            evidence.evaluation = launch
        else:
            timings.append(launch)
    same = [launch for launch in timings if _origin(launch) == _origin(evidence.evaluation)]
    if same:
        current = same[-1]["reuse_key"]
        evidence.timings = {launch["block"]: launch for launch in same if launch["reuse_key"] == current}
    return evidence


def _origin(launch: Launch | None) -> tuple[Any, ...]:
    """What a row's launches must share: the same weights, data and code."""
    return () if launch is None else tuple(launch.get(name) for name in ("weights_hash", "data_hash", "code_version"))
