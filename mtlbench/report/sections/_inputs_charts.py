"""Figures of single inputs: distributions row by row, and cost against difficulty."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from mtlbench.report.canvas import INK, MUTED, Drawing, drawing, plain_ticks, shorten, symbols
from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate
from mtlbench.report.groups import Group
from mtlbench.report.quantities import Unit, join, macs_unit, with_interval
from mtlbench.report.sections._inputs_frame import (
    FEWEST_FOR_TAILS,
    Measure,
    WayInputs,
    in_order,
    rank,
    tail,
)

__all__ = ["MOST_ROWS", "cost_drawing", "difficulty_drawing", "latency_drawing"]

MOST_ROWS = 12
MOST_DOTS = 50
MOST_PANELS = 4
BINS = 24
TREND_BINS = 5
ROW_INCHES, FOOT_INCHES = 0.46, 1.15
QUARTILES = (0.25, 0.5, 0.75)


def cost_drawing(group: Group, ways: Sequence[WayInputs], look: dict[str, Style]) -> Drawing:
    """How nominal MACs are spread over inputs, a row per way that adapts, beside what was asked for."""
    shown = in_order(ways[:MOST_ROWS])
    unit = macs_unit(value for way in shown for value in (way.rows["macs_nominal"].max(), way.reference))
    said = []
    with drawing():
        figure, axes = _rows(shown)
        for position, way in enumerate(shown):
            values = way.rows["macs_nominal"].to_numpy() * unit.factor
            _ridge(axes, position, values, look[way.variant].colour)
            axes.plot(way.reference * unit.factor, position + 0.08, "|", ms=15, mec=MUTED, mew=1.6)
            axes.plot(
                way.asked * way.reference * unit.factor, position + 0.26, "D", ms=5, mfc="white", mec=INK
            )
            axes.plot(
                values.mean(), position + 0.26, "o", ms=5, mfc=look[way.variant].colour, mec=INK, mew=0.7
            )
            said.append(f"{way.label}: {_in_words(values, unit)}")
        axes.set_xlim(left=0)
        axes.set_xlabel(f"nominal MACs of an input, {unit.name}")
        symbols(figure, _key(shown))
    caption = (
        "Hills show how many inputs cost how much, bars the middle half, lines reach from the 5th to the 95th "
        f"percentile{_few([len(way.own) for way in shown])}, all seeds together.{_hidden(ways)}"
    )
    alt = f"Distributions of nominal MACs over inputs. {'; '.join(said)}."
    return Drawing(f"{group.slug}-input-cost", "What single inputs cost", caption, alt, figure)


def latency_drawing(group: Group, ways: Sequence[WayInputs], look: dict[str, Style]) -> Drawing:
    """How latency is spread over the timed inputs, a row per way that has some."""
    shown = in_order(ways[:MOST_ROWS])
    said = []
    with drawing():
        figure, axes = _rows(shown)
        for position, way in enumerate(shown):
            values = way.rows["floor_ms"].dropna().to_numpy()
            _ridge(axes, position, values, look[way.variant].colour)
            said.append(f"{way.label}: {_in_words(values, Unit('ms'))}")
        axes.set_xlim(left=0)
        axes.set_xlabel("latency of an input, ms")
        symbols(figure, _key(()))
    caption = (
        "Each input counts with the median over launches of its fastest repeat. Where every input costs the same, "
        f"what is spread here is the noise of the machine. Lines reach from the 5th to the 95th percentile"
        f"{_few([way.timed for way in shown])}.{_hidden(ways)}"
    )
    alt = f"Distributions of latency over inputs. {'; '.join(said)}."
    return Drawing(f"{group.slug}-input-latency", "How long single inputs take", caption, alt, figure)


def difficulty_drawing(
    group: Group, chosen: Sequence[tuple[WayInputs, list[Measure]]], look: dict[str, Style]
) -> Drawing:
    """Nominal MACs against each measure of difficulty, for ways of different variants."""
    titles = list(dict.fromkeys(measure.title for _, found in chosen for measure in found))[:MOST_PANELS]
    columns = min(len(titles), 2)
    rows = math.ceil(len(titles) / columns)
    said = []
    with drawing():
        figure = Figure(figsize=(3.3 * columns + 0.4, 2.5 * rows + 0.7))
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for panel, title in zip(panels.ravel(), titles, strict=False):
            for way, found in chosen:
                for measure in (measure for measure in found if measure.title == title):
                    said.append(_scatter(panel, way, measure, look[way.variant]))
            panel.set_title(shorten(title, 40), fontsize=9.5)
            panel.set_xlabel("harder to the right", fontsize=8.5, color=MUTED)
            panel.tick_params(length=0)
            plain_ticks(panel, "x", 3)
            plain_ticks(panel, "y", 4)
        for panel in panels.ravel()[len(titles) :]:
            panel.set_axis_off()
        figure.supylabel("nominal MACs, % of reference", fontsize=9.5)
        symbols(figure, {way.short_label: _dot(look[way.variant]) for way, _ in chosen})
    caption = (
        f"One dot per input, at most {MOST_DOTS}, evenly over the range of costs; lines join the medians of five equal "
        "parts. Of each variant the way is shown whose cost differs most between inputs."
    )
    alt = f"Scatter plots of the cost of inputs against their difficulty. {'; '.join(said)}."
    return Drawing(f"{group.slug}-input-difficulty", "Cost against difficulty", caption, alt, figure)


def _rows(ways: Sequence[WayInputs]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, ROW_INCHES * len(ways) + FOOT_INCHES))
    axes = figure.subplots()
    axes.set_yticks(range(len(ways)), [shorten(way.short_label) for way in ways])
    axes.set_ylim(len(ways) - 0.45, -0.65)
    axes.tick_params(length=0)
    axes.grid(visible=False, axis="y")
    plain_ticks(axes, "x")
    return figure, axes


def _ridge(axes: Axes, position: int, values: NDArray[np.float64], colour: str) -> None:
    """A histogram as a hill on the line of its way, and the quantiles below it."""
    counts, edges = np.histogram(values, bins=min(BINS, max(len(values) // 3, 4)))
    heights = position - 0.45 * np.repeat(counts / counts.max(), 2)
    axes.fill_between(np.repeat(edges, 2)[1:-1], heights, position, color=colour, alpha=0.5, lw=0)
    lower, middle, upper = np.quantile(values, QUARTILES)
    low, high, _ = _ends(values)
    line = position + 0.08
    axes.plot([low, high], [line, line], color=colour, lw=1.2, zorder=2)
    axes.plot([lower, upper], [line, line], color=colour, lw=5, solid_capstyle="butt", zorder=3)
    axes.plot([middle, middle], [line - 0.11, line + 0.11], color=INK, lw=1.6, zorder=4)


def _key(ways: Sequence[WayInputs]) -> dict[str, Artist]:
    handles: dict[str, Artist] = {
        "share of inputs": Patch(facecolor=MUTED, alpha=0.5),
        "middle half": Line2D([], [], color=MUTED, lw=5, solid_capstyle="butt"),
        "median": Line2D([], [], marker="|", color="none", mec=INK, mew=1.6, ms=9),
    }
    if ways:
        handles["mean spent"] = Line2D([], [], marker="o", color="none", mfc=MUTED, mec=INK, mew=0.7, ms=5)
    if any(math.isfinite(way.asked) for way in ways):
        handles["asked"] = Line2D([], [], marker="D", color="none", mfc="white", mec=INK, ms=5)
    if any(math.isfinite(way.reference) for way in ways):
        handles["dense reference"] = Line2D([], [], marker="|", color="none", mec=MUTED, mew=1.6, ms=14)
    return handles


def _in_words(values: NDArray[np.float64], unit: Unit) -> str:
    *ends, share = _ends(values)
    middle, low, high = (with_interval(Estimate(float(value))) for value in (np.median(values), *ends))
    return f"median {middle} {unit.name}, {share} of {len(values)} inputs between {low} and {high}"


def _ends(values: NDArray[np.float64]) -> tuple[float, float, str]:
    """Where lines end, and what share of inputs lies between: of few inputs a percentile is none of them."""
    if len(values) < FEWEST_FOR_TAILS:
        return float(values.min()), float(values.max()), "all"
    return -tail(-values), tail(values), "90 %"


def _few(counts: Sequence[int]) -> str:
    """What lines show where they cannot show percentiles."""
    if min(counts) >= FEWEST_FOR_TAILS:
        return ""
    return f", and over everything where there are fewer than {FEWEST_FOR_TAILS} inputs"


def _hidden(ways: Sequence[WayInputs]) -> str:
    names = [way.label for way in ways[MOST_ROWS:]]
    return f" Not drawn: {join(names)}." if names else ""


def _scatter(axes: Axes, way: WayInputs, measure: Measure, style: Style) -> str:
    cost = 100 * way.by_image["macs_nominal"] / way.reference
    known = (cost.notna() & measure.values.notna()).to_numpy()
    x, y = measure.values.to_numpy()[known], cost.to_numpy()[known]
    order = np.argsort(y, kind="stable")
    kept = order[np.unique(np.linspace(0, len(order) - 1, min(MOST_DOTS, len(order))).round().astype(int))]
    _dots(axes, x[kept], y[kept], style.colour)
    parts = np.array_split(np.argsort(x, kind="stable"), min(TREND_BINS, max(len(x) // 4, 1)))
    medians = [[np.median(values[part]) for part in parts] for values in (x, y)]
    axes.plot(*medians, color=INK, lw=3.2, zorder=2)
    axes.plot(*medians, color=style.colour, lw=1.8, marker=style.marker, ms=5, mec=INK, mew=0.7, zorder=3)
    if not measure.rising and not axes.xaxis_inverted():
        axes.invert_xaxis()
    found, n = rank(way, measure)
    said = (
        f"Spearman {with_interval(found)} between its cost and difficulty by {measure.title} over {n} inputs"
    )
    return f"{way.label}: {said if found.known else f'{n} inputs by {measure.title}'}"


def _dots(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], colour: str) -> None:
    """Dots as short strokes of one path: as many markers would be a line of SVG each."""
    short = (np.ptp(x) or 1.0) * 1e-3
    corners = np.stack([np.column_stack([x, y]), np.column_stack([x + short, y])], axis=1).reshape(-1, 2)
    path = Path(corners, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    dots = PathPatch(path, fill=False, edgecolor=colour, alpha=0.5, lw=4.0, capstyle="round", zorder=1)
    dots.set_snap(False)  # which would round both ends of a stroke to one point, and so remove it
    axes.add_patch(dots)
    axes.autoscale_view()


def _dot(style: Style) -> Line2D:
    return Line2D([], [], color=style.colour, lw=1.8, marker=style.marker, ms=5, mec=INK, mew=0.7)
