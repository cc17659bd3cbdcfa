"""What a run could not measure, could not settle, or warns of: codes and reasons as sentences."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from mtlbench.report.frame import RunView, is_ok, numeric, text
from mtlbench.report.groups import groups
from mtlbench.report.quantities import join

__all__ = ["Warned", "gaps", "warned"]

SEEDS_FOR_A_CLAIM = 3
MEASURED = (
    ("delta_m", "delta-m", "delta_m_reason"),
    ("latency_ms", "latency", ""),
    ("macs_executed", "count of executed MACs", ""),
    ("memory_peak_mib", "peak memory", ""),
    ("energy_mj", "energy", "energy_reason"),
)
"""What every cell should have: column, name, and the column that says why it is empty."""


class Warned(NamedTuple):
    """A warning code, its sentence, and the ways it befell."""

    code: str
    sentence: str
    where: str


def gaps(view: RunView) -> list[str]:
    """What could not be measured or shown, and why."""
    table = view.table
    if table.empty:
        return ["The run has no cells."]
    done = table[is_ok(table)]
    found = _unfinished(view)
    for column, title, reason in MEASURED:
        found += _empty(done, column, title, reason)
    for column, title in (("latency_ms", "Latency"), ("delta_m", "delta-m")):
        bare = numeric(done, column).notna() & numeric(done, f"{column}.ci_low").isna()
        if column == "delta_m":
            bare &= text(done, "variant") != "single_task"
        if bare.any():
            found.append(f"{title} has no interval in {_count(bare)}.")
    uncounted = ~text(done, "uncounted_ops").isin(["", "0"])
    if uncounted.any():
        found.append(f"Operators without a formula were left out of the MACs of {_count(uncounted)}.")
    return found + _quality_gaps(view)


def _count(mask: pd.Series[bool]) -> str:
    return f"{int(mask.sum())} of {len(mask)} finished cells"


def _unfinished(view: RunView) -> list[str]:
    """One sentence per status and reason."""
    left = view.table[~is_ok(view.table)]
    names = text(left, "variant")
    keys = [text(left, "status"), text(left, "reason").str.split().str.join(" ")]
    return [
        f"{len(part)} cell{'s' * (len(part) > 1)} of {join(sorted(set(names.loc[part.index])))} {status}: "
        f"{str(reason).rstrip('.') or 'no reason was recorded'}."
        for (status, reason), part in left.groupby(keys, sort=False)
    ]


def _empty(done: pd.DataFrame, column: str, title: str, reason: str) -> list[str]:
    missing = numeric(done, column).isna()
    if not missing.any():
        return []
    why = text(done[missing], reason).str.split().str.join(" ").str.rstrip(".")
    where = "" if missing.all() else " in {} of " + f"{len(done)} finished cells"
    return [
        f"There is no {title}{where.format(len(part))}: {said or 'no reason was recorded'}."
        for said, part in why.groupby(why, sort=False)
    ]


def _quality_gaps(view: RunView) -> list[str]:
    found = []
    every = groups(view)
    blank = [
        group
        for group in every
        if not any(numeric(group.points, m.column).notna().any() for m in group.metrics)
    ]
    if blank:
        where = "" if len(blank) == len(every) else f" for {join([group.label for group in blank])}"
        found.append(
            f"No accuracy was measured{where}, so only costs can be compared{' there' if where else ''}."
        )
    few = max(
        (int(numeric(group.points, "cells_folded").max()) for group in every if not group.points.empty),
        default=0,
    )
    if len(blank) < len(every) and 0 < few < SEEDS_FOR_A_CLAIM:
        found.append(f"A claim about a trained method needs {SEEDS_FOR_A_CLAIM} seeds; this run has {few}.")
    return found


def warned(view: RunView) -> list[Warned]:
    """The warnings of the run, each with its sentence and where it befell."""
    codes = text(view.table, "warnings").str.split(";")
    found = []
    for code in sorted({code.strip() for row in codes for code in row} - {""}):
        hit = codes.map(lambda row, code=code: code in [part.strip() for part in row])
        names = join(sorted(set(text(view.table[hit], "variant"))))
        where = f"{int(hit.sum())} of {len(hit)} cells ({names})"
        found.append(Warned(code, view.warnings.get(code, "The run has no sentence for this code."), where))
    return found
