"""Changes of quality against delta-m of the same draws, against zero, and against what was planted."""

from __future__ import annotations

import numpy as np
import pytest

from mtlbench.stats.changes import PairedDraws
from mtlbench.stats.delta_m import paired_delta_m


def mean_metric(sums):
    return {"mean": sums[..., 0] / sums[..., 1]}


UP, DOWN = (mean_metric, "mean", "higher"), (mean_metric, "mean", "lower")


def rows(rng, mean, n=40, spread=0.1):
    return np.stack([rng.normal(mean, spread, n), np.ones(n)], axis=1)


def test_delta_m_is_that_of_the_paired_bootstrap():
    rng = np.random.default_rng(0)
    model = [{"a": rows(rng, 0.6), "b": rows(rng, 0.5)} for _ in range(3)]
    single = [{"a": rows(rng, 0.5), "b": rows(rng, 0.5)} for _ in range(3)]
    tasks = {"a": UP, "b": DOWN}
    known = paired_delta_m(model, single, tasks, n_resamples=500, seed=4, level=0.9)
    draws = PairedDraws(40, 3, level=0.9, seeds_vary=True, n_resamples=500, seed=4)
    found = draws.over_seeds(draws.delta_m(model, single, tasks))
    assert found.value == pytest.approx(known.value)
    assert found.interval.low == pytest.approx(known.interval.low)
    assert found.interval.high == pytest.approx(known.interval.high)


def test_equal_versions_differ_by_exactly_nothing():
    rng = np.random.default_rng(1)
    seeds = [rows(rng, 0.5) for _ in range(2)]
    found = PairedDraws(40, 2, level=0.98, seeds_vary=True).gain(seeds, seeds, UP)
    assert found.value == 0
    assert (found.interval.low, found.interval.high) == (0, 0)


@pytest.mark.parametrize(("task", "sign"), [(UP, 1), (DOWN, -1)])
def test_a_steady_change_is_found_however_much_images_vary(task, sign):
    base = [rows(np.random.default_rng(2), 0.5, spread=0.3)]
    head = [base[0] * [1.001, 1]]
    found = PairedDraws(40, 1, level=0.98, seeds_vary=False).gain(base, head, task)
    assert found.value == pytest.approx(0.1 * sign)
    assert found.interval.low == pytest.approx(0.1 * sign, rel=1e-6)


def test_seeds_widen_the_interval_only_where_they_vary():
    rng = np.random.default_rng(3)
    base = [rows(rng, 0.5, spread=0.01) for _ in range(3)]
    head = [seed * [factor, 1] for seed, factor in zip(base, (1.05, 0.95, 1.0), strict=True)]

    def width(seeds_vary):
        interval = PairedDraws(40, 3, level=0.98, seeds_vary=seeds_vary).gain(base, head, UP).interval
        return interval.high - interval.low

    assert width(True) > 5
    assert width(False) < 1


def test_what_is_undefined_has_neither_value_nor_interval():
    nothing = [np.zeros((5, 2))]
    with np.errstate(invalid="ignore"):
        found = PairedDraws(5, 1, level=0.98, seeds_vary=False).gain(nothing, nothing, UP)
    assert found.value is None
    assert found.interval is None
