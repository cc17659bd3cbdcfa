from __future__ import annotations

import math
import statistics
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.gate_peers import RULES, Rule, asv, criterion, github_action, pyperf, pytest_benchmark

Calls = NDArray[np.float64]
DETERMINISTIC = [rule for rule in RULES if rule.name != "criterion"]


def noisy(seed: int, trials: int, launches: int, spread: float = 0.1) -> Calls:
    """Calls of 3 ms that vary by call and by launch."""
    rng = np.random.default_rng(seed)
    launch = rng.normal(size=(trials, launches, 1))
    return 3 * np.exp(spread * (rng.normal(size=(trials, launches, 50)) + launch))


@cache
def orderings(m: int, n: int, u: int) -> int:
    """In how many of the orders of m and n values the first are the larger in u pairs: Mann and Whitney's recursion."""
    if u < 0:
        return 0
    if m == 0 or n == 0:
        return int(u == 0)
    return orderings(m - 1, n, u - n) + orderings(m, n - 1, u)


@pytest.mark.parametrize(("rule", "at"), [(pytest_benchmark, 1.05), (github_action, 2.0)])
def test_rules_of_one_number_turn_at_their_threshold(rule, at) -> None:
    base = noisy(0, 3, 1)
    ratios = np.array([at - 1e-6, at + 1e-6, 1 / at])
    head = noisy(1, 3, 1)
    head *= (ratios * base.mean(axis=(1, 2)) / head.mean(axis=(1, 2)))[:, None, None]
    assert rule(base, head).tolist() == [False, True, False]


@pytest.mark.parametrize("rule", DETERMINISTIC, ids=lambda rule: f"{rule.name} {rule.launches}")
def test_comparisons_do_not_depend_on_their_neighbours(rule: Rule) -> None:
    base, head = noisy(2, 30, rule.launches, 0.2), 1.2 * noisy(3, 30, rule.launches, 0.2)
    head[::2] *= 2
    together = rule.fails(base, head)
    alone = [bool(rule.fails(base[i : i + 1], head[i : i + 1])[0]) for i in range(30)]
    assert together.tolist() == alone
    assert len(set(alone)) == 2


def test_asv_agrees_with_the_exact_distribution_of_u() -> None:
    base, head = noisy(4, 200, 2, 0.15), 1.15 * noisy(5, 200, 2, 0.15)
    every = math.comb(40, 20)
    at_most = np.cumsum([orderings(20, 20, u) for u in range(201)])
    expected = []
    for before, after in zip(base, head, strict=True):
        x, y = (side[:, 10:].reshape(20, 4).mean(axis=1) for side in (before, after))
        u = int((x[:, None] > y[None, :]).sum())
        p = 2 * int(at_most[min(u, 400 - u)]) / every
        expected.append(p < 0.002 and statistics.median(y) > 1.1 * statistics.median(x))
    assert asv(base, head).tolist() == expected
    assert 20 < sum(expected) < 180


def test_asv_asks_for_a_factor_as_well_as_for_a_difference() -> None:
    base = noisy(6, 1, 2, 0.001)
    assert [bool(asv(base, factor * base)[0]) for factor in (1.09, 1.11, 0.8)] == [False, True, False]


def test_pyperf_is_students_t_over_the_values_of_all_processes() -> None:
    base, head = noisy(7, 200, 10, 0.1), 1.05 * noisy(8, 200, 10, 0.1)
    expected = []
    for before, after in zip(base, head, strict=True):
        x, y = (side[:, 2:].reshape(30, 16).mean(axis=1).tolist() for side in (before, after))
        pooled = (statistics.variance(x) + statistics.variance(y)) / 2
        t = (statistics.mean(y) - statistics.mean(x)) / math.sqrt(2 * pooled / 30)
        expected.append(t >= 2.00172)  # 97.5 % of Student's t with 58 degrees of freedom, from a table
    assert pyperf(base, head).tolist() == expected
    assert 20 < sum(expected) < 180


def test_criterion_asks_for_an_interval_above_one_percent() -> None:
    base, spread = noisy(9, 1, 1, 0.001), noisy(10, 1, 1, 0.001)
    factors = (1.0, 1.008, 1.02, 0.98)
    head = np.concatenate([factor * spread for factor in factors])
    assert criterion(np.repeat(base, 4, axis=0), head).tolist() == [False, False, True, False]


def test_criterions_interval_is_about_two_standard_errors_wide() -> None:
    rng = np.random.default_rng(11)
    z = rng.normal(size=(1, 1, 50))
    z[..., 1:] = (z[..., 1:] - z[..., 1:].mean()) / z[..., 1:].std()
    base = np.repeat(3 * (1 + 0.02 * z), 2, axis=0)
    error = 0.02 * math.sqrt(2 / 49)
    head = base * (1.01 + np.array([1.6, 2.4]) * error)[:, None, None]
    assert criterion(base, head).tolist() == [False, True]


def test_criterion_leaves_two_equal_sides_alone_as_often_as_it_says() -> None:
    rng = np.random.default_rng(12)
    base, head = (3 + 0.3 * rng.normal(size=(400, 1, 50)) for _ in range(2))
    assert 0 < criterion(base, head, resamples=400).mean() < 0.05
