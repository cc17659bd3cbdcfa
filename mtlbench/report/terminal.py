"""The compact tables in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from mtlbench.report.frame import RunView
from mtlbench.report.groups import groups
from mtlbench.report.prose import answer
from mtlbench.report.quantities import join, printable
from mtlbench.report.tables import METRIC_PRIORITY, Entry, Header, Table, compact

__all__ = ["print_table"]


def print_table(view: RunView, console: Console) -> None:
    """Print each group of cells: its answer, its table, footnotes, and what the width left no room for.

    A table too wide for the console is first given short intervals, then split into costs and accuracies,
    then loses its least needed columns, and says which.

    Args:
        view: the run.
        console: where to.
    """
    for group in groups(view):
        table = compact(group)
        console.print(_text(group.label, "bold"))
        console.print(_text(answer(group).sentence))
        console.print()
        dropped = [index for part in _parts(table, console) for index in _print_part(table, part, console)]
        for sentence in _under(table, dropped):
            console.print(_text(sentence, "dim"))
        console.print()


def _parts(table: Table, console: Console) -> list[list[int]]:
    """Columns of each table to print: one table where it fits, else costs, then the tasks' metrics."""
    every = list(range(len(table.headers)))
    metrics = [index for index in every if table.headers[index].priority == METRIC_PRIORITY]
    if not metrics or any(
        _width(_drawn(table, every, short), console) <= console.width for short in (False, True)
    ):
        return [every]
    names = [index for index in every if index < 2 or table.headers[index].title == "seed"]
    return [[index for index in every if index not in metrics], [*names, *metrics]]


def _print_part(table: Table, columns: list[int], console: Console) -> list[int]:
    """Print some columns, return those there was no room for."""
    kept = list(columns)
    short = _width(_drawn(table, kept, False), console) > console.width
    while _width(_drawn(table, kept, short), console) > console.width:
        droppable = [index for index in kept if table.headers[index].priority]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda index: (table.headers[index].priority, index)))
    console.print(_drawn(table, kept, short))
    console.print()
    return [index for index in columns if index not in kept]


def _width(drawn: RichTable, console: Console) -> int:
    return Measurement.get(console, console.options.update(width=1000), drawn).maximum


def _drawn(table: Table, columns: Sequence[int], short: bool) -> RichTable:
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for index in columns:
        header = table.headers[index]
        left = index == 0 or header.title in ("point", "status")
        drawn.add_column(
            _head(header), justify="left" if left else "right", no_wrap=not left, vertical="bottom"
        )
    previous = ""
    for row in table.rows:
        shown = [_entry(row.entries[index], short) for index in columns]
        if row.variant == previous:
            shown[0] = Text("")
        previous = row.variant
        drawn.add_row(*shown, style="" if row.ok else "dim")
    return drawn


def _text(words: str, style: str = "") -> Text:
    """Words as they are: neither markup nor control sequences of the terminal."""
    return Text(printable(words), style=style)


def _head(header: Header) -> Text:
    return _text("\n".join([*header.title.split("_"), *([header.unit] if header.unit else [])]))


def _entry(entry: Entry, short: bool) -> Text:
    return _text((entry.short if short else entry.text) + (f"({entry.note})" if entry.note else ""))


def _under(table: Table, dropped: Sequence[int]) -> list[str]:
    kept = [index for index in range(len(table.headers)) if index not in dropped]
    seen = {row.entries[index].note for row in table.rows for index in kept}
    notes = [f"({number}) {note}" for number, note in enumerate(table.notes, 1) if number in seen]
    titles = join([table.headers[index].title for index in dropped], most=20)
    room = [f"No room for {titles}: widen the terminal, or see `mtlbench report`."] if dropped else []
    return [*notes, *table.absent, *room]
