"""Several runs side by side as a dot plot: one line per cell, one mark per run and machine."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlbench.report.canvas import (
    INK,
    MUTED,
    Absent,
    Drawing,
    drawing,
    plain_ticks,
    shorten,
    symbols,
    whiskers,
)
from mtlbench.report.colours import Style
from mtlbench.report.frame import estimate
from mtlbench.report.quantities import with_interval
from mtlbench.report.runs import CELL, Match, Source

__all__ = ["runs_chart"]

MOST_LINES = 30
PANELS = {"latency_ms": "latency, ms per call", "delta_m": "delta-m, %"}
MARKERS = "osD^vPX"


def runs_chart(every: Sequence[Source], found: Sequence[Match], look: dict[str, Style]) -> Drawing | Absent:
    """Latency and delta-m of cells that several sources have.

    Args:
        every: the sources.
        found: from `matches`.
        look: of every variant of every run.
    """
    title = "The same cells, run by run"
    shown = [match for match in found if _known(match, "latency_ms")][:MOST_LINES]
    if not shown:
        return Absent(title, "No cell was timed in more than one of them.")
    panels = [column for column in PANELS if any(_known(match, column) for match in shown)]
    marker = {source.letter: MARKERS[place % len(MARKERS)] for place, source in enumerate(every)}
    with drawing():
        figure = Figure(figsize=(2.9 * len(panels) + 3.2, 0.3 * len(shown) + 1.3))
        for axes, column in zip(
            figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True
        ):
            for line, match in enumerate(shown):
                _line(axes, line, match, column, marker, look[match.variant].colour)
            axes.set_xlabel(PANELS[column])
            axes.set_yticks(range(len(shown)), [shorten(_named(match), 44) for match in shown])
            axes.set_ylim(len(shown) - 0.4, -0.6)
            axes.tick_params(axis="y", length=0)
            plain_ticks(axes, "x", 5)
        first = every[0].letter
        symbols(
            figure,
            {
                f"run {letter}": Line2D(
                    [], [], marker=mark, ls="none", mec=INK, mfc=MUTED if letter == first else "none"
                )
                for letter, mark in marker.items()
            },
        )
    said = "; ".join(
        f"{_named(match)}: "
        + ", ".join(
            f"{letter} {with_interval(estimate(row, 'latency_ms'))} ms" for letter, row in match.rows.items()
        )
        for match in shown
    )
    more = f" The first {len(shown)} of {len(found)} cells." if len(shown) < len(found) else ""
    caption = f"One line per cell, in the colour of its variant; run {first} is filled. Whiskers are intervals.{more}"
    return Drawing("runs", title, caption, f"Dot plot of latency. {said}.", figure)


def _known(match: Match, column: str) -> bool:
    return sum(estimate(row, column).known for row in match.rows.values()) > 1


def _named(match: Match) -> str:
    label, seed = (match.name[CELL.index(name)] for name in ("label", "seed"))
    return f"{label}, seed {seed}" if seed else label


def _line(axes: Axes, line: int, match: Match, column: str, marker: dict[str, str], colour: str) -> None:
    values = {letter: estimate(row, column) for letter, row in match.rows.items()}
    known = {letter: value for letter, value in values.items() if value.known}
    if not known:
        return
    ends = [value.value for value in known.values()]
    axes.plot([min(ends), max(ends)], [line, line], color=colour, lw=1.2, alpha=0.4, zorder=1)
    # Marks of one cell stand a little apart, so that equal values stay visible.
    step = 0.36 / max(len(known), 1)
    for place, (letter, value) in enumerate(known.items()):
        axes.errorbar(
            value.value,
            line + step * (place - (len(known) - 1) / 2),
            xerr=whiskers(value),
            fmt=marker[letter],
            mfc=colour if letter == min(marker) else "none",
            mec=INK if letter == min(marker) else colour,
            ecolor=colour,
            ms=6,
            mew=1.1,
            elinewidth=1.2,
            zorder=3,
        )
