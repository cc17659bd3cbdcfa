"""The compact table of one group: built once, drawn by HTML, Markdown and the terminal.

Columns nobody filled are left out and named; a dash that has a reason in the run carries a footnote.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan
from typing import NamedTuple

import numpy as np
import pandas as pd

from mtlbench.report.energy import energy_words
from mtlbench.report.frame import HIGH, LOW, Estimate, RunView, brief, is_ok, numeric, swept, text
from mtlbench.report.groups import Group, Metric
from mtlbench.report.quantities import join, macs_unit, plus_minus, with_interval

METRIC_PRIORITY = 3
LONGEST_REASON = 400
BASELINES = {"single_task": "single-task networks", "static_mtl": "static multi-task network"}
RATIO = "latency_vs_"
NUMBER = re.compile(r"-$|[-+±]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?(?![\w.-])")

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
        notes: footnotes in the order of their numbers, numbered row by row.
        absent: sentences about columns that were left out, because no finished cell fills them.
        marked: the column in which a page marks the variant.
    """

    caption: str
    headers: tuple[Header, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    absent: tuple[str, ...]
    marked: int = 0

    def is_words(self, index: int) -> bool:
        """Whether a column holds words, not numbers."""
        shown = [row.entries[index].text for row in self.rows]
        return index == 0 or not all(NUMBER.match(words) for words in shown if words)


class _Drawn(NamedTuple):
    """One entry before footnotes have numbers: the sentence itself stands in place of its number."""

    text: str
    short: str
    sentence: str


Draw = Callable[[pd.DataFrame], list[_Drawn]]


class _Column(NamedTuple):
    """A column, how to draw its entries, and the table's column it is about; empty if always shown."""

    header: Header
    draw: Draw
    about: str


def compact(group: Group, most: int | None = None) -> Table:
    """The table of one group: one row per cell, whatever its status.

    Args:
        group: what it is about.
        most: rows to draw; the table says how many it leaves out. None for all.
    """
    cells = group.cells
    top = cells if most is None else cells.head(most)
    columns = _columns(group)
    shown = [column for column in columns if not column.about or _filled(cells, column.about)]
    measured = [column for column in columns if column.header.unit and not column.about.startswith(RATIO)]
    absent = _why_empty(cells, [column for column in measured if column not in shown])
    if len(top) < len(cells):
        absent.append(f"{len(cells) - len(top):,} more cells are in table.csv and table.parquet.")
    drawn = list(zip(*(column.draw(top) for column in shown), strict=True))
    sentences = list(dict.fromkeys(entry.sentence for row in drawn for entry in row if entry.sentence))
    number = {"": 0, **{sentence: place for place, sentence in enumerate(sentences, 1)}}
    rows = tuple(
        Row(variant, ok, tuple(Entry(entry.text, number[entry.sentence], entry.short) for entry in row))
        for variant, ok, row in zip(text(top, "variant"), is_ok(top), drawn, strict=True)
    )
    headers = tuple(column.header for column in shown)
    return Table(group.label, headers, rows, tuple(sentences), tuple(absent))


def _filled(cells: pd.DataFrame, column: str) -> bool:
    return bool((text(cells, column) != "").any())


def _why_empty(cells: pd.DataFrame, columns: list[_Column]) -> list[str]:
    """A sentence for each reason why columns are empty, and one for those without."""
    titles: dict[str, list[str]] = {}
    done = cells[is_ok(cells)]
    for column in columns:
        reasons = set(_reason(done, column.about)) - {""}
        for reason in sorted(reasons) or [""]:
            titles.setdefault(reason, []).append(column.header.title)
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
    status = _Column(Header("status", "", "Whether the cell finished, and its role.", 0), _status, "")
    return [
        _Column(Header("variant", "", "The way of running the tasks.", 0), _words("way"), ""),
        _point(group),
        _Column(Header("seed", "", "Seed of training and of random choices.", seed), _words("seed"), "seed"),
        *([] if is_ok(group.cells).all() else [status]),
        _measured("delta_m", Header("delta-m", "% ↑", "Mean relative gain over single-task networks.", 1)),
        _measured("latency_ms", latency),
        *(_beside(baseline, name) for baseline, name in BASELINES.items()),
        _measured("macs_executed", executed, unit.factor),
        _measured("macs_nominal", nominal, unit.factor),
        _measured("realisation", realised, 100.0),
        _measured("memory_peak_mib", Header("memory", "MiB", "Peak memory of the worker.", 6)),
        _measured("energy_mj", Header("energy", "mJ", f"Energy per image: {energy_words(group.cells)}.", 5)),
        *(_metric(metric) for metric in group.metrics),
    ]


def _beside(baseline: str, name: str) -> _Column:
    """Latency beside that of a dense baseline, from launches that ran in turn."""
    hint = (
        f"Latency in per cent of the {name} of the same seed: the median over pairs of launches side by side."
    )
    return _measured(RATIO + baseline, Header(f"vs {baseline}", "% time ↓", hint, 4), 100.0)


def _point(group: Group) -> _Column:
    """The axis point: a single axis gives the column its name, several are named in each row."""
    names = swept(group.cells)
    if len(names) == 1:
        return _Column(
            Header(names[0].removeprefix("axis."), "", "Axis point.", 0), _words(names[0]), names[0]
        )
    return _Column(Header("point", "", "Axis point.", 0), _words("axis_text"), "axis_text")


def _words(column: str) -> Draw:
    def draw(cells: pd.DataFrame) -> list[_Drawn]:
        return [_Drawn(words, words, "") for words in map(brief, text(cells, column))]

    return draw


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


def _reason(cells: pd.DataFrame, column: str) -> pd.Series[str]:
    """Why `column` is empty, as sentences; a unit is not in the names of reasons (`energy_reason`)."""
    own, bare = text(cells, f"{column}_reason"), text(cells, f"{column.rpartition('_')[0]}_reason")
    return own.where(own != "", bare).map(_sentence)


def _draw_measured(column: str, factor: float) -> Draw:
    """Draw values with their intervals; a dash takes its reason from the columns that `_reason` reads."""
    bare = column.startswith("metric.")

    def draw(cells: pd.DataFrame) -> list[_Drawn]:
        values = list(zip(*(numeric(cells, column + end) for end in ("", LOW, HIGH)), strict=True))
        missing = np.array([not isfinite(value) for value, *_ in values])
        reasons = np.full(len(cells), "", dtype=object)
        if missing.any():
            reasons[missing] = _reason(cells[missing], column).where(is_ok(cells[missing]), "")
        return [
            _number(Estimate(*value), factor, bare) if isfinite(value[0]) else _Drawn("-", "-", reason)
            for value, reason in zip(values, reasons, strict=True)
        ]

    return draw


def _number(value: Estimate, factor: float, bare: bool) -> _Drawn:
    short = with_interval(value._replace(low=nan), factor) if bare else plus_minus(value, factor)
    return _Drawn(with_interval(value, factor), short, "")


def _status(cells: pd.DataFrame) -> list[_Drawn]:
    status = text(cells, "status").replace("", "ok")
    role = text(cells, "role").replace("requested", "")
    shown = status + (", " + role).where(role != "", "")
    why = text(cells, "reason").map(_sentence).where(~is_ok(cells), "")
    return [_Drawn(*entry) for entry in zip(shown, status, why, strict=True)]


def _sentence(reason: str) -> str:
    reason = brief(reason, LONGEST_REASON)
    return reason if not reason or reason.endswith((".", "!", "?", "…")) else f"{reason}."


def all_columns(view: RunView) -> tuple[list[str], list[list[str]], list[str]]:
    """Every column that holds anything, with every row as text on one line, and the names of the empty columns."""
    shown = {
        str(name): text(view.table, name).map(lambda words: brief(words, LONGEST_REASON))
        for name in view.table.columns
    }
    filled = {name: column for name, column in shown.items() if bool((column != "").any())}
    rows = [list(values) for values in zip(*filled.values(), strict=True)]
    return list(filled), rows, [name for name in shown if name not in filled]
