"""The compact tables as Markdown, for a pull request or a README."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mtlbench.report.analysis import Analysis
from mtlbench.report.frame import brief
from mtlbench.report.quantities import printable
from mtlbench.report.tables import Entry, Header, Table

__all__ = ["to_markdown"]

SPECIAL = str.maketrans({character: f"\\{character}" for character in r"\`*_[]|~#"})


def to_markdown(runs: Sequence[Analysis], comparison: Sequence[Table] = ()) -> str:
    """Answer, tables and gaps of each run; every name is escaped, so it stays text.

    Args:
        runs: one or several.
        comparison: tables that put them side by side.
    """
    blocks: list[str] = []
    for table in comparison:
        blocks += ["## Side by side", *_table(table)]
    for run in runs:
        blocks.append(f"## {clean(brief(run.view.suite))}, run {clean(brief(run.view.run_id))}")
        for said, table in zip(run.answers, run.tables, strict=False):
            blocks += [f"### {clean(table.caption)}", clean(said.sentence), *_table(table)]
        left = len(run.answers) - len(run.tables)
        if left:
            blocks.append(f"{left} more settings are in table.csv and table.parquet.")
        if run.gaps:
            blocks += ["### Not measured", "\n".join(f"- {clean(sentence)}" for sentence in run.gaps)]
    return "\n\n".join(blocks) + "\n"


def clean(words: str) -> str:
    """Text that Markdown and HTML both leave as it is, on one line."""
    return escape(printable(" ".join(words.split())), quote=False).translate(SPECIAL)


def _table(table: Table) -> list[str]:
    heads = " | ".join(_head(header) for header in table.headers)
    rule = " | ".join("---" if table.is_words(index) else "---:" for index in range(len(table.headers)))
    rows = [" | ".join(_entry(entry) for entry in row.entries) for row in table.rows]
    notes = [f"{number}. {clean(note)}" for number, note in enumerate(table.notes, 1)]
    blocks = ["\n".join(f"| {line} |" for line in (heads, rule, *rows))]
    return [*blocks, *(["\n".join(notes)] if notes else []), *(clean(sentence) for sentence in table.absent)]


def _head(header: Header) -> str:
    return clean(f"{header.title}, {header.unit}" if header.unit else header.title)


def _entry(entry: Entry) -> str:
    return f"{clean(entry.text)} <sup>{entry.note}</sup>" if entry.note else clean(entry.text)
