"""The table in a terminal: nothing lost, nothing wider than the terminal, nothing that steers it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from comparisons import (
    CELL,
    COMPARISONS,
    COUNTED,
    INCONCLUSIVE,
    MISSING,
    ONE_EACH,
    PASS,
    REGRESSION,
    compared,
    hostile,
    many,
    mixtures,
)
from hypothesis import given, settings
from rich.cells import cell_len
from rich.console import Console

from mtlbench.compare.outputs.terminal import print_comparison
from mtlbench.compare.outputs.words import change, headline, level, probability, values
from mtlbench.compare.verdict import Comparison, Finding, Tier, Verdict
from mtlbench.stats.quantiles import Interval

WIDTHS = (40, 80, 120, 160)


def printed(comparison: Comparison, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    print_comparison(comparison, console)
    return console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("findings", mixtures(), ids=lambda those: "+".join(each.verdict for each in those))
def test_every_mixture_says_all_verdicts_and_fits(findings: tuple[Finding, ...], width: int) -> None:
    shown = printed(compared(*findings), width)
    flat = " ".join(shown.split())
    assert all(cell_len(line) <= width for line in shown.splitlines())
    assert f"Exit code {compared(*findings).exit_code}: " in flat
    for each in findings:
        assert each.verdict in flat
        assert each.verdict is Verdict.PASS or each.sentence in flat


@pytest.mark.parametrize("width", [80, 160])
def test_nothing_but_passes_is_three_lines(width: int) -> None:
    others = [replace(PASS, tier=tier) for tier in Tier]
    assert printed(compared(PASS, *others), width).splitlines() == [
        "5 pass. Exit code 0: nothing is worse by more than is let pass.",
        "base results/main at 0123456789, head results/pr at 89abcdef01+",
        "pass: 2 exact, 1 quality, 1 time, 1 front",
    ]


def test_no_findings_are_not_called_a_pass() -> None:
    shown = printed(compared(notes=("The runs share no cell.",)), 80)
    assert shown.startswith("Nothing was compared. Exit code 4: there was nothing to compare.\n")
    assert "The runs share no cell." in shown
    assert "pass" not in shown


def test_a_narrow_table_names_each_cell_once_and_keeps_all_numbers() -> None:
    shown = printed(compared(REGRESSION, replace(COUNTED, metric="macs_nominal"), COUNTED), 80)
    assert shown.count(f"regression: {CELL}") == 1
    for number in ("3.42 ms", "3.84 ms", "+12.3 %", "[10.1, 14.0]", "5 %", "0.0002", "58.71206 MMACs"):
        assert number in shown


def test_long_units_and_digits_do_not_squeeze_the_metrics() -> None:
    front = replace(INCONCLUSIVE, metric="hypervolume", unit="MMACs x points", base=1002.0, head=990.0)
    lines = printed(
        compared(replace(REGRESSION, metric="memory_tensors_mib"), COUNTED, front), 80
    ).splitlines()
    for metric in ("memory_tensors_mib", "macs_executed", "hypervolume"):
        assert any(line.split()[:1] == [metric] for line in lines)
    (line,) = (place for place, line in enumerate(lines) if line.startswith("  hypervolume"))
    assert lines[line].split()[1:] == ["1002", "MMACs", "990", "MMACs", "+1.5", "%", "5", "%", "1"]
    assert lines[line + 1].split() == ["x", "points", "x", "points", "[-4.1,", "7.2]"]


def test_what_was_not_measured_is_blank() -> None:
    unmeasured = replace(
        INCONCLUSIVE, base=None, head=None, change_percent=None, interval_percent=None, p_holm=None
    )
    lines = printed(compared(REGRESSION, unmeasured), 80).splitlines()
    assert [line.split() for line in lines if line.startswith("  latency_ms")][1] == ["latency_ms", "5", "%"]


def test_a_wide_table_has_one_line_a_finding() -> None:
    lines = printed(compared(*ONE_EACH), 250).splitlines()
    (line,) = (line for line in lines if line.startswith(CELL) and "regression" in line)
    assert line.split() == [
        *(
            CELL,
            "latency_ms",
            "3.42",
            "ms",
            "3.84",
            "ms",
            "+12.3",
            "%",
            "[10.1,",
            "14.0]",
            "5",
            "%",
            "0.0002",
        ),
        "regression",
    ]


def test_cells_that_would_look_alike_are_not_shortened_into_one_line() -> None:
    names = [f"{'a' * 60}{place}{'b' * 60}" for place in range(3)]
    shown = printed(compared(*(replace(REGRESSION, cell=name) for name in names)), 160)
    assert all(f"regression: {name}" in shown for name in names)


def test_one_sentence_about_many_is_said_once() -> None:
    shown = printed(many(60, MISSING), 100)
    assert shown.count(MISSING.sentence) == 1
    assert "and 57 more" in shown
    assert shown.count("scenes/vit-nano") == 60 + 3


def test_passes_are_counted_by_tier_beside_the_rest() -> None:
    lines = printed(compared(REGRESSION, INCONCLUSIVE, PASS, replace(PASS, tier=Tier.TIME)), 80).splitlines()
    assert lines[-2:] == ["exact    1 of 1 pass", "time     1 of 3 pass"]


@pytest.mark.parametrize("width", WIDTHS)
def test_nasty_names_neither_steer_the_terminal_nor_break_the_table(width: int) -> None:
    shown = printed(hostile(), width)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "[bold]markup[/bold]" in shown


@settings(max_examples=40, deadline=None)
@given(COMPARISONS)
def test_anything_prints(comparison: Comparison) -> None:
    assert all(cell_len(line) <= 80 for line in printed(comparison, 80).split("\n"))


def number(**fields: object) -> Finding:
    return replace(PASS, **fields)  # type: ignore[arg-type]  # fields of the tests below


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({"base": 3.4213, "head": 3.8421, "unit": "ms"}, ("3.42 ms", "3.84 ms")),
        ({"base": 58.7e6, "head": 61.2e6, "unit": "MACs"}, ("58.7 MMACs", "61.2 MMACs")),
        ({"base": 999e6, "head": 1.02e9, "unit": "MACs"}, ("1.00 GMACs", "1.02 GMACs")),
        ({"base": 5123456.0, "head": 5123457.0, "unit": ""}, ("5,123,456", "5,123,457")),
        (
            {"base": 58_712_064.0, "head": 58_712_065.0, "unit": "MACs"},
            ("58.712064 MMACs", "58.712065 MMACs"),
        ),
        ({"base": 3.42131, "head": 3.42132, "unit": "ms", "tier": Tier.TIME}, ("3.421 ms", "3.421 ms")),
        ({"base": 0.61234, "head": 0.61241, "unit": "", "tier": Tier.QUALITY}, ("0.6123", "0.6124")),
        ({"base": 1234.5, "head": 1234.5, "unit": "MiB"}, ("1234 MiB", "1234 MiB")),
        ({"base": None, "head": 12.0, "unit": "MiB"}, ("-", "12.0 MiB")),
        ({"base": None, "head": None, "unit": "ms"}, ("-", "-")),
        ({"base": 0.0, "head": 0.0, "unit": "ms"}, ("0 ms", "0 ms")),
        ({"base": 1e-300, "head": 1e300, "unit": "ms"}, ("1e-300 ms", "1e+300 ms")),
        ({"base": float("nan"), "head": float("inf"), "unit": "ms"}, ("nan ms", "inf ms")),
        ({"base": -0.001, "head": 20.0, "unit": "ms", "tier": Tier.TIME}, ("0.0 ms", "20.0 ms")),
    ],
)
def test_numbers_are_short_and_tell_apart_what_was_counted(
    fields: dict[str, object], texts: tuple[str, str]
) -> None:
    assert values(number(**fields)) == texts


@pytest.mark.parametrize(
    ("value", "ends", "text"),
    [
        (12.31, (10.12, 14.03), "+12.3 % [10.1, 14.0]"),
        (-0.04, (-0.31, 0.22), "0.0 % [-0.3, 0.2]"),
        (1.54, (-40.0, 72.0), "+1.5 % [-40.0, 72.0]"),
        (5.0, (5.0, 5.0), "+5.00 % [5.00, 5.00]"),
        (12.31, None, "+12.3 %"),
        (-5.08, None, "-5.08 %"),
        (2.3e-5, None, "+2.3e-05 %"),
        (0.0, None, "0 %"),
        (250.0, None, "+250 %"),
        (1.0, (float("-inf"), 14.03), "+1.00 % [-inf, 14.03]"),
        (None, (1.0, 2.0), "[1.0, 2.0] %"),
        (None, None, "-"),
    ],
)
def test_changes_are_rounded_to_what_their_interval_supports(
    value: float | None, ends: tuple[float, float] | None, text: str
) -> None:
    interval = None if ends is None else Interval(*ends, 0.98)
    assert change(number(change_percent=value, interval_percent=interval)) == text


def test_small_p_values_are_bounded_and_levels_are_all_named() -> None:
    assert [probability(p) for p in (None, 0.0, 0.00012, 0.0314, 1.0)] == [
        "-",
        "< 0.0001",
        "0.00012",
        "0.031",
        "1",
    ]
    wide = replace(REGRESSION, interval_percent=Interval(0, 1, 0.95))
    assert level([REGRESSION, wide, PASS]) == "95 % and 98 %"


@pytest.mark.parametrize(
    ("findings", "text"),
    [
        (
            (REGRESSION, COUNTED, *[INCONCLUSIVE] * 2, PASS),
            "2 regressions, 2 inconclusive, 1 pass. Exit code 1: head is worse than base by more than is let pass.",
        ),
        (
            (INCONCLUSIVE, PASS),
            "1 inconclusive, 1 pass. Exit code 3: no regression was found, but what is inconclusive may hide one.",
        ),
        ((MISSING,), "1 missing. Exit code 4: what is missing cannot pass."),
        (
            (MISSING, REGRESSION),
            "1 regression, 1 missing. Exit code 4: what is missing cannot pass, and outranks a regression.",
        ),
    ],
)
def test_the_headline_counts_and_says_why(findings: tuple[Finding, ...], text: str) -> None:
    assert headline(compared(*findings)) == text
