"""Order-statistic intervals against exact sums, tables and simulation."""

from __future__ import annotations

import statistics
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.stats.quantiles import (
    Interval,
    median_and_p95,
    median_interval,
    min_samples,
    quantile_interval,
    reportable_from,
)


def coverage(n, q, low, high):
    """P(x_(low) < quantile < x_(high)), summed term by term."""
    return sum(comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(low, high))


@pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_fewest_samples_at_95_percent(q, n):
    assert min_samples(q) == n
    assert quantile_interval(np.arange(n - 1), q) is None
    found = quantile_interval(np.arange(n), q)
    assert found.high == n - 1
    assert found.low >= 0


@pytest.mark.parametrize(("q", "n"), [(0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)])
def test_reportable_from_equals_the_table_of_mlperf(q, n):
    assert reportable_from(q) == n
    for samples, enough in ((n, True), (n - 1, False)):
        chance = q**samples + samples * (1 - q) * q ** (samples - 1)
        assert (chance <= 0.01) is enough


def test_a_stricter_rule_needs_more():
    assert reportable_from(0.99, over=0) == 459  # log(.01) / log(.99)
    assert reportable_from(0.99, over=2) > reportable_from(0.99, over=1)
    assert reportable_from(0.99, confidence=0.999) > reportable_from(0.99)


@pytest.mark.parametrize(
    ("n", "ranks"), [(6, (1, 6)), (8, (1, 8)), (9, (1, 9)), (10, (2, 9)), (20, (5, 16)), (100, (39, 62))]
)
def test_median_ranks_equal_the_sign_test_table(n, ranks):
    shuffled = np.random.default_rng(n).permutation(np.arange(1, n + 1))
    assert median_interval(shuffled) == Interval(*ranks, 0.96875)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 400), q=st.floats(0.02, 0.98), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_ranks_cover_and_no_end_can_be_moved_in(n, q, level):
    found = quantile_interval(np.arange(1, n + 1), q, level)
    widest = coverage(n, q, 1, n)
    if found is None:
        assert widest < level + 1e-9
        return
    low, high = int(found.low), int(found.high)
    assert coverage(n, q, low, high) >= level - 1e-9
    tail = (1 - level) / 2
    below, above = coverage(n, q, 0, low), coverage(n, q, high, n + 1)
    # equal tails, unless the sample ends too early on one side and the other makes up for it
    if low > 1 and high < n:
        assert below <= tail + 1e-9
        assert above <= tail + 1e-9
        assert coverage(n, q, 0, low + 1) > tail - 1e-9
        assert coverage(n, q, high - 1, n + 1) > tail - 1e-9


@pytest.mark.parametrize("q", [0.02, 0.1, 0.4])
def test_low_and_high_quantiles_mirror_each_other_from_the_shortest_sample_on(q):
    shortest = min_samples(q)
    for n in range(shortest, shortest + 80):
        low, high = quantile_interval(np.arange(1, n + 1), q), quantile_interval(np.arange(1, n + 1), 1 - q)
        assert (low.low, low.high) == (n + 1 - high.high, n + 1 - high.low)
        assert coverage(n, q, int(low.low), int(low.high)) >= 0.95 - 1e-9


@pytest.mark.parametrize(("q", "n"), [(0.5, 10), (0.9, 40)])
def test_simulated_coverage_holds_for_a_skewed_distribution(q, n):
    rng = np.random.default_rng(0)
    truth = -np.log(1 - q)
    hits = 0
    for sample in rng.exponential(size=(1000, n)):
        found = quantile_interval(sample, q)
        hits += found.low <= truth <= found.high
    assert hits / 1000 >= 0.95 - 0.02


def test_infinite_samples_are_allowed_and_nan_is_refused():
    assert median_interval([1, 2, 3, 4, 5, np.inf]) == Interval(1.0, np.inf, 0.96875)
    with pytest.raises(ValueError, match="NaN"):
        median_interval([1, 2, 3, 4, 5, np.nan])


def test_no_samples_have_no_interval():
    assert median_interval([]) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: min_samples(1.0),
        lambda: min_samples(0.5, 0.0),
        lambda: quantile_interval([1], 1.5),
        lambda: reportable_from(0.0),
    ],
)
def test_fractions_out_of_range_are_refused(call):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        call()


def test_a_negative_number_of_slow_samples_is_refused():
    with pytest.raises(ValueError, match="negative"):
        reportable_from(0.9, over=-1)


@given(st.lists(st.integers(0, 30), min_size=20, max_size=80))
def test_at_most_one_input_in_twenty_exceeds_the_p95_and_no_smaller_value_has_that(values: list[int]) -> None:
    middle, tail = median_and_p95(values)
    assert middle == statistics.median(values)
    assert tail in values
    assert 20 * sum(value > tail for value in values) <= len(values)
    smaller = [value for value in values if value < tail]
    assert not smaller or 20 * sum(value > max(smaller) for value in values) > len(values)


def test_few_inputs_have_no_p95() -> None:
    assert median_and_p95(range(19)) == (9.0, None)
