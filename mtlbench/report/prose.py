"""What a group of cells says, in sentences that claim no more than the intervals allow.

Two ways are told apart only where their intervals are disjoint, which is stricter than a test of the
difference: "settled" here is safe, and "not settled" means: look at `mtlbench compare`, or measure more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtlbench.report.frame import Estimate, brief
from mtlbench.report.fronts import on_front, settled
from mtlbench.report.groups import Group
from mtlbench.report.points import Cost, Way, costs, ways_of
from mtlbench.report.quantities import join, percent, with_interval

__all__ = ["Answer", "Best", "answer"]

MOST_NAMES = 6


class Best(NamedTuple):
    """The way with the least cost.

    Attributes:
        label: its name.
        called: the same, whatever tasks it was trained for.
        variant: whose style it is drawn in.
        settled: whether its interval ends before that of every other way begins.
        cost: what it spends, with interval.
        unit: of the cost, and what it is for.
        share: the same in per cent of the single-task networks; `-` if unknown, or if it is they.
        quality: its delta-m with interval; `-` if unknown.
    """

    label: str
    called: str
    variant: str
    settled: bool
    cost: str
    unit: str
    share: str
    quality: str

    @property
    def spent(self) -> str:
        """The cost with its unit."""
        return f"{self.cost} {self.unit}"


@dataclass(frozen=True)
class Answer:
    """What one group says: a sentence, what it rests on, and the way that it is about."""

    setting: str
    sentence: str
    evidence: tuple[str, ...]
    best: Best | None = None


def answer(group: Group) -> Answer:
    """The most useful true sentence about a group."""
    if group.points.empty:
        return Answer(group.label, f"Nothing can be said: none of the {len(group.cells)} cells finished.", ())
    available = costs(group)
    if not available:
        return Answer(group.label, "Which way is cheapest is unknown: no cost was measured.", ())
    cost = available[-1]
    ways = ways_of(group, cost)
    rivals = [way for way in ways[1:] if not ways[0].cost.below(way.cost)]
    best = _best(ways, cost, is_settled=len(ways) > 1 and not rivals)
    return Answer(group.label, _verdict(group, ways, rivals, cost), _evidence(ways, cost), best)


def _best(ways: Sequence[Way], cost: Cost, *, is_settled: bool) -> Best:
    way = ways[0]
    return Best(
        label=way.label,
        called=way.called,
        variant=way.variant,
        settled=is_settled,
        cost=with_interval(way.cost, cost.unit.factor),
        unit=f"{cost.unit.name} per {cost.per}",
        share=with_interval(_share(ways, cost), 100),
        quality=with_interval(way.quality),
    )


def _verdict(group: Group, ways: Sequence[Way], rivals: Sequence[Way], cost: Cost) -> str:
    best, hardware = ways[0], brief(group.setting.get("hardware", ""))
    where = f"On {hardware}, " if hardware else ""
    if len(ways) == 1:
        said = _said(best, cost)
        return f"{where or 'Here, '}only {best.label} was measured, at {said}; there is nothing to compare it with."
    if not rivals:
        return f"{where}{best.label} is the {cost.least} of {len(ways)} ways: {_said(best, cost)}."
    tied = [best, *rivals]
    why = "without intervals their order may be noise (6 launches or more give intervals)"
    if all(way.cost.bounded for way in tied):
        why = "their counts are equal" if cost.exact else "their intervals overlap"
    said = join([f"{way.label} ({_said(way, cost)})" for way in tied], most=3)
    return f"{where}{'w' if where else 'W'}hich way is {cost.least} is not settled between {said}: {why}."


def _said(way: Way, cost: Cost) -> str:
    spent = f"{with_interval(way.cost, cost.unit.factor)} {cost.unit.name} per {cost.per}"
    return f"{spent}, delta-m {with_interval(way.quality)} %" if way.quality.known else spent


def _evidence(ways: Sequence[Way], cost: Cost) -> tuple[str, ...]:
    share = with_interval(_share(ways, cost), 100)
    said = [
        f"{ways[0].label} takes {share} % of the {cost.title} of the single-task networks."
        if share != "-"
        else "",
        _budget(ways[0]),
        _accuracy(ways[0]),
        _without_loss(ways, cost),
        *_front_sentences([way for way in ways if way.quality.known], cost),
        _realised(ways),
    ]
    return tuple(filter(None, said))


def _share(ways: Sequence[Way], cost: Cost) -> Estimate:
    """The best way as a share of the single-task networks, from pairs of launches where the run has them."""
    best, single = ways[0], next((way for way in ways if way.is_baseline), None)
    if single is None or best.is_baseline:
        return Estimate(nan)
    if not cost.exact and best.beside.known:
        return best.beside
    return Estimate(best.cost.value / single.cost.value if single.cost.value else nan)


def _budget(way: Way) -> str:
    if not way.asked < 1:
        return ""
    spent = f" and executed {percent(way.executed)}" if isfinite(way.executed) else ""
    return f"{way.label} was asked for {percent(way.asked)} of the MACs of its reference{spent}."


def _without_loss(ways: Sequence[Way], cost: Cost) -> str:
    """The cheapest way whose accuracy is not shown to be below that of single-task networks."""
    unharmed = next((way for way in ways if way.quality.bounded and way.quality.high >= 0), None)
    if unharmed is None or unharmed is ways[0]:
        return ""
    if unharmed.is_baseline:
        return f"All that is {cost.less} than the single-task networks is less accurate, or has no interval of delta-m."
    said = _said(unharmed, cost)
    return f"Of the ways not shown to be less accurate than single-task, {unharmed.label} is the {cost.least}: {said}."


def _front_sentences(ways: Sequence[Way], cost: Cost) -> list[str]:
    """Which ways nothing beats in both cost and accuracy, and what of that is certain.

    Args:
        ways: those with a delta-m.
        cost: what to set it against.
    """
    if len(ways) < 2:
        return []
    spent, quality = _triples([way.cost for way in ways]), _triples([way.quality for way in ways])
    on_it = on_front(spent, quality)
    sure = settled(spent, quality, on_it)

    def named(which: NDArray[np.bool_]) -> str:
        return join([ways[index].label for index in np.flatnonzero(which).tolist()], MOST_NAMES)

    sentences = [
        f"On the front of delta-m against {cost.title}, where nothing measured is both {cost.less} and more "
        f"accurate: {named(on_it)}."
    ]
    if not sure[on_it].all():
        certain = named(on_it & sure) or "none of them"
        sentences.append(f"On it with certainty, wherever in the intervals the truth lies: {certain}.")
    if not sure[~on_it].all():
        sentences.append(f"Not on it, but possibly so within the intervals: {named(~on_it & ~sure)}.")
    return sentences


def _triples(values: Sequence[Estimate]) -> NDArray[np.float64]:
    """Value, low and high of each, [n, 3]; no limit where one of the two is missing."""
    return np.array(
        [value if value.bounded else (value.value, nan, nan) for value in values], dtype=np.float64
    )


def _accuracy(way: Way) -> str:
    if not way.quality.known or way.is_baseline:
        return ""
    if not way.quality.bounded:
        return f"The delta-m of {way.label} has no interval, so whether it differs from zero is not settled."
    if way.quality.low <= 0 <= way.quality.high:
        apart = "is not told apart from zero: it does not differ measurably from single-task"
        return f"The delta-m of {way.label} {apart}."
    sense = "less" if way.quality.high < 0 else "more"
    return f"{way.label} is {sense} accurate than single-task networks: its delta-m interval excludes zero."


def _realised(ways: Sequence[Way]) -> str:
    known = [way for way in ways if way.realised.known]
    if not known:
        return ""
    said = [f"{with_interval(way.realised, 100)} % with {way.label}" for way in known[:MOST_NAMES]]
    more = f" and {len(known) - MOST_NAMES} more in the table" if len(known) > MOST_NAMES else ""
    return f"Of the saving promised in MACs, this much arrives as time: {join(said, most=MOST_NAMES)}{more}."
