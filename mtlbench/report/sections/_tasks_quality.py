"""How well each task is solved, and what each task adds to delta-m."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mtlbench.report.canvas import (
    FRONT_LINE,
    INK,
    MUTED,
    Absent,
    Drawing,
    drawing,
    interval_words,
    shorten,
    whiskers,
)
from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate, brief, estimate, is_ok, numeric, text
from mtlbench.report.groups import Group, Metric
from mtlbench.report.quantities import aligned, join, with_interval
from mtlbench.report.sections._tasks_stacks import finish, stacks, task_fills
from mtlbench.report.sections._tasks_ways import (
    SINGLE_TASK,
    first_of_each,
    left_out,
    place_rows,
    tasks_of,
    thinned,
    whiskered,
)

__all__ = ["quality_drawing", "quality_sentences", "terms_drawing"]

LABELS_INCHES = 1.9
MOST_TASKS = 6
MOST_DOTS = 12
COMPLETE = 0.02
"""Percentage points by which terms may miss their delta-m: rounding, and seeds folded in another order."""


def quality_drawing(group: Group, look: dict[str, Style]) -> Drawing | Absent:
    """A panel for each task's primary metric: a dot for each way, the single-task networks as a line."""
    title = "Quality of each task"
    metrics = _measured(group)
    if not metrics:
        why = "the run declares no primary metrics" if not group.metrics else "no finished cell has a metric"
        return Absent(title, f"There is no quality by task to draw, because {why}.")
    points = thinned(group.points, MOST_DOTS)
    columns = min(len(metrics), 2)
    rows = math.ceil(len(metrics) / columns)
    with drawing():
        figure = Figure(figsize=(LABELS_INCHES + 2.45 * columns, (0.25 * len(points) + 0.95) * rows))
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for panel, metric in zip(panels, metrics, strict=False):
            _quality_panel(panel, group, points, metric, look)
        for place, panel in enumerate(panels):
            panel.tick_params(axis="y", labelleft=place % columns == 0)
            panel.set_axis_on() if place < len(metrics) else panel.set_axis_off()
    caption = f"Dots are primary metrics; their values stand to the right. {interval_words(group, 'dot')}"
    if _baseline(group) is not None:
        caption += " The dashed line is the single-task networks, the band their interval."
    caption += left_out(points, group.points, "the table of results")
    alt = f"A dot for each of {len(points)} ways, a panel for each of these tasks. {_best(group, metrics)}"
    return Drawing(f"{group.slug}-task-quality", title, caption, alt, figure)


def _measured(group: Group) -> list[Metric]:
    return [metric for metric in group.metrics if numeric(group.points, metric.column).notna().any()]


def _quality_panel(
    axes: Axes, group: Group, points: pd.DataFrame, metric: Metric, look: dict[str, Style]
) -> None:
    values = [estimate(row, metric.column) for _, row in points.iterrows()]
    baseline = _baseline(group)
    if baseline is not None:
        _baseline_band(axes, estimate(baseline, metric.column), look[SINGLE_TASK].colour)
    done = group.cells[is_ok(group.cells)] if group.many_seeds else group.cells.iloc[:0]
    rows = zip(points["label"], text(points, "variant"), values, aligned(values), strict=True)
    for position, (label, variant, value, shown) in enumerate(rows):
        seeds = numeric(done[done["label"] == label], metric.column)
        axes.plot(seeds, [position] * len(seeds), ".", color=look[variant].colour, alpha=0.5, ms=4, zorder=2)
        _dot(axes, position, value, look[variant])
        axes.annotate(
            shown if value.known else "no value",
            (1, position),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK if value.known else MUTED,
        )
    place_rows(axes, points, look)
    better = "higher" if metric.higher_is_better else "lower"
    axes.set_title(f"{shorten(f'{metric.task} {metric.name}')}\n{better} is better", fontsize=9.5)
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))


def _baseline(group: Group) -> pd.Series[Any] | None:
    """The single-task networks; None where the group has none, or several that options tell apart."""
    single = group.points[text(group.points, "variant") == SINGLE_TASK]
    return single.iloc[0] if len(single) == 1 else None


def _baseline_band(axes: Axes, value: Estimate, colour: str) -> None:
    if value.known:
        axes.axvline(value.value, color=colour, lw=1.0, ls=FRONT_LINE, zorder=1)
    if value.bounded:
        axes.axvspan(value.low, value.high, color=colour, alpha=0.13, lw=0, zorder=0)


def _dot(axes: Axes, position: float, value: Estimate, style: Style) -> None:
    if value.known:
        whiskered(axes, value.value, position, style, xerr=whiskers(value))


def _best(group: Group, metrics: Sequence[Metric]) -> str:
    """Which way has the best value of each metric, as a sentence."""
    said = []
    for metric in metrics:
        values = numeric(group.points, metric.column) * (1 if metric.higher_is_better else -1)
        row = group.points.iloc[int(values.argmax())]
        value = with_interval(estimate(row, metric.column))
        said.append(f"{brief(metric.task)} {brief(metric.name)} {value} by {row['label']}")
    return f"Best values, whether or not they are told apart: {'; '.join(said)}."


def terms_drawing(group: Group, look: dict[str, Style]) -> Drawing | Absent:
    """Delta-m of each way taken apart: what each task adds to it or takes from it."""
    title = "Delta-m by task"
    tasks = tasks_of(group)
    own = group.points[text(group.points, "variant") != SINGLE_TASK]
    known = own[_complete(own, tasks)]
    if known.empty:
        return Absent(title, _no_terms(own))
    points, fills = thinned(known), task_fills(tasks)
    terms = np.column_stack([numeric(points, f"delta_m.{task}") for task in tasks]) / len(tasks)
    total = Line2D([], [], marker="o", color="none", mfc="none", mec=INK, mew=1.2, ms=7)
    with drawing():
        figure = Figure(figsize=(6.8, 0.42 * len(points) + 1.4))
        axes = figure.subplots()
        axes.axvline(0, color=INK, lw=0.9, zorder=1)
        drawn = stacks(axes, terms, list(fills.values()), height=0.46, shift=-0.14)
        for position, (_, row) in enumerate(points.iterrows()):
            _dot(axes, position + 0.3, estimate(row, "delta_m"), look[str(row["variant"])])
        place_rows(axes, points, look)
        axes.margins(x=0.06)
        axes.set_xlabel("per cent against single-task; right of zero is better")
        finish(figure, axes, drawn, [tasks] * len(points), fills, {"delta-m, their sum": total})
    alt = "Stacked bars of delta-m, a row for each way. " + " ".join(
        _said(row, tasks) for row in _rows(points)
    )
    divided = f" divided by {len(tasks)}" if len(tasks) > 1 else ""
    caption = (
        f"Each piece is one task's relative gain over its single-task network{divided}; pieces left of zero are "
        "losses. The mark below is delta-m, the sum of all pieces, with its interval. "
        f"{interval_words(group, dots=False)}{left_out(points, own, 'the table of results')}"
    )
    return Drawing(f"{group.slug}-task-delta-m", title, caption, alt, figure)


def _rows(points: pd.DataFrame) -> Iterable[pd.Series[Any]]:
    return (row for _, row in points.iterrows())


def _complete(points: pd.DataFrame, tasks: list[str]) -> pd.Series[bool]:
    """Which ways have every term, and terms that add up to their delta-m."""
    terms = pd.concat([numeric(points, f"delta_m.{task}") for task in tasks], axis="columns")
    return (terms.mean(axis="columns", skipna=False) - numeric(points, "delta_m")).abs() < COMPLETE


def _no_terms(points: pd.DataFrame) -> str:
    if points.empty:
        return "There is nothing to compare with the single-task networks: nothing else finished."
    reasons = sorted(set(text(points, "delta_m_reason").str.strip()) - {""})
    why = reasons[0].rstrip(".") if reasons else "no finished cell has its terms by task"
    return f"Delta-m cannot be taken apart by task: {why}."


def _said(row: pd.Series[Any], tasks: list[str]) -> str:
    """What each task gains and loses in one way, no more than the intervals allow."""
    terms = {task: estimate(row, f"delta_m.{task}") for task in tasks}
    words = {task: f"{task} ({_percent(term)})" for task, term in terms.items()}
    loses = [task for task, term in terms.items() if term.bounded and term.high < 0]
    gains = [task for task, term in terms.items() if term.bounded and term.low > 0]
    even = [task for task in tasks if task not in {*loses, *gains}]
    if len(even) == len(tasks) > 1:
        return f"{row['label']}: no task is told apart from its single-task network."
    parts = []
    if loses:
        pay = "pays" if len(loses) == 1 else "pay"
        parts.append(f"{join((words[task] for task in loses), MOST_TASKS)} {pay} for sharing")
    if gains:
        gain = "gains" if len(gains) == 1 else "gain"
        parts.append(f"{join((words[task] for task in gains), MOST_TASKS)} {gain}")
    if even:
        verb = "is" if len(even) == 1 else "are"
        parts.append(f"{join(even, MOST_TASKS)} {verb} not told apart from single-task")
    return f"{row['label']}: {'; '.join(parts)}."


def _percent(term: Estimate) -> str:
    """`-6.1 % [-8.0, -4.2]`."""
    value, bracket, limits = with_interval(term).partition(" [")
    return f"{value} %{bracket}{limits}"


def quality_sentences(group: Group) -> list[str]:
    """Which task pays for sharing and which gains, for the ways that matter most, and over all of them."""
    tasks = tasks_of(group)
    own = group.points[text(group.points, "variant") != SINGLE_TASK]
    known = own[_complete(own, tasks)]
    if known.empty:
        metrics = _measured(group)
        return [_best(group, metrics)] if metrics else []
    best = int(numeric(known, "delta_m").argmax())
    spoken = dict.fromkeys([*first_of_each(known)["label"].head(1), known["label"].iloc[best]])
    rows = known.drop_duplicates("label").set_index("label", drop=False)
    return [*(_said(rows.loc[label], tasks) for label in spoken), *_over_all(known, tasks)]


def _over_all(points: pd.DataFrame, tasks: list[str]) -> list[str]:
    """The task that loses most often; nothing where two ways or one task leave nothing to count."""
    losing = {task: int((numeric(points, f"delta_m.{task}.ci_high") < 0).sum()) for task in tasks}
    worst = max(losing, key=lambda task: losing[task])
    if len(points) < 3 or len(tasks) < 2 or not losing[worst]:
        return []
    tied = [task for task in tasks if losing[task] == losing[worst]]
    return [
        f"Below its single-task network most often: {join(tied)}, in {losing[worst]} of {len(points)} ways, "
        "counted where the interval excludes zero."
    ]
