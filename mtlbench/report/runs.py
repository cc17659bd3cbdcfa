"""Several runs, or one run on several machines, side by side: the same cells, matched by what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import nan
from string import ascii_uppercase
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from mtlbench.report.frame import Estimate, RunView, brief, estimate, is_ok, plain, text
from mtlbench.report.groups import SETTING, Group, Metric
from mtlbench.report.quantities import join, macs_unit, with_interval
from mtlbench.report.tables import Entry, Header, Row, Table

__all__ = ["Match", "Source", "matches", "places", "side_by_side", "sources"]

MOST_ROWS = 400
CELL = (*(name for name in SETTING if name != "machine_id"), "label", "seed")
"""What names a cell for people, whatever its specification hashes to."""
READ = (*CELL, "variant", "status", "latency_ms", "delta_m", "macs_executed", "metric.")
Cell: TypeAlias = dict[Hashable, Any]


class Source(NamedTuple):
    """One run on one machine.

    Attributes:
        letter: what it is called beside the others.
        view: the run.
        machine: the machine's id, maybe empty.
        cells: its rows, as in `Group.cells`.
    """

    letter: str
    view: RunView
    machine: str
    cells: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Match:
    """One cell in several sources.

    Attributes:
        name: of the cell.
        variant: whose style it is drawn in.
        rows: by letter, the cell's row.
        by_name: whether its specification differs between sources, so that only its name matches.
    """

    name: tuple[str, ...]
    variant: str
    rows: dict[str, Cell]
    by_name: bool


def sources(runs: Sequence[tuple[RunView, list[Group]]]) -> list[Source]:
    """Every run on every machine, in order."""
    found: list[tuple[RunView, str, pd.DataFrame]] = []
    for view, groups in runs:
        by_machine: dict[str, list[pd.DataFrame]] = {}
        for group in groups:
            by_machine.setdefault(group.setting["machine_id"], []).append(group.cells)
        found += [(view, machine, pd.concat(cells)) for machine, cells in by_machine.items()]
    return [Source(_letter(number), *each) for number, each in enumerate(found)]


def _letter(number: int) -> str:
    more, place = divmod(number, len(ascii_uppercase))
    return ascii_uppercase[place] + (str(more + 1) if more else "")


def places(every: Sequence[Source]) -> Table:
    """Which letter is which run on which machine."""
    headers = tuple(
        Header(title, "", hint, 0)
        for title, hint in (
            ("letter", "What it is called below."),
            ("run", "Its id."),
            ("suite", "What was run."),
            ("machine", "A hash of the machine."),
            ("processor", "As its worker saw it."),
            ("cells", "Finished, of all."),
        )
    )
    rows = []
    for source in every:
        done = int(is_ok(source.cells).sum())
        words = [
            source.letter,
            source.view.run_id,
            source.view.suite,
            source.machine or "-",
            _processor(source.cells) or "-",
            f"{done} of {len(source.cells)}",
        ]
        rows.append(Row("", True, tuple(Entry(brief(word), 0, brief(word)) for word in words)))
    return Table("Runs and machines", headers, tuple(rows), (), ())


def _processor(cells: pd.DataFrame) -> str:
    names = (
        name
        for column in ("environment.gpu_names", "environment.cpu_model", "environment.cpu")
        for name in text(cells, column)
        if name
    )
    return next(names, "")


def matches(every: Sequence[Source]) -> list[Match]:
    """Cells that at least two sources have: of equal specification, else of equal name."""
    by_id: dict[str, dict[str, Cell]] = {}
    for source in every:
        ids = text(source.cells, "cell_id")
        rows: list[Cell] = source.cells[
            [name for name in source.cells if str(name).startswith(READ)]
        ].to_dict("records")
        for number, (cell_id, row) in enumerate(zip(ids, rows, strict=True)):
            by_id.setdefault(cell_id or f"{source.letter}/{number}", {})[source.letter] = row
    found = [Match(_name(rows), _variant(rows), rows, False) for rows in by_id.values()]
    merged: dict[tuple[str, ...], list[Match]] = {}
    for match in found:
        merged.setdefault(match.name, []).append(match)
    return [match for same in merged.values() for match in _joined(same, len(every)) if len(match.rows) > 1]


def _joined(same: list[Match], most: int) -> list[Match]:
    """Cells of one name as one match, where no source has two of them."""
    letters = Counter(letter for match in same for letter in match.rows)
    if len(same) == 1 or max(letters.values()) > 1:
        return same
    rows = {letter: row for match in same for letter, row in match.rows.items()}
    return [Match(same[0].name, same[0].variant, rows, True)]


def _name(rows: Mapping[str, Cell]) -> tuple[str, ...]:
    row = next(iter(rows.values()))
    return tuple(plain(row.get(name)) for name in CELL)


def _variant(rows: Mapping[str, Cell]) -> str:
    return plain(next(iter(rows.values())).get("variant"))


def side_by_side(
    every: Sequence[Source], found: Sequence[Match], metrics: Sequence[Metric]
) -> tuple[list[str], Table]:
    """Sentences about what differs, and a table with a row per cell and source."""
    unit = macs_unit(estimate(row, "macs_executed").value for match in found for row in match.rows.values())
    differing = [place for place, name in enumerate(CELL) if len({match.name[place] for match in found}) > 1]
    settings = [place for place in differing if CELL[place] not in ("label", "seed")]
    seed = [CELL.index("seed")] if CELL.index("seed") in differing else []
    headers = (
        Header("way", "", "The way of running the tasks.", 0),
        *(Header(CELL[place], "", "What cells differ in.", 0) for place in (*settings, *seed)),
        Header("run", "", "Letter of the run and machine.", 0),
        Header("latency", "ms ↓", "Per call; the mean over inputs of each input's fastest repeat.", 0),
        Header(
            "beside", "% of first", "Latency over that of the first run that has the cell; widest limits.", 0
        ),
        Header("delta-m", "% ↑", "Mean relative gain over single-task networks.", 1),
        *(
            Header(m.task, f"{m.name} {'↑' if m.higher_is_better else '↓'}", "Primary metric.", 2)
            for m in metrics
        ),
        Header("executed", unit.name, "What was really dispatched per image.", 1),
        Header("status", "", "Whether the cell finished.", 1),
    )
    rows = []
    for match in islice(found, MOST_ROWS):
        first = next(iter(match.rows.values()))
        for letter, row in match.rows.items():
            numbers = [
                with_interval(estimate(row, "latency_ms")),
                "-" if row is first else with_interval(_quotient(row, first), 100),
                with_interval(estimate(row, "delta_m")),
                *(with_interval(estimate(row, metric.column)) for metric in metrics),
                with_interval(estimate(row, "macs_executed"), unit.factor),
            ]
            names = [
                match.name[CELL.index("label")],
                *(brief(match.name[place]) for place in (*settings, *seed)),
            ]
            status = plain(row.get("status")) or "ok"
            words = [*names, letter, *numbers, status]
            note = 1 if match.by_name else 0
            entries = tuple(Entry(word, note if place == 0 else 0, word) for place, word in enumerate(words))
            rows.append(Row(match.variant, status == "ok", entries))
    by_name = any(match.by_name for match in islice(found, MOST_ROWS))
    notes = ("Matched by name: the specification differs between runs, so this is no clean comparison.",)
    left = len(found) - MOST_ROWS
    absent = (f"{left} more cells are in table.csv.",) if left > 0 else ()
    table = Table(
        "The same cells in every run that has them", headers, tuple(rows), notes if by_name else (), absent
    )
    return list(_sentences(every, found)), table


def _quotient(row: Cell, first: Cell) -> Estimate:
    """The ratio of two latencies; its limits hold whatever lies within both intervals."""
    own, other = estimate(row, "latency_ms"), estimate(first, "latency_ms")
    if not own.known or not other.known or other.value <= 0:
        return Estimate(nan)
    ratio = own.value / other.value
    if not own.bounded or not other.bounded or other.low <= 0:
        return Estimate(ratio)
    return Estimate(ratio, own.low / other.high, own.high / other.low)


def _sentences(every: Sequence[Source], found: Sequence[Match]) -> Iterator[str]:
    by_name = sum(match.by_name for match in found)
    if not found:
        yield "No cell is in more than one of them, by specification or by name."
        return
    yield (
        f"{len(found)} cell{'s are' if len(found) > 1 else ' is'} in more than one of them; "
        + ("all by equal specification." if not by_name else f"{by_name} of these by name only.")
    )
    alone = sum(len(source.cells) for source in every) - sum(len(match.rows) for match in found)
    if alone:
        yield f"{alone} rows are in one of them only and not compared here."
    first = every[0].letter
    for source in every[1:]:
        pairs = [match.rows for match in found if {first, source.letter} <= match.rows.keys()]
        if pairs:
            yield _verdict(first, source.letter, pairs)
    if len({source.machine for source in every}) > 1:
        yield "They come from different machines: a ratio of times is then about the machines as well."


def _verdict(first: str, letter: str, pairs: Sequence[Mapping[str, Cell]]) -> str:
    times = [(estimate(rows[first], "latency_ms"), estimate(rows[letter], "latency_ms")) for rows in pairs]
    faster = sum(own.below(other) for other, own in times)
    slower = sum(other.below(own) for other, own in times)
    macs = [
        (estimate(rows[first], "macs_executed"), estimate(rows[letter], "macs_executed")) for rows in pairs
    ]
    counted = [(a.value, b.value) for a, b in macs if a.known and b.known]
    changed = sum(abs(a - b) > 1e-9 * a for a, b in counted)
    quality = [(estimate(rows[first], "delta_m"), estimate(rows[letter], "delta_m")) for rows in pairs]
    moved = sum(a.below(b) or b.below(a) for a, b in quality)
    judged = sum(a.bounded and b.bounded for a, b in times)
    unjudged = len(pairs) - judged
    said = [
        f"Beyond both intervals {letter} is faster than {first} in {faster}, slower in {slower} of {judged} cells"
        + (f" ({unjudged} more have no intervals to judge by)" if unjudged else ""),
        f"delta-m differs so in {moved}",
        f"executed MACs differ in {changed} of {len(counted)}",
    ]
    return f"{join(said)}."
