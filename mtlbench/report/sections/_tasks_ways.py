"""The ways of a group as rows of a figure or of a table."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from mtlbench.report.canvas import INK, shorten
from mtlbench.report.colours import Style
from mtlbench.report.frame import plain, text
from mtlbench.report.groups import Group
from mtlbench.report.sections._thin import evenly
from mtlbench.report.tables import Entry, Header

__all__ = [
    "MOST_ROWS",
    "MOST_SAID",
    "MOST_SPOKEN",
    "SINGLE_TASK",
    "entry",
    "first_of_each",
    "left_out",
    "listed",
    "name_entries",
    "name_headers",
    "not_listed",
    "place_rows",
    "tasks_of",
    "thinned",
    "whiskered",
]

MOST_ROWS = 16
MOST_LISTED = 200
MOST_SAID = 8
"""Ways that a text alternative goes through."""
MOST_SPOKEN = 3
"""Variants that sentences speak of."""
ROW_LETTERS = 24
MARKER_INCHES = 0.12
SINGLE_TASK = "single_task"


def tasks_of(group: Group) -> list[str]:
    """The tasks of a group, in the order of the run."""
    return str(text(group.cells.head(1), "tasks").iloc[0]).split("+")


def thinned(points: pd.DataFrame, most: int = MOST_ROWS) -> pd.DataFrame:
    """At most so many ways, in their order, spread evenly over each variant."""
    return points.iloc[evenly(range(len(points)), list(text(points, "variant")), most)]


def left_out(shown: pd.DataFrame, points: pd.DataFrame, where: str) -> str:
    """A sentence about the ways that a figure does not show; empty where it shows all."""
    if len(shown) == len(points):
        return ""
    return f" {len(shown)} of {len(points)} ways are drawn; {where} has more."


def listed(points: pd.DataFrame) -> pd.DataFrame:
    """The ways that a table of this section has room for."""
    return thinned(points, MOST_LISTED)


def not_listed(shown: pd.DataFrame, points: pd.DataFrame) -> list[str]:
    """A sentence about the ways that a table leaves out, if it does."""
    if len(shown) == len(points):
        return []
    return [f"{len(shown)} of {len(points)} ways are listed, spread evenly over each variant."]


def first_of_each(points: pd.DataFrame) -> pd.DataFrame:
    """The first point, full compute, of each variant that is not the baseline."""
    variant = text(points, "variant")
    return points[~variant.duplicated() & (variant != SINGLE_TASK)]


def place_rows(axes: Axes, points: pd.DataFrame, look: dict[str, Style]) -> None:
    """Name the rows of a figure, each with its variant's marker, the first on top."""
    beside = axes.get_yaxis_transform() + ScaledTranslation(-MARKER_INCHES, 0, axes.figure.dpi_scale_trans)
    for position, variant in enumerate(text(points, "variant")):
        axes.plot(
            0,
            position,
            look[variant].marker,
            transform=beside,
            mfc=look[variant].colour,
            mec=INK,
            mew=0.6,
            ms=6,
            clip_on=False,
        )
    axes.set_yticks(range(len(points)), [shorten(str(name), ROW_LETTERS) for name in points["short_label"]])
    axes.set_ylim(len(points) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, pad=16)
    axes.grid(visible=False, axis="y")


def whiskered(axes: Axes, x: Any, y: Any, style: Style, **whiskers: Any) -> None:
    """Marks of one variant with whiskers (`xerr` or `yerr`)."""
    axes.errorbar(
        x,
        y,
        fmt=style.marker,
        ms=6.5,
        mfc=style.colour,
        mec=INK,
        mew=0.7,
        ecolor=INK,
        elinewidth=1.1,
        capsize=2.5,
        zorder=4,
        **whiskers,
    )


def name_headers(group: Group) -> tuple[Header, ...]:
    """Heads of the columns that name a way: its variant, and its point where anything was swept."""
    return (
        Header("variant", "", "The way of running the tasks.", 0),
        Header(group.axis or "point", "", "Axis point.", 0),
    )


def name_entries(row: pd.Series[Any]) -> tuple[Entry, ...]:
    """What stands in those columns."""
    return tuple(entry(plain(row.get(name))) for name in ("way", "point"))


def entry(words: str, note: int = 0) -> Entry:
    """An entry that is as short as can be."""
    return Entry(words, note, words)
