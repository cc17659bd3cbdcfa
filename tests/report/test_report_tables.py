from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from fake_run import HOSTILE, fake_view, full_table, hostile, random_weights
from rich.console import Console

from mtlbench.report.analysis import analysis
from mtlbench.report.groups import groups
from mtlbench.report.markdown import to_markdown
from mtlbench.report.tables import all_columns, compact
from mtlbench.report.terminal import print_table


def printed(view: object, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    print_table(view, console)  # type: ignore[arg-type]  # tests pass views only
    return console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above


def test_every_row_has_an_entry_for_every_header(tmp_path: Path) -> None:
    (group,) = groups(fake_view(tmp_path))
    table = compact(group)
    assert len(table.rows) == len(full_table())
    assert {len(row.entries) for row in table.rows} == {len(table.headers)}
    assert all(header.hint for header in table.headers)
    titles = [header.title for header in table.headers]
    assert titles[:3] == ["variant", "keep_ratio", "seed"]
    assert "energy" not in titles
    assert table.absent == ("No energy: RAPL cannot be read: permission denied.",)


def test_a_dash_carries_the_reason_of_its_own_row(tmp_path: Path) -> None:
    full = full_table(seeds=1)
    full.loc[full["variant"] == "single_task", "energy_mj"] = 12.0
    (group,) = groups(fake_view(tmp_path, full))
    table = compact(group)
    energy = [header.title for header in table.headers].index("energy")
    shown = {row.entries[0].text + row.entries[1].text: row.entries[energy] for row in table.rows}
    assert shown["single_task"].text == "12.0"
    assert table.notes[shown["static_mtl"].note - 1] == "RAPL cannot be read: permission denied."
    assert shown["adamtl0.25"] == ("-", 0, "-")


def test_failed_cells_say_why(tmp_path: Path) -> None:
    (group,) = groups(fake_view(tmp_path))
    table = compact(group)
    status = [header.title for header in table.headers].index("status")
    failed = next(row.entries[status] for row in table.rows if row.entries[status].text == "failed")
    assert table.notes[failed.note - 1] == "the worker was killed: out of memory."


def test_columns_without_any_value_are_named_as_absent(tmp_path: Path) -> None:
    (group,) = groups(fake_view(tmp_path, random_weights(full_table())))
    table = compact(group)
    assert "No delta-m: the weights are random, so there is no accuracy." in table.absent
    assert any("semseg" in sentence and "no cell has a value" in sentence for sentence in table.absent)


def test_all_columns_loses_nothing(tmp_path: Path) -> None:
    table = full_table()
    names, rows, empty = all_columns(fake_view(tmp_path, table))
    assert sorted([*names, *empty]) == sorted(table.columns)
    assert "energy_mj" in empty
    assert len(rows) == len(table)
    assert float(rows[0][names.index("latency_ms")]) == pytest.approx(table["latency_ms"].iloc[0], rel=1e-9)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_terminal_table_fits(tmp_path: Path, width: int) -> None:
    shown = printed(fake_view(tmp_path), width)
    assert max(len(line) for line in shown.splitlines()) <= width
    assert "…" not in shown
    for expected in ("delta-m", "latency", "executed", "normals", "unsupported", "RAPL cannot be read"):
        assert expected in shown


def test_a_wide_terminal_shows_intervals_and_one_table(tmp_path: Path) -> None:
    shown = printed(fake_view(tmp_path), 400)
    assert "[" in shown
    assert "No room" not in shown
    assert shown.count("computation_sharing") == 1 + shown.split("\n\n")[0].count("computation_sharing")


def test_terminal_text_is_neither_markup_nor_escape_sequence(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    table["variant"] = table["variant"].replace({"adamtl": "[red]x[/nope]\x1b[2J"})
    shown = printed(fake_view(tmp_path, table), 160)
    assert "[red]x[/nope]" in shown
    assert "\x1b" not in shown


def test_markdown_rows_have_as_many_fields_as_the_head(tmp_path: Path) -> None:
    written = to_markdown([analysis(fake_view(tmp_path, hostile(full_table())))])
    lines = [line.replace(r"\|", "") for line in written.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == len(full_table()) + 2
    assert HOSTILE not in written
    assert r"\<" not in written
    assert "&lt;script&gt;" in written
    assert "\x1b" not in written


def test_one_seed_needs_no_seed_column_where_it_is_narrow(tmp_path: Path) -> None:
    shown = printed(fake_view(tmp_path, full_table(seeds=1)), 80)
    assert "seed " not in shown.splitlines()[6]


def test_nothing_but_names_still_prints(tmp_path: Path) -> None:
    table = full_table(seeds=1)[["variant", "cell_id"]].assign(latency_ms=np.nan)
    assert "no cost was measured" in printed(fake_view(tmp_path, table), 80)


def test_columns_that_only_name_are_not_missed(tmp_path: Path) -> None:
    table = full_table(seeds=1).drop(columns=["axis.keep_ratio", "seed"])
    (group,) = groups(fake_view(tmp_path, table))
    assert compact(group).absent == ("No energy: RAPL cannot be read: permission denied.",)
