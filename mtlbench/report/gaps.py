"""What a run could not measure, could not settle, or warns of: codes and reasons as sentences."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from mtlbench.measure.warnings import DISTURBED
from mtlbench.report.frame import RunView, brief, is_ok, numeric, text
from mtlbench.report.groups import Group, groups
from mtlbench.report.quantities import join

__all__ = ["Warned", "gaps", "warned"]

SEEDS_FOR_A_CLAIM = 3
LONGEST_REASON = 400
MOST_CELLS = 60
MEASURED = (
    ("delta_m", "delta-m", "delta_m_reason"),
    ("latency_ms", "latency", ""),
    ("macs_executed", "count of executed MACs", ""),
    ("memory_peak_mib", "peak memory", ""),
    ("energy_mj", "energy", "energy_reason"),
)
"""What every cell should have: column, name, and the column that says why it is empty."""


class Warned(NamedTuple):
    """A warning code, its sentence, and where it befell.

    Attributes:
        code: as in the table.
        sentence: what it means, and what to do.
        where: how many cells, of which variants.
        cells: the first of them by name, at most `MOST_CELLS`.
    """

    code: str
    sentence: str
    where: str
    cells: tuple[str, ...]


def gaps(view: RunView, every: list[Group] | None = None) -> list[str]:
    """What could not be measured or shown, and why.

    Args:
        view: the run.
        every: its groups, where they are known already.
    """
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
    disturbed = text(done, "warnings").map(lambda codes: not DISTURBED.isdisjoint(codes.split(";")))
    if disturbed.any():
        found.append(
            f"Other work disturbed the timing of {_count(disturbed)}: their latencies may be too long."
        )
    uncounted = ~text(done, "uncounted_ops").isin(["", "0"])
    if uncounted.any():
        found.append(f"Operators without a formula were left out of the MACs of {_count(uncounted)}.")
    return found + _quality_gaps(groups(view) if every is None else every)


def _count(mask: pd.Series[bool]) -> str:
    return f"{int(mask.sum())} of {len(mask)} finished cells"


def _unfinished(view: RunView) -> list[str]:
    """One sentence per status and reason."""
    left = view.table[~is_ok(view.table)]
    names = text(left, "variant").map(brief)
    keys = [text(left, "status"), text(left, "reason").map(lambda reason: brief(reason, LONGEST_REASON))]
    return [
        f"{len(part)} cell{'s' * (len(part) > 1)} of {join(sorted(set(names.loc[part.index])))} {status}: "
        f"{str(reason).rstrip('.') or 'no reason was recorded'}."
        for (status, reason), part in left.groupby(keys, sort=False)
    ]


def _empty(done: pd.DataFrame, column: str, title: str, reason: str) -> list[str]:
    missing = numeric(done, column).isna()
    if not missing.any():
        return []
    why = text(done[missing], reason).map(lambda said: brief(said, LONGEST_REASON)).str.rstrip(".")
    where = "" if missing.all() else " in {} of " + f"{len(done)} finished cells"
    return [
        f"There is no {title}{where.format(len(part))}: {said or 'no reason was recorded'}."
        for said, part in why.groupby(why, sort=False)
    ]


def _quality_gaps(every: list[Group]) -> list[str]:
    found = []
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
    codes = text(view.table, "warnings").map(lambda row: {code.strip() for code in row.split(";")} - {""})
    found = []
    for code in sorted(set().union(*codes)):
        hit = view.table[codes.map(lambda row, code=code: code in row)]
        names = join(map(brief, sorted(set(text(hit, "variant")))))
        where = f"{len(hit)} of {len(codes)} cells ({names})"
        label, cell = text(hit, "label"), text(hit, "cell_id")
        cells = tuple(brief(name, 120) for name in label.where(label != "", cell).head(MOST_CELLS))
        sentence = view.warnings.get(code, "The run has no sentence for this code.")
        found.append(Warned(brief(code), sentence, where, cells))
    return found
