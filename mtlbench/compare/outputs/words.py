"""Words that all forms of a comparison share: numbers with their units, verdicts, and the sentence on top."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mtlbench.compare.verdict import Comparison, Finding, Side, Tier, Verdict
from mtlbench.report.quantities import join, macs_unit

__all__ = [
    "COLUMNS",
    "MEANINGS",
    "NONE",
    "Row",
    "by_verdict",
    "change",
    "counted",
    "exit_reason",
    "explained",
    "has_numbers",
    "headline",
    "legend",
    "level",
    "name",
    "passes",
    "plural",
    "probability",
    "row",
    "side",
    "threshold",
    "used",
    "values",
]

NONE = "-"
"""Stands where there is no number."""

MEANINGS: Mapping[Verdict, str] = {
    Verdict.REGRESSION: "head is worse than base by more than is let pass",
    Verdict.MISSING: "base has it and head does not, or one of them lacks the numbers",
    Verdict.NOT_COMPARABLE: "both have it, but not of the same thing",
    Verdict.INCONCLUSIVE: "neither a regression nor its absence could be shown",
    Verdict.IMPROVEMENT: "head is better than base",
    Verdict.PASS: "head is no worse than base by more than is let pass",
}

_NOUNS = (Verdict.REGRESSION, Verdict.IMPROVEMENT)
_LEAST_DIGITS = 3
_MOST_DIGITS, _MOST_DIGITS_EXACT = 4, 15
_MOST_DECIMALS = 4
_LEAST_P = 1e-4
_PLAIN = (1e-6, 1e12)


class Row(NamedTuple):
    """A finding as the text of a table's columns; `-` where it has no number."""

    cell: str
    metric: str
    base: str
    head: str
    change: str
    threshold: str
    p: str


COLUMNS = Row("cell", "metric", "base", "head", "change", "threshold", "p (Holm)")
"""Titles of the columns."""


def row(finding: Finding) -> Row:
    """One line of a table."""
    base, head = values(finding)
    p = probability(finding.p_holm)
    return Row(finding.cell, finding.metric, base, head, change(finding), threshold(finding), p)


def has_numbers(each: Row) -> bool:
    """Whether anything was measured; a threshold alone says nothing of the runs."""
    return any(text != NONE for text in (each.base, each.head, each.change, each.p))


def used(rows: Sequence[Row]) -> list[int]:
    """Columns that say something in at least one of the rows."""
    numbers = [index for index in range(2, len(COLUMNS)) if any(each[index] != NONE for each in rows)]
    return [0, 1, *numbers]


def values(finding: Finding) -> tuple[str, str]:
    """Base and head in one unit: `3.42 ms`, `58.7 MMACs`.

    Three digits or as many more as tell them apart; of what was measured four at most.
    """
    numbers = [value for value in (finding.base, finding.head) if value is not None]
    finite = [value for value in numbers if math.isfinite(value)]
    unit, factor = macs_unit(finite) if finding.unit == "MACs" else (finding.unit, 1.0)
    most = _MOST_DIGITS_EXACT if finding.tier is Tier.EXACT else _MOST_DIGITS
    texts = iter(_told_apart([value * factor for value in numbers], most, are_counts=not unit))
    base, head = (
        NONE if value is None else f"{next(texts)} {unit}".strip() for value in (finding.base, finding.head)
    )
    return base, head


def change(finding: Finding) -> str:
    """`+12.3 % [10.1, 14.0]`, rounded to what the interval supports; `+12.3 %` without one."""
    value, interval = finding.change_percent, finding.interval_percent
    ends = None if interval is None else (interval.low, interval.high)
    if value is None:
        return NONE if ends is None else f"[{_fixed(ends[0], 1)}, {_fixed(ends[1], 1)}] %"
    decimals = _decimals(value, ends)
    sign = "+" if value > 0 else ""
    said = f"{sign}{_fixed(value, decimals)} %"
    return said if ends is None else f"{said} [{_fixed(ends[0], decimals)}, {_fixed(ends[1], decimals)}]"


def threshold(finding: Finding) -> str:
    """`5 %`."""
    return NONE if finding.threshold_percent is None else f"{finding.threshold_percent:g} %"


def probability(p: float | None) -> str:
    """`0.031`, `< 0.0001`."""
    if p is None:
        return NONE
    return f"{p:.2g}" if p >= _LEAST_P or math.isnan(p) else f"< {_LEAST_P:.4f}"


def level(findings: Iterable[Finding]) -> str:
    """`98 %`, the level of all intervals; of several levels all; empty without intervals."""
    levels = {finding.interval_percent.level for finding in findings if finding.interval_percent}
    return join([f"{100 * each:.4g} %" for each in sorted(levels)])


def legend(findings: Sequence[Finding]) -> str:
    """What the columns of a table of these findings mean; empty where they need no words."""
    said = []
    if any(finding.change_percent is not None for finding in findings):
        said.append("Changes are of head against base, of quality above zero where head is better.")
    if levels := level(findings):
        said.append(f"In brackets: the interval of {levels}.")
    if any(finding.p_holm is not None for finding in findings):
        said.append(
            f"{COLUMNS.p}: the level at which 'no worse than the threshold' is refused, adjusted over all tests."
        )
    return " ".join(said)


def headline(comparison: Comparison) -> str:
    """`1 regression, 2 inconclusive, 57 pass. Exit code 1: head is worse ...`."""
    said = counted(comparison.counts) or "Nothing was compared"
    return f"{said}. Exit code {comparison.exit_code}: {exit_reason(comparison)}."


def counted(counts: Mapping[Verdict, int]) -> str:
    """`1 regression, 2 inconclusive, 57 pass`; empty without any."""
    return ", ".join(
        plural(count, verdict) if verdict in _NOUNS else f"{count} {verdict}"
        for verdict, count in counts.items()
    )


def plural(count: int, noun: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def exit_reason(comparison: Comparison) -> str:
    """Why the exit code is what it is, without a full stop."""
    counts = comparison.counts
    if not counts:
        return "there was nothing to compare"
    grave = [verdict for verdict in (Verdict.MISSING, Verdict.NOT_COMPARABLE) if verdict in counts]
    if grave:
        outranked = ", and outranks a regression" if Verdict.REGRESSION in counts else ""
        return f"what is {join(grave, word='or')} cannot pass{outranked}"
    if Verdict.REGRESSION in counts:
        return MEANINGS[Verdict.REGRESSION]
    if Verdict.INCONCLUSIVE in counts:
        return "no regression was found, but what is inconclusive may hide one"
    return "nothing is worse by more than is let pass"


def name(finding: Finding) -> str:
    """What a finding is about: its cell and its metric."""
    return f"{finding.cell}, {finding.metric}"


def explained(findings: Iterable[Finding]) -> list[tuple[list[str], str]]:
    """Each sentence of a verdict once, in order, after the names of those that it is about."""
    found: dict[tuple[Verdict, str], list[str]] = {}
    for finding in findings:
        found.setdefault((finding.verdict, finding.sentence), []).append(name(finding))
    return [(names, sentence) for (_, sentence), names in found.items()]


def by_verdict(findings: Iterable[Finding]) -> dict[Verdict, list[Finding]]:
    """The gravest verdicts first; those that no finding has are left out."""
    found: dict[Verdict, list[Finding]] = {verdict: [] for verdict in Verdict}
    for finding in findings:
        found[finding.verdict].append(finding)
    return {verdict: those for verdict, those in found.items() if those}


def passes(findings: Sequence[Finding]) -> list[tuple[Tier, int, int]]:
    """By tier how many findings pass, and of how many; tiers without findings are left out."""
    tiers = ((tier, [finding for finding in findings if finding.tier is tier]) for tier in Tier)
    return [
        (tier, sum(each.verdict is Verdict.PASS for each in those), len(those))
        for tier, those in tiers
        if those
    ]


def side(told: Side) -> str:
    """`results/main (suite quickstart, run 4f2a, commit 0123456789, machine 77aa)`."""
    facts = [f"suite {told.suite}", f"run {told.run_id}"]
    for noun, these in (("commit", told.commits), ("machine", told.machines)):
        facts += [f"{noun if len(these) == 1 else f'{noun}s'} {join(these)}"] if these else []
    return f"{told.folder} ({', '.join(facts)})"


def _told_apart(numbers: Sequence[float], most: int, *, are_counts: bool) -> list[str]:
    """The numbers with equal decimals, the fewest at which different ones differ; `most` significant digits."""
    if are_counts and all(float(value).is_integer() and abs(value) < _PLAIN[1] for value in numbers):
        return [f"{value:,.0f}" for value in numbers]
    largest = max((abs(value) for value in numbers if math.isfinite(value)), default=0.0)
    if not _PLAIN[0] <= largest < _PLAIN[1]:
        return [f"{value:.{_LEAST_DIGITS}g}" for value in numbers]
    texts: list[str] = []
    for digits in range(_LEAST_DIGITS, most + 1):
        decimals = max(digits - 1 - math.floor(math.log10(largest)), 0)
        texts = [_fixed(value, decimals) for value in numbers]
        if len(set(texts)) == len(set(numbers)):
            break
    return texts


def _decimals(value: float, ends: tuple[float, float] | None) -> int:
    """Two digits of a narrow interval's half-width, one of a wide one's, one decimal at least; three digits without."""
    width = ends[1] - ends[0] if ends else math.nan
    if math.isfinite(width) and width > 0:
        needed = max(-math.floor(math.log10(width / 4)), 1)
    elif value and math.isfinite(value):
        needed = 2 - math.floor(math.log10(abs(value)))
    else:
        needed = 0
    return min(max(needed, 0), _MOST_DECIMALS)


def _fixed(value: float, decimals: int) -> str:
    if not math.isfinite(value) or abs(value) >= _PLAIN[1] or 0 < abs(value) < 10**-_MOST_DECIMALS:
        return f"{value:.2g}"
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
