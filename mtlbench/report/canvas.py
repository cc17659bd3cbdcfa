"""What all figures share: settings, markers, whiskers, the legend of variants.

Names come from suites, so they are drawn as they are: never as mathematics, never with control characters,
shortened when long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, filterwarnings

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import printable

__all__ = [
    "FRONT_LINE",
    "GRID",
    "INK",
    "MUTED",
    "Absent",
    "Drawing",
    "drawing",
    "interval_words",
    "legend",
    "shorten",
    "whiskers",
]

INK, MUTED, GRID = "#1b1f24", "#5c6570", "#d5dae0"
FRONT_LINE = (0, (4, 3))
LETTER_INCHES, HANDLE_INCHES = 0.078, 0.45
RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "font.size": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mtlbench",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure with its file name (without suffix), heading, caption and text alternative."""

    slug: str
    title: str
    caption: str
    alt: str
    figure: Figure


@dataclass(frozen=True)
class Absent:
    """A figure that cannot be drawn, and why, as a sentence."""

    title: str
    reason: str


@contextmanager
def drawing() -> Iterator[None]:
    """Settings under which figures are made and saved; a character no font has is a box, not a warning."""
    with mpl.rc_context(RC), catch_warnings():
        filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def shorten(name: str, most: int = 30) -> str:
    """A name fit for a figure: printable, on one line, at most `most` characters."""
    shown = printable(" ".join(name.split()))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def whiskers(value: Estimate) -> Any:
    """Distances to both limits, [2, 1]; a floor's interval may lie to one side of it, never past it."""
    if not value.bounded:
        return None
    return np.array([[max(value.value - value.low, 0.0)], [max(value.high - value.value, 0.0)]])


def legend(figure: Figure, points: pd.DataFrame, styles: dict[str, Style], *, has_front: bool) -> None:
    """Name the variants under the figure, and the front where it is drawn."""
    names = list(dict.fromkeys(text(points, "variant")))
    handles = [
        Line2D(
            [], [], marker=styles[name].marker, color="none", mfc=styles[name].colour, mec=INK, mew=0.7, ms=7
        )
        for name in names
    ]
    labels = [shorten(name) for name in names]
    if has_front:
        handles.append(Line2D([], [], color=MUTED, lw=1.0, ls=FRONT_LINE))
        labels.append("Pareto front")
    width = max(map(len, labels)) * LETTER_INCHES + HANDLE_INCHES
    columns = min(max(int(figure.get_figwidth() / width), 1), len(labels))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, handletextpad=0.4, columnspacing=1.2
    )


def interval_words(group: Group, mark: str = "mark", *, dots: bool = True) -> str:
    """What a figure's marks, whiskers and dots mean in this group."""
    words = f"Values beside names are the {group.axis}. " if group.axis else ""
    if not group.many_seeds:
        return f"{words}Whiskers are the run's intervals; a {mark} without whiskers has none."
    dotted = ", small dots are single seeds" if dots else ""
    return (
        f"{words}Each {mark} is a mean over seeds{dotted}; whiskers reach from the lowest to the highest limit of "
        "the seeds' own intervals, if all have one."
    )
