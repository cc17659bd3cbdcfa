"""Stacked bars and tables of what each way spends in each band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mtlbench.report.canvas import MUTED, Drawing, drawing
from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate, brief, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import join, percent, with_interval
from mtlbench.report.sections._part_bands import Band, Family
from mtlbench.report.sections._part_splits import Split
from mtlbench.report.sections._tasks_stacks import (
    HATCHED,
    PLAIN,
    Fill,
    finish,
    ramp,
    stacks,
    write_wholes,
)
from mtlbench.report.sections._tasks_ways import (
    MOST_SAID,
    SINGLE_TASK,
    entry,
    left_out,
    listed,
    name_entries,
    name_headers,
    not_listed,
    place_rows,
    tasks_of,
    thinned,
)
from mtlbench.report.tables import Header, Row, Table

__all__ = ["split_drawing", "split_table"]

ADDS_UP = 0.01
WIDTHS = (3.4, 1.0)


def split_drawing(group: Group, split: Split, look: dict[str, Style]) -> Drawing:
    """A bar for each way as long as what it spends, a piece for each band."""
    spent, fills = split.spent, _fills(split.bands)
    known = group.points[split.table.sum(axis="columns") > 0]
    points = thinned(known)
    rows = split.table.loc[points.index].to_numpy()
    whole = rows.sum(axis=1)
    with drawing():
        figure = Figure(figsize=(6.9, 0.34 * len(points) + 1.9))
        axes, side = figure.subplots(1, 2, sharey=True, width_ratios=WIDTHS)
        drawn = stacks(axes, 100 * rows / whole[:, None], [fills[band.name] for band in split.bands])
        place_rows(axes, points, look)
        axes.set_xlim(0, 100.4)
        axes.set_xlabel(f"per cent of the {spent.name}")
        whole_bars(side, whole * split.unit.factor)
        side.set_xlabel(split.unit.name)
        words = [[_bare_percent(share) for share in row] for row in rows / whole[:, None]]
        finish(figure, axes, drawn, words, {_legend_name(band): fills[band.name] for band in split.bands})
    tasks = tasks_of(group)
    several = text(points, "variant").eq(SINGLE_TASK).any() and len(tasks) > 1
    heads = [band.name.removeprefix("head ") for band in split.bands if band.family is Family.HEAD]
    caption = (
        f"What each way spends{spent.per}, taken apart; its whole on the right. There are no intervals."
        f"{f' Heads from left to right: {join(map(brief, heads), 8)}.' if len(heads) > 1 else ''}"
        f"{' The encoders of the single-task networks are one stack.' if several else ''}"
        f"{_adds_up(group.points, split)}{left_out(points, known, 'the table')}"
    )
    alt = f"Stacked bars of {spent.name} by part, a row for each way. " + " ".join(
        filter(None, (_shares_said(split, str(label)) for label in points["label"].head(MOST_SAID)))
    )
    return Drawing(f"{group.slug}-parts-{spent.slug}", split.title, caption, alt, figure)


def whole_bars(axes: Axes, values: NDArray[np.float64]) -> None:
    """A bar for each row with its value, beside the pieces it is made of."""
    axes.barh(np.arange(len(values)), values, height=0.3, color=MUTED, zorder=2)
    write_wholes(axes, values)
    axes.set_xlim(0, values.max() * 1.6)
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.grid(visible=False, axis="y")


def _legend_name(band: Band) -> str:
    return "heads" if band.family is Family.HEAD else band.name


def _adds_up(points: pd.DataFrame, split: Split) -> str:
    """How the parts compare with the total that was measured by itself, where they do not add up to it."""
    shares = (split.table.sum(axis="columns", min_count=1) / numeric(points, split.spent.total)).dropna()
    if shares.empty or (shares - 1).abs().max() <= ADDS_UP:
        return ""
    low, high = percent(shares.min()), percent(shares.max())
    reach = low if low == high else f"{low} to {high}"
    return f" The parts add up to {reach} of the column `{split.spent.total}`, which is not made of parts."


def split_table(group: Group, split: Split) -> Table:
    """The whole of each way, and the share of each band."""
    name, unit = split.spent.name, split.unit
    headers = (
        *name_headers(group),
        Header("all parts", unit.name, f"The sum of {name} over all parts.", 1),
        *(
            Header(brief(band.name), "%", f"Share of {name} in {join(map(brief, band.parts), 8)}.", 2)
            for band in split.bands
        ),
    )
    rows = []
    points = listed(group.points)
    for (_, point), (_, spent) in zip(
        points.iterrows(), split.table.loc[points.index].iterrows(), strict=True
    ):
        whole = spent.sum(skipna=False)
        shares = (_bare_percent(value / whole) if whole else "-" for value in spent)
        entries = (entry(with_interval(Estimate(whole), unit.factor)), *map(entry, shares))
        rows.append(Row(str(point["variant"]), ok=True, entries=(*name_entries(point), *entries)))
    return Table(
        f"{split.title}{split.spent.per}", headers, tuple(rows), (), tuple(not_listed(points, group.points))
    )


def _bare_percent(share: float) -> str:
    return percent(share).removesuffix(" %") if share else "0"


def _shares_said(split: Split, label: str) -> str:
    said = [f"{percent(share)} {family.value}" for family, share in split.shares(label).items()]
    return f"{label}: {join(said, 9)}." if said else ""


def _fills(found: Sequence[Band]) -> dict[str, Fill]:
    """A fill for each band by name: greys along the encoder, a hatch for each other family."""
    inside = [band.name for band in found if band.family.in_encoder]
    greys = dict(zip(inside, ramp(len(inside)), strict=True))
    return {band.name: greys.get(band.name) or HATCHED.get(band.family.value, PLAIN) for band in found}
