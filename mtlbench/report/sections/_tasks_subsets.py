"""The cost of running only some of the tasks: against their number, and of one task more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtlbench.report.canvas import Absent, Drawing, drawing, legend, shorten
from mtlbench.report.colours import Style
from mtlbench.report.frame import HIGH, LOW, Estimate, RunView, brief, is_ok, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import Unit, join, macs_unit, percent, with_interval
from mtlbench.report.sections._subset_costs import Costs, Marginal, Subset, by_size, marginal
from mtlbench.report.sections._tasks_ways import (
    MOST_SAID,
    MOST_SPOKEN,
    entry,
    first_of_each,
    left_out,
    listed,
    name_entries,
    name_headers,
    not_listed,
    tasks_of,
    thinned,
    whiskered,
)
from mtlbench.report.tables import Header, Row, Table

__all__ = ["Quantity", "marginal_sentences", "marginal_table", "quantities", "subsets_drawing"]

MOST_LINES = 8
MIXED = (
    "Some subsets were counted on a few inputs and others on all: where cost depends on the input, differences of the "
    "two carry that as well."
)


@dataclass(frozen=True, eq=False)
class Quantity:
    """A cost that is known for subsets of tasks.

    Attributes:
        name: what it is called.
        ratio: the table's column of its ratio to single-task networks, for all tasks.
        unit: in which it is shown.
        per: what it is for, an image or a call.
        exact: whether it is counted, not measured.
        costs: for each way, by its label, the cost of each subset that is known.
        mixed: whether some subsets were counted on a few inputs and others on all.
    """

    name: str
    ratio: str
    unit: Unit
    per: str
    exact: bool
    costs: dict[str, Costs]
    mixed: bool = False

    @property
    def sizes(self) -> set[int]:
        """Numbers of tasks for which some way has a cost."""
        return {len(subset) for costs in self.costs.values() for subset in costs}

    def shown(self, value: float) -> str:
        """A cost in the unit, without its name."""
        return with_interval(Estimate(value), self.unit.factor)


def quantities(view: RunView, group: Group) -> list[Quantity]:
    """The costs that the run knows for subsets: executed MACs (else nominal), and latency."""
    rows = _rows(view, group)
    mixed = text(rows, "source").nunique() > 1
    found = []
    for name in ("executed", "nominal"):
        costs = _costs(rows, f"macs_{name}", exact=True)
        if costs:
            unit = macs_unit(cost.value for way in costs.values() for cost in way.values())
            ratio = "macs_vs_single_task" if name == "executed" else ""
            found.append(Quantity(f"{name} MACs", ratio, unit, "image", exact=True, costs=costs, mixed=mixed))
            break
    latency = _costs(rows, "latency_ms", exact=False)
    if latency:
        found.append(
            Quantity("latency", "latency_vs_single_task", Unit("ms"), "call", exact=False, costs=latency)
        )
    return found


def _rows(view: RunView, group: Group) -> pd.DataFrame:
    """Costs of subsets of the group's finished cells, with the name of the way; only of ways that are shown."""
    named = view.subsets is not None and {"cell_id", "tasks"} <= set(view.subsets.columns)
    if view.subsets is None or not named or "cell_id" not in group.cells:
        return pd.DataFrame(columns=["label", "tasks"])
    shown = {*listed(group.points)["label"], *first_of_each(group.points)["label"].head(MOST_SPOKEN)}
    done = group.cells[is_ok(group.cells) & group.cells["label"].isin(shown)]
    keys = [name for name in ("cell_id", "machine_id") if name in done and name in view.subsets]
    rows = view.subsets[text(view.subsets, keys[0]).isin(text(done, keys[0]))]
    label = dict(zip(_keys(done, keys), text(done, "label"), strict=True))
    labels = [label.get(key, "") for key in _keys(rows, keys)]
    rows = rows.assign(label=labels, tasks=text(rows, "tasks"))
    return rows[rows["label"] != ""]


def _keys(frame: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(text(frame, name) for name in names), strict=True))


def _costs(rows: pd.DataFrame, column: str, *, exact: bool) -> dict[str, Costs]:
    """By way and subset; over seeds the mean, and the outermost limits if all seeds have them, as in `points`."""
    value = numeric(rows, column)
    found = pd.DataFrame(
        {
            "label": rows["label"],
            "tasks": rows["tasks"],
            "value": value,
            "low": value if exact else numeric(rows, column + LOW),
            "high": value if exact else numeric(rows, column + HIGH),
        }
    )[value.notna() & (rows["tasks"] != "")]
    by_subset = found.groupby(["label", "tasks"], sort=False)
    means, counts = by_subset["value"].mean(), by_subset.count()
    low = by_subset["low"].min().where(counts["low"] == counts["value"])
    high = by_subset["high"].max().where(counts["high"] == counts["value"])
    costs: dict[str, dict[Subset, Estimate]] = {}
    for (label, tasks), mean, *limits in zip(means.index, means, low, high, strict=True):
        subset = frozenset(str(tasks).split("+"))
        costs.setdefault(str(label), {})[subset] = Estimate(mean, *((mean, mean) if exact else limits))
    return dict(costs)


def subsets_drawing(
    view: RunView, group: Group, found: Sequence[Quantity], look: dict[str, Style]
) -> Drawing | Absent:
    """Cost against the number of tasks: the mean over subsets, and the reach from the cheapest to the dearest."""
    title = "Cost of each subset of tasks"
    drawn = [quantity for quantity in found if len(quantity.sizes) > 1]
    if not drawn:
        return Absent(title, _why_not(view, group, found))
    known = group.points[group.points["label"].isin([label for q in drawn for label in q.costs])]
    points = thinned(_ends(known), MOST_LINES)
    with drawing():
        figure = Figure(figsize=(5.4, 3.5) if len(drawn) == 1 else (6.9, 3.5))
        panels = figure.subplots(1, len(drawn), squeeze=False).ravel()
        for panel, quantity in zip(panels, drawn, strict=True):
            _size_panel(panel, points, quantity, look)
        legend(figure, points, look, has_front=False)
    caption = (
        "A mark is the mean over all subsets of that many tasks; bars reach from the cheapest to the dearest "
        f"subset, and are no confidence intervals.{left_out(points, group.points, 'the table')}"
    )
    missing = [quantity.name for quantity in found if quantity not in drawn]
    if missing:
        caption += (
            f" The {missing[0]} is known for one number of tasks only; `ask` in the suite measures more."
        )
    elif len(found) == 1 and found[0].exact:
        caption += " Subsets were not timed."
    alt = "Line chart of cost against the number of tasks. " + " ".join(
        _climb(str(label), quantity) for quantity in drawn for label in points["label"].head(MOST_SAID)
    )
    return Drawing(f"{group.slug}-task-subsets", title, caption, alt.strip(), figure)


def _ends(points: pd.DataFrame) -> pd.DataFrame:
    """The first and the last point of each variant: lines of points between would cover each other."""
    variant = text(points, "variant")
    return points[~variant.duplicated() | ~variant.duplicated(keep="last")]


def _why_not(view: RunView, group: Group, found: Sequence[Quantity]) -> str:
    if len(tasks_of(group)) == 1:
        return "There is only one task, so it has no subsets."
    if view.subsets is None:
        return "The run did not record what subsets of the tasks cost."
    if not found:
        return "No finished cell of this group has a cost for a subset of its tasks."
    return "Costs are known for one number of tasks only, so there is nothing to draw against it."


def _size_panel(axes: Axes, points: pd.DataFrame, quantity: Quantity, look: dict[str, Style]) -> None:
    shifts = np.linspace(-0.16, 0.16, len(points)) if len(points) > 1 else [0.0]
    for shift, (_, row) in zip(shifts, points.iterrows(), strict=True):
        sizes = by_size(quantity.costs.get(str(row["label"]), {}))
        if not sizes:
            continue
        style, factor = look[str(row["variant"])], quantity.unit.factor
        x = np.array(list(sizes)) + shift
        least, mean, most = (
            np.array([spread[i] for spread in sizes.values()], dtype=float) * factor for i in range(3)
        )
        axes.plot(x, mean, color=style.colour, lw=1.3, alpha=0.8, zorder=2)
        reach = [np.maximum(mean - least, 0), np.maximum(most - mean, 0)]
        whiskered(axes, x, mean, style, yerr=reach)
        if row["point"]:
            axes.annotate(
                shorten(str(row["point"]), 12),
                (x[-1], mean[-1]),
                (6, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
            )
    axes.set_title(f"{quantity.name}, {quantity.unit.name} per {quantity.per}", fontsize=9.5)
    axes.set_xlabel("number of tasks")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _climb(label: str, quantity: Quantity) -> str:
    sizes = by_size(quantity.costs.get(label, {}))
    if not sizes:
        return ""
    steps = ", ".join(f"{size}: {quantity.shown(spread.mean)}" for size, spread in sizes.items())
    return f"{label}, mean {quantity.name} in {quantity.unit.name} by number of tasks: {steps}."


def marginal_table(group: Group, quantity: Quantity) -> Table | None:
    """What the first task, one more, and each task as the last cost each way; None where nothing is known."""
    tasks = tasks_of(group)
    points = listed(group.points)
    rows = [(row, marginal(quantity.costs.get(str(row["label"]), {}), tasks)) for _, row in points.iterrows()]
    if len(tasks) < 2 or not any(_known(found) for _, found in rows):
        return None
    unit = quantity.unit.name
    headers = (
        *name_headers(group),
        Header("first task", unit, "One task alone, the mean over tasks.", 1),
        Header("one more", unit, "One more task, the mean over all orders and steps.", 1),
        Header("of the first", "%", "One more task as a share of the first.", 1),
        *(
            Header(brief(task), f"last, {unit}", f"What {brief(task)} adds when it comes last.", 3)
            for task in tasks
        ),
    )
    shown = tuple(
        Row(
            str(row["variant"]),
            ok=True,
            entries=(
                *name_entries(row),
                entry(quantity.shown(found.first)),
                entry(quantity.shown(found.further)),
                entry(percent(found.share).removesuffix(" %")),
                *(entry(quantity.shown(found.last[task])) for task in tasks),
            ),
        )
        for row, found in rows
    )
    notes = [] if quantity.exact else ["Differences of two times, which have no interval of their own."]
    notes += [MIXED] if quantity.mixed else []
    notes += not_listed(points, group.points)
    return Table(f"One more task, in {quantity.name} per {quantity.per}", headers, shown, (), tuple(notes))


def _known(found: Marginal) -> bool:
    return any(np.isfinite(value) for value in (found.further, *found.last.values()))


def marginal_sentences(group: Group, found: Sequence[Quantity]) -> list[str]:
    """What one more task costs, for the first point of some variants."""
    tasks = tasks_of(group)
    said = []
    for _, row in first_of_each(group.points).head(MOST_SPOKEN).iterrows():
        steps = [(quantity, marginal(quantity.costs.get(str(row["label"]), {}), tasks)) for quantity in found]
        amounts = [
            f"{quantity.shown(step.further)} {quantity.unit.name} per {quantity.per} "
            f"({percent(step.share)} of the first)"
            for quantity, step in steps
            if np.isfinite(step.share)
        ]
        if amounts:
            said.append(f"{row['label']} {join(amounts)}")
    return [f"One more task costs {'; '.join(said)}."] if said else []
