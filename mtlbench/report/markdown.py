"""The compact tables as Markdown, for a pull request or a README."""

from __future__ import annotations

from html import escape

from mtlbench.report.frame import RunView
from mtlbench.report.gaps import gaps
from mtlbench.report.groups import groups
from mtlbench.report.prose import answer
from mtlbench.report.quantities import printable
from mtlbench.report.tables import Entry, Header, Table, compact

__all__ = ["to_markdown"]

SPECIAL = str.maketrans({character: f"\\{character}" for character in r"\`*_[]|~#"})


def to_markdown(views: list[RunView]) -> str:
    """Answer, tables and gaps of each run; every name is escaped, so it stays text."""
    blocks: list[str] = []
    for view in views:
        blocks.append(f"## {clean(view.suite)}, run {clean(view.run_id)}")
        for group in groups(view):
            blocks += [f"### {clean(group.label)}", clean(answer(group).sentence), *_table(compact(group))]
        missing = gaps(view)
        if missing:
            blocks += ["### Not measured", "\n".join(f"- {clean(sentence)}" for sentence in missing)]
    return "\n\n".join(blocks) + "\n"


def clean(words: str) -> str:
    """Text that Markdown and HTML both leave as it is, on one line."""
    return escape(printable(" ".join(words.split())), quote=False).translate(SPECIAL)


def _table(table: Table) -> list[str]:
    heads = " | ".join(_head(header) for header in table.headers)
    rule = " | ".join("---" if index < 2 else "---:" for index in range(len(table.headers)))
    rows = [" | ".join(_entry(entry) for entry in row.entries) for row in table.rows]
    notes = [f"{number}. {clean(note)}" for number, note in enumerate(table.notes, 1)]
    blocks = ["\n".join(f"| {line} |" for line in (heads, rule, *rows))]
    return [*blocks, *(["\n".join(notes)] if notes else []), *(clean(sentence) for sentence in table.absent)]


def _head(header: Header) -> str:
    return clean(f"{header.title}, {header.unit}" if header.unit else header.title)


def _entry(entry: Entry) -> str:
    return f"{clean(entry.text)} <sup>{entry.note}</sup>" if entry.note else clean(entry.text)
