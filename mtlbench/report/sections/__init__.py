"""The parts of what is said about a group, each in a module of its own with a function `section`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from mtlbench.report.colours import Style
from mtlbench.report.frame import RunView
from mtlbench.report.groups import Group
from mtlbench.report.section import Section

__all__ = ["NAMES", "sections"]

NAMES = ("claims", "tradeoffs", "tasks", "inputs", "parts")
"""In reading order; each is imported when it is first needed."""


def sections(view: RunView, group: Group, look: dict[str, Style]) -> Iterator[Section]:
    """Every section that has something to say about a group.

    Args:
        view: the run.
        group: one of its groups.
        look: of every variant of the run.
    """
    for name in NAMES:
        found: Section | None = import_module(f"{__name__}.{name}").section(view, group, look)
        if found is not None:
            yield found
