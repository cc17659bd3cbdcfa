"""Tier 0: what is counted and needs no clock. Equal code and equal weights give equal numbers on any machine.

Static cells must agree exactly. What depends on the input is compared with a tolerance, because weights that were
trained on another processor decide a little otherwise; with the same weights the tolerance is for ties alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.compare.match import Match, rules_differ
from mtlbench.compare.verdict import Finding, Tier, Verdict
from mtlbench.results.evidence import Evidence
from mtlbench.suite.gate import Gate

__all__ = ["aligned", "exact_findings"]

COUNT_PERCENT = 0.0
ALLOCATED_PERCENT = 1.0
SAME_DECISIONS_PERCENT = 0.5
OTHER_DECISIONS_PERCENT = 5.0
OTHER_PATHS_PERCENT = 50.0
PREDICTIONS_PERCENT = 0.5
OTHERWISE_PERCENT = 5.0


@dataclass(frozen=True)
class _Count:
    """A column that is counted; less of it is better."""

    metric: str
    unit: str = ""


_OF_NETWORKS = (_Count("params"), _Count("weights_mib", "MiB"), _Count("cache_mib", "MiB"))
_OF_CALLS = (
    _Count("params_active"),
    _Count("macs_executed", "MACs"),
    _Count("macs_nominal", "MACs"),
    _Count("macs_policy", "MACs"),
)
Rows = NDArray[np.int64]
_UNCOUNTED, _ALLOCATED, _PATHS, _IMAGES = "uncounted_ops", "memory_tensors_mib", "paths", "paths.images"
_PREDICTIONS = "predictions"


def exact_findings(pair: Match, gate: Gate) -> Iterator[Finding]:
    """Everything that is counted of one cell.

    Args:
        pair: the cell in both runs; both were evaluated.
        gate: thresholds.
    """
    judge = _Judge(pair, gate)
    for count in _OF_NETWORKS:
        yield from judge.count(count, COUNT_PERCENT)
    yield judge.uncounted()
    yield from judge.allocated()
    if pair.is_static:
        for count in _OF_CALLS:
            yield from judge.count(count, COUNT_PERCENT)
    else:
        yield from _decided(judge)
    if pair.same_weights:
        yield from judge.predictions()


def aligned(pair: Match) -> tuple[Rows, Rows] | None:
    """Rows of base and of head in the order of the images' ids; None where they are not the same images, each once."""
    theirs, ours = (np.array(side.image_ids, dtype=np.str_) for side in (pair.base, pair.head))
    rows = np.argsort(theirs, kind="stable"), np.argsort(ours, kind="stable")
    if not len(theirs) or len(np.unique(theirs)) != len(theirs):
        return None
    return rows if np.array_equal(theirs[rows[0]], ours[rows[1]]) else None


def _decided(judge: _Judge) -> Iterator[Finding]:
    """Counts of a cell that decides for each input, and how often each of its parts ran."""
    pair = judge.pair
    if not pair.same_data:
        yield judge.finding(
            "macs_executed",
            Verdict.NOT_COMPARABLE,
            "It decides for each image, and base and head saw different data.",
        )
        return
    tolerance = SAME_DECISIONS_PERCENT if pair.same_weights else OTHER_DECISIONS_PERCENT
    for count in _OF_CALLS:
        yield from judge.count(count, tolerance)
    # Another training spends what it is asked to, but elsewhere: between two seeds parts moved by up to 35 points.
    yield from judge.paths(tolerance if pair.same_weights else OTHER_PATHS_PERCENT)
    if pair.same_weights:
        yield from judge.images()


@dataclass(frozen=True)
class _Judge:
    """Findings about one cell."""

    pair: Match
    gate: Gate

    def finding(self, metric: str, verdict: Verdict, sentence: str, **values: Any) -> Finding:
        return Finding(self.pair.name, metric, Tier.EXACT, verdict, sentence, **values)

    def count(self, count: _Count, default_percent: float) -> Iterator[Finding]:
        """One column of the evaluation; none where neither run has it."""
        yield from self._number(count, self.pair.base.evaluation, self.pair.head.evaluation, default_percent)

    def allocated(self) -> Iterator[Finding]:
        """The most tensor memory of a call, from the launches that looked at memory."""
        count = _Count(_ALLOCATED, "MiB")
        yield from self._number(count, self.pair.base.profile, self.pair.head.profile, ALLOCATED_PERCENT)

    def uncounted(self) -> Finding:
        """Operators that no formula counts."""
        was, now = (set(_evaluation(side)["uncounted_ops"]) for side in (self.pair.base, self.pair.head))
        values = {"base": float(len(was)), "head": float(len(now))}
        if now - was:
            sentence = f"Operators without a MAC formula are new: {', '.join(sorted(now - was))}."
            return self.finding(_UNCOUNTED, Verdict.REGRESSION, sentence, **values)
        if was - now:
            sentence = f"All are counted now that were not: {', '.join(sorted(was - now))}."
            return self.finding(_UNCOUNTED, Verdict.IMPROVEMENT, sentence, **values)
        return self.finding(_UNCOUNTED, Verdict.PASS, "The same operators are counted.", **values)

    def paths(self, default_percent: float) -> Iterator[Finding]:
        """How often each part ran: the largest change of a part's share of its full compute."""
        was, now = (_shares(side) for side in (self.pair.base, self.pair.head))
        if not was and not now:
            return
        changes = {part: 100 * abs(now.get(part, 0.0) - was.get(part, 0.0)) for part in {**was, **now}}
        part = max(changes, key=lambda name: changes[name])
        allowed = self._threshold(_PATHS, default_percent)
        values = {
            "base": 100 * was.get(part, 0.0),
            "head": 100 * now.get(part, 0.0),
            "unit": "%",
            "threshold_percent": allowed,
        }
        same = f"No part runs more or less often by more than {allowed:g} points."
        other = (
            f"{part} ran for {values['base']:.3g} % of its full compute and runs for {values['head']:.3g} %: other "
            f"decisions than before, by more than {allowed:g} points."
        )
        yield self._settled(_PATHS, changes[part], same, other, **values)

    def images(self) -> Iterator[Finding]:
        """Of how many images more or less was executed, which means over images may hide."""
        rows = aligned(self.pair)
        was, now = self.pair.base.image_macs, self.pair.head.image_macs
        if rows is None or not (np.isfinite(was).all() and np.isfinite(now).all()):
            return  # other images, which predictions tell, or a refused total, which the count tells
        was, now = was[rows[0]], now[rows[1]]
        changed = 100 * float(np.mean(np.abs(now - was) > SAME_DECISIONS_PERCENT / 100 * was))
        allowed = self._threshold(_IMAGES, OTHERWISE_PERCENT)
        values = {"head": changed, "base": 0.0, "unit": "%", "threshold_percent": allowed}
        same = f"The same weights run as much as before for all but {allowed:g} % of the images."
        other = f"The same weights run more or less than before for {changed:.3g} % of images; {allowed:g} % pass."
        yield self._settled(_IMAGES, changed, same, other, **values)

    def predictions(self) -> Iterator[Finding]:
        """The same weights must predict the same: statistics of each image, as a share of their sum."""
        rows = aligned(self.pair) if self.pair.same_data else None
        for task in self.pair.head.tasks if self.pair.is_trained else ():
            metric = f"{_PREDICTIONS}.{task}"
            was, now = (side.statistics.get(task) for side in (self.pair.base, self.pair.head))
            problem = rules_differ(self.pair, f"task:{task}")
            if was is None or now is None:
                lacking = "Base" if was is None else "Head"
                yield self.finding(metric, Verdict.MISSING, f"{lacking} has not kept what it predicted.")
            elif problem is not None or rows is None:
                said = problem or "The same weights predicted different images."
                yield self.finding(metric, Verdict.NOT_COMPARABLE, said)
            else:
                yield self._predicted(metric, was[rows[0]], now[rows[1]])

    def _predicted(self, metric: str, was: NDArray[np.float64], now: NDArray[np.float64]) -> Finding:
        allowed = self._threshold(metric, PREDICTIONS_PERCENT)
        scale, moved = float(np.abs(was).sum()), float(np.abs(now - was).sum())
        change = 100 * moved / scale if scale else (100.0 if moved > 0 else moved)
        values = {"change_percent": change, "threshold_percent": allowed}
        if not np.isfinite(change):
            return self.finding(metric, Verdict.NOT_COMPARABLE, "A prediction is not a finite number.")
        same = f"The same weights predict the same, within {allowed:g} %."
        other = (
            f"The same weights predict otherwise: {change:.3g} % of what is summed over images changed, {allowed:g} % "
            "pass."
        )
        return self._settled(metric, change, same, other, **values)

    def _settled(self, metric: str, change: float, same: str, other: str, **values: Any) -> Finding:
        """A pass that says `same`, or a regression that says `other`: what decides may not change unnoticed."""
        if change <= values["threshold_percent"]:
            return self.finding(metric, Verdict.PASS, same, **values)
        return self.finding(metric, Verdict.REGRESSION, other, **values)

    def _number(
        self, count: _Count, was: dict[str, Any] | None, now: dict[str, Any] | None, default: float
    ) -> Iterator[Finding]:
        base, head = (_value(side, count.metric) for side in (was, now))
        values = {"base": base, "head": head, "unit": count.unit}
        if base is None:
            return  # what only head has is new
        if head is None:
            yield self.finding(count.metric, Verdict.MISSING, f"Head has no {count.metric}.", **values)
            return
        allowed = self._threshold(count.metric, default)
        change = 100 * (head - base) / base if base else (0.0 if head == base else float("inf"))
        values |= {"threshold_percent": allowed}
        values |= {"change_percent": change} if np.isfinite(change) else {}
        verdict, sentence = _exact_verdict(base, head, change, allowed)
        yield self.finding(count.metric, verdict, sentence, **values)

    def _threshold(self, metric: str, default: float) -> float:
        return self.gate.passes(self.pair.label, self.pair.cell_id, metric, default)


def _exact_verdict(base: float, head: float, change: float, allowed: float) -> tuple[Verdict, str]:
    if head == base:
        return Verdict.PASS, "Equal."
    if abs(change) <= allowed:
        return Verdict.PASS, f"It changed by less than the {allowed:g} % that pass."
    more = "more" if head > base else "less"
    verdict = Verdict.REGRESSION if head > base else Verdict.IMPROVEMENT
    by = f"{abs(change):.3g} % {more}" if np.isfinite(change) else f"{more}, from 0"
    return verdict, f"It is {by}; {f'{allowed:g} % pass' if allowed else 'counts must be equal'}."


def _evaluation(side: Evidence) -> dict[str, Any]:
    assert side.evaluation is not None  # noqa: S101  # a match has been evaluated
    return side.evaluation


def _value(launch: dict[str, Any] | None, metric: str) -> float | None:
    """A number of a launch; None where there is none, also where a total was refused."""
    if launch is None or (metric == "macs_executed" and launch.get("macs_refused")):
        return None
    value = launch.get(metric)
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _shares(side: Evidence) -> dict[str, float]:
    """By part, the share of its full MACs that ran on average."""
    launch = _evaluation(side)
    prefix = "macs_full_part."
    found = {}
    for key, full in launch.items():
        ran = launch.get("macs_part." + key.removeprefix(prefix))
        if key.startswith(prefix) and isinstance(full, int | float) and full and isinstance(ran, int | float):
            found[key.removeprefix(prefix)] = float(ran / full)
    return found
