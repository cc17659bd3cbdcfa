"""The paired test against brute force, its level by simulation, its interval by inversion, and what it shrugs off."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.stats.randomisation import Randomisation, fewest_pairs, location

RNG = np.random.default_rng(3)


def launches(pairs, inputs=4, spread=0.02, rng=RNG):
    return 3.0 * np.exp(rng.normal(0, spread, (pairs, inputs)))


def by_hand(base, head, ratio):
    """Share of all exchanges of sides that look at least as slow as what was seen."""

    def statistic(exchanged):
        first, second = [], []
        for swap, ours, theirs in zip(exchanged, head / ratio, base, strict=True):
            first.append(ours if swap else theirs)
            second.append(theirs if swap else ours)
        return np.log(np.quantile(second, 0.25, axis=0).mean() / np.quantile(first, 0.25, axis=0).mean())

    every = [statistic(swaps) for swaps in product((False, True), repeat=len(base))]
    return np.mean(np.array(every) >= every[0] - 1e-12)


@pytest.mark.parametrize("ratio", [1.0, 1.02, 0.97])
def test_p_is_the_share_of_exchanges_that_look_as_slow(ratio):
    base, head = launches(7), launches(7) * 1.01
    # the product breaks ties by a millionth of the mean; random values have none
    assert Randomisation(base, head).p_slower(ratio) == pytest.approx(by_hand(base, head, ratio), abs=1e-9)


def test_location_is_the_mean_of_quartiles():
    values = launches(9)
    assert location(values) == pytest.approx(np.quantile(values, 0.25, axis=0).mean())


def test_the_level_holds_when_launches_depend_on_each_other_and_are_badly_behaved():
    rng = np.random.default_rng(0)
    refused = 0
    trials = 400
    for _ in range(trials):
        bursts = np.repeat(rng.choice([1.0, 2.5], 5, p=[0.7, 0.3]), 4)[
            :14
        ]  # busy for four launches at a time
        both = (2.7 * bursts[:, None] * np.exp(rng.standard_cauchy((14, 3)) * 0.01)).reshape(7, 2, 3)
        first = rng.integers(0, 2, 7)
        base, head = both[np.arange(7), first], both[np.arange(7), 1 - first]
        refused += Randomisation(base, head).p_slower(1.0) <= 0.05
    assert refused / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


@settings(max_examples=15, deadline=None)
@given(st.integers(7, 9), st.floats(0.8, 1.3), st.integers(0, 2**16))
def test_the_interval_holds_the_ratios_that_are_not_refused(pairs, ratio, seed):
    rng = np.random.default_rng(seed)
    base, head = launches(pairs, rng=rng), launches(pairs, rng=rng) * ratio
    test = Randomisation(base, head)
    interval = test.interval(0.01)
    assert interval.low <= test.value <= interval.high
    assert test.p_slower(interval.low) <= 0.01 < test.p_slower(test.value)
    assert test.p_faster(interval.high) <= 0.01 < test.p_faster(test.value)


def test_exchanging_the_sides_turns_everything_round():
    base, head = launches(8), launches(8) * 1.1
    one, other = Randomisation(base, head), Randomisation(head, base)
    assert one.value == pytest.approx(1 / other.value)
    assert one.p_slower(1.05) == other.p_faster(1 / 1.05)
    assert one.interval(0.01).low == pytest.approx(1 / other.interval(0.01).high, rel=1e-3)


def test_scale_does_not_matter():
    base, head = launches(8), launches(8)
    assert Randomisation(base, head).p_slower(1.0) == Randomisation(1e3 * base, 1e3 * head).p_slower(1.0)


def test_disturbed_launches_neither_hide_a_slowdown_nor_make_one():
    base, head = launches(10), launches(10)
    base[2] *= 2.5
    base[7, :2] *= 4
    head[4] *= 3
    assert Randomisation(base, head * 1.1).p_slower(1.05) <= 0.01
    assert Randomisation(base, head).p_slower(1.05) > 0.01


def test_constant_samples_differ_exactly_and_nothing_breaks():
    base = np.full((10, 2), 2.0)
    assert Randomisation(base, base).p_slower(1.0) == 1.0
    found = Randomisation(base, base * 1.1)
    assert found.value == pytest.approx(1.1)
    assert found.interval(0.01).low == pytest.approx(1.1, abs=1e-3)
    assert Randomisation(base, base * 1.1).p_slower(1.05) == 1 / 1024


def test_many_pairs_are_drawn_and_always_alike():
    base, head = launches(20), launches(20) * 1.1
    assert Randomisation(base, head).p_slower(1.05) == Randomisation(base, head).p_slower(1.05) == 1 / 4096


@pytest.mark.parametrize(("alpha", "pairs"), [(0.01, 7), (0.001, 10), (0.05, 5), (0.5, 1)])
def test_fewest_pairs_that_can_refuse(alpha, pairs):
    assert fewest_pairs(alpha) == pairs
    assert 0.5**pairs <= alpha < 0.5 ** (pairs - 1)


def test_too_few_pairs_have_a_value_but_no_interval():
    found = Randomisation(launches(6), launches(6))
    assert found.interval(0.01) is None
    assert found.pairs == 6


@pytest.mark.parametrize(
    ("base", "head"),
    [
        (np.ones((3, 2)), np.ones((4, 2))),
        (np.empty((0, 2)), np.empty((0, 2))),
        (np.ones(3), np.ones(3)),
        (np.array([[np.nan]]), np.ones((1, 1))),
        (np.zeros((1, 1)), np.ones((1, 1))),
        (np.ones((1, 1)), np.full((1, 1), np.inf)),
    ],
)
def test_what_is_no_pair_of_times_is_refused(base, head):
    with pytest.raises(ValueError, match=r"pairs need|above zero"):
        Randomisation(base, head)
