"""The compact tables in a terminal."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Literal

import pandas as pd
from rich.align import Align
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from mtlbench.measure.warnings import DISTURBED
from mtlbench.report.frame import RunView, text
from mtlbench.report.groups import groups
from mtlbench.report.prose import answer
from mtlbench.report.quantities import join, printable
from mtlbench.report.tables import METRIC_PRIORITY, Entry, Header, Row, Table, compact
from mtlbench.report.wrap import fitted

__all__ = ["print_table"]

LEAST_NEEDED = 4
MOST_GROUPS = 12
MOST_ROWS = 80
POINT = "point"
WORDY = (POINT, "status")
SHARE_OF_NAMES = 0.4
REALISED, RATIO = "realised", "vs "
TIMED = ("latency", REALISED, "energy")
SIGN = "~"
LEGEND = (
    f"{SIGN} Other work disturbed this timing, or that of what it is compared with: the number may be off."
)


def print_table(view: RunView, console: Console) -> None:
    """Print each group of cells: its answer, its table, footnotes, and what the width left no room for.

    A table too wide for the console is given short intervals, long names are wrapped or shortened in the middle, and
    it is split: costs, then accuracies. Its least needed columns are shown where there is room, else named. Numbers
    that rest on disturbed timings are marked. A large run is cut short, which is said as well.

    Args:
        view: the run.
        console: where to.
    """
    every = groups(view)
    for group in every[:MOST_GROUPS]:
        table = _marked(compact(group, MOST_ROWS), group.cells)
        console.print(_text(group.label, "bold"))
        console.print(_text(answer(group).sentence))
        console.print()
        parts, said = _parts(table, console)
        for part in parts:
            _print_part(table, part, console)
        for sentence in _under(table, {index for part in parts for index in part}, said):
            console.print(_text(sentence, "dim"))
        console.print()
    if len(every) > MOST_GROUPS:
        console.print(
            _text(f"{len(every) - MOST_GROUPS} more settings are in the report and its table.csv.", "dim")
        )


def _parts(table: Table, console: Console) -> tuple[list[list[int]], list[str]]:
    """Columns of each table to print, and sentences about those that are left out.

    One table where everything fits; else costs, then the tasks' metrics, over as many tables as it takes.
    """
    every = list(range(len(table.headers)))
    if _fits(table, every, console):
        return [every], []
    heads = [table.headers[index] for index in every]
    constant = [index for index in every if heads[index].title == "seed" and _is_constant(table, index)]
    shown = [index for index in every if index not in constant]
    names = [index for index in shown if not heads[index].unit and heads[index].title != "status"]
    metrics = [index for index in shown if heads[index].priority == METRIC_PRIORITY]
    spare = [index for index in shown if heads[index].priority > LEAST_NEEDED and index not in names]
    costs = [index for index in shown if index not in (*names, *metrics, *spare)]
    parts = [*_packed(table, names, costs, console), *_packed(table, names, metrics, console)]
    left = _added(table, parts, sorted(spare, key=lambda index: heads[index].priority), console)
    said = [f"Every row is of seed {table.rows[0].entries[index].text}." for index in constant]
    titles = join([heads[index].title for index in sorted(left)], most=20)
    room = [f"No room for {titles}: widen the terminal, or see `mtlbench report`."] if left else []
    return parts, [*said, *room]


def _is_constant(table: Table, index: int) -> bool:
    return len({row.entries[index].text for row in table.rows}) == 1


def _packed(table: Table, names: list[int], columns: list[int], console: Console) -> list[list[int]]:
    """The columns behind the names, a new table wherever one is full; a table has at least one column."""
    parts: list[list[int]] = []
    for index in columns:
        if parts and _fits(table, [*parts[-1], index], console):
            parts[-1].append(index)
        else:
            parts.append([*names, index])
    return parts


def _added(table: Table, parts: list[list[int]], spare: Sequence[int], console: Console) -> list[int]:
    """Put each spare column into the first table that has room for it; returns those without."""
    left = []
    for index in spare:
        part = next((part for part in parts if _fits(table, [*part, index], console)), None)
        if part is None:
            left.append(index)
        else:
            part.append(index)
            part.sort()
    return left


def _fits(table: Table, columns: list[int], console: Console) -> bool:
    return _width(_drawn(table, columns, True, console.width), console) <= console.width


def _print_part(table: Table, columns: list[int], console: Console) -> None:
    """Print some columns with the longest intervals and names that fit."""
    most = console.width
    for short, width in ((False, None), (True, None), (False, most), (True, most)):
        drawn = _drawn(table, columns, short, width)
        if _width(drawn, console) <= most:
            break
    console.print(drawn)
    console.print()


def _width(drawn: RichTable, console: Console) -> int:
    return Measurement.get(console, console.options.update(width=1000), drawn).maximum


def _drawn(table: Table, columns: Sequence[int], short: bool, width: int | None) -> RichTable:
    """A table of some columns.

    Args:
        table: all of it.
        columns: which.
        short: whether intervals are short.
        width: of the console, of which names take a part; None for as much as they need.
    """
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for index in columns:
        head = table.headers[index]
        side: Literal["left", "right"] = "left" if index == 0 or head.title in WORDY else "right"
        drawn.add_column(Align(_head(head), side, vertical="bottom"), justify=side, no_wrap=True)
    wrapped = [index for index in columns if index == 0 or table.headers[index].title == POINT]
    names = {index: [row.entries[index].text for row in table.rows] for index in wrapped}
    if width is not None:
        names = fitted(names, int(width * SHARE_OF_NAMES))
    previous = ""
    for place, row in enumerate(table.rows):
        shown = [
            _text(names[index][place]) if index in names else _entry(row.entries[index], short)
            for index in columns
        ]
        name = row.entries[0].text
        if name == previous:
            shown[0] = Text("")
        previous = name
        drawn.add_row(*shown, style="" if row.ok else "dim")
    return drawn


def _marked(table: Table, cells: pd.DataFrame) -> Table:
    """The table with a sign at every number that rests on a disturbed timing.

    Args:
        table: of the first cells of a group.
        cells: all cells of the group, which hold what they are compared with.
    """
    own = text(cells, "warnings").map(lambda codes: not DISTURBED.isdisjoint(codes.split(";")))
    rows = table.rows
    for index, head in enumerate(table.headers):
        if head.title in TIMED or head.title.startswith(RATIO):
            marks = own | _beside(cells, own, head.title)
            if head.title.startswith(RATIO):  # beside itself a cell is at 100 % whatever its timing was
                marks &= text(cells, "variant") != head.title.removeprefix(RATIO)
            rows = tuple(
                _with_mark(row, index) if mark and row.entries[index].text != "-" else row
                for row, mark in zip(rows, marks.head(len(rows)), strict=True)
            )
    return replace(table, rows=rows)


def _beside(cells: pd.DataFrame, disturbed: pd.Series[bool], title: str) -> pd.Series[bool]:
    """Whether the timing was disturbed of what each cell is compared with in a column."""
    if title == REALISED:
        ids = text(cells, "cell_id")
        return text(cells, "reference_cell_id").isin(ids[disturbed & (ids != "")])
    is_baseline = text(cells, "variant") == title.removeprefix(RATIO)
    return text(cells, "seed").isin(text(cells, "seed")[disturbed & is_baseline])


def _with_mark(row: Row, index: int) -> Row:
    entry = row.entries[index]
    marked = entry._replace(text=SIGN + entry.text, short=SIGN + entry.short)
    return replace(row, entries=(*row.entries[:index], marked, *row.entries[index + 1 :]))


def _text(words: str, style: str = "") -> Text:
    """Words as they are: neither markup nor control sequences of the terminal."""
    return Text(printable(words), style=style)


def _head(header: Header) -> Text:
    return _text("\n".join([*header.title.split("_"), *([header.unit] if header.unit else [])]))


def _entry(entry: Entry, short: bool) -> Text:
    return _text((entry.short if short else entry.text) + (f"({entry.note})" if entry.note else ""))


def _under(table: Table, shown: Set[int], said: Sequence[str]) -> list[str]:
    noted = {row.entries[index].note for row in table.rows for index in shown}
    measured = [index for index in shown if table.headers[index].unit]
    notes = [f"({number}) {note}" for number, note in enumerate(table.notes, 1) if number in noted]
    is_marked = any(row.entries[index].text.startswith(SIGN) for row in table.rows for index in measured)
    return [*([LEGEND] if is_marked else []), *notes, *table.absent, *said]
