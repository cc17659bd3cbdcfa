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

LEAST_NEEDED = 4
MOST_GROUPS = 12
MOST_ROWS = 80


def print_table(view: RunView, console: Console) -> None:
    """Print each group of cells: its answer, its table, footnotes, and what the width left no room for.

    A table too wide for the console is given short intervals, loses its least needed columns, which is said, and is
    split: costs, then accuracies. A large run is cut short, which is said as well.

    Args:
        view: the run.
        console: where to.
    """
    every = groups(view)
    for group in every[:MOST_GROUPS]:
        table = compact(group, MOST_ROWS)
        console.print(_text(group.label, "bold"))
        console.print(_text(answer(group).sentence))
        console.print()
        parts, dropped = _parts(table, console)
        for part in parts:
            _print_part(table, part, console)
        for sentence in _under(table, dropped):
            console.print(_text(sentence, "dim"))
        console.print()
    if len(every) > MOST_GROUPS:
        console.print(
            _text(f"{len(every) - MOST_GROUPS} more settings are in the report and its table.csv.", "dim")
        )


def _parts(table: Table, console: Console) -> tuple[list[list[int]], list[int]]:
    """Columns of each table to print, and those that are left out.

    One table where everything fits; else costs, then the tasks' metrics, over as many tables as it takes.
    """
    every = list(range(len(table.headers)))
    if any(_width(_drawn(table, every, short), console) <= console.width for short in (False, True)):
        return [every], []
    kinds = [table.headers[index] for index in every]
    metrics = [index for index in every if kinds[index].priority == METRIC_PRIORITY]
    dropped = [index for index in every if kinds[index].priority > LEAST_NEEDED]
    names = [index for index in every if index < 2 or (kinds[index].title == "seed" and index not in dropped)]
    costs = [index for index in every if index not in (*names, *metrics, *dropped)]
    return [*_packed(table, names, costs, console), *_packed(table, names, metrics, console)], dropped


def _packed(table: Table, names: list[int], columns: list[int], console: Console) -> list[list[int]]:
    """The columns behind the names, a new table wherever one is full; a table has at least one column."""
    parts: list[list[int]] = []
    for index in columns:
        if parts and _width(_drawn(table, [*parts[-1], index], True), console) <= console.width:
            parts[-1].append(index)
        else:
            parts.append([*names, index])
    return parts


def _print_part(table: Table, columns: list[int], console: Console) -> None:
    short = _width(_drawn(table, columns, False), console) > console.width
    console.print(_drawn(table, columns, short))
    console.print()


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
        name = row.entries[0].text
        if name == previous:
            shown[0] = Text("")
        previous = name
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
