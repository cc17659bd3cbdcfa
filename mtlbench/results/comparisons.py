"""Columns that compare cells: cost against references, paired ratios of time, realisation, delta-m."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.results.cell_row import BOOTSTRAP_SEED, with_interval
from mtlbench.results.evidence import Evidence
from mtlbench.stats.delta_m import DeltaM, paired_delta_m
from mtlbench.stats.quantiles import median_interval

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
    reference = _comparable(own, others.get(entry["reference_id"]))
    columns: dict[str, Any] = {"macs_reference": _full_macs(reference)}
    for name in _RATIO_BASELINES:
        baseline = _comparable(own, others.get(_baseline_id(entry, name)))
        columns |= _ratios(name, own, row, baseline)
    columns |= _realisation(own, row, reference, columns["macs_reference"])
    columns |= _delta_m_columns(
        delta_m_over_seeds([own], [others.get(_baseline_id(entry, DELTA_M_BASELINE))], resamples)
    )
    return columns


def delta_m_over_seeds(
    models: Sequence[Evidence], baselines: Sequence[Evidence | None], resamples: int
) -> DeltaM:
    """Delta-m of the same cell over several seeds, each against the baseline of its own seed."""
    reason = _no_delta_m(models, baselines)
    if reason is not None:
        return DeltaM(None, None, 0, 0, reason)
    tasks = {
        name: (task.metrics, task.primary, task.directions[task.primary])
        for name, task in models[0].tasks.items()
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


def _no_delta_m(models: Sequence[Evidence], baselines: Sequence[Evidence | None]) -> str | None:
    """Why there is no delta-m, apart from what the statistics say."""
    if all(baseline is None for baseline in baselines):
        return f"The run has no {DELTA_M_BASELINE} baseline."
    if models[0].entry["spec"]["training"] is None:
        return "The weights are untrained."
    if not any(model.statistics for model in models):
        evaluated = any(model.evaluation is not None for model in models)
        return "Its per-image statistics are missing." if evaluated else "The cell was not evaluated."
    for model, baseline in zip(models, baselines, strict=True):
        if baseline is None or baseline is model:
            continue
        reason = model.not_comparable(baseline)
        if reason is not None:
            return reason
        if model.image_ids != baseline.image_ids:
            return "It and its baseline were evaluated on different images."
    return None


def _delta_m_columns(result: DeltaM) -> dict[str, Any]:
    columns: dict[str, Any] = with_interval("delta_m", result.value, result.interval)
    columns |= {"delta_m_reason": result.reason, "n_seeds": result.n_seeds}
    for task, contribution in result.per_task.items():
        columns |= with_interval(f"delta_m.{task}", contribution.value, contribution.interval)
    return columns


def _baseline_id(entry: Mapping[str, Any], name: str) -> str:
    found: str = entry["baseline_ids"].get(name) or entry["companions"].get(name, "")
    return found


def _comparable(own: Evidence, other: Evidence | None) -> Evidence | None:
    return None if other is None or own.not_comparable(other) is not None else other


def _full_macs(evidence: Evidence | None) -> float | None:
    return None if evidence is None or evidence.evaluation is None else evidence.evaluation["macs_full"]


def _ratios(name: str, own: Evidence, row: Mapping[str, Any], baseline: Evidence | None) -> dict[str, Any]:
    executed, theirs = row.get("macs_executed"), _executed_macs(baseline)
    macs = executed / theirs if executed and theirs else None
    ratios = _paired_ratios(own, baseline, "latency_ms")
    value = float(np.median(ratios)) if len(ratios) else None
    interval = None if own is baseline else median_interval(ratios)
    return {f"macs_vs_{name}": macs, **with_interval(f"latency_vs_{name}", value, interval)}


def _executed_macs(evidence: Evidence | None) -> float | None:
    """What was counted; None where the total was refused."""
    launch = None if evidence is None else evidence.evaluation
    return None if launch is None or launch["macs_refused"] else launch["macs_executed"]


def _paired_ratios(own: Evidence, other: Evidence | None, key: str) -> NDArray[np.float64]:
    """Own value over the other's, block by block: launches of one block ran side by side."""
    pairs = [] if other is None else own.pairs(other)
    ratios = [mine[key] / its[key] for mine, its in pairs if mine.get(key) and its.get(key)]
    return np.array(ratios, dtype=np.float64)


def _realisation(
    own: Evidence, row: Mapping[str, Any], reference: Evidence | None, macs_reference: float | None
) -> dict[str, Any]:
    """Realisation efficiency = (1 - t / t_ref) / (1 - nominal / reference), see DESIGN section 1.

    Both are of the timed inputs: over all test images an adaptive variant may save another share.
    """
    empty: dict[str, Any] = {
        **with_interval("realisation", None, None),
        **with_interval("realisation_energy", None, None),
        "realisation_ceiling": None,
    }
    reason = _no_realisation(own, row, reference, macs_reference)
    if reason is not None:
        return empty | {"realisation_reason": reason}
    assert macs_reference is not None  # noqa: S101  # _no_realisation has seen it
    saving = 1 - row["macs_nominal_timed"] / macs_reference
    time = _realised("realisation", (1 - _paired_ratios(own, reference, "latency_ms")) / saving)
    energy = _realised("realisation_energy", (1 - _paired_ratios(own, reference, "energy_mj")) / saving)
    assert reference is not None  # noqa: S101  # the same
    ceiling = {"realisation_ceiling": _ceiling(own, reference, saving)}
    return empty | time | energy | ceiling | {"realisation_reason": None}


def _ceiling(own: Evidence, reference: Evidence, saving: float) -> float | None:
    """The realisation if the skipped work took its share of the reference's time with it, and deciding took none.

    Each part of the reference shrinks as its MACs do; a part without MACs stays as it is. None where the variant spends
    MACs in a part that the reference does not have, other than on deciding: then parts cannot be put side by side.
    """
    mine, full, profile = own.evaluation, reference.evaluation, reference.profile
    if mine is None or full is None or profile is None:
        return None
    prefix = "macs_nominal_timed_part."
    spent = {key.removeprefix(prefix): macs for key, macs in mine.items() if key.startswith(prefix)}
    if any(macs and f"macs_full_part.{part}" not in full for part, macs in spent.items() if part != "policy"):
        return None
    skipped_ms = 0.0
    for key, ms in profile.items():
        if key.startswith("time_part."):
            part = key.removeprefix("time_part.")
            whole = full.get(f"macs_full_part.{part}")
            skipped_ms += ms * (1 - spent.get(part, 0.0) / whole) if whole else 0.0
    return float(skipped_ms / profile["time_watched_ms"] / saving)


def _realised(name: str, shares: NDArray[np.float64]) -> dict[str, float | None]:
    return with_interval(name, float(np.median(shares)) if len(shares) else None, median_interval(shares))


def _no_realisation(
    own: Evidence, row: Mapping[str, Any], reference: Evidence | None, macs_reference: float | None
) -> str | None:
    reason = None
    nominal = row.get("macs_nominal_timed")
    if own is reference:
        reason = "It is its own reference."
    elif reference is None or macs_reference is None:
        reason = "Its reference was not measured."
    elif nominal is None:
        reason = "Its own cost was not counted."
    elif 1 - nominal / macs_reference < _MIN_SAVING:
        reason = "The nominal saving is under 5 %."
    elif own.entry["mode"] == "masked":
        reason = "It ran masked, which saves nothing by design."
    elif not (own.timings and reference.timings):
        reason = "It and its reference were not both timed."
    elif not own.pairs(reference):
        reason = "It and its reference did not run side by side; run the suite in another --out folder."
    return reason
