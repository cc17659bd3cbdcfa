"""Tables of single inputs: what they cost by way, and which are the hardest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mtlbench.report.frame import Estimate, numeric
from mtlbench.report.groups import Group
from mtlbench.report.quantities import macs_unit, with_interval
from mtlbench.report.sections._inputs_frame import (
    Measure,
    WayInputs,
    correlation,
    in_order,
    middle_of,
    rank,
    solved,
    tail,
)
from mtlbench.report.tables import Entry, Header, Row, Table

__all__ = ["MOST_COST_ROWS", "MOST_SAID", "cost_table", "hardest", "rank_table"]

MOST_SAID = 3
MOST_HARDEST = 8
MOST_COST_ROWS = 40


def cost_table(adaptive: Sequence[WayInputs]) -> Table:
    """A row per way that adapts: quantiles of the cost of an input, and the budget."""
    unit = macs_unit(float(way.rows["macs_nominal"].max()) for way in adaptive[:MOST_COST_ROWS])
    quantiles: dict[str, tuple[Callable[[NDArray[np.float64]], float], str, int]] = {
        "least": (np.min, "The cheapest input.", 4),
        "median": (middle_of, "Half of the inputs cost at most this.", 1),
        "p95": (tail, "At most one input in twenty costs more; not given for fewer than 20 inputs.", 1),
        "most": (np.max, "The dearest input.", 4),
    }
    headers = [
        Header("variant", "", "The way of running the tasks.", 0),
        Header("inputs", "", "Test images, all seeds.", 5),
        *(Header(name, unit.name, hint, priority) for name, (_, hint, priority) in quantiles.items()),
        Header("asked", "% of MACs", "Share of the dense reference's MACs that was asked for.", 2),
        Header("spent", "% of MACs", "Mean share of the dense reference's MACs that was needed.", 2),
    ]
    rows = []
    for way in in_order(adaptive[:MOST_COST_ROWS]):
        costs = way.rows["macs_nominal"].to_numpy()
        values = [
            with_interval(Estimate(float(quantile(costs))), unit.factor)
            for quantile, _, _ in quantiles.values()
        ]
        spent = float(costs.mean()) / way.reference
        rows.append(_row(way, [way.short_label, str(len(costs)), *values, _share(way.asked), _share(spent)]))
    return Table("Cost of single inputs", tuple(headers), tuple(rows), (), _left_out(len(adaptive)))


def rank_table(hard: Sequence[tuple[WayInputs, list[Measure]]], ways: int) -> Table:
    """A row per way that adapts: how its cost goes with each measure of difficulty, and latency with its cost.

    Under a task's name stands the difficulty by its dense reference's own metric.

    Args:
        hard: at most `MOST_COST_ROWS` ways and their measures.
        ways: of how many.
    """
    columns = {measure.title: measure.short for _, found in hard for measure in found}
    headers = [
        Header("variant", "", "The way of running the tasks.", 0),
        *(
            Header(
                short,
                "Spearman",
                f"Above 0: harder inputs, by {title}, cost more. With its 95 % interval.",
                1,
            )
            for title, short in columns.items()
        ),
        Header(
            "latency", "Spearman", "Above 0: inputs with more nominal MACs take longer. Timed inputs only.", 2
        ),
    ]
    rows = []
    for way, found in sorted(hard, key=lambda both: both[0].place):
        by_title = {measure.title: with_interval(rank(way, measure)[0]) for measure in found}
        slower, _ = correlation(way.by_image["macs_nominal"], numeric(way.by_image, "floor_ms"))
        shown = [by_title.get(title, "-") for title in columns]
        rows.append(_row(way, [way.short_label, *shown, with_interval(slower)]))
    caption = "Rank correlation of the nominal MACs of an input with its difficulty and its latency"
    return Table(caption, tuple(headers), tuple(rows), (), _left_out(ways))


def _row(way: WayInputs, shown: Sequence[str]) -> Row:
    return Row(way.variant, True, tuple(Entry(words, 0, words) for words in shown))


def _left_out(ways: int) -> tuple[str, ...]:
    left = ways - MOST_COST_ROWS
    return (f"{left} more ways are not shown.",) if left > 0 else ()


def _share(value: float) -> str:
    return f"{100 * value:.0f}" if math.isfinite(value) else "-"


def hardest(group: Group, ways: Sequence[WayInputs], adaptive: Sequence[WayInputs]) -> list[Table]:
    """The inputs on which a dense way is worst, all tasks together; what ways that adapt spend on them."""
    found = solved(group, ways)
    if found is None:
        return []
    dense, metrics = found.way, found.metrics
    own = dense.by_image
    values = {metric: numeric(own, f"quality.{metric.task}") for metric in metrics}
    worst = found.rank.sort_values(kind="stable").index[:MOST_HARDEST]
    spenders = [way.by_image["macs_nominal"] for way in adaptive[:MOST_SAID]]
    unit = macs_unit(value for costs in spenders for value in costs)
    complexity = numeric(own, "attribute.complexity")
    headers = [
        Header("input", "", "Its id in the dataset.", 0),
        *([Header("complexity", "", "What the dataset says.", 3)] if complexity.notna().any() else []),
        *(
            Header(
                m.task,
                f"{m.name} {'↑' if m.higher_is_better else '↓'}",
                f"Of this input alone, by {dense.label}.",
                2,
            )
            for m in metrics
        ),
        *(
            Header(way.short_label, unit.name, f"Nominal MACs by {way.label}.", 1)
            for way in adaptive[:MOST_SAID]
        ),
    ]
    rows = []
    for image in worst:
        numbers = [complexity[image]] if complexity.notna().any() else []
        numbers += [values[metric][image] for metric in metrics]
        costs = [with_interval(Estimate(float(spent.get(image, np.nan))), unit.factor) for spent in spenders]
        shown = [str(image), *(with_interval(Estimate(float(value))) for value in numbers), *costs]
        rows.append(_row(dense, shown))
    caption = f"Hardest of {len(own)} inputs, by the mean rank over tasks of what {dense.label} predicted"
    return [Table(caption, tuple(headers), tuple(rows), (), ())]
