"""Tier 2: time, energy and memory from pairs of launches that ran side by side.

Two steps. The first `blocks` pairs flag a cell where "at most the threshold slower" is refused at 1 %; the pairs after
them, which had no part in that, confirm it at 0.1 %. Only both together are a regression.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtlbench.compare.match import Match
from mtlbench.compare.verdict import Finding, Tier, Verdict
from mtlbench.results.evidence import Evidence
from mtlbench.results.journal import Launch
from mtlbench.stats.quantiles import Interval
from mtlbench.stats.randomisation import Randomisation, fewest_pairs, location
from mtlbench.suite.gate import Gate

__all__ = ["CONFIRM_ALPHA", "FLAG_ALPHA", "flagged", "resolution_percent", "time_findings"]

FLAG_ALPHA = 0.01
CONFIRM_ALPHA = 0.001

_TIME_PERCENT = {"shared": 10.0, "quiet": 3.0, "gpu": 3.0}
_ENERGY_PERCENT = {"shared": 10.0, "quiet": 5.0, "gpu": 10.0}
_MEMORY_PERCENT = 5.0
_FASTER_OR_SLOWER = {"latency_ms": ("faster", "slower")}

# A gate leaves a second or two between the launches of a pair; minutes are another mood of the machine.
_MOST_BETWEEN_S = 30.0

Times = NDArray[np.float64]
Launches = list[tuple[Launch, Launch]]


@dataclass(frozen=True)
class _Measured:
    """A column of timed launches; `key` holds one value of a launch, or one for each input."""

    metric: str
    key: str
    unit: str

    def default_percent(self, place: str) -> float:
        """What passes where the suite says nothing."""
        by_metric = {"latency_ms": _TIME_PERCENT, "energy_mj": _ENERGY_PERCENT}
        return by_metric[self.metric][place] if self.metric in by_metric else _MEMORY_PERCENT


_METRICS = (
    _Measured("latency_ms", "floors_ms", "ms"),
    _Measured("energy_mj", "energy_mj", "mJ"),
    _Measured("memory_launch_mib", "memory_launch_mib", "MiB"),
)


def time_findings(pair: Match, gate: Gate) -> Iterator[Finding]:
    """Time, and energy and memory where both have them, of one cell.

    Args:
        pair: the cell in both runs; both were evaluated.
        gate: thresholds and numbers of blocks.
    """
    if not pair.base.timings and not pair.head.timings:
        return  # neither was to be timed
    problem = _not_comparable(pair)
    if problem is not None:
        yield Finding(pair.name, "latency_ms", Tier.TIME, *problem)
        return
    launches = _beside(pair)
    for measured in _METRICS:
        was, now = (
            any(launch.get(measured.key) is not None for launch in side.timings.values())
            for side in (pair.base, pair.head)
        )
        if was and now:
            yield _judge(pair, gate, measured, launches)
        elif was:
            lacking = f"Head has no {measured.metric}."
            yield Finding(pair.name, measured.metric, Tier.TIME, Verdict.MISSING, lacking)


def flagged(pair: Match, gate: Gate) -> bool:
    """Whether the first pairs of a cell raise a suspicion that more launches must settle."""
    early = replace(
        pair,
        base=replace(pair.base, timings=_before(pair.base, gate.blocks)),
        head=replace(pair.head, timings=_before(pair.head, gate.blocks)),
    )
    return any(finding.p is not None and finding.p <= FLAG_ALPHA for finding in time_findings(early, gate))


def _before(side: Evidence, block: int) -> dict[int, Launch]:
    return {number: launch for number, launch in side.timings.items() if number < block}


def resolution_percent(finding: Finding) -> float | None:
    """The change that the pairs of a finding could tell from none: the wider half of its interval."""
    interval, change = finding.interval_percent, finding.change_percent
    if interval is None or change is None:
        return None
    return max(interval.high - change, change - interval.low)


def _not_comparable(pair: Match) -> tuple[Verdict, str] | None:
    base, head = pair.base, pair.head
    if pair.machines[0] != pair.machines[1]:
        return Verdict.NOT_COMPARABLE, _machines_differ(pair)
    for name, side in (("Base", base), ("Head", head)):
        if not side.timings:
            return Verdict.MISSING, f"{name} was not timed."
    if not _beside(pair):
        return (
            Verdict.NOT_COMPARABLE,
            "The runs did not take turns, so a difference may be the machine's: `mtlbench gate` runs them side by "
            "side.",
        )
    return None


def _beside(pair: Match) -> Launches:
    """Launches of base and head of one block that ran one after the other, with nothing much between them.

    Where a time limit ended some of them early, the floors of all are over as many rounds as the shortest has.
    """
    found = [
        (base, head) for head, base in pair.head.pairs(pair.base) if _gap_s(base, head) <= _MOST_BETWEEN_S
    ]
    rounds = {launch.get("n_rounds") or 0 for both in found for launch in both}
    if len(rounds) > 1:
        least = min(rounds)
        found = [
            (pair.base.with_rounds(base, least), pair.head.with_rounds(head, least)) for base, head in found
        ]
    return found


def _gap_s(base: Launch, head: Launch) -> float:
    """Time between the end of the earlier and the start of the later one."""
    first, second = sorted((base, head), key=lambda launch: float(launch["started_unix_s"]))
    return float(second["started_unix_s"] - first["started_unix_s"] - first.get("duration_s", 0.0))


def _machines_differ(pair: Match) -> str:
    names = ("cpu_model", "cores_logical", "memory_gib", "gpu_names", "machine_hash")
    ours, theirs = pair.head.any_launch or {}, pair.base.any_launch or {}
    differ = [
        f"{name} {theirs.get(f'environment.{name}')} -> {ours.get(f'environment.{name}')}"
        for name in names
        if theirs.get(f"environment.{name}") != ours.get(f"environment.{name}")
    ]
    return f"They ran on different machines: {'; '.join(differ) or ' -> '.join(pair.machines)}."


def _judge(pair: Match, gate: Gate, measured: _Measured, launches: Launches) -> Finding:
    default = measured.default_percent(gate.place)
    percent = gate.passes(pair.label, pair.cell_id, measured.metric, default)
    blank = Finding(
        pair.name,
        measured.metric,
        Tier.TIME,
        Verdict.INCONCLUSIVE,
        "",
        unit=measured.unit,
        threshold_percent=percent,
    )
    first = _values([both for both in launches if both[0]["block"] < gate.blocks], measured.key)
    more = _values([both for both in launches if both[0]["block"] >= gate.blocks], measured.key)
    if first.pairs < fewest_pairs(FLAG_ALPHA):
        why = f", and {first.left_out} more do not hold times above zero" if first.left_out else ""
        few = f"{first.pairs} blocks ran side by side{why}; at 1 % fewer than {fewest_pairs(FLAG_ALPHA)} tell nothing."
        return replace(blank, n=first.pairs, sentence=few)
    found = _step(blank, first, FLAG_ALPHA)
    if found.verdict is not Verdict.REGRESSION:
        return found
    slower = f"{found.change_percent:+.3g} % over {found.n} pairs"
    if more.pairs < fewest_pairs(CONFIRM_ALPHA):
        sentence = f"Suspected: {slower}. `mtlbench gate` confirms it, with {gate.confirm_blocks} more pairs."
        return replace(found, verdict=Verdict.INCONCLUSIVE, sentence=sentence)
    again = _step(blank, more, CONFIRM_ALPHA)
    is_confirmed = again.verdict is Verdict.REGRESSION
    sentence = f"Suspected by {slower}, {'and' if is_confirmed else 'not'} confirmed. {again.sentence}"
    p = max(found.p or 0.0, again.p or 0.0)  # both must refuse, so the larger is the level of both together
    return replace(again, sentence=sentence, p=p, is_confirmed=is_confirmed)


class _Values(NamedTuple):
    """Of each pair the values of base and of head, [pairs, n] each; how many pairs had to be left out."""

    base: Times
    head: Times
    left_out: int

    @property
    def pairs(self) -> int:
        """Pairs that are there."""
        return len(self.base)


def _values(launches: Launches, key: str) -> _Values:
    ordered = sorted(launches, key=lambda both: both[0]["block"])
    sides = [
        [np.atleast_1d(np.array(launch.get(key), dtype=np.float64)) for launch in both] for both in ordered
    ]
    usual = Counter(side.shape for both in sides for side in both).most_common(1)
    sound = [
        both
        for both in sides
        if all(side.shape == usual[0][0] and np.isfinite(side).all() and (side > 0).all() for side in both)
    ]
    if not sound:
        return _Values(np.empty((0, 1)), np.empty((0, 1)), len(sides))
    base, head = (np.stack([both[index] for both in sound]) for index in (0, 1))
    return _Values(base, head, len(sides) - len(sound))


def _step(blank: Finding, values: _Values, alpha: float) -> Finding:
    """One test: is it surely slower, surely faster, or surely neither?"""
    assert blank.threshold_percent is not None  # noqa: S101  # `_judge` has set it
    allowed = math.log1p(blank.threshold_percent / 100)
    test = Randomisation(values.base, values.head)
    interval = test.interval(alpha)
    assert interval is not None  # noqa: S101  # `_judge` has seen enough pairs
    found = replace(
        blank,
        base=float(location(values.base)),
        head=float(location(values.head)),
        change_percent=100 * (test.value - 1),
        interval_percent=Interval(100 * (interval.low - 1), 100 * (interval.high - 1), interval.level),
        p=test.p_slower(math.exp(allowed)),
        n=test.pairs,
    )
    return _with_verdict(found, math.log(interval.low), math.log(interval.high), allowed)


def _with_verdict(found: Finding, low: float, high: float, allowed: float) -> Finding:
    less, more = _FASTER_OR_SLOWER.get(found.metric, ("less", "more"))
    percent = f"{found.threshold_percent:g} %"
    if low > allowed:
        return replace(
            found, verdict=Verdict.REGRESSION, sentence=f"It is {more} by more than the {percent} that pass."
        )
    if high < -allowed:
        return replace(found, verdict=Verdict.IMPROVEMENT, sentence=f"It is {less} by more than {percent}.")
    if high <= allowed:
        return replace(found, verdict=Verdict.PASS, sentence=f"Surely not {more} by more than {percent}.")
    sentence = f"It may be {more} by more than {percent} or not: {found.n} pairs cannot tell."
    return replace(found, sentence=sentence)
