"""`mtlbench report`: it says what it does, on the error stream, and tells runs of one suite apart."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_run import PRIMARY, fake_view, full_table
from rich.console import Console

from mtlbench.cli import report as command
from mtlbench.errors import UsageError
from mtlbench.report.build import ReportFiles
from mtlbench.report.frame import RunView


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The folders of reports, none of which is really drawn."""
    folders: list[Path] = []

    def build(
        views: list[RunView], out: Path, *, formats: list[str], said: Callable[[str, str], None]
    ) -> ReportFiles:
        folders.append(out)
        for slug in ("one", "two"):
            said("drawing", slug)
        said("writing", f"[{' '.join(formats)}]")
        return ReportFiles(*(out / name for name in "abcde"), figures=())

    def opened(path: Path, *, per_input: bool) -> RunView:
        assert per_input
        run = {
            "suite": "ci",
            "run_id": f"9db3{path}",
            "primary": PRIMARY,
            "created": "2031-05-04T10:22:07+00:00",
        }
        return fake_view(path, full_table(seeds=1), run=run)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["mtlbench.report.build"], "build", build)
    monkeypatch.setattr(command, "open_view", opened)
    return folders


def test_each_step_is_a_line_where_nobody_watches(
    drawn: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    command.report_command([Path("results/ci")], None, "png,pdf")
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["opening results/ci", "drawing figures", "writing [.png .pdf]"]
    assert captured.out.startswith("pascal_context, vit_tiny")
    assert captured.out.rstrip().endswith("report: reports/ci/a")
    assert drawn == [Path("reports/ci")]


def test_an_unknown_format_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="'gif' is no format"):
        command.report_command([Path("nowhere")], None, "png,gif")


def test_runs_of_one_suite_are_headed_by_folder_and_time(
    drawn: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    command.report_command([Path("results/ci"), Path("results/laptop")], None, "none")
    heads = [line for line in capsys.readouterr().out.splitlines() if "results/" in line]
    assert [head.split("  ")[0].split(" \u2500")[0] for head in heads] == [
        "ci (results/ci)",
        "laptop (results/laptop)",
    ]
    assert drawn == [Path("reports/ci+laptop")]


def test_folders_of_one_name_are_told_apart_by_time(tmp_path: Path) -> None:
    def view(folder: str, created: str) -> RunView:
        run = {"suite": "ci", "run_id": f"9db3{created}", "primary": PRIMARY, "created": created}
        return fake_view(tmp_path / folder, full_table(seeds=1), run=run)

    first, second = view("a/run", "2031-05-04T10:22:07+00:00"), view("b/run", "2031-05-05T08:00:00+00:00")
    assert command.run_names([first, second]) == ["run 2031-05-04 10:22:07", "run 2031-05-05 08:00:00"]
    assert command.report_name([first, second]) == "run-2031-05-04-10-22-07+run-2031-05-05-08-00-00"


def test_on_a_terminal_one_line_shows_what_is_being_done() -> None:
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    with command._telling(console) as said:
        said("reading", "[a]")
        said("drawing", "x" * 90)
        console.print("below")
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    assert "drawing xxx" in shown
    assert "\u2026" in shown
    assert "0:00:00" in shown
