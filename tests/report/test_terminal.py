"""The tables in a terminal: what is left out, what is marked, and how long names are broken."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from fake_run import fake_view, full_table
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mtlbench.report.terminal import LEGEND, print_table
from mtlbench.report.wrap import fitted, shortened, wrapped

LONG = "adaptive_token_pruning_network_from_elsewhere"


def printed(folder: Path, table: pd.DataFrame, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    print_table(fake_view(folder, table), console)
    return console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above


def titles(shown: str) -> set[str]:
    """The words of all heads of columns: the two lines above each table's first row."""
    lines = shown.splitlines()
    first = [place for place, line in enumerate(lines) if line.startswith("single_task")]
    return {word for place in first for line in lines[place - 3 : place] for word in line.split()}


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 300])
def test_what_is_said_to_have_no_room_is_not_shown_and_all_else_is(tmp_path: Path, width: int) -> None:
    shown = printed(tmp_path, full_table(), width)
    left = shown.partition("No room for ")[2].partition(":")[0].replace(",", " ").split()
    columns = {"seed", "latency", "executed", "nominal", "realised", "memory", "semseg", "normals"}
    assert columns - titles(shown) == set(left) - {"and"}
    assert width < 300 or not left


def test_a_column_is_left_out_only_where_no_table_has_room(tmp_path: Path) -> None:
    shown = printed(tmp_path, full_table(seeds=1), 100)
    assert "No room" not in shown
    assert "memory" in shown


def test_one_seed_is_a_sentence_where_it_is_narrow(tmp_path: Path) -> None:
    shown = printed(tmp_path, full_table(seeds=1), 80)
    assert "Every row is of seed 0." in shown
    assert "seed" not in titles(shown)
    assert "seed" in titles(printed(tmp_path, full_table(seeds=2), 80))
    assert "Every row" not in printed(tmp_path, full_table(seeds=1), 400)


def disturbed() -> pd.DataFrame:
    """One seed, in which other work disturbed the single-task networks and the first point of adamtl."""
    table = full_table(seeds=1).assign(latency_vs_single_task=0.25, warnings="")
    is_hit = table["cell_id"].isin(["single_task-None-0", "adamtl-1.0-0"])
    return table.assign(warnings=table["warnings"].mask(is_hit, "few_rounds;foreign_load"))


def test_numbers_from_disturbed_timings_are_marked(tmp_path: Path) -> None:
    shown = printed(tmp_path, disturbed(), 400)
    heads = next(line for line in shown.splitlines() if line.startswith("variant"))
    rows = [
        line for line in shown.splitlines() if "[" in line and line.startswith(("single", "static", "ada"))
    ]
    single, static, adamtl = (line.split("  ") for line in rows[:3])

    def marked(cells: list[str]) -> list[str]:
        return [cell.strip() for cell in cells if cell.strip().startswith("~")]

    assert "miou" in heads
    assert len(marked(single)) == 1, "beside itself it is 100 % whatever its timing was"
    assert marked(static) == ["~25.0"], "its baseline was disturbed, its own latency was not"
    assert len(marked(adamtl)) == 2
    assert shown.count(LEGEND) == 1
    assert LEGEND not in printed(tmp_path, disturbed().assign(warnings="few_rounds"), 400)


@pytest.mark.parametrize("width", [60, 80])
def test_long_names_are_never_broken_inside_a_word(tmp_path: Path, width: int) -> None:
    table = full_table(seeds=1)
    table["variant"] = table["variant"].replace({"adamtl": LONG})
    table["axis.exit_threshold"] = table["axis.keep_ratio"] * 2
    shown = printed(tmp_path, table, width)
    assert max(map(len, shown.splitlines())) <= width
    rows = shown.partition("single_task")[2]
    assert "adaptive_tok\u2026m_elsewhere" in rows
    words = {word.strip(",") for word in rows.split()}
    assert {"computation_sharing", "keep_ratio", "exit_threshold"} <= words
    assert not {"computation_", "keep_", "exit_"} & words
    assert LONG in printed(tmp_path, table, 400).partition("single_task")[2]


@given(st.text("abc/+ ", min_size=1, max_size=40), st.integers(1, 50))
def test_shortened_keeps_both_ends(words: str, width: int) -> None:
    short = shortened(words, width)
    assert len(short) == min(len(words), width)
    if len(words) > width:
        head, ellipsis, tail = short.partition("\u2026")
        assert ellipsis
        assert words.startswith(head)
        assert words.endswith(tail)
        assert abs(len(head) - len(tail)) <= 1


@given(st.lists(st.text("abc_+", min_size=1, max_size=15), min_size=1), st.integers(3, 30))
def test_wrapped_lines_are_narrow_and_lose_only_the_middle_of_long_words(
    words: list[str], width: int
) -> None:
    lines = wrapped(" ".join(words), width).split("\n")
    assert max(map(len, lines)) <= width
    assert [shortened(word, width) for word in words] == " ".join(lines).split()


def test_columns_side_by_side() -> None:
    columns = {0: ["a" * 40, "single_task"], 1: ["keep_ratio 0.5, exit_threshold 0.25", ""], 2: ["ok"]}
    found = fitted(columns, 44)
    assert found[2] == ["ok"]
    assert found[1] == ["keep_ratio 0.5,\nexit_threshold 0.25", ""]
    assert [len(name) for name in found[0]] == [24, 11]
