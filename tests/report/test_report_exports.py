from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_run import fake_view, full_table, hostile
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.report.analysis import analysis
from mtlbench.report.exports import SPECIAL, latex, stacked, to_latex, write_parquet
from mtlbench.report.markdown import to_markdown

LATEX_SPECIAL = set("&%$#_{}~^\\")


def bare(written: str) -> str:
    """What is left of escaped text once its escapes are taken out."""
    for escape in sorted(SPECIAL.values(), key=len, reverse=True):
        written = written.replace(escape, "")
    return written


@given(st.text())
def test_no_special_character_survives_unescaped(words: str) -> None:
    assert not set(bare(latex(words))) & LATEX_SPECIAL
    assert "\n" not in latex(words)


@settings(deadline=None)  # pandas renders a table for each example
@given(st.text(alphabet="ab&%$#_{}"))
def test_escapes_agree_with_those_of_pandas(words: str) -> None:
    theirs = (
        pd.DataFrame([[" ".join(words.split())]])
        .style.format(escape="latex")
        .hide(axis=0)
        .hide(axis=1)
        .to_latex()
    )
    assert latex(words) == theirs.splitlines()[1].removesuffix(r"\\").strip()


def test_every_row_has_as_many_fields_as_the_table_has_columns(tmp_path: Path) -> None:
    written = to_latex(analysis(fake_view(tmp_path, hostile(full_table(seeds=1)))).tables)
    spaces = re.search(r"\\begin\{tabular\}\{([lr]+)\}", written)
    assert spaces
    body = written.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 2 + len(full_table(seeds=1))
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(spaces[1]) - 1}
    depth = 0
    for character in re.sub(r"\\[{}]", "", re.sub("(?m)^%.*", "", written)):
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    assert written.count(r"\begin{") == written.count(r"\end{")


def test_numbers_and_intervals_reach_latex(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    written = to_latex(analysis(fake_view(tmp_path, table)).tables)
    value = table[table["variant"] == "static_mtl"]["delta_m"].iloc[0]
    assert f"$-${abs(value):.1f} {{\\tiny [$-$" in written
    assert r"static\_mtl" in written
    assert r"$\downarrow$" in written
    assert "$^{1}$ the nominal saving is under 5 \\%." in written


def test_parquet_keeps_numbers_and_holds_columns_of_mixed_kind(tmp_path: Path) -> None:
    table = full_table(seeds=1).assign(**{"axis.mode": [0.5, "full", None, 1, True, "x", 2.0, "y"]})
    path = tmp_path / "table.parquet"
    write_parquet(table, path)
    back = pd.read_parquet(path)
    np.testing.assert_array_equal(back["latency_ms"], table["latency_ms"])
    assert list(back["axis.mode"].fillna("")) == ["0.5", "full", "", "1", "True", "x", "2", "y"]
    assert list(back.columns) == list(table.columns)


def test_stacked_runs_keep_every_column_and_row() -> None:
    first, second = full_table(seeds=1), full_table(seeds=1).iloc[:2].assign(extra=[1.5, 2.5])
    both = stacked([first, second])
    assert len(both) == len(first) + 2
    assert both["extra"].iloc[-2:].tolist() == [1.5, 2.5]
    assert both["latency_ms"].dtype == float
    assert stacked([first]) is first


def test_short_tables_of_a_large_run_say_what_they_leave_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtlbench.report.analysis.MOST_ROWS", 10)
    table = full_table(seeds=1)
    every = pd.concat([table.assign(hardware=f"cpu-{number}") for number in range(4)])
    run = analysis(fake_view(tmp_path, every))
    assert [len(part.rows) for part in run.tables] == [8, 2]
    assert len(run.answers) == 4
    written = to_markdown([run])
    assert "6 more cells are in table.csv and table.parquet." in written
    assert "2 more settings are in table.csv and table.parquet." in written
