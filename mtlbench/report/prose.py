"""What a group of cells says, in sentences that claim no more than the intervals allow.

Two ways are told apart only where their intervals are disjoint, which is stricter than a test of the
difference: "settled" here is safe, and "not settled" means: look at `mtlbench compare`, or measure more.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.report.frame import Estimate, estimate, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import Unit, join, macs_unit, with_interval

__all__ = ["Answer", "Cost", "answer", "costs", "front"]


class Cost(NamedTuple):
    """A cost that points can be ordered by.

    Attributes:
        column: where it is in the table.
        title: its name.
        unit: in which it is shown.
        per: what it is for, an image or a call.
        least: what the way with the least of it is called.
        less: what a way with less of it is called.
        exact: whether it is counted, not measured, and so needs no interval.
    """

    column: str
    title: str
    unit: Unit
    per: str
    least: str
    less: str
    exact: bool

    def of(self, row: pd.Series[Any]) -> Estimate:
        """What one point costs; a count is its own interval."""
        known = estimate(row, self.column)
        return Estimate(known.value, known.value, known.value) if self.exact else known


@dataclass(frozen=True)
class Answer:
    """What one group says: a sentence, and what it rests on."""

    setting: str
    sentence: str
    evidence: tuple[str, ...]


def costs(group: Group) -> list[Cost]:
    """Costs that some finished cell has: MACs (executed, else nominal, else reference), then latency."""
    found = []
    for name in ("executed", "nominal", "reference"):
        values = numeric(group.points, f"macs_{name}")
        if values.notna().any():
            found.append(
                Cost(
                    f"macs_{name}",
                    f"{name} MACs",
                    macs_unit(values),
                    "image",
                    "cheapest",
                    "cheaper",
                    exact=True,
                )
            )
            break
    if numeric(group.points, "latency_ms").notna().any():
        found.append(Cost("latency_ms", "latency", Unit("ms"), "call", "fastest", "faster", exact=False))
    return found


def front(cost: pd.Series[float], quality: pd.Series[float]) -> NDArray[np.bool_]:
    """Which points nothing beats in both, as a mask; higher quality is better; unknown points never are."""
    from mtlbench.stats.pareto import pareto_front

    known = (cost.notna() & quality.notna()).to_numpy()
    mask = np.zeros(len(cost), dtype=bool)
    if known.any():
        mask[known] = pareto_front(cost.to_numpy()[known], quality.to_numpy()[known])
    return mask


def answer(group: Group) -> Answer:
    """The most useful true sentence about a group."""
    available = costs(group)
    if group.points.empty:
        return Answer(group.label, f"Nothing can be said: none of the {len(group.cells)} cells finished.", ())
    if not available:
        return Answer(group.label, "Which way is cheapest is unknown: no cost was measured.", ())
    cost = available[-1]
    points = group.points[numeric(group.points, cost.column).notna()]
    points = points.iloc[numeric(points, cost.column).argsort(kind="stable")]
    return Answer(group.label, _verdict(points, cost), _evidence(group, points, cost))


def _verdict(points: pd.DataFrame, cost: Cost) -> str:
    best, others = points.iloc[0], [row for _, row in points.iloc[1:].iterrows()]
    if not others:
        said = _said(best, cost)
        return f"Only {best['label']} was measured, at {said}; there is nothing to compare it with."
    rivals = [row for row in others if not cost.of(best).below(cost.of(row))]
    if not rivals:
        return f"{best['label']} is the {cost.least} of {len(points)} ways: {_said(best, cost)}."
    tied = [best, *rivals]
    why = "without intervals their order may be noise (6 launches or more give intervals)"
    if all(cost.of(row).bounded for row in tied):
        why = "their counts are equal" if cost.exact else "their intervals overlap"
    said = join([f"{row['label']} ({_said(row, cost)})" for row in tied], most=3)
    return f"Which way is {cost.least} is not settled between {said}: {why}."


def _said(row: pd.Series[Any], cost: Cost) -> str:
    spent = f"{with_interval(cost.of(row), cost.unit.factor)} {cost.unit.name} per {cost.per}"
    quality = estimate(row, "delta_m")
    return f"{spent}, delta-m {with_interval(quality)} %" if quality.known else spent


def _evidence(group: Group, points: pd.DataFrame, cost: Cost) -> tuple[str, ...]:
    said = [
        _against_single_task(points, cost),
        *_front_sentences(points, cost),
        _accuracy(points),
        _realised(group),
    ]
    return tuple(filter(None, said))


def _against_single_task(points: pd.DataFrame, cost: Cost) -> str:
    """The best way in per cent of the single-task networks, from pairs of launches where the run has them."""
    best = points.iloc[0]
    single = points[text(points, "variant") == "single_task"]
    if single.empty or best["variant"] == "single_task":
        return ""
    share = Estimate(nan) if cost.exact else estimate(best, "latency_vs_single_task")
    if not share.known:
        share = Estimate(cost.of(best).value / cost.of(single.iloc[0]).value)
    spent = f"{with_interval(share, 100)} % of the {cost.title}"
    return f"{best['label']} takes {spent} of the single-task networks."


def _front_sentences(points: pd.DataFrame, cost: Cost) -> list[str]:
    quality = numeric(points, "delta_m")
    if quality.notna().sum() < 2:
        return []
    on_it = front(numeric(points, cost.column), quality)
    names = join(points.loc[on_it, "label"], most=6)
    sentences = [
        f"On the front of delta-m against {cost.title}, where nothing measured is both {cost.less} and more "
        f"accurate: {names}."
    ]
    settled = np.array(
        [_settled(row, on, points, cost) for (_, row), on in zip(points.iterrows(), on_it, strict=True)]
    )
    if not settled[on_it].all():
        sure = join(points.loc[on_it & settled, "label"], most=6) or "none of them"
        sentences.append(f"On it with certainty, wherever in the intervals the truth lies: {sure}.")
    if not settled[~on_it].all():
        maybe = join(points.loc[~on_it & ~settled, "label"], most=6)
        sentences.append(f"Not on it, but possibly so within the intervals: {maybe}.")
    return sentences


def _settled(row: pd.Series[Any], on_front: bool, points: pd.DataFrame, cost: Cost) -> bool:
    """Whether a point stays on (or off) the front wherever in their intervals all values lie."""
    quality = estimate(row, "delta_m")
    if not quality.known:
        return True
    others = [other for index, other in points.iterrows() if index != row.name]
    rivals = [(cost.of(other), estimate(other, "delta_m")) for other in others]
    spent = cost.of(row)
    if on_front:
        return all(spent.below(dear) or worse.below(quality) for dear, worse in rivals if worse.known)
    return any(
        cheap.at_most(spent) and quality.at_most(better) and (cheap.below(spent) or quality.below(better))
        for cheap, better in rivals
    )


def _accuracy(points: pd.DataFrame) -> str:
    quality = estimate(points.iloc[0], "delta_m")
    name = points.iloc[0]["label"]
    if not quality.known or points.iloc[0]["variant"] == "single_task":
        return ""
    if not quality.bounded:
        return f"The delta-m of {name} has no interval, so whether it differs from zero is not settled."
    if quality.low <= 0 <= quality.high:
        return f"The delta-m of {name} is not told apart from zero: it does not differ measurably from single-task."
    sense = "less" if quality.high < 0 else "more"
    return f"{name} is {sense} accurate than single-task networks: its delta-m interval excludes zero."


def _realised(group: Group) -> str:
    known = group.points[numeric(group.points, "realisation").notna()]
    if known.empty:
        return ""
    said = [
        f"{row['label']} {with_interval(estimate(row, 'realisation'), 100)} %" for _, row in known.iterrows()
    ]
    return f"Of the saving promised in MACs, this much arrives as time: {join(said, most=6)}."
