"""A comparison in a terminal: what it comes to, a table of all that does not pass, and why."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from textwrap import wrap
from typing import Literal

from rich.align import Align
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mtlbench.compare.outputs.words import (
    COLUMNS,
    NONE,
    Row,
    by_verdict,
    counted,
    exit_reason,
    explained,
    has_numbers,
    legend,
    passes,
    row,
    used,
)
from mtlbench.compare.verdict import Comparison, Finding, Side, Verdict
from mtlbench.report.quantities import join, printable
from mtlbench.report.wrap import shortened

__all__ = ["print_comparison"]

STYLES = {
    Verdict.REGRESSION: "bold red",
    Verdict.MISSING: "bold magenta",
    Verdict.NOT_COMPARABLE: "bold magenta",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.IMPROVEMENT: "green",
    Verdict.PASS: "bold",
}
GAP = INDENT = 2
HEADS = COLUMNS._replace(p=COLUMNS.p.replace(" ", "\n"))
LEAST_CELL, LEAST_METRIC = 40, 8
WIDEST_VALUE = 10
CELL, METRIC = (COLUMNS.index(title) for title in ("cell", "metric"))
MOST_NAMES = 3


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print counts and exit code, both sides, notes, a table of what does not pass with a sentence each, and passes.

    A table too wide for the console names a cell above its lines; names are shortened in the middle. With nothing but
    passes it is three lines.

    Args:
        comparison: two runs, and all that was found.
        console: where to.
    """
    _print(console, _headline(comparison))
    _print(console, _sides(comparison, console.width))
    for note in comparison.notes:
        _print(console, _text(f"Note: {note}"))
    grouped = by_verdict(comparison.findings)
    shown = [
        finding for verdict, those in grouped.items() if verdict is not Verdict.PASS for finding in those
    ]
    if not shown:
        if comparison.findings:
            counts = ", ".join(f"{count} {tier}" for tier, count, _ in passes(comparison.findings))
            _print(console, _text(f"pass: {counts}", "dim"))
        return
    console.print()
    _print_table(shown, console)
    console.print()
    for names, sentence in explained(shown):
        _print_sentence(names, sentence, console)
    console.print()
    if said := legend(shown):
        _print(console, _text(said, "dim"))
    for tier, count, total in passes(comparison.findings):
        _print(console, _text(f"{tier:<7}  {count} of {total} pass", "dim"))


def _headline(comparison: Comparison) -> Text:
    worst = next(iter(comparison.counts), Verdict.PASS)
    said = counted(comparison.counts) or "Nothing was compared"
    reason = f". Exit code {comparison.exit_code}: {exit_reason(comparison)}."
    return Text.assemble((said, STYLES[worst]), reason)


def _sides(comparison: Comparison, width: int) -> Text:
    """`base results/main at 0123456789, head results/pr at 89abcdef01`, on one line."""
    room = max((width - len("base , head ")) // 2, 1)
    base, head = (shortened(_side(side), room) for side in (comparison.base, comparison.head))
    return _text(f"base {base}, head {head}", "dim")


def _side(side: Side) -> str:
    return f"{side.folder} at {join(side.commits, 2)}" if side.commits else str(side.folder)


def _print_table(findings: Sequence[Finding], console: Console) -> None:
    rows = [Row(*(printable(_one_line(text)) for text in row(finding))) for finding in findings]
    columns = used(rows)
    rows = [each if has_numbers(each) else _without_dashes(each) for each in rows]
    verdicts = [finding.verdict for finding in findings]
    cells = _cells(rows, columns, verdicts, console.width)
    if cells is not None:
        _print_lines(
            [each._replace(cell=cell) for each, cell in zip(rows, cells, strict=True)],
            columns,
            verdicts,
            console,
        )
    else:
        _print_stacked(rows, [index for index in columns if index != CELL], verdicts, console)


def _without_dashes(each: Row) -> Row:
    return Row(*("" if text == NONE else text for text in each))


def _cells(
    rows: Sequence[Row], columns: Sequence[int], verdicts: Sequence[Verdict], width: int
) -> list[str] | None:
    """Names of cells as they fit beside all other columns; None where they would not be told apart any more."""
    others = [_width(rows, index) for index in columns if index != CELL]
    room = width - sum(others) - max(map(len, verdicts)) - GAP * len(columns)
    longest = max(len(each.cell) for each in rows)
    cells = [shortened(each.cell, room) for each in rows]
    if longest > room and (room < LEAST_CELL or len(set(cells)) < len({each.cell for each in rows})):
        return None
    return cells


def _print_lines(
    rows: Sequence[Row], columns: Sequence[int], verdicts: Sequence[Verdict], console: Console
) -> None:
    """One line each."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for index in columns:
        head = Align(Text(HEADS[index]), _side_of(index), vertical="bottom")
        table.add_column(head, justify=_side_of(index), overflow="fold")
    table.add_column(Align("verdict", vertical="bottom"))
    for each, verdict in zip(rows, verdicts, strict=True):
        table.add_row(*(Text(each[index]) for index in columns), Text(verdict, STYLES[verdict]))
    console.print(table)


def _print_stacked(
    rows: Sequence[Row], columns: Sequence[int], verdicts: Sequence[Verdict], console: Console
) -> None:
    """Verdict and cell on a line of their own, above the lines of their metrics."""
    rows, widths = _fitted(rows, columns, console.width - INDENT)
    _print_part([HEADS], columns, widths, console, is_head=True)
    pairs = zip(verdicts, rows, strict=True)
    for (verdict, cell), those in groupby(pairs, key=lambda pair: (pair[0], pair[1].cell)):
        room = max(console.width - len(verdict) - len(": "), LEAST_METRIC)
        _print(console, Text.assemble((verdict, STYLES[verdict]), ": ", shortened(cell, room)))
        _print_part([each for _, each in those], columns, widths, console)


def _fitted(rows: Sequence[Row], columns: Sequence[int], width: int) -> tuple[list[Row], list[int]]:
    """Rows and widths of columns that fit.

    Where it takes that, intervals go below changes, then units below values, then metrics are shortened.
    """
    below = [each._replace(change=each.change.replace(" [", "\n[")) for each in rows]
    wrapped = [each._replace(base=_broken(each.base), head=_broken(each.head)) for each in below]
    for fitting in (rows, below, wrapped):
        needs = [_width(fitting, index) for index in columns]
        room = width - sum(needs[1:]) - GAP * (len(columns) - 1)
        if room >= needs[0]:
            break
    needs[0] = min(needs[0], max(room, LEAST_METRIC))
    return [each._replace(metric=shortened(each.metric, needs[0])) for each in fitting], needs


def _broken(value: str) -> str:
    return "\n".join(wrap(value, WIDEST_VALUE, break_long_words=False, break_on_hyphens=False))


def _print_part(
    rows: Sequence[Row],
    columns: Sequence[int],
    widths: Sequence[int],
    console: Console,
    *,
    is_head: bool = False,
) -> None:
    part = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for index, width in zip(columns, widths, strict=True):
        part.add_column(
            justify=_side_of(index), width=width, overflow="fold", vertical="bottom" if is_head else "top"
        )
    for each in rows:
        part.add_row(*(Text(each[index]) for index in columns), style="bold" if is_head else "")
    console.print(_indented(part))


def _side_of(index: int) -> Literal["left", "right"]:
    return "left" if index <= METRIC else "right"


def _width(rows: Sequence[Row], index: int) -> int:
    return max(len(line) for each in (HEADS, *rows) for line in each[index].split("\n"))


def _print_sentence(names: Sequence[str], sentence: str, console: Console) -> None:
    """A sentence below the names of all that it is about, one a line."""
    for name in names[:MOST_NAMES]:
        _print(console, _text(shortened(_one_line(name), console.width), "bold"))
    if len(names) > MOST_NAMES:
        _print(console, _text(f"and {len(names) - MOST_NAMES} more", "bold"))
    console.print(_indented(_text(sentence)), highlight=False)


def _indented(what: RenderableType) -> Padding:
    return Padding(what, (0, 0, 0, INDENT), expand=False)


def _one_line(words: str) -> str:
    return " ".join(words.split())


def _text(words: str, style: str = "") -> Text:
    """Words as they are: neither markup nor control sequences of the terminal."""
    return Text(printable(words), style=style)


def _print(console: Console, words: Text) -> None:
    console.print(words, highlight=False, overflow="fold")
