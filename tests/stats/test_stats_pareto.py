"""Pareto fronts against their definition, point by point."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.stats.pareto import hypervolume_2d, pareto_front

coordinates = st.one_of(st.integers(0, 5).map(float), st.just(math.nan))
points = st.lists(st.tuples(coordinates, coordinates), max_size=12)


def columns(cloud):
    return [p[0] for p in cloud], [p[1] for p in cloud]


def beats(a, b):
    return a[0] <= b[0] and a[1] >= b[1] and (a[0] < b[0] or a[1] > b[1])


@given(points)
def test_the_front_is_what_nothing_beats(cloud):
    expected = [not any(map(math.isnan, p)) and not any(beats(o, p) for o in cloud) for p in cloud]
    assert pareto_front(*columns(cloud)).tolist() == expected


@given(points)
def test_the_hypervolume_counts_unit_squares(cloud):
    # integer points in [0, 5]^2 and reference (5, 0): a unit square counts if a point lies to its upper left
    squares = sum(
        any(c <= x and q >= y + 1 for c, q in cloud if not (math.isnan(c) or math.isnan(q)))
        for x in range(5)
        for y in range(5)
    )
    assert hypervolume_2d(*columns(cloud), ref_cost=5, ref_quality=0) == pytest.approx(squares)


def test_a_small_front_by_hand():
    cost, quality = [1, 2, 3, 3, 4], [10, 30, 20, 40, 40]
    assert pareto_front(cost, quality).tolist() == [True, True, False, True, False]
    assert hypervolume_2d(cost, quality, 5, 0) == 1 * 10 + 1 * 30 + 2 * 40


def test_equal_points_share_the_front():
    assert pareto_front([1, 1, 1], [2, 2, 1]).tolist() == [True, True, False]


def test_points_beyond_the_reference_count_for_nothing():
    assert hypervolume_2d([6, 1], [9, -1], ref_cost=5, ref_quality=0) == 0
    assert hypervolume_2d([], [], 1, 0) == 0


def test_infinite_values_are_ordered_like_any_other():
    assert pareto_front([-np.inf, 0, np.inf], [0, 1, 2]).all()


def test_columns_must_be_equally_long():
    with pytest.raises(ValueError, match="equally long"):
        pareto_front([1, 2], [1])
