"""The columns of the table, in order. Names ending in a unit carry that unit; MACs are per image."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["CODES", "ordered_columns"]

_ORDER = (
    *(
        "run_id",
        "machine_id",
        "suite",
        "cell_id",
        "label",
        "role",
        "status",
        "reason",
        "variant",
        "axis.*",
        "budget",
    ),
    *(
        "tasks",
        "trained_tasks",
        "dataset",
        "encoder",
        "hardware",
        "device",
        "threads",
        "precision",
        "runtime",
        "batch",
    ),
    *("seed", "n_launches"),
    *("metric.*", "delta_m", "delta_m.*", "delta_m_reason", "n_seeds", "n_images"),
    *("params", "params_active", "macs_reference", "macs_nominal", "macs_nominal_*", "macs_executed"),
    *("macs_executed_*", "macs_claimed", "macs_claimed_reference", "macs_policy", "macs_policy_*"),
    *("flops_executed", "macs_vs_single_task", "macs_vs_static_mtl"),
    *("macs_fvcore", "macs_ptflops", "macs_torch", "macs_notes"),
    *("uncounted_ops", "uncounted_time_share", "macs_source", "macs_part.*"),
    *("latency_ms", "latency_ms_p50", "latency_ms_p90", "latency_ms_p99"),
    *("latency_input_ms_p50", "latency_input_ms_p95", "latency_vs_single_task", "latency_vs_static_mtl"),
    *("throughput_ips", "load_ms", "first_call_ms", "compile_ms", "frames_*", "poisson_*", "time_part.*"),
    *(
        "time_distortion",
        "memory_peak_mib",
        "memory_base_mib",
        "memory_tensors_mib",
        "weights_mib",
        "cache_mib",
    ),
    *("energy_mj", "energy_source", "energy_quality", "energy_reason", "energy_modelled_mj"),
    *("realisation", "realisation_ceiling", "realisation_energy", "realisation_reason"),
    *(
        "whole_cell_id",
        "reference_cell_id",
        "baseline_cell_ids",
        "artifact_ids",
        "weights_from",
        "weights_hash",
        "data_hash",
        "code_version",
    ),
    *("warnings", "process.*", "health.*", "environment.*"),
)

CODES = {
    "few_launches": (
        "There are too few launches for a 95 % interval of the latency: set measure.launches to 6 or more."
    ),
    "not_interleaved": (
        "Some launches ran apart from those of the cells that this one is compared with, and are left out of ratios: "
        "run the suite in another --out folder, which keeps the trained weights."
    ),
    "macs_refused": (
        "Operators that are neither counted nor reviewed take more than 2 % of the time, so no total is given: "
        "declare their MACs (docs/measuring.md)."
    ),
    "counter_differs_from_formula": (
        "The counted MACs differ from the variant's own formula by more than 1 %: one of them is wrong."
    ),
    "mixed_environment": (
        "The launches ran under different versions of the software or another governor: run the suite in another "
        "--out folder."
    ),
    "mixed_code": (
        "The launches of this run come from different versions of mtlbench or of an extension, which alone may change "
        "numbers: run the suite in another --out folder."
    ),
    "profile_disturbed": (
        "Other work disturbed the launch that looked at memory and at the time of each part: do not read its times "
        "closely, nor a realisation ceiling that rests on them."
    ),
    "untrained_decisions": (
        "The weights are untrained and the variant cannot be told what to decide, so which paths ran means nothing: "
        "train it, or give its runnable `forced` (docs/variants.md)."
    ),
    "samples_missing": (
        "The files with this cell's samples are gone, so intervals and delta-m are missing: run the suite again, "
        "which repeats what lacks its samples."
    ),
    "few_seeds": "A claim about a trained method needs at least 3 seeds: add seeds to the suite.",
    "waiver": "The variant declares that it breaks a promise of the contract; see its provenance.",
}
"""Warnings that arise when cells are put side by side: code and what to do."""


_ENDS = (".ci_low", ".ci_high")


def ordered_columns(names: Iterable[str]) -> list[str]:
    """Names in the order of the table; an interval follows its value, unknown names come last."""
    present = dict.fromkeys(names)
    values = dict.fromkeys(_value_of(name) for name in present)
    known = [value for pattern in _ORDER for value in values if _matches(value, pattern)]
    return [
        name
        for value in dict.fromkeys([*known, *values])
        for name in (value, *(value + end for end in _ENDS))
        if name in present
    ]


def _value_of(name: str) -> str:
    """The column that an interval belongs to."""
    return next((name.removesuffix(end) for end in _ENDS if name.endswith(end)), name)


def _matches(value: str, pattern: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
