"""The contract of a section of the report: a heading, sentences, and blocks that each output draws in its own way.

A section is one module of `mtlbench.report.sections` with a function `section(view, group, look) -> Section`. It reads
the run's table and samples, and knows nothing of HTML; the page, the figure files and the Markdown text are made from
what it returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mtlbench.report.canvas import Absent, Drawing
from mtlbench.report.pictures import Sample
from mtlbench.report.tables import Table

__all__ = ["Block", "Section"]

Block: TypeAlias = Drawing | Absent | Table | Sample


@dataclass(frozen=True, eq=False)
class Section:
    """One part of what is said about a group.

    Attributes:
        slug: letters, digits and hyphens, unique among the sections of a group; part of ids and file names.
        title: the heading.
        lead: what the blocks below show, in full sentences, the finding first.
        blocks: figures, tables, sample inputs, and what is absent and why, in reading order.
    """

    slug: str
    title: str
    lead: tuple[str, ...]
    blocks: tuple[Block, ...]
