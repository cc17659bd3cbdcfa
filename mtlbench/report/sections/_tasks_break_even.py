"""From how many tasks on a way is cheaper than single-task networks of the same tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from mtlbench.report.canvas import Absent
from mtlbench.report.frame import RunView, brief, estimate, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import join, percent
from mtlbench.report.sections._subset_costs import BreakEven, Subset, break_even, cheaper
from mtlbench.report.sections._tasks_subsets import Quantity
from mtlbench.report.sections._tasks_ways import (
    MOST_SPOKEN,
    SINGLE_TASK,
    entry,
    first_of_each,
    listed,
    name_entries,
    name_headers,
    not_listed,
    tasks_of,
)
from mtlbench.report.tables import Entry, Header, Row, Table

__all__ = ["break_even_sentences", "break_even_table"]

UNSETTLED = "By the values alone: intervals overlap or are missing."


class Verdict(NamedTuple):
    """Break-even of one way in one quantity.

    Attributes:
        found: by the values.
        sure: whether disjoint intervals say the same.
        whole: cost of all tasks as a share of their single-task networks; NaN where not compared.
    """

    found: BreakEven
    sure: bool
    whole: float


def _verdict(quantity: Quantity, row: pd.Series[Any], single: str, tasks: Sequence[str]) -> Verdict | None:
    own, other = quantity.costs.get(str(row["label"]), {}), quantity.costs.get(single, {})
    by_value = cheaper(own, other, settled=False)
    if not by_value:
        return None
    found = break_even(by_value)
    if found.size is not None:
        sure = break_even(cheaper(own, other, settled=True)).size == found.size
    else:
        dearer = cheaper(other, own, settled=True)
        sure = quantity.exact or any(yes for subset, yes in dearer.items() if len(subset) == found.sizes[-1])
    whole = frozenset(tasks)
    share = own[whole].value / other[whole].value if whole in by_value else math.nan
    paired = estimate(row, quantity.ratio).value
    return Verdict(found, sure, paired if whole in by_value and math.isfinite(paired) else share)


def _single(group: Group) -> str | None:
    single = group.points[text(group.points, "variant") == SINGLE_TASK]
    return str(single["label"].iloc[0]) if len(single) == 1 else None


def break_even_table(view: RunView, group: Group, found: Sequence[Quantity]) -> Table | Absent:
    """For each way and cost the break-even number of tasks, what is cheaper sooner, and the cost of all tasks."""
    title = "Break-even with single-task networks"
    single = _single(group)
    every = group.points[text(group.points, "variant") != SINGLE_TASK]
    own = listed(every)
    if single is None or own.empty:
        return Absent(
            title, "There is no break-even, because the group lacks single-task networks or a rival."
        )
    tasks = tasks_of(group)
    verdicts = {
        quantity.name: {
            str(row["label"]): _verdict(quantity, row, single, tasks) for _, row in own.iterrows()
        }
        for quantity in found
    }
    used = [quantity for quantity in found if any(verdicts[quantity.name].values())]
    if not used:
        why = (
            "the run did not record what subsets of the tasks cost"
            if view.subsets is None
            else ("no subset of tasks has a cost both ways")
        )
        return Absent(title, f"There is no break-even, because {why}.")
    headers = [header for quantity in used for header in _headers(quantity)]
    notes: list[str] = []
    rows = tuple(
        Row(
            str(row["variant"]),
            ok=True,
            entries=(
                *name_entries(row),
                *(
                    shown
                    for quantity in used
                    for shown in _entries(verdicts[quantity.name][str(row["label"])], notes)
                ),
            ),
        )
        for _, row in own.iterrows()
    )
    return Table(
        title,
        (*name_headers(group), *headers),
        rows,
        tuple(notes),
        (*_sizes(used, verdicts), *not_listed(own, every)),
    )


def _headers(quantity: Quantity) -> tuple[Header, ...]:
    name = quantity.name
    return (
        Header(
            "cheaper from", f"tasks, {name}", f"From so many tasks on it is cheaper in {name}, whichever.", 0
        ),
        Header("and for", name, f"Smaller sets of tasks for which it is cheaper in {name} as well.", 4),
        Header("all tasks", f"% of {name}", f"Share of the {name} of single-task networks for all tasks.", 1),
    )


def _entries(verdict: Verdict | None, notes: list[str]) -> tuple[Entry, ...]:
    if verdict is None:
        return (entry("-"),) * 3
    size = "never" if verdict.found.size is None else str(verdict.found.size)
    if not verdict.sure and UNSETTLED not in notes:
        notes.append(UNSETTLED)
    note = 0 if verdict.sure else notes.index(UNSETTLED) + 1
    sooner = join((_named(subset) for subset in verdict.found.sooner), 2)
    return entry(size, note), entry(sooner or "-"), entry(percent(verdict.whole).removesuffix(" %"))


def _named(subset: Subset) -> str:
    return " + ".join(map(brief, sorted(subset)))


def _sizes(used: Sequence[Quantity], verdicts: dict[str, dict[str, Verdict | None]]) -> tuple[str, ...]:
    """Which numbers of tasks were compared, where some were not."""
    said = []
    for quantity in used:
        compared = sorted({size for v in verdicts[quantity.name].values() if v for size in v.found.sizes})
        if compared != list(range(1, compared[-1] + 1)):
            said.append(f"Compared in {quantity.name}: sets of {join(map(str, compared), 9)} tasks only.")
    return tuple(said)


def break_even_sentences(group: Group, found: Sequence[Quantity]) -> list[str]:
    """The break-even of the first point of some variants, in every cost."""
    single, tasks = _single(group), tasks_of(group)
    said = []
    for _, row in first_of_each(group.points).head(MOST_SPOKEN).iterrows() if single is not None else ():
        verdicts = [(quantity, _verdict(quantity, row, single or "", tasks)) for quantity in found]
        clauses = [
            _clause(verdict, quantity, len(tasks)) for quantity, verdict in verdicts if verdict is not None
        ]
        if clauses:
            said.append(f"Against single-task networks, {row['label']} is {join(clauses)}.")
    return said


def _clause(verdict: Verdict, quantity: Quantity, n_tasks: int) -> str:
    size, sizes = verdict.found.size, verdict.found.sizes
    known = "counted" if quantity.exact else "timed"
    lacking = [str(number) for number in range(1, n_tasks + 1) if number not in sizes]
    asides = (
        [f"{percent(verdict.whole)} of theirs for {_all(n_tasks)}"] if math.isfinite(verdict.whole) else []
    )
    if sizes == (n_tasks,):
        words = f"{'cheaper' if size else 'not cheaper'} for {_all(n_tasks)}, the only set compared,"
    elif size is None and verdict.found.sooner:
        words = f"cheaper for {len(verdict.found.sooner)} sets of tasks only"
    elif size is None:
        words = f"cheaper for no set of tasks that was {known}," if lacking else "never cheaper"
    elif size == 1:
        words = (
            f"cheaper for every set of tasks that was {known},"
            if lacking
            else "cheaper with any number of tasks"
        )
    else:
        words = f"cheaper from {size} tasks on"
    if lacking and sizes != (n_tasks,):
        asides.append(f"sets of {join(lacking, n_tasks)} task{'s' * (lacking != ['1'])} were not {known}")
    asides += [] if verdict.sure else ["not settled by the intervals"]
    words = f"{words} in {quantity.name}"
    return f"{words} ({', '.join(asides)})" if asides else words


def _all(n_tasks: int) -> str:
    return "the one task" if n_tasks == 1 else f"all {n_tasks}"
