"""The words of a comparison: what was looked at, what was found, and which exit code it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mtlbench.stats.quantiles import Interval

__all__ = ["EXIT_CODES", "Comparison", "Finding", "Side", "Tier", "Verdict", "exit_code"]


class Verdict(StrEnum):
    """What one comparison comes to, the gravest first."""

    REGRESSION = "regression"
    MISSING = "missing"
    NOT_COMPARABLE = "not comparable"
    INCONCLUSIVE = "inconclusive"
    IMPROVEMENT = "improvement"
    PASS = "pass"  # noqa: S105  # a verdict, not a password


EXIT_CODES = {
    Verdict.NOT_COMPARABLE: 4,
    Verdict.MISSING: 4,
    Verdict.REGRESSION: 1,
    Verdict.INCONCLUSIVE: 3,
    Verdict.IMPROVEMENT: 0,
    Verdict.PASS: 0,
}
"""By verdict; of several the one that comes first here applies (DESIGN section 3)."""


_NOTHING_COMPARED = 4


class Tier(StrEnum):
    """How a quantity is compared."""

    EXACT = "exact"
    QUALITY = "quality"
    TIME = "time"
    FRONT = "front"


@dataclass(frozen=True, slots=True)
class Finding:
    """One quantity of one cell, in both runs.

    Attributes:
        cell: the cell's label; of quality the label without its seed, of a front its setting.
        metric: the column, such as `latency_ms`, `metric.semseg.miou` or `macs_executed`.
        tier: how it was compared.
        verdict: what it comes to.
        sentence: why, one sentence for people.
        base: the value of the base run; None where there is none.
        head: the value of the head run.
        unit: of both; empty where they have none.
        change_percent: of head against base, above zero where head is more; of quality and fronts where head is better.
        interval_percent: of the change; None where there is none.
        threshold_percent: the change that is let pass; None where nothing is.
        p: the level at which "no worse than the threshold" can be refused; None where nothing was tested.
        p_holm: the same over all tests of the comparison (Holm).
        n: what the interval is over: pairs of launches, or images.
        is_confirmed: whether launches that had no part in raising the suspicion confirm it.
    """

    cell: str
    metric: str
    tier: Tier
    verdict: Verdict
    sentence: str
    base: float | None = None
    head: float | None = None
    unit: str = ""
    change_percent: float | None = None
    interval_percent: Interval | None = None
    threshold_percent: float | None = None
    p: float | None = None
    p_holm: float | None = None
    n: int | None = None
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs.

    Attributes:
        folder: its run folder.
        suite: name of its suite.
        run_id: its id.
        commits: git commits of the mtlbench that measured it, `+` after one with uncommitted changes.
        machines: ids of the machines it ran on.
    """

    folder: Path
    suite: str
    run_id: str
    commits: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, and all that was found.

    Attributes:
        base: what is compared against.
        head: what is judged.
        findings: the gravest verdicts first.
        notes: sentences about the whole, such as that the runs are of different suites, or cells that only head has.
    """

    base: Side
    head: Side
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many findings have each verdict; verdicts that none has are left out."""
        found = Counter(finding.verdict for finding in self.findings)
        return {verdict: found[verdict] for verdict in Verdict if found[verdict]}

    @property
    def exit_code(self) -> int:
        """0 pass, 1 regression, 3 inconclusive, 4 missing, not comparable or nothing; in the order 4, 1, 3, 0."""
        return exit_code(finding.verdict for finding in self.findings)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """What verdicts come to together; where there is none, nothing was compared, which is no pass."""
    found = set(verdicts)
    return next((code for verdict, code in EXIT_CODES.items() if verdict in found), _NOTHING_COMPARED)
