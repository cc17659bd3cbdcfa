"""Statistics as pure functions on numpy arrays: quantiles, bootstrap, delta-m, Pareto fronts."""

from mtlbench.stats.bootstrap import bootstrap_metrics, image_weights
from mtlbench.stats.delta_m import Contribution, DeltaM, delta_m, paired_delta_m
from mtlbench.stats.pareto import hypervolume_2d, pareto_front
from mtlbench.stats.quantiles import (
    Interval,
    median_and_p95,
    median_interval,
    min_samples,
    quantile_interval,
    reportable_from,
)

__all__ = [
    "Contribution",
    "DeltaM",
    "Interval",
    "bootstrap_metrics",
    "delta_m",
    "hypervolume_2d",
    "image_weights",
    "median_and_p95",
    "median_interval",
    "min_samples",
    "paired_delta_m",
    "pareto_front",
    "quantile_interval",
    "reportable_from",
]
