"""Tasks: how well each is solved, what each adds to delta-m, and what running some of them costs."""

from __future__ import annotations

from mtlbench.report.canvas import Absent
from mtlbench.report.colours import Style
from mtlbench.report.frame import RunView
from mtlbench.report.groups import Group
from mtlbench.report.section import Block, Section
from mtlbench.report.sections._tasks_break_even import break_even_sentences, break_even_table
from mtlbench.report.sections._tasks_quality import quality_drawing, quality_sentences, terms_drawing
from mtlbench.report.sections._tasks_subsets import (
    marginal_sentences,
    marginal_table,
    quantities,
    subsets_drawing,
)
from mtlbench.report.sections._tasks_ways import tasks_of

__all__ = ["section"]


def section(view: RunView, group: Group, look: dict[str, Style]) -> Section | None:
    """The section of a group; None where nothing finished."""
    if group.points.empty:
        return None
    found = quantities(view, group)
    blocks: list[Block] = [quality_drawing(group, look), terms_drawing(group, look)]
    blocks.append(subsets_drawing(view, group, found, look))
    tables = [table for quantity in found if (table := marginal_table(group, quantity)) is not None]
    blocks += tables
    if found and not tables and len(tasks_of(group)) > 1:
        reason = "There is no cost of one more task: it needs the costs of single tasks and of all but one."
        blocks.append(Absent("One more task", reason))
    if view.subsets is not None:
        blocks.append(break_even_table(view, group, found))
    lead = [*quality_sentences(group), *marginal_sentences(group, found)]
    lead += break_even_sentences(group, found)
    return Section(
        "tasks", "Tasks", tuple(lead or ["What tasks cost and gain was not measured."]), tuple(blocks)
    )
