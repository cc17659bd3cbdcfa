"""The compact table of one group: built once, drawn by HTML, Markdown and the terminal.

Columns nobody filled are left out and named; a dash that has a reason in the run carries a footnote.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from math import nan
from typing import Any, NamedTuple

import pandas as pd

from mtlbench.report.frame import RunView, estimate, is_ok, numeric, plain, swept, text
from mtlbench.report.groups import Group, Metric
from mtlbench.report.quantities import join, macs_unit, plus_minus, with_interval

METRIC_PRIORITY = 3

__all__ = ["METRIC_PRIORITY", "Entry", "Header", "Row", "Table", "all_columns", "compact"]


class Header(NamedTuple):
    """A column's head.

    Attributes:
        title: one or two words.
        unit: unit and direction, or empty.
        hint: a sentence that explains the column.
        priority: 0 is never dropped; of the rest, the highest goes first where width is short.
    """

    title: str
    unit: str
    hint: str
    priority: int


class Entry(NamedTuple):
    """What stands in one place of the table.

    Attributes:
        text: the value with its interval.
        note: number of a footnote, from 1; 0 for none.
        short: the same in less room.
    """

    text: str
    note: int
    short: str


@dataclass(frozen=True)
class Row:
    """One cell of the run."""

    variant: str
    ok: bool
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Table:
    """A compact table.

    Attributes:
        caption: what the rows share.
        headers: as many as each row has entries; the first two name the row.
        notes: footnotes in the order of their numbers.
        absent: sentences about columns that were left out, because no finished cell fills them.
    """

    caption: str
    headers: tuple[Header, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    absent: tuple[str, ...]


@dataclass
class _Notes:
    """Numbers footnotes: equal sentences share a number."""

    sentences: list[str] = field(default_factory=list)

    def number(self, sentence: str) -> int:
        if not sentence:
            return 0
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        return self.sentences.index(sentence) + 1


Draw = Callable[[dict[Hashable, Any], _Notes], Entry]


class _Column(NamedTuple):
    """A column, how to draw one entry of it, and the table's column it is about; empty if always shown."""

    header: Header
    draw: Draw
    about: str


def compact(group: Group) -> Table:
    """The table of one group: one row per cell, whatever its status."""
    columns = _columns(group)
    shown = [column for column in columns if not column.about or _filled(group.cells, column.about)]
    notes = _Notes()
    rows = tuple(_row(row.to_dict(), shown, notes) for _, row in group.cells.iterrows())
    measured = [column for column in columns if column.header.unit]
    absent = _why_empty(group.cells, [column for column in measured if column not in shown])
    headers = tuple(column.header for column in shown)
    return Table(group.label, headers, rows, tuple(notes.sentences), tuple(absent))


def _row(row: dict[Hashable, Any], columns: list[_Column], notes: _Notes) -> Row:
    return Row(
        plain(row.get("variant")), _finished(row), tuple(column.draw(row, notes) for column in columns)
    )


def _filled(cells: pd.DataFrame, column: str) -> bool:
    return bool((text(cells, column) != "").any())


def _why_empty(cells: pd.DataFrame, columns: list[_Column]) -> list[str]:
    """A sentence for each reason why columns are empty, and one for those without."""
    titles: dict[str, list[str]] = {}
    for column in columns:
        reasons = {said for name in _reasons(column.about) for said in text(cells[is_ok(cells)], name)} - {""}
        for reason in sorted(reasons) or [""]:
            titles.setdefault(_sentence(reason), []).append(column.header.title)
    return [
        f"No {join(names, 20, 'or')}: {reason or 'no cell has a value.'}" for reason, names in titles.items()
    ]


def _columns(group: Group) -> list[_Column]:
    unit = macs_unit([*numeric(group.cells, "macs_executed"), *numeric(group.cells, "macs_nominal")])
    executed = Header("executed", unit.name, "What was really dispatched per image, policy included.", 2)
    nominal = Header("nominal", unit.name, "What the trace says was needed per image.", 5)
    latency = Header("latency", "ms ↓", "Per call; the mean over inputs of each input's fastest repeat.", 1)
    realised = Header(
        "realised", "% of saving", "Share of the saving promised in MACs that arrives as time.", 2
    )
    seed = 0 if text(group.cells, "seed").nunique() > 1 else 7
    return [
        _Column(Header("variant", "", "The way of running the tasks.", 0), _plain("variant"), ""),
        _point(group),
        _Column(Header("seed", "", "Seed of training and of random choices.", seed), _plain("seed"), "seed"),
        _measured("delta_m", Header("delta-m", "% ↑", "Mean relative gain over single-task networks.", 1)),
        _measured("latency_ms", latency),
        _measured("macs_executed", executed, unit.factor),
        _measured("macs_nominal", nominal, unit.factor),
        _measured("realisation", realised, 100.0),
        _measured("memory_peak_mib", Header("memory", "MiB", "Peak memory of the worker.", 6)),
        _measured("energy_mj", Header("energy", "mJ", "Metered energy per image.", 5)),
        _Column(Header("status", "", "Whether the cell finished, and its role.", 0), _status, ""),
        *(_metric(metric) for metric in group.metrics),
    ]


def _point(group: Group) -> _Column:
    """The axis point: a single axis gives the column its name, several are named in each row."""
    names = swept(group.cells)
    if len(names) == 1:
        return _Column(
            Header(names[0].removeprefix("axis."), "", "Axis point.", 0), _plain(names[0]), names[0]
        )
    return _Column(Header("point", "", "Axis point.", 0), _plain("axis_text"), "axis_text")


def _plain(column: str) -> Draw:
    return lambda row, _: Entry(plain(row.get(column)), 0, plain(row.get(column)))


def _metric(metric: Metric) -> _Column:
    arrow = "↑" if metric.higher_is_better else "↓"
    better = "higher" if metric.higher_is_better else "lower"
    header = Header(
        metric.task,
        f"{metric.name} {arrow}",
        f"Primary metric of {metric.task}; {better} is better.",
        METRIC_PRIORITY,
    )
    return _Column(header, _draw_measured(metric.column, 1.0), metric.column)


def _measured(column: str, header: Header, factor: float = 1.0) -> _Column:
    return _Column(header, _draw_measured(column, factor), column)


def _reasons(column: str) -> tuple[str, str]:
    """Columns that may say why `column` is empty; a unit is not in their names (`energy_reason`)."""
    return f"{column}_reason", f"{column.rpartition('_')[0]}_reason"


def _draw_measured(column: str, factor: float) -> Draw:
    """Draw a value with its interval; a dash takes its reason from the columns that `_reasons` names."""
    bare = column.startswith("metric.")

    def draw(row: dict[Hashable, Any], notes: _Notes) -> Entry:
        value = estimate(row, column)
        if value.known:
            short = with_interval(value._replace(low=nan), factor) if bare else plus_minus(value, factor)
            return Entry(with_interval(value, factor), 0, short)
        reason = next(filter(None, (plain(row.get(name)) for name in _reasons(column))), "")
        return Entry("-", notes.number(_sentence(reason)) if _finished(row) else 0, "-")

    return draw


def _status(row: dict[Hashable, Any], notes: _Notes) -> Entry:
    status, role = plain(row.get("status")) or "ok", plain(row.get("role"))
    shown = status if role in ("", "requested") else f"{status}, {role}"
    number = 0 if _finished(row) else notes.number(_sentence(plain(row.get("reason"))))
    return Entry(shown, number, status)


def _finished(row: dict[Hashable, Any]) -> bool:
    return plain(row.get("status")) in ("", "ok")


def _sentence(reason: str) -> str:
    reason = " ".join(reason.split())
    return reason if not reason or reason.endswith((".", "!", "?")) else f"{reason}."


def all_columns(view: RunView) -> tuple[list[str], list[list[str]], list[str]]:
    """Every column that holds anything, with every row as text, and the names of the empty columns."""
    filled = [str(name) for name in view.table.columns if bool((text(view.table, str(name)) != "").any())]
    columns = [text(view.table, name) for name in filled]
    rows = [list(values) for values in zip(*columns, strict=True)]
    return filled, rows, [str(name) for name in view.table.columns if str(name) not in filled]
