"""What all figures share: settings, markers, whiskers, the legend of variants.

Names come from suites, so they are drawn as they are: never as mathematics, never with control characters,
shortened when long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from warnings import catch_warnings, filterwarnings

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from mtlbench.report.colours import Style
from mtlbench.report.frame import HIGH, LOW, Estimate, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import printable
from mtlbench.report.wrap import shortened

__all__ = [
    "FRONT_LINE",
    "GRID",
    "INK",
    "MUTED",
    "Absent",
    "Drawing",
    "Margins",
    "drawing",
    "estimates",
    "interval_words",
    "legend",
    "plain_ticks",
    "set_margins",
    "shorten",
    "strokes",
    "symbols",
    "variant_handles",
    "whiskers",
]

INK, MUTED, GRID = "#1b1f24", "#5c6570", "#d5dae0"
FRONT_LINE = (0, (4, 3))
LETTER_INCHES, HANDLE_INCHES, LINE_INCHES = 0.078, 0.45, 0.215
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


class Margins(NamedTuple):
    """Inches around a grid of panels and between them."""

    left: float
    right: float
    bottom: float
    top: float
    across: float = 0.0
    down: float = 0.0


@contextmanager
def drawing() -> Iterator[None]:
    """Settings under which figures are made and saved; a character no font has is a box, not a warning."""
    with mpl.rc_context(RC), catch_warnings():
        filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def shorten(name: str, most: int = 30) -> str:
    """A name fit for a figure: printable, on one line, at most `most` characters, the middle left out."""
    return shortened(printable(" ".join(name.split())), most)


def whiskers(value: Estimate) -> Any:
    """Distances to both limits, [2, 1]; a floor's interval may lie to one side of it, never past it."""
    if not value.bounded:
        return None
    return np.array([[max(value.value - value.low, 0.0)], [max(value.high - value.value, 0.0)]])


def estimates(points: pd.DataFrame, column: str, factor: float = 1.0) -> NDArray[np.float64]:
    """A column with its interval as value, low and high, [n, 3]; NaN where unknown.

    A floor's interval may lie to one side of it: the limit on the other side is then the value itself.
    """
    value, low, high = (numeric(points, column + end).to_numpy() * factor for end in ("", LOW, HIGH))
    bare = np.isnan(low) | np.isnan(high)
    return np.column_stack(
        [
            value,
            np.where(bare, np.nan, np.minimum(low, value)),
            np.where(bare, np.nan, np.maximum(high, value)),
        ]
    )


def strokes(low: Any, high: Any, across: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Many whiskers as one line with gaps, which keeps a page with hundreds of them small: along, across."""
    gap = np.full(len(low), np.nan)
    return np.column_stack([low, high, gap]).ravel(), np.column_stack([across, across, gap]).ravel()


def plain_ticks(axes: Axes, way: Literal["x", "y"], most: int = 6) -> None:
    """Ticks as plain numbers, at 1, 2 and 5 where the axis is logarithmic."""
    axis = axes.xaxis if way == "x" else axes.yaxis
    if axis.get_scale() == "log":
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=most))
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))


def variant_handles(points: pd.DataFrame, styles: dict[str, Style]) -> dict[str, Artist]:
    """An entry of a legend for each variant, by its name."""
    shared: dict[str, Any] = {"color": "none", "mec": INK, "mew": 0.7, "ms": 7}
    return {
        name: Line2D([], [], marker=styles[name].marker, mfc=styles[name].colour, **shared)
        for name in dict.fromkeys(text(points, "variant"))
    }


def legend(figure: Figure, points: pd.DataFrame, styles: dict[str, Style], *, has_front: bool) -> None:
    """Name the variants under the figure, and the front where it is drawn."""
    front = {"Pareto front": Line2D([], [], color=MUTED, lw=1.0, ls=FRONT_LINE)}
    symbols(figure, variant_handles(points, styles) | (front if has_front else {}))


def symbols(figure: Figure, handles: dict[str, Artist]) -> float:
    """Name what is drawn, under the figure, in as many columns as fit; how high that is, in inches."""
    labels = [shorten(name) for name in handles]
    width = max(map(len, labels)) * LETTER_INCHES + HANDLE_INCHES
    columns = min(max(int(figure.get_figwidth() / width), 1), len(labels))
    figure.legend(
        list(handles.values()),
        labels,
        loc="outside lower center",
        ncols=columns,
        handletextpad=0.4,
        columnspacing=1.2,
    )
    return LINE_INCHES * -(-len(labels) // columns) + 0.15


def set_margins(figure: Figure, panels: NDArray[Any], margins: Margins) -> None:
    """Place panels by inches, for figures whose labels are short: far faster than a layout engine.

    Args:
        figure: loses its layout engine.
        panels: axes, [rows, columns].
        margins: in inches.
    """
    figure.set_layout_engine("none")
    (width, height), (rows, columns) = figure.get_size_inches(), panels.shape
    wide = (width - margins.left - margins.right - margins.across * (columns - 1)) / columns
    high = (height - margins.top - margins.bottom - margins.down * (rows - 1)) / rows
    for (row, column), axes in np.ndenumerate(panels):
        left = margins.left + column * (wide + margins.across)
        bottom = margins.bottom + (rows - 1 - row) * (high + margins.down)
        axes.set_position((left / width, bottom / height, wide / width, high / height))


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
