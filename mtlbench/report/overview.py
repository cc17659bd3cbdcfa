"""Many groups at a glance: one sentence, and a table with a line for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mtlbench.report.frame import brief, is_ok
from mtlbench.report.groups import SETTING, Group
from mtlbench.report.prose import Answer
from mtlbench.report.quantities import join
from mtlbench.report.tables import Entry, Header, Row, Table

__all__ = ["MOST_LINES", "Overview", "headline", "overview"]

MOST_LINES = 300
MOST_NAMES = 4


@dataclass(frozen=True)
class Overview:
    """A line per group.

    Attributes:
        table: settings that differ, the way that costs least, its cost, share, quality, and finished cells.
        slugs: for each row, the slug of its group; empty where the page does not show the group by itself.
        shared: what all groups have in common.
        said: what the table leaves out, or empty.
    """

    table: Table
    slugs: tuple[str, ...]
    shared: str
    said: str


def headline(answers: Sequence[Answer]) -> str:
    """What all groups say together, for a run with several."""
    found = [answer.best for answer in answers if answer.best]
    settled = Counter(best.called for best in found if best.settled)
    total = len(answers)
    if not settled:
        apart = f"In none of {total} settings is one way told apart from all others."
        by_value = Counter(best.called for best in found).most_common(1)
        return apart + "".join(
            f" By value alone {label} costs least in {count}." for label, count in by_value
        )
    ways = [f"{label} in {count}" for label, count in settled.most_common(MOST_NAMES)]
    if len(settled) > MOST_NAMES:
        ways.append(f"others in {sum(settled.values()) - sum(n for _, n in settled.most_common(MOST_NAMES))}")
    open_ = total - sum(settled.values())
    left = f" In {open_} it is not settled, or not known." if open_ else ""
    return f"Least costly by a clear margin, of {total} settings: {join(ways, MOST_NAMES + 1)}.{left}"


def overview(groups: Sequence[Group], answers: Sequence[Answer], linked: int) -> Overview:
    """The table of groups; at most `MOST_LINES` of them.

    Args:
        groups: at least one.
        answers: one for each.
        linked: how many of them the page shows by themselves.
    """
    differing = [name for name in SETTING if len({group.setting[name] for group in groups}) > 1]
    common = [brief(groups[0].setting[name]) for name in SETTING if name not in (*differing, "machine_id")]
    units = {answer.best.unit for answer in answers if answer.best}
    unit = units.pop() if len(units) == 1 else ""
    headers = (
        *(Header(name.removesuffix("_id"), "", "What the groups differ in.", 0) for name in differing),
        Header(
            "least costly", "", "The way with the least latency; the least MACs where nothing was timed.", 0
        ),
        Header("settled", "", "Whether its interval ends before that of every other way begins.", 1),
        Header("cost", unit, "Its cost with its interval.", 1),
        Header("vs single_task", "% ↓", "The same in per cent of the single-task networks.", 1),
        Header("delta-m", "% ↑", "Its mean relative gain over single-task networks.", 1),
        Header("finished", "cells", "Cells that finished, of all.", 2),
    )
    lines = zip(groups[:MOST_LINES], answers, strict=False)
    rows = [_row(group, answer, differing, with_unit=not unit) for group, answer in lines]
    return Overview(
        Table("One line per setting", headers, tuple(rows), (), (), marked=len(differing)),
        tuple(group.slug if place < linked else "" for place, group in enumerate(groups[:MOST_LINES])),
        ", ".join(filter(None, common)).replace("+", " + "),
        f"{len(groups) - MOST_LINES} more settings are in table.csv." if len(groups) > MOST_LINES else "",
    )


def _row(group: Group, answer: Answer, differing: Sequence[str], *, with_unit: bool) -> Row:
    done, best = int(is_ok(group.cells).sum()), answer.best
    said = ["-"] * 5
    if best:
        cost = best.spent if with_unit else best.cost
        said = [best.label, "yes" if best.settled else "no", cost, best.share, best.quality]
    names = [brief(group.setting[name]).replace("+", " + ") for name in differing]
    entries = [*names, *said, f"{done} of {len(group.cells)}"]
    return Row(best.variant if best else "", done > 0, tuple(Entry(words, 0, words) for words in entries))
