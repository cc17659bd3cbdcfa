"""Figures, drawn by matplotlib without a display and without global state.

Each function returns a `Drawing`, or an `Absent` that says in a sentence why there is nothing to draw.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from mtlbench.report.canvas import (
    FRONT_LINE,
    INK,
    MUTED,
    Absent,
    Drawing,
    drawing,
    interval_words,
    legend,
    shorten,
    whiskers,
)
from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate, estimate, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.labels import place_labels
from mtlbench.report.prose import Cost, front
from mtlbench.report.quantities import aligned, join, with_interval

__all__ = ["task_bars", "trade_off"]

LOG_FROM_RATIO = 20.0


class _Placed(NamedTuple):
    """Where the points of a panel are, and their labels."""

    x: NDArray[Any]
    y: NDArray[Any]
    labels: list[str]


class _Quality(NamedTuple):
    column: str
    title: str
    higher_is_better: bool


def trade_off(group: Group, cost: Cost, styles: dict[str, Style]) -> Drawing | Absent:
    """Accuracy against a cost: delta-m where there is one, else each task's primary metric."""
    title = f"Accuracy against {cost.title}"
    qualities = _qualities(group, cost)
    if not qualities:
        return Absent(
            title,
            f"No finished cell has both an accuracy and {cost.title}, so there is no trade-off to draw.",
        )
    columns = min(len(qualities), 2)
    rows = math.ceil(len(qualities) / columns)
    size = (6.0, 4.4) if len(qualities) == 1 else (4.2 * columns, 3.0 * rows + 0.6)
    with drawing():
        figure = Figure(figsize=size)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        shown = [
            _trade_off_panel(panel, group, cost, quality, styles)
            for panel, quality in zip(panels, qualities, strict=False)
        ]
        for panel in panels[len(qualities) :]:
            panel.set_axis_off()
        legend(figure, group.points, styles, has_front=True)
        figure.draw_without_rendering()
        for panel, points in zip(panels, shown, strict=False):
            place_labels(panel, points.x, points.y, points.labels)
    best = {quality.title: _front_names(group, cost, quality) for quality in qualities}
    alt = f"Scatter plot of {join(best, 6)} against {cost.title} for {len(group.points)} ways. "
    alt += "On the front: " + "; ".join(f"{title}: {names}" for title, names in best.items()) + "."
    caption = "On the dashed line, the Pareto front, nothing measured is both more accurate and cheaper. "
    caption += interval_words(group)
    if group.pooled and group.many_seeds and qualities[0].column == "delta_m":
        caption += " Those of delta-m are over seeds and images together."
    slug = f"{group.slug}-accuracy-{cost.column.split('_')[0]}"
    return Drawing(slug, title, caption, alt, figure)


def _qualities(group: Group, cost: Cost) -> list[_Quality]:
    delta = _Quality("delta_m", "delta-m, %", True)
    metrics = [_Quality(m.column, f"{m.task} {m.name}", m.higher_is_better) for m in group.metrics]
    spent = numeric(group.points, cost.column).notna()

    def drawable(quality: _Quality) -> bool:
        return bool((spent & numeric(group.points, quality.column).notna()).any())

    return [delta] if drawable(delta) else [quality for quality in metrics if drawable(quality)]


def _front_mask(points: pd.DataFrame, cost: Cost, quality: _Quality) -> Any:
    sign = 1.0 if quality.higher_is_better else -1.0
    return front(numeric(points, cost.column), numeric(points, quality.column) * sign)


def _front_names(group: Group, cost: Cost, quality: _Quality) -> str:
    return join(group.points.loc[_front_mask(group.points, cost, quality), "label"], most=6)


def _trade_off_panel(
    axes: Axes, group: Group, cost: Cost, quality: _Quality, styles: dict[str, Style]
) -> _Placed:
    known = numeric(group.points, cost.column).notna() & numeric(group.points, quality.column).notna()
    points = group.points[known]
    x, y = numeric(points, cost.column) * cost.unit.factor, numeric(points, quality.column)
    mask = _front_mask(points, cost, quality)
    ahead = np.flatnonzero(mask)[np.argsort(x.to_numpy()[mask], kind="stable")]
    axes.plot(
        x.iloc[ahead], y.iloc[ahead], drawstyle="steps-post", color=MUTED, lw=1.0, ls=FRONT_LINE, zorder=1
    )
    for variant, index in points.groupby(text(points, "variant"), sort=False).groups.items():
        axes.plot(x.loc[index], y.loc[index], color=styles[str(variant)].colour, lw=1.0, alpha=0.55, zorder=2)
    _seed_dots(axes, group, cost, quality, styles)
    for _, row in points.iterrows():
        _mark(axes, row, cost, quality, styles[str(row["variant"])])
    better = "higher" if quality.higher_is_better else "lower"
    axes.set_title(f"{shorten(quality.title)} ({better} is better)")
    axes.set_xlabel(f"{cost.title}, {cost.unit.name} per {cost.per}")
    axes.margins(0.12, 0.16)
    _scale(axes, x)
    return _Placed(x.to_numpy(), y.to_numpy(), [shorten(str(name), 18) for name in points["point"]])


def _seed_dots(axes: Axes, group: Group, cost: Cost, quality: _Quality, styles: dict[str, Style]) -> None:
    """Single seeds behind the means, so that a mean never hides its spread."""
    if not group.many_seeds:
        return
    done = group.cells[text(group.cells, "status").isin(["ok", ""])]
    for variant, part in done.groupby(text(done, "variant")):
        x, y = numeric(part, cost.column) * cost.unit.factor, numeric(part, quality.column)
        axes.scatter(x, y, s=9, color=styles[str(variant)].colour, alpha=0.5, lw=0, zorder=2)


def _mark(axes: Axes, row: pd.Series[Any], cost: Cost, quality: _Quality, style: Style) -> None:
    spent, gained = _scaled(estimate(row, cost.column), cost.unit.factor), estimate(row, quality.column)
    axes.errorbar(
        spent.value,
        gained.value,
        xerr=whiskers(spent),
        yerr=whiskers(gained),
        fmt=style.marker,
        ms=7,
        mfc=style.colour,
        mec=INK,
        mew=0.7,
        ecolor=style.colour,
        elinewidth=1.4,
        capsize=2.5,
        zorder=3,
    )


def _scaled(value: Estimate, factor: float) -> Estimate:
    return Estimate(*(number * factor for number in value))


def _scale(axes: Axes, values: pd.Series[float]) -> None:
    """A logarithmic axis where costs span more than a decade or so, with plain numbers."""
    plain = FuncFormatter(lambda value, _: f"{value:.4g}")
    if (values > 0).all() and values.max() > LOG_FROM_RATIO * values.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(plain)
    axes.yaxis.set_major_formatter(plain)


def task_bars(group: Group, styles: dict[str, Style]) -> Drawing | Absent:
    """Each task's primary metric for each way, with intervals."""
    title = "Accuracy of each task"
    metrics = [metric for metric in group.metrics if numeric(group.points, metric.column).notna().any()]
    if not metrics:
        why = "the run declares no primary metrics" if not group.metrics else "no finished cell has a metric"
        return Absent(title, f"There are no bars per task, because {why}.")
    columns = min(len(metrics), 3)
    rows = math.ceil(len(metrics) / columns)
    height = max(1.2, 0.27 * len(group.points) + 0.75) * rows + 0.2
    with drawing():
        figure = Figure(figsize=(2.6 * columns + 1.6, height))
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for panel, metric in zip(panels.ravel(), metrics, strict=False):
            better = "higher" if metric.higher_is_better else "lower"
            panel.set_title(shorten(f"{metric.task}: {metric.name}"))
            panel.set_xlabel(f"{better} is better", color=MUTED)
            _bars(panel, group.points, metric.column, styles)
        for panel in panels.ravel()[len(metrics) :]:
            panel.set_axis_off()
    said = [
        f"{metric.task} {metric.name}: "
        + ", ".join(
            f"{row['label']} {with_interval(estimate(row, metric.column))}"
            for _, row in group.points.iterrows()
        )
        for metric in metrics
    ]
    alt = f"Bar charts of {len(metrics)} tasks for {len(group.points)} ways. {'; '.join(said)}."
    caption = f"Bars start at zero. {interval_words(group, 'bar', dots=False)}"
    return Drawing(f"{group.slug}-tasks", title, caption, alt, figure)


def _bars(axes: Axes, points: pd.DataFrame, column: str, styles: dict[str, Style]) -> None:
    values = [estimate(row, column) for _, row in points.iterrows()]
    reach = max(
        (max(value.value, value.high if value.bounded else 0.0) for value in values if value.known),
        default=1.0,
    )
    for position, (value, shown, variant) in enumerate(
        zip(values, aligned(values), text(points, "variant"), strict=True)
    ):
        if not value.known:
            axes.text(0, position, " not measured", va="center", color=MUTED, fontsize=8)
            continue
        axes.barh(position, value.value, height=0.66, color=styles[variant].colour, ec=INK, lw=0.5)
        axes.errorbar(
            value.value, position, xerr=whiskers(value), fmt="none", ecolor=INK, elinewidth=1, capsize=2
        )
        end = value.high if value.bounded else value.value
        axes.text(max(end, 0) + 0.03 * reach, position, shown, va="center", fontsize=8)
    axes.set_yticks(range(len(points)), [shorten(str(name)) for name in points["short_label"]])
    axes.set_ylim(len(points) - 0.4, -0.6)
    axes.set_xlim(min(0.0, *(value.value for value in values if value.known)) * 1.1, (reach or 1.0) * 1.3)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
