"""What it costs to run only some of the tasks: by their number, one task more, and against single-task networks.

Pure functions of the cost of each subset of tasks. A subset that was not measured is missing, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple, TypeAlias

from mtlbench.report.frame import Estimate

__all__ = [
    "BreakEven",
    "Costs",
    "Marginal",
    "Spread",
    "Subset",
    "break_even",
    "by_size",
    "cheaper",
    "marginal",
]

Subset: TypeAlias = frozenset[str]
Costs: TypeAlias = Mapping[Subset, Estimate]

TIE = 1e-9
"""Relative difference under which two counts are equal: means over images differ in their last digits."""


class Spread(NamedTuple):
    """The cheapest, the mean and the dearest of so many subsets of one size."""

    least: float
    mean: float
    most: float
    subsets: int


class Marginal(NamedTuple):
    """What tasks cost one by one; NaN where a subset that it needs is missing.

    Attributes:
        first: the mean cost of one task alone.
        further: the mean cost of one more task, over all orders of the tasks and all steps after the first.
        last: for each task, what it adds to all others.
    """

    first: float
    further: float
    last: dict[str, float]

    @property
    def share(self) -> float:
        """One more task as a share of the first."""
        return self.further / self.first if self.first > 0 else math.nan


class BreakEven(NamedTuple):
    """From how many tasks on a way is cheaper, whichever tasks they are.

    Attributes:
        size: the smallest compared number of tasks from which every compared subset is cheaper; None: never.
        sooner: smaller subsets that are cheaper as well; all cheaper ones where `size` is None.
        sizes: the numbers of tasks that were compared.
    """

    size: int | None
    sooner: tuple[Subset, ...]
    sizes: tuple[int, ...]


def by_size(costs: Costs) -> dict[int, Spread]:
    """For each number of tasks the spread of cost over the subsets of that size."""
    sizes: dict[int, list[float]] = {}
    for subset, cost in costs.items():
        sizes.setdefault(len(subset), []).append(cost.value)
    return {
        size: Spread(min(values), fmean(values), max(values), len(values))
        for size, values in sorted(sizes.items())
    }


def marginal(costs: Costs, tasks: Sequence[str]) -> Marginal:
    """The cost of the first task, of one more, and of each task when it comes last.

    Over all orders, what the steps after the first add up to is the cost of all tasks less that of the first; so
    `further` needs only the single tasks and the whole (ours).
    """

    def cost(subset: Subset) -> float:
        return costs[subset].value if subset in costs else math.nan

    whole = frozenset(tasks)
    first = fmean(cost(frozenset([task])) for task in tasks)
    if len(whole) < 2:
        return Marginal(first, math.nan, {})
    further = (cost(whole) - first) / (len(whole) - 1)
    return Marginal(first, further, {task: cost(whole) - cost(whole - {task}) for task in tasks})


def cheaper(own: Costs, other: Costs, *, settled: bool) -> dict[Subset, bool]:
    """For each subset that both have, whether it costs less the own way.

    Args:
        own: the way's costs; a count is its own interval.
        other: what it is compared with.
        settled: only where the intervals are disjoint; else by the values alone.
    """
    return {
        subset: own[subset].value < other[subset].value * (1 - TIE)
        and (not settled or own[subset].below(other[subset]))
        for subset in own
        if subset in other
    }


def break_even(is_cheaper: Mapping[Subset, bool]) -> BreakEven:
    """The break-even number of tasks, from a verdict for each subset (`cheaper`)."""
    sizes = sorted({len(subset) for subset in is_cheaper})
    dear = max((len(subset) for subset, yes in is_cheaper.items() if not yes), default=0)
    size = next((size for size in sizes if size > dear), None)
    sooner = [subset for subset, yes in is_cheaper.items() if yes and (size is None or len(subset) < size)]
    return BreakEven(
        size, tuple(sorted(sooner, key=lambda subset: (len(subset), sorted(subset)))), tuple(sizes)
    )
