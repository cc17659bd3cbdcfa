"""What a group of cells says, in sentences that claim no more than the intervals allow.

Two ways are told apart only where their intervals are disjoint, which is stricter than a test of the
difference: "settled" here is safe, and "not settled" means: look at `mtlbench compare`, or measure more.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.report.frame import HIGH, LOW, Estimate, brief, estimate, numeric, plain, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import Unit, join, macs_unit, percent, with_interval

__all__ = ["Answer", "Best", "Cost", "answer", "costs", "front", "settled"]


READ = ("label", "variant", "delta_m", "latency_vs_single_task", "realisation", "budget", "share.executed")


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

    def limits(self, points: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The ends of every point's interval; NaN without one, both the value itself for counts."""
        if self.exact:
            return (np.asarray(numeric(points, self.column), dtype=np.float64),) * 2
        return _limits(points, self.column)


class Best(NamedTuple):
    """The way with the least cost.

    Attributes:
        label: its name.
        variant: whose style it is drawn in.
        settled: whether its interval ends before that of every other way begins.
        cost: what it spends, with interval.
        unit: of the cost, and what it is for.
        share: the same in per cent of the single-task networks; `-` if unknown, or if it is they.
        quality: its delta-m with interval; `-` if unknown.
    """

    label: str
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
    points = group.points[[name for name in group.points if str(name).startswith((cost.column, *READ))]]
    points = points[numeric(points, cost.column).notna()]
    points = points.iloc[numeric(points, cost.column).argsort(kind="stable")]
    rivals = _rivals(points, cost)
    best = _best(points, cost, bool(len(points) > 1 and rivals.empty))
    return Answer(group.label, _verdict(group, points, rivals, cost), _evidence(points, cost), best)


def _limits(points: pd.DataFrame, column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = (numeric(points, column + end) for end in (LOW, HIGH))
    bounded = numeric(points, column).notna() & low.notna() & high.notna()
    return np.asarray(low.where(bounded), dtype=np.float64), np.asarray(high.where(bounded), dtype=np.float64)


def _rivals(points: pd.DataFrame, cost: Cost) -> pd.DataFrame:
    """Ways that cannot be told apart from the first, which costs least."""
    low, high = cost.limits(points)
    return points.iloc[1 + np.flatnonzero(~(high[0] < low[1:]))]


def _best(points: pd.DataFrame, cost: Cost, is_settled: bool) -> Best:
    row = points.iloc[0]
    return Best(
        label=str(row["label"]),
        variant=plain(row["variant"]),
        settled=is_settled,
        cost=with_interval(cost.of(row), cost.unit.factor),
        unit=f"{cost.unit.name} per {cost.per}",
        share=with_interval(_share(points, cost), 100),
        quality=with_interval(estimate(row, "delta_m")),
    )


def _verdict(group: Group, points: pd.DataFrame, rivals: pd.DataFrame, cost: Cost) -> str:
    best, hardware = points.iloc[0], brief(group.setting.get("hardware", ""))
    where = f"On {hardware}, " if hardware else ""
    if len(points) == 1:
        said = _said(best, cost)
        return f"{where or 'Here, '}only {best['label']} was measured, at {said}; there is nothing to compare it with."
    if rivals.empty:
        return f"{where}{best['label']} is the {cost.least} of {len(points)} ways: {_said(best, cost)}."
    tied = [best, *(row for _, row in rivals.iterrows())]
    why = "without intervals their order may be noise (6 launches or more give intervals)"
    if all(cost.of(row).bounded for row in tied):
        why = "their counts are equal" if cost.exact else "their intervals overlap"
    said = join([f"{row['label']} ({_said(row, cost)})" for row in tied], most=3)
    return f"{where}{'w' if where else 'W'}hich way is {cost.least} is not settled between {said}: {why}."


def _spent(row: pd.Series[Any], cost: Cost) -> str:
    return f"{with_interval(cost.of(row), cost.unit.factor)} {cost.unit.name} per {cost.per}"


def _said(row: pd.Series[Any], cost: Cost) -> str:
    spent, quality = _spent(row, cost), estimate(row, "delta_m")
    return f"{spent}, delta-m {with_interval(quality)} %" if quality.known else spent


def _evidence(points: pd.DataFrame, cost: Cost) -> tuple[str, ...]:
    share = with_interval(_share(points, cost), 100)
    said = [
        f"{points.iloc[0]['label']} takes {share} % of the {cost.title} of the single-task networks."
        if share != "-"
        else "",
        _budget(points.iloc[0]),
        _accuracy(points),
        _without_loss(points, cost),
        *_front_sentences(points, cost),
        _realised(points),
    ]
    return tuple(filter(None, said))


def _share(points: pd.DataFrame, cost: Cost) -> Estimate:
    """The best way as a share of the single-task networks, from pairs of launches where the run has them."""
    best = points.iloc[0]
    single = points[text(points, "variant") == "single_task"]
    if single.empty or best["variant"] == "single_task":
        return Estimate(nan)
    share = Estimate(nan) if cost.exact else estimate(best, "latency_vs_single_task")
    return share if share.known else Estimate(cost.of(best).value / cost.of(single.iloc[0]).value)


def _budget(row: pd.Series[Any]) -> str:
    asked, executed = estimate(row, "budget").value, estimate(row, "share.executed").value
    if not asked < 1:
        return ""
    spent = f" and executed {percent(executed)}" if isfinite(executed) else ""
    return f"{row['label']} was asked for {percent(asked)} of the MACs of its reference{spent}."


def _without_loss(points: pd.DataFrame, cost: Cost) -> str:
    """The cheapest way whose accuracy is not shown to be below that of single-task networks."""
    _, high = _limits(points, "delta_m")
    unharmed = points[high >= 0]
    if unharmed.empty or unharmed.index[0] == points.index[0]:
        return ""
    row = unharmed.iloc[0]
    if row["variant"] == "single_task":
        return f"All that is {cost.less} than the single-task networks is less accurate, or has no interval of delta-m."
    said = _said(row, cost)
    return f"Of the ways not shown to be less accurate than single-task, {row['label']} is the {cost.least}: {said}."


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
    sure = settled(points, cost, on_it)
    if not sure[on_it].all():
        names = join(points.loc[on_it & sure, "label"], most=6) or "none of them"
        sentences.append(f"On it with certainty, wherever in the intervals the truth lies: {names}.")
    if not sure[~on_it].all():
        maybe = join(points.loc[~on_it & ~sure, "label"], most=6)
        sentences.append(f"Not on it, but possibly so within the intervals: {maybe}.")
    return sentences


def settled(points: pd.DataFrame, cost: Cost, on_front: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each point stays on (or off) the front wherever in their intervals all values lie."""
    known = numeric(points, "delta_m").notna().to_numpy()
    cheap, dear = cost.limits(points)
    worst, best = _limits(points, "delta_m")
    sure = np.ones(len(points), dtype=bool)
    for i in np.flatnonzero(known):
        rivals = known & (np.arange(len(points)) != i)
        # A comparison with a limit that is not known is false, so nothing is settled without intervals.
        if on_front[i]:
            sure[i] = bool(((dear[i] < cheap) | (best < worst[i]))[rivals].all())
        else:
            beaten = (dear <= cheap[i]) & (best[i] <= worst) & ((dear < cheap[i]) | (best[i] < worst))
            sure[i] = bool(beaten[rivals].any())
    return sure


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


def _realised(points: pd.DataFrame) -> str:
    known = points[numeric(points, "realisation").notna()]
    if known.empty:
        return ""
    said = [
        f"{row['label']} {with_interval(estimate(row, 'realisation'), 100)} %"
        for _, row in known.head(6).iterrows()
    ]
    more = f" and {len(known) - 6} more in the table" if len(known) > 6 else ""
    return f"Of the saving promised in MACs, this much arrives as time: {join(said, most=6)}{more}."
