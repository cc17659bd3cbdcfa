"""Columns that compare cells: cost against references, paired ratios of time, realisation, delta-m."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.results.cell_row import BOOTSTRAP_SEED, with_interval
from mtlbench.results.evidence import Evidence
from mtlbench.stats.delta_m import DeltaM, paired_delta_m
from mtlbench.stats.quantiles import Interval, median_interval

__all__ = ["DELTA_M_BASELINE", "compare_cell", "delta_m_over_seeds"]

DELTA_M_BASELINE = "single_task"
_RATIO_BASELINES = ("single_task", "static_mtl")
_MIN_SAVING = 0.05


def compare_cell(
    own: Evidence, row: Mapping[str, Any], others: Mapping[str, Evidence], resamples: int
) -> dict[str, Any]:
    """All columns of one row that need other cells of the same machine.

    Args:
        own: the row's evidence.
        row: what `cell_row` gave.
        others: evidence by cell id, this machine's.
        resamples: of the bootstrap.
    """
    entry = own.entry
    reference = others.get(entry["reference_id"])
    columns: dict[str, Any] = {"macs_reference": _full_macs(reference)}
    for name in _RATIO_BASELINES:
        baseline = others.get(_baseline_id(entry, name))
        columns |= _ratios(name, own, row, baseline)
    columns |= _realisation(own, row, reference, columns["macs_reference"])
    columns |= _delta_m_columns(delta_m_over_seeds([own], [others.get(_baseline_id(entry, DELTA_M_BASELINE))], resamples))
    return columns


def delta_m_over_seeds(models: Sequence[Evidence], baselines: Sequence[Evidence | None], resamples: int) -> DeltaM:
    """Delta-m of the same cell over several seeds, each against the baseline of its own seed."""
    if all(baseline is None for baseline in baselines):
        return DeltaM(None, None, 0, 0, f"The run has no {DELTA_M_BASELINE} baseline.")
    if not any(model.statistics for model in models):
        untrained = models[0].entry["spec"]["training"] is None
        reason = "The weights are untrained." if untrained else "The cell was not evaluated."
        return DeltaM(None, None, 0, 0, reason)
    tasks = {
        name: (task.metrics, task.primary, task.directions[task.primary]) for name, task in models[0].tasks.items()
    }
    if all(a is b for a, b in zip(models, baselines, strict=True)):
        n_images = len(next(iter(models[0].statistics.values())))
        return DeltaM(0.0, None, len(models), n_images, "It is the baseline itself.")
    return paired_delta_m(
        [model.statistics for model in models],
        [baseline.statistics if baseline is not None else None for baseline in baselines],
        tasks,
        n_resamples=resamples,
        seed=BOOTSTRAP_SEED,
    )


def _delta_m_columns(result: DeltaM) -> dict[str, Any]:
    columns: dict[str, Any] = with_interval("delta_m", result.value, result.interval)
    columns |= {"delta_m_reason": result.reason, "n_seeds": result.n_seeds}
    for task, contribution in result.per_task.items():
        columns |= with_interval(f"delta_m.{task}", contribution.value, contribution.interval)
    return columns


def _baseline_id(entry: Mapping[str, Any], name: str) -> str:
    found: str = entry["baseline_ids"].get(name) or entry["companions"].get(name, "")
    return found


def _full_macs(evidence: Evidence | None) -> float | None:
    return None if evidence is None or evidence.evaluation is None else evidence.evaluation["macs_full"]


def _ratios(name: str, own: Evidence, row: Mapping[str, Any], baseline: Evidence | None) -> dict[str, Any]:
    executed = row.get("macs_executed")
    theirs = None if baseline is None or baseline.evaluation is None else baseline.evaluation["macs_executed"]
    macs = executed / theirs if executed and theirs else None
    ratios = _paired_latency_ratios(own, baseline)
    value = float(np.median(ratios)) if len(ratios) else None
    interval = None if own is baseline else median_interval(ratios)
    return {f"macs_vs_{name}": macs, **with_interval(f"latency_vs_{name}", value, interval)}


def _paired_latency_ratios(own: Evidence, other: Evidence | None) -> NDArray[np.float64]:
    """Own time over the other's, block by block: launches of one block ran side by side."""
    if other is None:
        return np.empty(0)
    pairs = [
        launch["latency_ms"] / other.timings[block]["latency_ms"]
        for block, launch in own.timings.items()
        if block in other.timings and other.timings[block]["session"] == launch["session"]
    ]
    return np.array(pairs, dtype=np.float64)


def _realisation(
    own: Evidence, row: Mapping[str, Any], reference: Evidence | None, macs_reference: float | None
) -> dict[str, Any]:
    """Realisation efficiency = (1 - t / t_ref) / (1 - nominal / reference), see DESIGN section 1."""
    empty: dict[str, Any] = {
        **with_interval("realisation", None, None),
        "realisation_ceiling": None,
        "realisation_energy": None,
    }
    reason = _no_realisation(own, row, reference, macs_reference)
    if reason is not None:
        return empty | {"realisation_reason": reason}
    assert macs_reference is not None  # noqa: S101  # _no_realisation has seen it
    saving = 1 - row["macs_nominal"] / macs_reference
    shares = (1 - _paired_latency_ratios(own, reference)) / saving
    interval: Interval | None = median_interval(shares)
    return empty | with_interval("realisation", float(np.median(shares)), interval) | {"realisation_reason": None}


def _no_realisation(
    own: Evidence, row: Mapping[str, Any], reference: Evidence | None, macs_reference: float | None
) -> str | None:
    if own is reference:
        return "It is its own reference."
    if reference is None or macs_reference is None:
        return "Its reference was not measured."
    nominal = row.get("macs_nominal")
    if nominal is None:
        return "Its own cost was not counted."
    if 1 - nominal / macs_reference < _MIN_SAVING:
        return "The nominal saving is under 5 %."
    if own.entry["mode"] == "masked":
        return "It ran masked, which saves nothing by design."
    if not len(_paired_latency_ratios(own, reference)):
        return "No block holds both it and its reference."
    return None
