"""What fills memory at its peak: weights, caches, and everything else."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from mtlbench.report.canvas import Absent, Drawing, drawing
from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import with_interval
from mtlbench.report.sections._tasks_stacks import (
    HATCHED,
    PLAIN,
    finish,
    ramp,
    stacks,
    write_wholes,
)
from mtlbench.report.sections._tasks_ways import MOST_SAID, left_out, place_rows, thinned

__all__ = ["memory_shares", "peak_drawing"]

TITLE = "Memory at its peak"
FILLS = {"weights": ramp(2)[1], "caches": HATCHED["sharing"], "everything else": PLAIN}


def memory_shares(points: pd.DataFrame) -> pd.DataFrame:
    """Weights, caches and the rest up to the peak, in MiB, for each way that has a peak and weights.

    A way without `cache_mib` keeps none. What exceeds the peak is left as it is, and the rest is then zero.
    """
    known = points[numeric(points, "memory_peak_mib").notna() & numeric(points, "weights_mib").notna()]
    weights, caches = numeric(known, "weights_mib"), numeric(known, "cache_mib").fillna(0.0)
    rest = (numeric(known, "memory_peak_mib") - weights - caches).clip(lower=0.0)
    return pd.DataFrame({"weights": weights, "caches": caches, "everything else": rest})


def peak_drawing(group: Group, look: dict[str, Style]) -> Drawing | Absent:
    """A bar for each way as long as its peak memory."""
    shares = memory_shares(group.points)
    if shares.empty:
        return Absent(TITLE, "Peak memory or the size of the weights was not measured in this run.")
    known = group.points.loc[shares.index]
    points = thinned(known)
    used = {name: fill for name, fill in FILLS.items() if shares[name].gt(0).any()}
    rows = shares.loc[points.index, list(used)].to_numpy()
    whole = rows.sum(axis=1)
    with drawing():
        figure = Figure(figsize=(6.9, 0.34 * len(points) + 1.5))
        axes = figure.subplots()
        drawn = stacks(axes, rows, list(used.values()))
        write_wholes(axes, whole)
        place_rows(axes, points, look)
        axes.set_xlim(0, whole.max() * 1.12)
        axes.set_xlabel("memory, MiB")
        finish(figure, axes, drawn, [[with_interval(Estimate(value)) for value in row] for row in rows], used)
    said = ", ".join(
        f"{label} {with_interval(Estimate(peak))} MiB, of which {with_interval(Estimate(weights))} weights"
        for label, peak, weights in zip(
            text(points, "label").head(MOST_SAID), whole, shares.loc[points.index, "weights"], strict=False
        )
    )
    caption = (
        "The peak of the process, on CUDA that of its tensors. Everything else is activations, libraries and the "
        f"runtime. There are no intervals.{left_out(points, known, 'the table of all columns')}"
    )
    return Drawing(
        f"{group.slug}-parts-peak", TITLE, caption, f"Stacked bars of peak memory. {said}.", figure
    )
