"""Which way is on which front, and whether that is settled."""

from __future__ import annotations

from collections.abc import Sequence

from mtlbench.report.frame import estimate, plain, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import with_interval
from mtlbench.report.sections._frontier import Frontier
from mtlbench.report.sections._thin import evenly
from mtlbench.report.tables import Entry, Header, Row, Table

__all__ = ["fronts_table"]

MOST_ROWS = 300
HINT = (
    "Whether nothing measured is both better and cheaper; a question mark where the intervals leave it open."
)


def fronts_table(group: Group, fronts: Sequence[Frontier]) -> Table:
    """A row per way, a column per cost: `yes`, `no`, or with a question mark where it is not settled."""
    verdicts = [
        dict(zip(front.names.index, map(_verdict, front.on, front.settled), strict=True)) for front in fronts
    ]
    positions = range(len(group.points))
    shown = evenly(positions, list(text(group.points, "variant")), MOST_ROWS)
    rows = []
    for index, row in group.points.iloc[shown].iterrows():
        quality = with_interval(estimate(row, "delta_m"))
        words = [
            plain(row["way"]),
            plain(row["point"]),
            quality,
            *(found.get(index, "-") for found in verdicts),
        ]
        rows.append(Row(plain(row["variant"]), True, tuple(Entry(word, 0, word) for word in words)))
    headers = (
        Header("variant", "", "The way of running the tasks.", 0),
        Header("point", "", "Axis point.", 0),
        Header("delta-m", "% ↑", "Mean relative gain over single-task networks.", 1),
        *(Header(front.cost.title, "on the front", HINT, 2) for front in fronts),
    )
    absent = (
        (f"{len(positions) - len(shown)} more ways are in the full table.",)
        if len(shown) < len(positions)
        else ()
    )
    return Table("On the front of delta-m against each cost", headers, tuple(rows), (), absent)


def _verdict(on: bool, settled: bool) -> str:
    return ("yes" if on else "no") + ("" if settled else "?")
