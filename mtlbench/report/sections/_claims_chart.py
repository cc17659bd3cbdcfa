"""The chart of claims against reality: a row per way, its ledgers as marks, the gap between promise and time shaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mtlbench.report.canvas import FRONT_LINE, INK, MUTED, drawing, plain_ticks, shorten, strokes, symbols
from mtlbench.report.colours import Style
from mtlbench.report.sections._ways import Way

__all__ = ["LEDGERS", "chart", "most_ways"]

LEDGERS = {
    "claimed": "claimed MACs",
    "nominal": "nominal MACs",
    "executed": "executed MACs",
    "latency": "time",
    "energy": "energy",
}
MARKS: dict[str, dict[str, Any]] = {
    "claimed": {"marker": "D", "ms": 9, "mfc": "none", "mec": INK, "mew": 1.0},
    "nominal": {"marker": "o", "ms": 7.5, "mfc": "none", "mec": INK, "mew": 1.4},
    "executed": {"marker": "s", "ms": 6, "mfc": MUTED, "mec": INK, "mew": 0.6},
    "latency": {"marker": "|", "ms": 11, "mec": INK, "mew": 2.4},
    "energy": {"marker": "v", "ms": 6.5, "mfc": "none", "mec": INK, "mew": 1.2},
}
CEILING: dict[str, Any] = {"marker": "|", "ms": 13, "mec": MUTED, "mew": 1.4}
MOST_LINES, MOST_WAYS = 44, 36
WIDTH, HEAD, FOOT = 5.9, 0.5, 1.15
ROW, DENSE_ROW, DENSE_FROM = 0.36, 0.31, 16
LANE = 0.17
LOG_FROM = 10.0
SMALL = 8.5
TOLD_APART, NEAR_EDGE, CLEAR_OF = 3.0, 0.07, 0.12


def chart(ways: Sequence[Way], look: dict[str, Style], *, against: str, axis: str) -> Figure:
    """Draw ways, at most `most_ways`, below a heading for each variant.

    Args:
        ways: those of one variant next to each other.
        look: styles by variant.
        against: what 100 per cent is.
        axis: name of the axis that was swept, where there is one.
    """
    rows, headings = _rows(ways)
    used = [name for name in LEDGERS if any(way.share(name).known for way in ways)]
    realised = any(way.realised.known for way in ways)
    bottom = rows[-1] + 0.6
    height = (ROW if bottom < DENSE_FROM else DENSE_ROW) * (bottom + 0.5)
    with drawing():
        figure = Figure(figsize=(WIDTH, height + FOOT + (HEAD if realised else 0.1)))
        panels = figure.subplots(
            1, 1 + realised, squeeze=False, sharey=True, width_ratios=[3.1, 1] if realised else [1]
        )[0]
        shares = panels[0]
        shares.set_ylim(bottom, -0.5)
        _limits(shares, ways, used)
        shares.axvline(100, color=MUTED, lw=1, ls=FRONT_LINE, zorder=1)
        _gaps(shares, ways, rows, look)
        _marks(shares, ways, rows, used, look)
        _numbers(shares, ways, rows)
        _names(shares, ways, rows, headings, axis)
        shares.set_xlabel(f"per cent of {against}")
        if realised:
            _realisation(panels[1], ways, rows, look)
        symbols(figure, _key(ways, used))
    return figure


def most_ways(headings: int) -> int:
    """How many ways are legible in one chart, where they stand under so many headings."""
    return min(max(MOST_LINES - headings, MOST_LINES // 2), MOST_WAYS)


def _rows(ways: Sequence[Way]) -> tuple[list[int], dict[int, str]]:
    """The row of each way, and the rows of headings: one where the variant changes."""
    rows: list[int] = []
    headings: dict[int, str] = {}
    line = 0
    for index, way in enumerate(ways):
        if index == 0 or way.name != ways[index - 1].name:
            headings[line] = way.name
            line += 1
        rows.append(line)
        line += 1
    return rows, headings


def _column(ways: Sequence[Way], name: str) -> NDArray[np.float64]:
    """Per cent and limits, [ways, 3], whiskers never pointing inwards."""
    every = np.array([way.share(name) for way in ways], dtype=float) * 100
    every[:, 1] = np.minimum(every[:, 0], every[:, 1])
    every[:, 2] = np.maximum(every[:, 0], every[:, 2])
    return every


def _limits(axes: Axes, ways: Sequence[Way], used: Sequence[str]) -> None:
    """From zero, so that lengths are true; logarithmic where something is far beyond the reference."""
    every = np.concatenate([_column(ways, name) for name in used])
    known = every[np.isfinite(every)]
    largest = max(float(known.max()), 100.0)
    if largest > 100 * LOG_FROM and (known > 0).all():
        axes.set_xscale("log")
        axes.set_xlim(min(float(known.min()), 100.0) * 0.7, largest * 1.8)
    else:
        axes.set_xlim(min(0.0, float(known.min())), largest * 1.16)
    plain_ticks(axes, "x")
    axes.grid(visible=False, axis="y")


def _gaps(axes: Axes, ways: Sequence[Way], rows: Sequence[int], look: dict[str, Style]) -> None:
    """Shade what was promised and not seen as time."""
    for way, row in zip(ways, rows, strict=True):
        promised, took = way.promised.value * 100, way.share("latency").value * 100
        if promised < min(took, 100):
            axes.fill_betweenx(
                [row - 0.38, row + 0.38], promised, took, color=look[way.variant].colour, alpha=0.22, lw=0
            )


def _marks(
    axes: Axes, ways: Sequence[Way], rows: Sequence[int], used: Sequence[str], look: dict[str, Style]
) -> None:
    """Counted ledgers in the upper lane of a row, measured ones with whiskers in the lower."""
    positions = np.array(rows, dtype=float)
    for name in used:
        values = _column(ways, name)
        lane = positions + (LANE if name in ("latency", "energy") else -LANE)
        axes.plot(*strokes(values[:, 1], values[:, 2], lane), color=INK, lw=1.3, zorder=3)
        if name != "executed":
            axes.plot(values[:, 0], lane, ls="none", zorder=4, **MARKS[name])
            continue
        for variant in dict.fromkeys(way.variant for way in ways):
            own = np.array([way.variant == variant for way in ways])
            filled = MARKS[name] | {"mfc": look[variant].colour}
            axes.plot(values[own, 0], lane[own], ls="none", zorder=3, **filled)
    for way, row in zip(ways, rows, strict=True):
        if way.seeds:
            dots = np.array(way.seeds) * 100
            axes.plot(
                dots,
                np.full(len(dots), row + 2 * LANE),
                ".",
                ms=3.5,
                mfc=INK,
                mec="none",
                alpha=0.6,
                zorder=3,
            )


def _numbers(axes: Axes, ways: Sequence[Way], rows: Sequence[int]) -> None:
    """Write the time beside its mark, and on the other side the promise that it fell short of."""
    times, energies = _column(ways, "latency"), _column(ways, "energy")
    far = CLEAR_OF * abs(np.diff(axes.get_xlim())[0])
    for index, (way, row) in enumerate(zip(ways, rows, strict=True)):
        took, promised = times[index, 0], way.promised.value * 100
        if not math.isfinite(took):
            continue
        energy = energies[index] if abs(energies[index, 0] - took) < far else np.array([np.nan])
        beside = np.concatenate([times[index], energy])
        if took < promised - TOLD_APART:
            _number(axes, took, float(np.nanmin(beside)), row, right=False)
        else:
            _number(axes, took, float(np.nanmax(beside)), row, right=True)
        if promised < 100 and took - promised >= TOLD_APART:
            _number(axes, promised, promised, row, right=False)


def _number(axes: Axes, value: float, at: float, row: int, *, right: bool) -> None:
    inside = (axes.transScale + axes.transLimits).transform((at, 0.0))[0] < NEAR_EDGE
    right = right or bool(inside)
    axes.annotate(
        f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}",
        (at, row + LANE),
        (7 if right else -4, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=SMALL,
        zorder=5,
    )


def _names(axes: Axes, ways: Sequence[Way], rows: Sequence[int], headings: dict[int, str], axis: str) -> None:
    axes.set_yticks(rows, [shorten(way.point, 22) for way in ways])
    axes.tick_params(axis="y", length=0)
    swept = {way.name for way in ways if way.point}
    for row, name in headings.items():
        called = shorten(name, 32) + (f" by {shorten(axis, 20)}" if axis and name in swept else "")
        axes.text(0.005, row + 0.08, called, transform=axes.get_yaxis_transform(), va="center", weight="bold")


def _realisation(axes: Axes, ways: Sequence[Way], rows: Sequence[int], look: dict[str, Style]) -> None:
    """How much of the promise arrived as time, and how much could have."""
    values = np.array([way.realised for way in ways], dtype=float) * 100
    ceilings = np.array([way.ceiling for way in ways]) * 100
    positions = np.array(rows, dtype=float)
    for edge in (0, 100):
        axes.axvline(edge, color=MUTED, lw=1, ls=FRONT_LINE, zorder=1)
    axes.plot(*strokes(values[:, 1], values[:, 2], positions), color=INK, lw=1.3, zorder=2)
    for index, way in enumerate(ways):
        style = look[way.variant]
        axes.plot(values[index, 0], rows[index], style.marker, mfc=style.colour, mec=INK, mew=0.7, ms=6.5)
        if way.promises and not way.realised.known:
            axes.text(50, rows[index], "none", ha="center", va="center", color=MUTED, fontsize=SMALL)
    axes.plot(ceilings, positions, ls="none", zorder=2, **CEILING)
    marks = np.concatenate([values[:, 0], ceilings])
    low, high = float(np.nanmin(marks)), float(np.nanmax(marks))
    axes.set_xlim(min(low * 1.15, -12.0), max(high * 1.15, 112.0))
    plain_ticks(axes, "x", 3)
    axes.set_title("realised", fontsize=SMALL + 1)
    axes.set_xlabel("% of promise")
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.grid(visible=False, axis="y")


def _key(ways: Sequence[Way], used: Sequence[str]) -> dict[str, Artist]:
    handles: dict[str, Artist] = {LEDGERS[name]: Line2D([], [], color="none", **MARKS[name]) for name in used}
    if any(way.promised.value < min(way.share("latency").value, 1) for way in ways):
        handles["promised, not seen as time"] = Patch(color=MUTED, alpha=0.3, lw=0)
    if any(math.isfinite(way.ceiling) for way in ways):
        handles["ceiling of realisation"] = Line2D([], [], color="none", **CEILING)
    return handles
