"""Fronts of quality against cost: what can be plotted against what, and what the intervals leave open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.report.canvas import estimates
from mtlbench.report.frame import numeric, text
from mtlbench.report.fronts import on_front, settled
from mtlbench.report.groups import Group
from mtlbench.report.quantities import Unit, macs_unit

__all__ = ["COSTS", "Cost", "Frontier", "Quality", "cost_of", "frontier", "qualities"]


class Cost(NamedTuple):
    """A cost, less of which is better.

    Attributes:
        key: in file names.
        column: where it is in the table.
        title: its name.
        unit: in which it is shown.
        per: what it is for.
        exact: whether it is counted, not measured, and so is its own interval.
    """

    key: str
    column: str
    title: str
    unit: Unit
    per: str
    exact: bool


class Quality(NamedTuple):
    """What is gained: its column, its name, and which way is better."""

    column: str
    title: str
    higher_is_better: bool


COSTS = (
    Cost("macs", "macs_executed", "executed MACs", Unit("MACs"), "per image", True),
    Cost("latency", "latency_ms", "latency", Unit("ms"), "per call", False),
    Cost("energy", "energy_mj", "energy", Unit("mJ"), "per image", False),
    Cost("memory", "memory_peak_mib", "peak memory", Unit("MiB"), "of the process", False),
)
NAMES = ("label", "point", "short_label")
DELTA_M = Quality("delta_m", "delta-m, %", True)


def cost_of(group: Group, cost: Cost) -> Cost:
    """A cost in the unit that suits the values of the group."""
    return cost._replace(unit=macs_unit(numeric(group.points, cost.column))) if cost.exact else cost


def qualities(group: Group) -> list[Quality]:
    """Delta-m, then each task's primary metric; only what some way has."""
    metrics = [
        Quality(metric.column, f"{metric.task} {metric.name}", metric.higher_is_better)
        for metric in group.metrics
    ]
    return [each for each in (DELTA_M, *metrics) if numeric(group.points, each.column).notna().any()]


@dataclass(frozen=True, eq=False)
class Frontier:
    """Ways that have both a cost and a quality.

    Attributes:
        cost: what is on the x axis.
        quality: what is on the y axis.
        names: `variant`, `label`, `point` and `short_label` of n of the group's points.
        x: value, low and high of the cost in its unit, [n, 3]; NaN where there is no interval.
        y: the same of the quality.
        on: which points are on the front by their values, [n].
        settled: which stay on or off it wherever in their intervals the truth lies, [n].
        judged: whether both axes have intervals at all; without, `settled` says nothing.
    """

    cost: Cost
    quality: Quality
    names: pd.DataFrame
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    on: NDArray[np.bool_]
    settled: NDArray[np.bool_]
    judged: bool

    @property
    def order(self) -> NDArray[np.intp]:
        """Positions of the points on the front, from the cheapest to the dearest."""
        ahead = np.flatnonzero(self.on)
        return ahead[np.lexsort((self.y[ahead, 0], self.x[ahead, 0]))]


def frontier(group: Group, cost: Cost, quality: Quality) -> Frontier:
    """The front of a group's points; where quality is better when lower, it is judged so."""
    known = numeric(group.points, cost.column).notna() & numeric(group.points, quality.column).notna()
    points = group.points[known]
    names = pd.DataFrame({"variant": text(points, "variant"), **{name: points[name] for name in NAMES}})
    x, y = estimates(points, cost.column, cost.unit.factor), estimates(points, quality.column)
    if cost.exact:
        x = np.repeat(x[:, :1], 3, axis=1)
    gain = y if quality.higher_is_better else -y[:, [0, 2, 1]]
    on = on_front(x, gain)
    judged = bool(np.isfinite(x[:, 1]).any() and (gain[:, 2] > gain[:, 1]).any())
    return Frontier(cost, quality, names, x, y, on, settled(x, gain, on), judged)
