"""Budget asked against budget spent: in MACs that were needed, in MACs that were executed, and in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mtlbench.report.canvas import (
    FRONT_LINE,
    INK,
    MUTED,
    Absent,
    Drawing,
    Margins,
    drawing,
    interval_words,
    plain_ticks,
    set_margins,
    shorten,
    strokes,
    symbols,
)
from mtlbench.report.colours import Style
from mtlbench.report.frame import HIGH, LOW, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import join, percent
from mtlbench.report.sections._ways import own_ways

__all__ = ["asked", "budget_words", "budgets"]

TITLE = "Budget asked and spent"
MOST_PANELS = 6
MOST_SAID = 12
WITHIN = 1.005
SMALL = 8.5
LEDGERS: dict[str, dict[str, Any]] = {
    "nominal": {"marker": "o", "ms": 6, "mfc": "none", "mew": 1.4, "lw": 1.0, "alpha": 0.9},
    "executed": {"marker": "s", "ms": 5, "mew": 0.6, "lw": 1.0},
    "latency": {"marker": "_", "ms": 11, "mew": 2.4, "lw": 1.0, "ls": ":"},
}
NAMES = {"nominal": "nominal MACs", "executed": "executed MACs", "latency": "time"}


def asked(group: Group) -> pd.DataFrame:
    """Ways with a budget, by budget: `label`, `variant`, `budget`, and `spent.*` in shares of their reference."""
    ways = {way.label: way for way in own_ways(group)}
    budget = numeric(group.points, "budget")
    points = group.points[(budget > 0) & text(group.points, "label").isin(ways)]
    points = points.iloc[np.argsort(numeric(points, "budget").to_numpy(), kind="stable")]
    columns: dict[str, Any] = {name: text(points, name) for name in ("label", "variant")}
    columns["budget"] = numeric(points, "budget")
    for name in LEDGERS:
        shares = [ways[label].share(name) for label in columns["label"]]
        for part, end in enumerate(("", LOW, HIGH)):
            columns[f"spent.{name}{end}"] = np.array([share[part] for share in shares], dtype=float)
    reference = numeric(points, "macs_reference")
    for quantile in ("p50", "p95"):
        spent = numeric(points, f"macs_nominal_{quantile}")
        columns[f"spent.{quantile}"] = spent / reference.where(reference > 0)
    return pd.DataFrame(columns, index=points.index)


def budget_words(points: pd.DataFrame) -> str:
    """Of what `asked` found, the way that exceeds its budget by most, in a sentence; empty without budgets."""
    over = numeric(points, "spent.executed") / numeric(points, "budget")
    if over.isna().all():
        return ""
    if over.max() <= WITHIN:
        return "No way executed more MACs than its budget."
    return f"Furthest over its budget in executed MACs: {_said(points.loc[[over.idxmax()]].iloc[0])}."


def budgets(group: Group, points: pd.DataFrame, look: dict[str, Style]) -> Drawing | Absent:
    """A panel for each variant of what `asked` found; on the diagonal, what was asked is what was spent."""
    if points.empty:
        return Absent(
            TITLE, "No finished way here takes a budget, a share of its reference's MACs to keep to."
        )
    variants = list(dict.fromkeys(text(points, "variant")))
    shown = variants[:MOST_PANELS]
    columns = min(len(shown), 2)
    rows = -(-len(shown) // columns)
    with drawing():
        size = (5.9, 2.6 * rows + 0.8) if columns == 2 else (4.4, 4.3)
        figure = Figure(figsize=size)
        grid = figure.subplots(rows, columns, squeeze=False)
        panels = grid.ravel()
        below = 0.5 + symbols(figure, _key(points))
        set_margins(figure, grid, Margins(0.62, 0.18, below, 0.3, 0.62, 0.75))
        reach = _reach(points[text(points, "variant").isin(shown)])
        for panel, variant in zip(panels, shown, strict=False):
            own = points[text(points, "variant") == variant]
            _panel(panel, own, look[variant], reach)
            panel.set_title(shorten(variant, 32))
            panel.set_xlabel("asked, % of reference MACs", fontsize=SMALL)
            panel.set_ylabel("spent, % of reference", fontsize=SMALL)
        for panel in panels[len(shown) :]:
            panel.set_axis_off()
    caption = "On the dashed diagonal, what was asked is what was spent."
    if _spread(points):
        caption += " Bars reach from the nominal MACs of the median input to those of the 95th percentile."
    caption += f" {interval_words(group, dots=False)}"
    if len(shown) < len(variants):
        caption += f" {join(variants[MOST_PANELS:])} are not drawn."
    said = [_said(row) for _, row in points.head(MOST_SAID).iterrows()]
    alt = f"Budget asked against budget spent for {join(shown, MOST_PANELS)}. {'; '.join(said)}."
    return Drawing(f"{group.slug}-budgets", TITLE, caption, alt, figure)


def _said(row: pd.Series[Any]) -> str:
    spent = {name: row[f"spent.{name}"] for name in LEDGERS}
    known = [f"{percent(share)} {NAMES[name]}" for name, share in spent.items() if np.isfinite(share)]
    return f"{row['label']} asked for {percent(row['budget'])} and spent {join(known)}"


def _spread(points: pd.DataFrame) -> bool:
    return bool((numeric(points, "spent.p95") > numeric(points, "spent.p50")).any())


def _reach(points: pd.DataFrame) -> float:
    """How far the axis of what was spent goes, in per cent: values count, whiskers do not."""
    names = ["budget", *(f"spent.{name}" for name in (*LEDGERS, "p95"))]
    largest = max((float(numeric(points, name).max()) for name in names), key=np.nan_to_num)
    return max(largest, 1.0) * 108


def _percent(points: pd.DataFrame, column: str) -> NDArray[np.float64]:
    return np.asarray(numeric(points, column), dtype=np.float64) * 100


def _panel(axes: Axes, points: pd.DataFrame, style: Style, reach: float) -> None:
    axes.plot([0, reach], [0, reach], color=MUTED, lw=1, ls=FRONT_LINE, zorder=1)
    x = _percent(points, "budget")
    axes.vlines(
        x,
        _percent(points, "spent.p50"),
        _percent(points, "spent.p95"),
        color=style.colour,
        lw=7,
        alpha=0.25,
        zorder=1,
    )
    along, across = strokes(
        _percent(points, "spent.latency.ci_low"), _percent(points, "spent.latency.ci_high"), x
    )
    axes.plot(across, along, color=INK, lw=1.2, zorder=3)
    for name, how in LEDGERS.items():
        colours = {"color": style.colour, "mec": INK} | ({"mfc": style.colour} if name == "executed" else {})
        axes.plot(x, _percent(points, f"spent.{name}"), zorder=3, **({"ls": "-"} | colours | how))
    axes.set_xlim(0, 108)
    axes.set_ylim(0, reach)
    for way in ("x", "y"):
        plain_ticks(axes, way, 5)


def _key(points: pd.DataFrame) -> dict[str, Artist]:
    handles: dict[str, Artist] = {
        NAMES[name]: Line2D([], [], **({"ls": "-", "color": MUTED, "mec": INK} | how | {"lw": 1.0}))
        for name, how in LEDGERS.items()
        if numeric(points, f"spent.{name}").notna().any()
    }
    if _spread(points):
        handles["inputs, median to p95"] = Patch(color=MUTED, alpha=0.3, lw=0)
    return handles
