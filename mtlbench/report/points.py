"""The ways of a group as plain values, and the costs that they are ordered by."""

from __future__ import annotations

from typing import NamedTuple

from mtlbench.report.frame import HIGH, LOW, Estimate, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import Unit, macs_unit

__all__ = ["Cost", "Way", "costs", "ways_of"]


class Cost(NamedTuple):
    """A cost that points can be ordered by.

    Attributes:
        column: where it is in the table.
        title: its name.
        unit: in which it is shown.
        per: what it is for, an image or a call.
        least: what the way with the least of it is called.
        less: what a way with less of it is called.
        exact: whether it is counted, not measured, and so is its own interval.
    """

    column: str
    title: str
    unit: Unit
    per: str
    least: str
    less: str
    exact: bool


class Way(NamedTuple):
    """One point of a group, as plain values: a large run has thousands of groups.

    Attributes:
        label: its name.
        called: the same, whatever tasks it was trained for.
        variant: its variant.
        cost: what it spends, in the table's unit.
        quality: its delta-m.
        beside: its latency as a share of that of the single-task networks, from pairs of launches.
        realised: the share of the promised saving that arrived as time.
        asked: the share of its reference's MACs that was asked for, NaN where nothing was.
        executed: the share of those that it executed.
    """

    label: str
    called: str
    variant: str
    cost: Estimate
    quality: Estimate
    beside: Estimate
    realised: Estimate
    asked: float
    executed: float

    @property
    def is_baseline(self) -> bool:
        """Whether it is the single-task networks."""
        return self.variant == "single_task"


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


def ways_of(group: Group, cost: Cost) -> list[Way]:
    """The ways that have a cost, the cheapest first."""
    points = group.points
    names = [text(points, name).tolist() for name in ("label", "called", "variant")]
    columns = (cost.column, "delta_m", "latency_vs_single_task", "realisation")
    ends = ("", LOW, HIGH)
    estimates = [
        [Estimate(*row) for row in zip(*(numeric(points, name + end).tolist() for end in ends), strict=True)]
        for name in columns
    ]
    shares = [numeric(points, name).tolist() for name in ("budget", "share.executed")]
    every = [Way(*row) for row in zip(*names, *estimates, *shares, strict=True)]
    if cost.exact:
        every = [way._replace(cost=Estimate(*[way.cost.value] * 3)) for way in every]
    return sorted((way for way in every if way.cost.known), key=lambda way: way.cost.value)
