"""One run, read once: its groups, what they say, their tables, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mtlbench.report.frame import RunView
from mtlbench.report.gaps import gaps
from mtlbench.report.groups import Group, groups
from mtlbench.report.prose import Answer, answer
from mtlbench.report.tables import Table, compact

__all__ = ["Analysis", "analysis"]

MOST_ROWS = 1500


@dataclass(frozen=True, eq=False)
class Analysis:
    """What page, Markdown and LaTeX share.

    Attributes:
        view: the run.
        groups: cells that may be compared.
        answers: of each group.
        tables: of each group; from the largest runs they hold no more than `MOST_ROWS` rows together, and groups that
            have no room are left out at the end.
        gaps: what could not be measured, in sentences.
    """

    view: RunView
    groups: list[Group]
    answers: tuple[Answer, ...]
    tables: tuple[Table, ...]
    gaps: tuple[str, ...]


def analysis(view: RunView) -> Analysis:
    """Read a run."""
    found = groups(view)
    return Analysis(
        view=view,
        groups=found,
        answers=tuple(answer(group) for group in found),
        tables=tuple(_tables(found)),
        gaps=tuple(gaps(view, found)),
    )


def _tables(found: list[Group]) -> Iterator[Table]:
    left = MOST_ROWS
    for group in found:
        if left <= 0:
            return
        yield compact(group, left)
        left -= len(group.cells)
