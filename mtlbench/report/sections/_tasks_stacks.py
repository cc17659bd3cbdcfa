"""Stacked bars, and the fills that tell their pieces apart.

Fills are greys, a sand tone, and hatches on nothing, told apart by lightness and pattern: they cannot be taken for a
variant's colour, and survive every colour vision deficiency and print. Greys and sand are light enough for dark
words on a light and on a dark page alike, so they are no theme colours; hatches are drawn in ink, which is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mtlbench.report.canvas import HANDLE_INCHES, INK, LETTER_INCHES, shorten
from mtlbench.report.frame import Estimate
from mtlbench.report.quantities import with_interval

__all__ = [
    "HATCHED",
    "PLAIN",
    "Fill",
    "finish",
    "ramp",
    "stacks",
    "task_fills",
    "write_wholes",
]

EDGE, WORDS = "#2b323a", "#12161b"
SLATE_LIGHT, SLATE_DARK = "#e6ebf1", "#8290a0"
BAR_HEIGHT = 0.66
FONT_POINTS = 7.5
WORDS_LETTER, WORDS_MARGIN = 0.6 * FONT_POINTS / 72, 0.06
LEGEND_LETTERS = 22


NOTHING = "none"


class Fill(NamedTuple):
    """How a kind of piece is filled: a colour (#RRGGBB, or `none`) and a matplotlib hatch of lines.

    Hatches of dots or circles would make an SVG hundreds of kilobytes large.
    """

    colour: str
    hatch: str = ""

    @property
    def edge(self) -> str:
        """The colour of its outline and of its hatch."""
        return INK if self.colour == NOTHING else EDGE


PLAIN = Fill(NOTHING)
HATCHED = {
    "heads": Fill(NOTHING, "////"),
    "policy": Fill(NOTHING, "xxxxxx"),
    "sharing": Fill(NOTHING, "-----"),
}
TASKS = (
    Fill(SLATE_DARK),
    Fill(NOTHING, "////"),
    Fill("#c3ccd6"),
    Fill(NOTHING, "-----"),
    Fill("#b7a98c"),
    Fill(NOTHING, "\\\\\\\\"),
    Fill("#efe7d6"),
    Fill(NOTHING, "xxxxxx"),
)


class Stacks(NamedTuple):
    """Rows of pieces, drawn.

    Attributes:
        lengths: signed, [rows, pieces].
        starts: the end of each piece that is nearer to zero, [rows, pieces].
        fills: one for each piece.
        shift: of the bars, in rows downwards.
    """

    lengths: NDArray[np.float64]
    starts: NDArray[np.float64]
    fills: tuple[Fill, ...]
    shift: float


def ramp(steps: int) -> list[Fill]:
    """Greys from light to dark for so many neighbours."""
    light, dark = np.array(to_rgb(SLATE_LIGHT)), np.array(to_rgb(SLATE_DARK))
    return [
        Fill(to_hex(light + share * (dark - light))) for share in np.linspace(0, 1, max(steps, 1))[:steps]
    ]


def task_fills(tasks: Sequence[str]) -> dict[str, Fill]:
    """A fill for each task, by its place; they repeat only when there are more tasks than fills."""
    return {task: TASKS[place % len(TASKS)] for place, task in enumerate(tasks)}


def stacks(
    axes: Axes,
    lengths: NDArray[np.float64],
    fills: Sequence[Fill],
    *,
    height: float = BAR_HEIGHT,
    shift: float = 0.0,
) -> Stacks:
    """Stack pieces [rows, pieces] away from zero, positive ones to the right, negative ones to the left."""
    right = np.cumsum(np.maximum(lengths, 0.0), axis=1)
    left = np.cumsum(np.minimum(lengths, 0.0), axis=1)
    starts = np.where(lengths >= 0, right, left) - lengths
    for piece, fill in enumerate(fills):
        axes.barh(
            np.arange(len(lengths)) + shift,
            lengths[:, piece],
            left=starts[:, piece],
            height=height,
            facecolor=fill.colour,
            hatch=fill.hatch,
            edgecolor=fill.edge,
            linewidth=0.5,
            zorder=2,
        )
    return Stacks(lengths, starts, tuple(fills), shift)


def write_wholes(axes: Axes, values: NDArray[np.float64]) -> None:
    """Write the value of each row behind its bar."""
    for position, value in enumerate(values):
        axes.annotate(
            with_interval(Estimate(value)),
            (value, position),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )


def finish(
    figure: Figure,
    axes: Axes,
    drawn: Stacks,
    words: Sequence[Sequence[str]],
    fills: dict[str, Fill],
    marks: dict[str, Line2D] | None = None,
) -> None:
    """Name what is drawn below the figure, and write into each piece what fits.

    Args:
        figure: what the pieces are in.
        axes: where they are, with final limits.
        drawn: from `stacks`.
        words: for each row, for each piece.
        fills: by name, for the legend.
        marks: what else the legend names, after them.
    """
    _legend(figure, fills, marks or {})
    figure.draw_without_rendering()
    _write_inside(axes, drawn, words)


def _write_inside(axes: Axes, drawn: Stacks, words: Sequence[Sequence[str]]) -> None:
    """Write into each piece its word, if it fits; the figure must have been laid out."""
    low, high = axes.get_xlim()
    inches = axes.get_window_extent().width / axes.figure.dpi / (high - low)
    for (row, piece), length in np.ndenumerate(drawn.lengths):
        room = abs(length) * inches - WORDS_MARGIN
        if 0 < len(words[row][piece]) * WORDS_LETTER <= room:
            fill = drawn.fills[piece]
            axes.text(
                float(drawn.starts[row, piece] + length / 2),
                row + drawn.shift,
                words[row][piece],
                ha="center",
                va="center",
                fontsize=FONT_POINTS,
                color=INK if fill == PLAIN else WORDS,
                bbox={"fc": SLATE_LIGHT, "ec": "none", "pad": 1.0} if fill.hatch else None,
                zorder=3,
            )


def _legend(figure: Figure, fills: dict[str, Fill], marks: dict[str, Line2D]) -> None:
    handles: list[Patch | Line2D] = [
        Patch(facecolor=fill.colour, hatch=fill.hatch, edgecolor=fill.edge, linewidth=0.5)
        for fill in fills.values()
    ]
    handles += marks.values()
    labels = [shorten(name, LEGEND_LETTERS) for name in (*fills, *marks)]
    width = max(map(len, labels)) * LETTER_INCHES + HANDLE_INCHES
    columns = min(max(int(figure.get_figwidth() / width), 1), len(labels))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, handletextpad=0.5, columnspacing=1.2
    )
