"""A made-up run of any number of ways, with everything that claims and trade-offs read, from a seeded generator.

Each cell has paired launches against its reference, so that time shares, realisation and their intervals agree as they
do in a real table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from fake_run import PRIMARY

from mtlbench.stats.quantiles import median_interval

QUALITY = {"semseg": 0.61, "edge": 0.70, "normals": 15.2, "depth": 0.53}
METRICS = {**PRIMARY, "depth": {"metric": "rmse_m", "direction": "lower"}}
SINGLE_MACS, STATIC_MACS = 4.8e9, 1.5e9
SINGLE_MS, STATIC_MS = 190.0, 61.0


def with_interval(name: str, samples: Any, interval: bool) -> dict[str, float]:
    found = median_interval(samples) if interval else None
    return {
        name: float(np.median(samples)),
        f"{name}.ci_low": found.low if found else np.nan,
        f"{name}.ci_high": found.high if found else np.nan,
    }


class Maker:
    """Makes rows; `energy`, `intervals`, `launches` and `trained` switch whole columns."""

    def __init__(
        self, *, energy: bool = True, intervals: bool = True, trained: bool = True, seed: int = 3
    ) -> None:
        self.energy, self.intervals, self.trained = energy, intervals, trained
        self.rng = np.random.default_rng(seed)

    def table(self, ways: Iterable[tuple[str, float | None, float, float]], seeds: int = 1) -> pd.DataFrame:
        """Rows for `(variant, keep, nominal share, realisation)`; the baselines come by themselves."""
        rows = []
        for seed in range(seeds):
            rows += [
                self.cell("single_task", None, 1.0, 0.0, seed),
                self.cell("static_mtl", None, 1.0, 0.0, seed),
            ]
            rows += [self.cell(*way, seed) for way in ways]
        return pd.DataFrame(rows)

    def cell(
        self, variant: str, keep: float | None, nominal: float, realised: float, seed: int
    ) -> dict[str, Any]:
        own = variant in ("single_task", "static_mtl")
        shared = variant not in ("single_task", "computation_sharing")
        macs, base = (STATIC_MACS, STATIC_MS) if shared else (SINGLE_MACS, SINGLE_MS)
        masked = variant == "masked_sharing"
        share = 1.0 if own else 1 - (1 - nominal) * realised
        ratios = np.ones(9) if own else share * (1 + self.rng.normal(0, 0.006, 9))
        executed = 1.0 if own or masked else nominal * 1.06
        row: dict[str, Any] = {
            "machine_id": "m-1",
            "cell_id": f"{variant}-{keep}-{seed}",
            "reference_cell_id": f"{variant}-{keep}-{seed}"
            if own
            else f"{'static_mtl' if shared else 'single_task'}-None-{seed}",
            "variant": variant,
            "axis.keep_ratio": keep,
            "budget": keep,
            "tasks": "+".join(QUALITY),
            "dataset": "scenes",
            "encoder": "vit_tiny",
            "hardware": "cpu-1t-b1",
            "seed": seed,
            "status": "ok",
            "macs_reference": macs,
            "macs_nominal": nominal * macs,
            "macs_nominal_p50": nominal * macs * 0.98,
            "macs_nominal_p95": min(nominal * 1.22, 1.05) * macs,
            "macs_executed": executed * macs,
            "macs_claimed": np.nan if own else max(nominal - 0.08, 0.02) * macs,
            "macs_vs_single_task": executed * macs / SINGLE_MACS,
            "memory_peak_mib": 250 + 150 * (not shared) + self.rng.normal(0, 3),
            **with_interval("latency_ms", base * ratios * (1 + self.rng.normal(0, 0.004, 9)), self.intervals),
            **with_interval("latency_vs_single_task", base / SINGLE_MS * ratios, self.intervals),
            **self.energies(base, ratios),
            **self.arrived(own, masked, nominal, ratios),
        }
        return row | self.accuracy(variant, nominal)

    def energies(self, base: float, ratios: Any) -> dict[str, Any]:
        if not self.energy:
            return {"energy_mj": np.nan, "energy_reason": "pyrapl: this machine shows no RAPL counters"}
        return with_interval("energy_mj", base * 9.1 * (0.15 + 0.85 * ratios), self.intervals)

    def arrived(self, own: bool, masked: bool, nominal: float, ratios: Any) -> dict[str, Any]:
        if own:
            return {"realisation_reason": "It is its own reference."}
        if 1 - nominal < 0.05:
            return {"realisation_reason": "The nominal saving is under 5 %."}
        if masked:
            return {"realisation_reason": "It ran masked, which saves nothing by design."}
        found = with_interval("realisation", (1 - ratios) / (1 - nominal), self.intervals)
        if self.energy:
            found |= with_interval("realisation_energy", 0.85 * (1 - ratios) / (1 - nominal), self.intervals)
        return {**found, "realisation_ceiling": 0.93}

    def accuracy(self, variant: str, nominal: float) -> dict[str, Any]:
        if not self.trained:
            return {"delta_m": np.nan, "delta_m_reason": "The weights are untrained."}
        single = variant == "single_task"
        change = 0.0 if single else -1.2 - 7 * (1 - nominal) ** 2 + self.rng.normal(0, 0.35)
        row: dict[str, Any] = {"delta_m": change}
        if self.intervals:
            half = 0.0 if single else 0.9
            row |= {"delta_m.ci_low": change - half, "delta_m.ci_high": change + half}
        for task, value in QUALITY.items():
            sign = 1 if METRICS[task]["direction"] == "higher" else -1
            name, mean = f"metric.{task}.{METRICS[task]['metric']}", value * (1 + sign * change / 100)
            row |= {name: mean}
            if self.intervals:
                row |= {f"{name}.ci_low": mean - 0.013 * value, f"{name}.ci_high": mean + 0.013 * value}
        return row


USUAL = [
    *(("adamtl", keep, 0.1 + 0.9 * keep, 0.07) for keep in (1.0, 0.7, 0.5, 0.3)),
    *(("computation_sharing", keep, keep, 0.45) for keep in (1.0, 0.6, 0.3)),
    ("masked_sharing", 0.5, 0.5, -0.1),
    ("token_drop", 0.4, 0.42, 1.08),
]


def sweep(variants: int, points: int) -> list[tuple[str, float | None, float, float]]:
    """Many ways: `variants` of `points` axis points each."""
    return [
        (f"variant_{number}", float(keep), float(keep), 0.1 * number)
        for number in range(variants)
        for keep in np.round(np.linspace(1, 0.1, points), 3)
    ]
