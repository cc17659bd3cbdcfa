"""What the interactive chart draws: every finished cell with all its quantities, as JSON; and its static stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mtlbench.report.canvas import INK, Absent, Drawing, drawing, estimates, legend, plain_ticks
from mtlbench.report.colours import Style
from mtlbench.report.frame import HIGH, LOW, brief, is_ok, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import macs_unit, printable

__all__ = ["MOST_CELLS", "Place", "Quantity", "chart_data", "finished", "quantities", "static_chart"]

MOST_CELLS = 3000
MOST_MARKS = 400
LESS, MORE, NEITHER = -1, 1, 0
DIGITS = 6


class Quantity(NamedTuple):
    """Something that an axis can show.

    Attributes:
        column: in the table.
        title: its name.
        unit: empty where it has none.
        factor: from the table's numbers to the unit.
        better: 1 where more is better, -1 where less is, 0 where neither.
    """

    column: str
    title: str
    unit: str
    factor: float
    better: int


class Place(NamedTuple):
    """A group of a run, with the name under which the chart offers it."""

    name: str
    group: Group


KNOWN = (
    Quantity("latency_ms", "latency", "ms per call", 1, LESS),
    Quantity("latency_ms_p90", "latency, 90th percentile of calls", "ms", 1, LESS),
    Quantity("latency_ms_p99", "latency, 99th percentile of calls", "ms", 1, LESS),
    Quantity("latency_input_ms_p95", "latency, 95th percentile of inputs", "ms", 1, LESS),
    Quantity("latency_vs_single_task", "latency against single_task", "%", 100, LESS),
    Quantity("latency_vs_static_mtl", "latency against static_mtl", "%", 100, LESS),
    Quantity("throughput_ips", "throughput", "images per second", 1, MORE),
    Quantity("first_call_ms", "first call", "ms", 1, LESS),
    Quantity("load_ms", "loading", "ms", 1, LESS),
    Quantity("share.claimed", "claimed MACs against reference", "%", 100, LESS),
    Quantity("share.nominal", "nominal MACs against reference", "%", 100, LESS),
    Quantity("share.executed", "executed MACs against reference", "%", 100, LESS),
    Quantity("macs_vs_single_task", "executed MACs against single_task", "%", 100, LESS),
    Quantity("macs_vs_static_mtl", "executed MACs against static_mtl", "%", 100, LESS),
    Quantity("params", "parameters", "millions", 1e-6, LESS),
    Quantity("params_active", "active parameters", "millions", 1e-6, LESS),
    Quantity("memory_peak_mib", "peak memory", "MiB", 1, LESS),
    Quantity("weights_mib", "weights", "MiB", 1, LESS),
    Quantity("cache_mib", "cache", "MiB", 1, LESS),
    Quantity("energy_mj", "energy", "mJ per image", 1, LESS),
    Quantity("energy_modelled_mj", "modelled energy", "mJ per image", 1, LESS),
    Quantity("realisation", "realised share of the saving", "%", 100, MORE),
    Quantity("realisation_ceiling", "ceiling of realisation", "%", 100, MORE),
    Quantity("realisation_energy", "realised share, as energy", "%", 100, MORE),
    Quantity("budget", "asked budget", "%", 100, NEITHER),
    Quantity("batch", "batch", "images", 1, NEITHER),
    Quantity("threads", "threads", "", 1, NEITHER),
    Quantity("seed", "seed", "", 1, NEITHER),
)
READ = (
    "label",
    "variant",
    "seed",
    "delta_m",
    "metric.",
    "macs_",
    "axis.",
    *(quantity.column for quantity in KNOWN),
)
MACS = ("executed", "nominal", "reference", "claimed", "policy")


def finished(places: Sequence[Place]) -> pd.DataFrame:
    """All finished cells with what the chart may need of them, and the number of their place as `group`."""
    if not places:
        return pd.DataFrame(columns=["group"])
    every = [place.group.cells for place in places]
    cells = pd.concat(every, ignore_index=True)
    number = np.repeat(np.arange(len(every)), [len(part) for part in every])
    kept = [name for name in cells if str(name).startswith(READ)]
    return cells[kept].assign(group=number)[is_ok(cells)].reset_index(drop=True)


def quantities(cells: pd.DataFrame, places: Sequence[Place]) -> list[Quantity]:
    """What finished cells know, quality first, then costs, then axes; columns without a number are left out."""
    names = [str(name) for name in cells.columns if not str(name).endswith((LOW, HIGH, ".sd_seeds"))]
    primary = {metric.column: metric for place in places for metric in place.group.metrics}
    unit = macs_unit(value for name in MACS for value in numeric(cells, f"macs_{name}"))
    found = [Quantity("delta_m", "delta-m", "%", 1, MORE)]
    for column, metric in primary.items():
        better = MORE if metric.higher_is_better else LESS
        found.append(Quantity(column, f"{metric.task} {metric.name}", "", 1, better))
    for name in names:
        if name.startswith("delta_m."):
            found.append(Quantity(name, f"delta-m of {name.removeprefix('delta_m.')}", "%", 1, MORE))
    for name in MACS:
        found.append(Quantity(f"macs_{name}", f"{name} MACs", f"{unit.name} per image", unit.factor, LESS))
    found += KNOWN
    for name in names:
        if name.startswith("axis."):
            found.append(Quantity(name, name.removeprefix("axis."), "", 1, NEITHER))
    return [quantity for quantity in found if numeric(cells, quantity.column).notna().any()]


def default_axes(offered: Sequence[Quantity]) -> tuple[Quantity, Quantity] | None:
    """What the chart shows first: quality against latency, or what comes nearest; None without two quantities."""
    by_column = {quantity.column: quantity for quantity in offered}
    costs = ("latency_ms", "macs_executed", "macs_nominal", "macs_reference")
    x = next((by_column[name] for name in costs if name in by_column), None)
    y = next((quantity for quantity in offered if quantity != x), None)
    return None if x is None or y is None else (x, y)


def chart_data(cells: pd.DataFrame, places: Sequence[Place], look: Mapping[str, Style]) -> tuple[str, str]:
    """All that the chart needs, as JSON that is safe inside a script element, and what it leaves out, as a sentence.

    Args:
        cells: from `finished`.
        places: groups of one or several runs.
        look: of every variant.
    """
    offered = quantities(cells, places)
    axes = default_axes(offered)
    kept = _thinned(cells, MOST_CELLS)
    names = list(look)
    labels, label = _indexed(text(kept, "label"))
    data = {
        "axes": [] if axes is None else [offered.index(axis) for axis in axes],
        "quantities": [
            {
                "title": printable(brief(quantity.title)),
                "unit": printable(quantity.unit),
                "better": quantity.better,
                **_columns(kept, quantity),
            }
            for quantity in offered
        ],
        "groups": [printable(brief(place.name, 120)) for place in places],
        "variants": [[printable(brief(name)), look[name].colour, look[name].marker] for name in names],
        "labels": [printable(brief(words, 120)) for words in labels],
        "group": kept["group"].tolist(),
        "variant": [names.index(name) for name in text(kept, "variant")],
        "label": label,
        "seed": [printable(brief(words)) for words in text(kept, "seed")],
    }
    said = f"The chart has {len(kept):,} of {len(cells):,} finished cells, evenly picked; table.csv has all."
    return _safe_json(data), said if len(kept) < len(cells) else ""


def _thinned(cells: pd.DataFrame, most: int) -> pd.DataFrame:
    """Some of the cells where there are too many: evenly picked, and the fastest of each group."""
    if len(cells) <= most:
        return cells
    latency = numeric(cells, "latency_ms").dropna()
    fastest = latency.groupby(cells["group"]).idxmin()
    picked = {*np.linspace(0, len(cells) - 1, most).astype(int).tolist(), *fastest.tolist()}
    return cells.loc[sorted(picked)]


def _indexed(words: Iterable[str]) -> tuple[list[str], list[int]]:
    number, distinct = pd.factorize(pd.Series(list(words), dtype=object))
    return list(distinct), number.tolist()


def _columns(cells: pd.DataFrame, quantity: Quantity) -> dict[str, list[float | None]]:
    """Values and, where there are any, limits; None where unknown."""
    found = {}
    for key, end in (("value", ""), ("low", LOW), ("high", HIGH)):
        values = np.asarray(numeric(cells, quantity.column + end), dtype=np.float64)
        if key == "value" or np.isfinite(values).any():
            found[key] = _rounded(values * quantity.factor)
    return found


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values]


def _safe_json(data: Any) -> str:
    """JSON in plain letters without any character that could end its element or begin another."""
    written = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written


def static_chart(cells: pd.DataFrame, places: Sequence[Place], look: Mapping[str, Style]) -> Drawing | Absent:
    """The chart as it is first shown, drawn by matplotlib: for print, for files, and where scripts do not run.

    Args:
        cells: from `finished`.
        places: groups of one or several runs; the first that has both quantities is drawn.
        look: of every variant.
    """
    title = "Every finished cell"
    axes = default_axes(quantities(cells, places))
    if axes is None:
        return Absent(
            title, "No two quantities were measured, so there is nothing to set against each other."
        )
    x, y = axes
    cells = cells[numeric(cells, x.column).notna() & numeric(cells, y.column).notna()]
    if cells.empty:
        return Absent(title, f"No finished cell has both {x.title} and {y.title}.")
    place = places[cells["group"].min()]
    cells = cells[cells["group"] == cells["group"].min()].reset_index(drop=True)
    cells, total = _thinned(cells, MOST_MARKS), len(cells)
    styles = dict(look)
    with drawing():
        figure = Figure(figsize=(8.4, 4.4))
        panel = figure.subplots()
        for variant, part in cells.groupby(text(cells, "variant"), sort=False):
            _marks(
                panel,
                estimates(part, x.column, x.factor),
                estimates(part, y.column, y.factor),
                styles[str(variant)],
            )
        panel.set_xlabel(_worded(x))
        panel.set_ylabel(_worded(y))
        for way in ("x", "y"):
            plain_ticks(panel, way)
        panel.margins(0.06)
        legend(figure, cells, styles, has_front=False)
    alt = f"Scatter plot of {y.title} against {x.title} for {len(cells)} cells of {place.name}; the table has each."
    shown = f"{len(cells):,} of {total:,} cells" if len(cells) < total else "One mark per cell"
    caption = f"{place.name}. {shown}; whiskers are intervals."
    return Drawing("explore", title, caption, alt, figure)


def _marks(panel: Axes, x: NDArray[np.float64], y: NDArray[np.float64], style: Style) -> None:
    panel.hlines(y[:, 0], x[:, 1], x[:, 2], color=style.colour, lw=1.2, alpha=0.7, zorder=2)
    panel.vlines(x[:, 0], y[:, 1], y[:, 2], color=style.colour, lw=1.2, alpha=0.7, zorder=2)
    panel.plot(x[:, 0], y[:, 0], style.marker, mfc=style.colour, mec=INK, mew=0.6, ms=7, ls="none", zorder=3)


def _worded(quantity: Quantity) -> str:
    words = {LESS: "less is better", MORE: "more is better", NEITHER: ""}[quantity.better]
    return ", ".join(filter(None, [quantity.title, quantity.unit, words]))
