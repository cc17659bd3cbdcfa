"""The evaluation job: quality and cost of one cell, counted during the very calls that made the predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtlbench.cost.audit import unique_parts
from mtlbench.cost.counter import UNCOUNTED_LIMIT, CostCount, count_call
from mtlbench.cost.crosscheck import crosscheck
from mtlbench.cost.units import CostUnit, total_macs
from mtlbench.data.base import Sample
from mtlbench.execute.jobs.cell import OpenCell
from mtlbench.execute.jobs.parts import without_copies
from mtlbench.execute.jobs.pictures import keep_pictures
from mtlbench.execute.jobs.subsets import count_subsets
from mtlbench.measure.environment import capture
from mtlbench.measure.memory import module_weights_mib
from mtlbench.measure.process import prepare
from mtlbench.stats.quantiles import median_and_p95
from mtlbench.variants.base import Runnable, Trace, Variant

if TYPE_CHECKING:
    from mtlbench.execute.worker import Channel

__all__ = ["evaluate_job"]

_SUBSET_CALLS = 8


def evaluate_job(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Predict on the test split (on the timed inputs alone where weights are untrained).

    Writes `<launch>.images.parquet` (per image: MACs and sufficient statistics) and pictures.
    """
    prepare(job["cell"]["hardware"]["threads"])
    cell = OpenCell(job)
    variant, runnable = cell.runnable()
    trained = job["weights"] is not None
    ledger = _Ledger(cell, runnable.units(), trained)
    normalise = cell.normaliser()
    parts = unique_parts(runnable.parts())
    decided = False
    with torch.inference_mode():
        for index, batch in enumerate(cell.batches(None if trained else cell.inputs)):
            x = normalise(batch.images)
            if cell.starts_clip(index):
                runnable.reset()
            decisions = cell.decisions(runnable, x, index)
            (predictions, trace), count = count_call(runnable, x, decisions, parts=parts)
            outputs = {name: prediction.float().cpu().numpy() for name, prediction in predictions.items()}
            ledger.add(batch.samples, outputs, trace, count)
            decided |= not trained and decisions is None and trace.decisions is not None
        checked = _crosscheck(variant, runnable, x) if job["measure"]["crosscheck"] else {}
        checked |= _subsets(cell, variant, runnable, normalise)
    folder = Path(job["samples"])
    folder.mkdir(parents=True, exist_ok=True)
    ledger.write(folder / f"{job['launch_id']}.images.parquet")
    if trained:  # the predictions of untrained networks mean nothing
        with torch.inference_mode():
            keep_pictures(cell, runnable, ledger.rows, folder / f"{job['cell_id']}.pictures.npz")
    about = {"decided_untrained": decided, "environment": capture()}
    return ledger.summary() | _memory(runnable) | checked | about


@dataclass
class _Ledger:
    """What every image cost and how well it was predicted."""

    cell: OpenCell
    units: list[CostUnit]
    trained: bool
    claimed_full: float | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    by_part: dict[str, float] = field(default_factory=dict)
    timed_by_part: dict[str, float] = field(default_factory=dict)
    uncounted: set[str] = field(default_factory=set)
    uncounted_shares: list[float] = field(default_factory=list)

    def add(
        self,
        samples: tuple[Sample, ...],
        predictions: dict[str, NDArray[np.float32]],
        trace: Trace,
        count: CostCount,
    ) -> None:
        statistics = self._statistics(samples, predictions) if self.trained else {}
        nominal = trace.nominal_macs(self.units)
        self.claimed_full = trace.claimed_full_macs
        if len(self.rows) < self._timed:
            for part, units in self._units_by_part.items():
                needed = sum(trace.nominal_macs(units))
                self.timed_by_part[part] = self.timed_by_part.get(part, 0.0) + needed
        policy = trace.nominal_macs([unit for unit in self.units if unit.part == "policy"])
        for i, sample in enumerate(samples):
            row = {
                "id": sample.id,
                # A batch is one dispatch: its MACs are shared equally, its nominal ones are each sample's own.
                "macs_executed": count.macs / len(samples),
                "macs_nominal": nominal[i],
                "macs_policy": policy[i],
                "macs_claimed": None if trace.claimed_macs is None else float(trace.claimed_macs[i]),
                **{f"attribute.{name}": float(value) for name, value in sample.attributes.items()},
                **{f"statistics.{name}": values[i].tolist() for name, values in statistics.items()},
            }
            self.rows.append(row)
        for part, macs in without_copies(count.by_part).items():
            self.by_part[part] = self.by_part.get(part, 0.0) + macs
        self.uncounted.update(count.uncounted_ops)
        self.uncounted_shares.append(count.uncounted_time_share)

    @property
    def _timed(self) -> int:
        return self.cell.inputs * self.cell.batch

    @cached_property
    def _units_by_part(self) -> dict[str, list[CostUnit]]:
        grouped: dict[str, list[CostUnit]] = {}
        for unit in self.units:
            grouped.setdefault(unit.part, []).append(unit)
        return grouped

    def _statistics(
        self, samples: tuple[Sample, ...], predictions: dict[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float64]]:
        height, width = self.cell.problem.size
        result = {}
        for name, task in self.cell.tasks.items():
            labels = [
                s.labels[name] if name in s.labels else task.empty_label(height, width) for s in samples
            ]
            result[name] = task.statistics(predictions[name], np.stack(labels))
        return result

    def write(self, path: Path) -> None:
        partial = path.with_suffix(".partial")
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        table = pa.table({name: pa.array([row.get(name) for row in self.rows]) for name in names})
        pq.write_table(table, partial)
        partial.replace(path)

    def summary(self) -> dict[str, Any]:
        share = float(np.mean(self.uncounted_shares))
        timed = min(self._timed, len(self.rows))
        values: dict[str, Any] = {
            "n_images": len(self.rows),
            "macs_full": total_macs(self.units),
            **{f"macs_part.{part}": macs / len(self.rows) for part, macs in self.by_part.items()},
            **{f"macs_full_part.{part}": total_macs(units) for part, units in self._units_by_part.items()},
            # Of the images that are timed too: what is saved on them is what their time can show.
            "macs_nominal_timed": float(np.mean([row["macs_nominal"] for row in self.rows[:timed]])),
            **{f"macs_nominal_timed_part.{part}": m / timed for part, m in self.timed_by_part.items()},
            "uncounted_ops": sorted(self.uncounted),
            "uncounted_time_share": share,
            "macs_refused": share > UNCOUNTED_LIMIT,
            "macs_source": "dispatch",
        }
        for name in ("macs_executed", "macs_nominal", "macs_policy"):
            column = np.array([row[name] for row in self.rows])
            values[name] = float(column.mean())
            values[f"{name}_p50"], values[f"{name}_p95"] = median_and_p95(column)
        claimed = [row["macs_claimed"] for row in self.rows if row["macs_claimed"] is not None]
        values["macs_claimed"] = float(np.mean(claimed)) if claimed else None
        values["macs_claimed_full"] = self.claimed_full
        return values | self._quality()

    def _quality(self) -> dict[str, float]:
        if not self.trained:
            return {}
        quality: dict[str, float] = {}
        for name, task in self.cell.tasks.items():
            sums = np.sum([row[f"statistics.{name}"] for row in self.rows], axis=0)
            quality |= {
                f"metric.{name}.{metric}": float(value) for metric, value in task.metrics(sums).items()
            }
        return quality


def _subsets(
    cell: OpenCell,
    variant: Variant,
    runnable: Runnable,
    normalise: Callable[[NDArray[np.uint8]], Tensor],
) -> dict[str, Any]:
    """The cost of task subsets: one call tells it where every input takes one path, a few where it does not."""
    if len(cell.asked) == 1 or cell.asked != cell.problem.task_names:
        return {}
    if runnable.has_state:
        calls = cell.calls_of_first_clip()  # frames behind a key frame cost less than it
    else:
        calls = 1 if variant.decision in {"static", "task"} else min(cell.inputs, _SUBSET_CALLS)
    return count_subsets(cell, variant, [normalise(batch.images) for batch in cell.batches(calls)])


def _memory(runnable: Runnable) -> dict[str, Any]:
    networks = runnable.networks()
    parameters = {id(p): p.numel() for network in networks for p in network.parameters()}
    active = {id(p): p.numel() for _, module in runnable.parts() for p in module.parameters()}
    return {
        "params": sum(parameters.values()),
        "params_active": sum(active.values()),
        "weights_mib": module_weights_mib(networks),
        "cache_mib": runnable.cache_bytes() / 2**20 or None,
    }


def _crosscheck(variant: Variant, runnable: Runnable, x: Tensor) -> dict[str, Any]:
    """The same network through fvcore and ptflops; only where every input takes one path."""
    if variant.decision not in {"static", "task"}:
        return {"macs_notes": ["other counters follow one path, this variant takes many"]}
    checked = crosscheck(_Positional(runnable), x[:1])
    return {
        "macs_fvcore": checked.macs_fvcore,
        "macs_ptflops": checked.macs_ptflops,
        "macs_torch": checked.macs_torch,
        "macs_notes": list(checked.notes),
    }


class _Positional(nn.Module):
    """A runnable as those libraries want it: a module from tensor to tuple of tensors."""

    def __init__(self, runnable: Runnable) -> None:
        super().__init__()
        self.networks = nn.ModuleList(runnable.networks())
        self._runnable = runnable

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self._runnable.reset()
        predictions, _ = self._runnable(x)
        return tuple(predictions.values())
