from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_run import PRIMARY, fake_view, full_table

from mtlbench.cli.report import report_name
from mtlbench.report.canvas import Absent, Drawing
from mtlbench.report.colours import styles
from mtlbench.report.frame import RunView
from mtlbench.report.groups import Metric, groups
from mtlbench.report.runs import matches, places, side_by_side, sources
from mtlbench.report.runs_chart import runs_chart

LATENCY = ("latency_ms", "latency_ms.ci_low", "latency_ms.ci_high")


def scaled(table: pd.DataFrame, factor: float, machine: str = "other") -> pd.DataFrame:
    return table.assign(machine_id=machine, **{column: table[column] * factor for column in LATENCY})


def seen(*views: RunView) -> tuple[list, list]:  # type: ignore[type-arg]  # sources and matches
    every = sources([(view, groups(view)) for view in views])
    return every, matches(every)


def entries(table, row: int) -> dict[str, str]:  # type: ignore[no-untyped-def]  # a Table
    return {h.title: e.text for h, e in zip(table.headers, table.rows[row].entries, strict=True)}


def test_equal_cells_are_put_side_by_side_with_their_ratio(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    every, found = seen(fake_view(tmp_path / "a", table), fake_view(tmp_path / "b", scaled(table, 0.5)))
    assert [source.letter for source in every] == ["A", "B"]
    assert len(found) == len(table)
    assert not any(match.by_name for match in found)
    sentences, shown = side_by_side(every, found, [Metric("semseg", "miou", True)])
    first, second = entries(shown, 0), entries(shown, 1)
    assert (first["run"], second["run"]) == ("A", "B")
    assert first["beside"] == "-"
    low, high = (float(part) for part in second["beside"].partition("[")[2].rstrip("]").split(", "))
    assert low < 50 < high
    row = table[table["variant"] == "single_task"].iloc[0]
    assert low == pytest.approx(50 * row["latency_ms.ci_low"] / row["latency_ms.ci_high"], abs=0.1)
    assert first["executed"] == second["executed"] == "5.40"
    assert first["semseg"].startswith(f"{row['metric.semseg.miou']:.3f}")
    assert any(
        "B is faster than A in 6, slower in 0 of 6 cells (2 more" in sentence for sentence in sentences
    )
    assert any("different machines" in sentence for sentence in sentences)


def test_one_run_on_two_machines_is_side_by_side_too(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    every, found = seen(fake_view(tmp_path, pd.concat([table, scaled(table, 2.0)])))
    assert [source.machine for source in every] == ["m-51c0", "other"]
    assert len(found) == len(table)
    shown = places(every)
    assert [row.entries[0].text for row in shown.rows] == ["A", "B"]
    assert {row.entries[5].text for row in shown.rows} == {"6 of 8"}


def test_another_specification_matches_by_name_only_and_says_so(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    changed = table.assign(cell_id=table["cell_id"].where(table["variant"] != "static_mtl", "changed"))
    every, found = seen(fake_view(tmp_path / "a", table), fake_view(tmp_path / "b", changed))
    by_name = [match for match in found if match.by_name]
    assert [match.variant for match in by_name] == ["static_mtl"]
    sentences, shown = side_by_side(every, found, [])
    noted = [row.variant for row in shown.rows if row.entries[0].note]
    assert noted == ["static_mtl", "static_mtl"]
    assert shown.notes[0].startswith("Matched by name")
    assert any("1 of these by name only" in sentence for sentence in sentences)


def test_cells_of_one_run_alone_are_counted_not_compared(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    every, found = seen(fake_view(tmp_path / "a", table), fake_view(tmp_path / "b", table.iloc[:2]))
    assert len(found) == 2
    assert "6 rows are in one of them only and not compared here." in side_by_side(every, found, [])[0]
    other = table.assign(dataset="nyud", cell_id=table["cell_id"] + "-n")
    every, found = seen(fake_view(tmp_path / "a", table), fake_view(tmp_path / "b", other))
    sentences, shown = side_by_side(every, found, [])
    assert not found
    assert not shown.rows
    assert sentences == ["No cell is in more than one of them, by specification or by name."]
    assert isinstance(runs_chart(every, found, styles(set(table["variant"]))), Absent)


def test_names_that_two_cells_of_a_run_share_match_nothing(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    twin = table[table["variant"] == "static_mtl"].assign(cell_id="twin", **{"axis.keep_ratio": np.nan})
    first = pd.concat([table, twin])
    second = first.assign(cell_id=first["cell_id"] + "-new")
    _, found = seen(fake_view(tmp_path / "a", first), fake_view(tmp_path / "b", second))
    assert all(match.by_name for match in found)
    assert len({match.name for match in found}) == len(found)


def test_the_dot_plot_stands_at_the_values(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    every, found = seen(fake_view(tmp_path / "a", table), fake_view(tmp_path / "b", scaled(table, 0.5)))
    picture = runs_chart(every, found, styles(set(table["variant"])))
    assert isinstance(picture, Drawing)
    axes = picture.figure.axes[0]
    marks = sorted(
        round(float(x), 6)
        for line in axes.lines
        if line.get_linestyle() == "None" and line.get_marker() in {"o", "s"}
        for x in line.get_xdata()  # type: ignore[union-attr]  # an array
    )
    done = table[table["status"] == "ok"]["latency_ms"]
    assert marks == pytest.approx(sorted([*done, *(done * 0.5)]), abs=1e-5)
    assert "A " in picture.alt
    assert "B " in picture.alt


def test_a_report_of_several_runs_is_named_by_what_tells_them_apart(tmp_path: Path) -> None:
    def view(folder: str, suite: str, run_id: str) -> RunView:
        return RunView(
            tmp_path / folder, {"suite": suite, "run_id": run_id, "primary": PRIMARY}, full_table()
        )

    ci, cell = view("results/ci", "ci", "1"), view("results/cell", "cell", "2")
    assert report_name([ci]) == "ci"
    assert report_name([ci, cell]) == "ci+cell"
    assert report_name([ci, view("results/ci-laptop", "ci", "3")]) == "ci+ci-laptop"
    assert report_name([ci, view("elsewhere/ci", "ci", "3")]) == "1+3"
    assert report_name([ci, view("results/x/..", "../../etc", "4")]) == "ci+..-..-etc"
    many = report_name([view(f"r{number}", f"s{number}", str(number)) for number in range(7)])
    assert many == "s0+s1+s2+s3+3-more"
