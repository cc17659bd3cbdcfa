"""Panels of quality against cost: whiskers both ways, the front as steps, rings where nothing is settled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mtlbench.report.canvas import (
    FRONT_LINE,
    INK,
    MUTED,
    Margins,
    drawing,
    plain_ticks,
    set_margins,
    shorten,
    strokes,
    symbols,
    variant_handles,
)
from mtlbench.report.colours import Style
from mtlbench.report.frame import is_ok, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.sections._frontier import Frontier
from mtlbench.report.sections._labels import Boxes, place_labels
from mtlbench.report.sections._thin import evenly

__all__ = ["is_crowded", "is_log", "most_beaten", "scatter"]

WIDTH = 5.9
MOST_POINTS, MOST_SMALL_POINTS, MOST_VARIANTS = 400, 100, 16
MOST_LABELS, MOST_SMALL_LABELS = 12, 4
LOG_FROM = 10.0
LEAST_SPAN = {"delta_m": 2.0}
LEAST_RELATIVE_SPAN = 0.06
MARGIN = 0.09
CROWD = 40


def scatter(group: Group, fronts: Sequence[Frontier], look: dict[str, Style]) -> Figure:
    """One panel for each front, all against the same cost; a single one is drawn large."""
    alone = len(fronts) == 1
    columns = min(len(fronts), 2)
    rows = -(-len(fronts) // columns)
    with drawing():
        figure = Figure(figsize=(WIDTH, 1.0))
        grid = figure.subplots(rows, columns, squeeze=False)
        panels = grid.ravel()
        below = 0.5 + symbols(figure, _variants(fronts, look) | _key(fronts))
        figure.set_figheight((3.4 if alone else 2.0 * rows + 0.45 * (rows - 1)) + below)
        set_margins(figure, grid, Margins(0.68, 0.18, below, 0.3, 0.62, 0.75))
        for panel, front in zip(panels, fronts, strict=False):
            shown = _shown(front, most_beaten(fronts))
            _panel(panel, group, front, shown, look, alone=alone)
            labels = np.array(_labels(front, MOST_LABELS if alone else MOST_SMALL_LABELS))
            place_labels(panel, np.column_stack([front.x[shown, 0], front.y[shown, 0]]), list(labels[shown]))
        for panel in panels[len(fronts) :]:
            panel.set_axis_off()
    return figure


def is_log(front: Frontier) -> bool:
    """Whether costs span more than a decade."""
    costs = front.x[:, 0]
    return bool((costs > 0).all() and costs.max() > LOG_FROM * costs.min())


def is_crowded(front: Frontier) -> bool:
    """Whether there are too many points for a ring around each that is not settled."""
    return len(front.names) > CROWD


def most_beaten(fronts: Sequence[Frontier]) -> int:
    """How many ways off the front are drawn in each panel."""
    return MOST_POINTS if len(fronts) == 1 else MOST_SMALL_POINTS


def _shown(front: Frontier, most: int) -> NDArray[np.intp]:
    """Positions of the points that are drawn: the front, and `most` of the others."""
    others = np.flatnonzero(~front.on)
    kept = evenly(list(others), list(front.names["variant"].iloc[others]), most)
    return np.sort(np.concatenate([np.flatnonzero(front.on), np.array(kept, dtype=np.intp)]))


def _panel(
    axes: Axes, group: Group, front: Frontier, shown: NDArray[np.intp], look: dict[str, Style], *, alone: bool
) -> None:
    seeds = _seeds(group, front)
    _limits(axes, front, np.concatenate([np.empty((0, 2)), *seeds.values()]), shown)
    _steps(axes, front)
    if front.quality.column == "delta_m":
        axes.axhline(0, color=MUTED, lw=0.8, zorder=1)
    _seed_dots(axes, seeds, look)
    variants = front.names["variant"].to_numpy()
    small = is_crowded(front) or not alone
    for variant in dict.fromkeys(variants[shown]):
        own = shown[variants[shown] == variant]
        _marks(axes, front, own, look[variant], joined=bool(group.axis), small=small)
    if front.judged:
        ringed = shown[~front.settled[shown] & (front.on[shown] | (not is_crowded(front)))]
        axes.plot(front.x[ringed, 0], front.y[ringed, 0], **_ring(small))
    arrow = "\N{UPWARDS ARROW}" if front.quality.higher_is_better else "\N{DOWNWARDS ARROW}"
    axes.set_title(f"{shorten(front.quality.title, 34)} {arrow}", fontsize=10 if alone else 9)
    axes.set_xlabel(
        f"{front.cost.title}, {front.cost.unit.name} {front.cost.per}", fontsize=9.5 if alone else 8.5
    )
    plain_ticks(axes, "x", 6 if alone else 4)
    plain_ticks(axes, "y", 6 if alone else 4)


def _marks(
    axes: Axes, front: Frontier, own: NDArray[np.intp], style: Style, *, joined: bool, small: bool
) -> None:
    x, y = front.x[own], front.y[own]
    if joined:
        axes.plot(x[:, 0], y[:, 0], color=style.colour, lw=1.0, alpha=0.5, zorder=2)
    line: dict[str, Any] = {
        "color": style.colour,
        "lw": 1.2,
        "alpha": 0.4 if small else 0.85,
        "zorder": 2,
    }
    if not front.cost.exact:
        axes.plot(*strokes(x[:, 1], x[:, 2], y[:, 0]), **line)
    along, across = strokes(y[:, 1], y[:, 2], x[:, 0])
    axes.plot(across, along, **line)
    beaten = front.settled[own] & ~front.on[own] & front.judged
    for mask, fill in ((beaten, "none"), (~beaten, style.colour)):
        mark: dict[str, Any] = {"mfc": fill, "mec": style.colour if fill == "none" else INK}
        if mask.any():
            edge = 1.0 if fill == "none" else 0.7
            axes.plot(
                x[mask, 0],
                y[mask, 0],
                style.marker,
                ls="none",
                ms=4.5 if small else 7,
                mew=edge,
                zorder=3,
                **mark,
            )


def _ring(small: bool) -> dict[str, Any]:
    return {
        "marker": "o",
        "ls": "none",
        "ms": 9 if small else 13,
        "mfc": "none",
        "mec": MUTED,
        "mew": 0.9,
        "zorder": 3,
    }


def _steps(axes: Axes, front: Frontier) -> None:
    """The border of what is beaten, out to the edges of the panel."""
    x, y = front.x[front.order, 0], front.y[front.order, 0]
    bottom, right = axes.get_ylim()[0], axes.get_xlim()[1]
    axes.plot(
        [x[0], *x, right],
        [bottom, *y, y[-1]],
        drawstyle="steps-post",
        color=MUTED,
        lw=1.0,
        ls=FRONT_LINE,
        zorder=1,
    )


def _limits(axes: Axes, front: Frontier, dots: Boxes, shown: NDArray[np.intp]) -> None:
    """Costs from zero or logarithmic; qualities over a span that makes no hill of a small difference."""
    x = np.concatenate([front.x[shown].ravel(), dots[:, 0]])
    y = np.concatenate([front.y[shown].ravel(), dots[:, 1]])
    largest = float(np.nanmax(x))
    if is_log(front):
        axes.set_xscale("log")
        low = float(np.nanmin(np.where(x > 0, x, np.nan)))
        axes.set_xlim(low / 1.35, largest * 1.35)
    else:
        axes.set_xlim(min(0.0, float(np.nanmin(x)) * 1.1), (largest or 1.0) * 1.12)
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    if front.quality.column == "delta_m":
        low, high = min(low, 0.0), max(high, 0.0)
    least = LEAST_SPAN.get(front.quality.column, LEAST_RELATIVE_SPAN * max(abs(low), abs(high)) or 1.0)
    short = max(least - (high - low), 0.0) / 2
    low, high = low - short, high + short
    room = MARGIN * (high - low)
    ends = (low - room, high + room)
    axes.set_ylim(*(ends if front.quality.higher_is_better else ends[::-1]))


def _seed_dots(axes: Axes, seeds: dict[str, Boxes], look: dict[str, Style]) -> None:
    """Single seeds behind the means, so that a mean never hides its spread."""
    for variant, dots in seeds.items():
        mark: dict[str, Any] = {"ms": 3, "mfc": look[variant].colour, "mec": "none", "alpha": 0.6}
        axes.plot(dots[:, 0], dots[:, 1], "o", ls="none", zorder=2, **mark)


def _seeds(group: Group, front: Frontier) -> dict[str, Boxes]:
    """Cost and quality of single seeds by variant, [n, 2]; none where every way has only one."""
    if not group.many_seeds:
        return {}
    done = group.cells[is_ok(group.cells)]
    cost = numeric(done, front.cost.column) * front.cost.unit.factor
    dots = np.column_stack([cost, numeric(done, front.quality.column)])
    known, variants = np.isfinite(dots).all(axis=1), text(done, "variant").to_numpy()
    return {name: dots[known & (variants == name)] for name in dict.fromkeys(variants)}


def _labels(front: Frontier, most: int) -> list[str]:
    """Names of at most `most` points: those on the front, then what is not settled, then ends of variants."""
    variant, point = front.names["variant"], front.names["point"]
    ends = (~variant.duplicated() | ~variant.duplicated(keep="last")).to_numpy()
    wanted = np.where(front.on, 0, np.where(front.judged & ~front.settled, 1, np.where(ends, 2, 3)))
    chosen = evenly(list(np.flatnonzero(front.on)), list(variant[front.on]), most)
    for rank in (1, 2):
        chosen += list(np.flatnonzero(wanted == rank))[: max(most - len(chosen), 0)]
    several = variant.duplicated(keep=False)
    names = point.where(several & (point != ""), front.names["short_label"])
    kept = set(chosen)
    return [shorten(name, 20) if index in kept else "" for index, name in enumerate(names)]


def _variants(fronts: Sequence[Frontier], look: dict[str, Style]) -> dict[str, Artist]:
    """Entries of the legend for variants; very many are cut short."""
    handles = variant_handles(pd.concat([front.names for front in fronts]), look)
    kept = dict(list(handles.items())[:MOST_VARIANTS])
    more = len(handles) - len(kept)
    return kept | ({f"and {more} more": Line2D([], [], color="none")} if more else {})


def _key(fronts: Sequence[Frontier]) -> dict[str, Artist]:
    handles: dict[str, Artist] = {"front": Line2D([], [], color=MUTED, lw=1.0, ls=FRONT_LINE)}
    judged = [front for front in fronts if front.judged]
    if any((~front.settled).any() for front in judged):
        handles["not settled"] = Line2D([], [], **(_ring(small=False) | {"ms": 11}))
    if any((front.settled & ~front.on).any() for front in judged):
        handles["surely beaten"] = Line2D(
            [], [], color="none", marker="o", mfc="none", mec=MUTED, mew=1.0, ms=7
        )
    return handles
