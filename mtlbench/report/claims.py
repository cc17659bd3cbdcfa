"""Claims against reality: what each way promised, counted and took, beside its own dense reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlbench.report.canvas import FRONT_LINE, INK, MUTED, Absent, Drawing, drawing, shorten
from mtlbench.report.colours import Style
from mtlbench.report.frame import estimate, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import percent

__all__ = ["claims"]

LEDGERS = {
    "claimed": ("D", "claimed MACs"),
    "nominal": ("o", "nominal MACs"),
    "executed": ("s", "executed MACs"),
    "latency": ("|", "latency"),
}


def claims(group: Group, styles: dict[str, Style]) -> Drawing | Absent:
    """Claimed, nominal and executed MACs and latency, each in per cent of the way's own dense reference."""
    title = "Promised and realised saving"
    own = text(group.points, "reference_cell_id") == text(group.points, "cell_id")
    points = group.points[~own & numeric(group.points, "share.nominal").notna()]
    if points.empty:
        return Absent(title, "No finished cell has a dense reference of its own to save against.")
    used = [name for name in LEDGERS if numeric(points, f"share.{name}").notna().any()]
    with drawing():
        figure = Figure(figsize=(6.8, 0.36 * len(points) + 1.5))
        axes = figure.subplots()
        for position, (_, row) in enumerate(points.iterrows()):
            _dumbbell(axes, position, row, used, styles[str(row["variant"])])
        axes.axvline(100, color=MUTED, lw=1, ls=FRONT_LINE, zorder=1)
        axes.set_yticks(range(len(points)), [shorten(str(name)) for name in points["short_label"]])
        axes.set_ylim(len(points) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.set_xlim(right=max(axes.get_xlim()[1], 110))
        axes.set_xlabel("per cent of the way's own dense reference (dashed)")
        axes.tick_params(axis="y", length=0)
        handles = [_ledger_handle(name) for name in used]
        figure.legend(handles, [LEDGERS[name][1] for name in used], loc="outside lower center", ncols=4)
    said = "; ".join(
        f"{row['label']}: "
        + ", ".join(f"{name} {percent(estimate(row, f'share.{name}').value)}" for name in used)
        for _, row in points.iterrows()
    )
    alt = f"Dot plot of cost against each way's dense reference. {said}."
    caption = (
        "Latency at the nominal MACs means that the whole saving arrived as time; latency right of them is "
        "saving that was promised and not seen."
    )
    if "latency" not in used:
        caption = "Latency is missing, because no cell was timed together with its reference."
    return Drawing(f"{group.slug}-claims", title, caption, alt, figure)


def _dumbbell(axes: Axes, position: int, row: pd.Series[Any], used: Sequence[str], style: Style) -> None:
    values = {name: estimate(row, f"share.{name}").value * 100 for name in used}
    known = [value for value in values.values() if math.isfinite(value)]
    axes.plot([min(known), max(known)], [position, position], color=style.colour, lw=2, alpha=0.5, zorder=2)
    for name, value in values.items():
        if name == "latency":
            axes.plot(value, position, "|", color=INK, ms=15, mew=2.5, zorder=4)
        else:
            fill = style.colour if name == "executed" else "none"
            axes.plot(
                value,
                position,
                LEDGERS[name][0],
                mfc=fill,
                mec=INK,
                ms=8 if name == "executed" else 11,
                zorder=3,
            )


def _ledger_handle(name: str) -> Line2D:
    if name == "latency":
        return Line2D([], [], marker="|", color="none", mec=INK, ms=13, mew=2.5)
    fill = MUTED if name == "executed" else "none"
    return Line2D(
        [], [], marker=LEDGERS[name][0], color="none", mfc=fill, mec=INK, ms=8 if name == "executed" else 10
    )
