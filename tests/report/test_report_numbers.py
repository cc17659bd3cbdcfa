from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.report.colours import FIXED, OKABE_ITO, SPARE, styles
from mtlbench.report.frame import Estimate
from mtlbench.report.quantities import aligned, join, macs_unit, percent, plus_minus, printable, with_interval


@pytest.mark.parametrize(
    ("estimate", "written", "short"),
    [
        (Estimate(12.34, 11.9, 12.8), "12.3 [11.9, 12.8]", "12.3 ±0.5"),
        (Estimate(12.34, 12.3, 14.8), "12.3 [12.3, 14.8]", "12.3 [12.3, 14.8]"),
        (Estimate(12.345), "12.3", "12.3"),
        (Estimate(1234.6, 1200, 1270), "1235 [1200, 1270]", "1235 ±35"),
        (Estimate(math.nan, 1, 2), "-", "-"),
        (Estimate(0.0, 0.0, 0.0), "0", "0"),
        (Estimate(-0.001, -0.6, 0.6), "0.0 [-0.6, 0.6]", "0.0 ±0.6"),
        (Estimate(3.2e-6), "3.2e-06", "3.2e-06"),
    ],
)
def test_numbers_are_rounded_to_their_interval(estimate: Estimate, written: str, short: str) -> None:
    assert with_interval(estimate) == written
    assert plus_minus(estimate) == short


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_rounding_moves_no_limit_by_more_than_a_quarter_of_the_interval(
    value: float, down: float, up: float
) -> None:
    low, high = value - down, value + up
    shown = with_interval(Estimate(value, low, high))
    limits = [float(part) for part in shown.split("[")[1].strip("]").split(", ")]
    allowed = max(0.25 * (high - low), 0.51e-4)
    assert abs(limits[0] - low) <= allowed
    assert abs(limits[1] - high) <= allowed


def test_macs_have_one_unit_per_column() -> None:
    assert macs_unit([5.4e9, 3e6]).name == "GMACs"
    assert macs_unit([9e8, math.nan]).name == "MMACs"
    assert macs_unit([4e4]).name == "kMACs"
    assert 5.4e9 * macs_unit([5.4e9]).factor == pytest.approx(5.4)


def test_small_helpers() -> None:
    assert (percent(0.29), percent(0.034), percent(math.nan)) == ("29 %", "3.4 %", "-")
    assert join(["a", "b", "c"]) == "a, b and c"
    assert join("abcdef", most=2) == "a, b and 4 more"
    assert join([]) == ""
    assert aligned([Estimate(14.6), Estimate(14.79, 14.7, 14.9), Estimate(math.nan)]) == [
        "14.60",
        "14.79",
        "-",
    ]
    assert printable("a\x1b[31m\x00b\nc") == "a�[31m�b\nc"


def test_intervals_are_told_apart_only_when_disjoint() -> None:
    assert Estimate(1, 0.9, 1.1).below(Estimate(2, 1.2, 3))
    assert not Estimate(1, 0.9, 1.2).below(Estimate(2, 1.2, 3))
    assert not Estimate(1).below(Estimate(2, 1.2, 3))


def test_built_in_variants_keep_their_colour_whoever_else_is_there() -> None:
    alone = styles(["adamtl"])["adamtl"]
    assert alone == styles(["zeta", "adamtl", "static_mtl", "mine"])["adamtl"]
    assert all(style.colour in OKABE_ITO.values() for style in (*FIXED.values(), *SPARE))


@given(st.sets(st.text(min_size=1), max_size=len(SPARE)))
def test_styles_are_distinct_and_do_not_depend_on_order(names: set[str]) -> None:
    others = names - set(FIXED)
    given = styles(sorted(others) + list(FIXED))
    assert len(set(given.values())) == len(given)
    assert given == styles(reversed([*FIXED, *sorted(others)]))


def test_more_variants_than_styles_still_get_one() -> None:
    names = [f"v{i}" for i in range(len(SPARE) + 5)]
    assert set(styles(names)) == set(names)
