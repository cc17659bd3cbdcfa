"""The command line: what it prints, what it refuses, its exit codes, and that it starts quickly."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from mtlbench.__main__ import main

HELP = """
import sys
from mtlbench.__main__ import main
main(['--help'])
print('torch' in sys.modules, 'pandas' in sys.modules)
"""


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_help_imports_neither_torch_nor_pandas():
    done = _python("-c", HELP)
    assert done.returncode == 0
    assert done.stdout.strip().endswith("False False")
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {"run", "report", "ls", "validate", "cost", "data"} <= listed


def test_help_answers_within_a_few_interpreter_starts():
    """0.3 s is promised; a ratio to a bare interpreter holds on a loaded machine too."""

    def fastest(*arguments: str) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            _python(*arguments)
            times.append(time.perf_counter() - started)
        return min(times)

    assert fastest("-m", "mtlbench", "--help") < 12 * fastest("-c", "pass")


@pytest.mark.parametrize("what", ["variants", "datasets", "tasks", "encoders", "heads", "meters", "suites"])
def test_ls_lists_names_with_a_line_each(what, capsys):
    assert main(["ls", what]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    expected = {
        "variants": "static_mtl",
        "datasets": "scenes",
        "tasks": "normals",
        "encoders": "vit",
        "heads": "multiscale",
        "meters": "pyrapl",
        "suites": "quickstart",
    }
    assert any(line.startswith(expected[what]) and len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize("name", ["quickstart", "architecture", "ci", "clothing"])
def test_shipped_suites_are_valid(name, capsys):
    assert main(["validate", name]) == 0
    assert "valid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nonesuch"], "quickstart"),
        (["run", "missing.yaml"], "missing.yaml"),
        (["frobnicate"], "frobnicate"),
        (["ls", "everything"], "everything"),
        (["run", "ci", "--set", "measure.launchs=3"], "launches"),
        (["run", "ci", "--only", "nothing-like-it"], "nothing-like-it"),
        (["report", "nowhere"], "run folder"),
        ([], "Usage"),
    ],
)
def test_what_cannot_be_run_anywhere_is_exit_2(arguments, words, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err + captured.out
    assert "Traceback" not in captured.err


def test_an_internal_error_is_70_and_never_1(monkeypatch, capsys):
    def explode(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("mtlbench.cli.ls.ls_command", explode)
    assert main(["ls", "tasks"]) == 70
    assert "internal error" in capsys.readouterr().err


def test_ctrl_c_is_130(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mtlbench.cli.ls.ls_command", interrupt)
    assert main(["ls", "tasks"]) == 130
    assert "continue" in capsys.readouterr().err


def test_absent_data_says_where_it_was_looked_for(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    assert main(["run", "clothing", "--dry-run"]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # of seed 1, whose weights do not ship
    assert main(["run", "ci", "--dry-run", "--only", "static_mtl*", "--set", "seeds=1"]) == 0
    printed = capsys.readouterr().out
    for word in ("Cells", "Comparison groups", "Artifacts", "to train", "3 trainings", "6 timed launches"):
        assert word in printed
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("out", ["/dev/null", "/proc/nothing", "/etc/passwd/run"])
def test_a_place_that_cannot_be_a_folder_is_exit_2(out, capsys):
    assert main(["run", "ci", "--out", out]) == 2
    assert out in capsys.readouterr().err


def test_more_inputs_than_test_images_is_unsupported(capsys):
    assert main(["run", "ci", "--dry-run", "--set", "hardware={batch: 16}"]) == 4
    printed = capsys.readouterr().out
    assert "unsupported" in printed
    assert "0 timed launches" in printed


def test_demanded_energy_without_a_meter_is_exit_5(capsys, tmp_path):
    from mtlbench.measure.energy import select_meter

    if select_meter("auto", "cpu").unavailable() is None:
        pytest.skip("this machine has a meter")
    arguments = ["run", "ci", "--out", str(tmp_path), "--set", "measure.energy_required=true"]
    assert main(arguments) == 5
    assert "meter" in capsys.readouterr().err


def test_a_damaged_journal_is_refused_with_its_line(tmp_path, capsys):
    (tmp_path / "run.json").write_text('{"schema_version": 1, "suite": "x", "cells": {"a": {}}}')
    (tmp_path / "launches.jsonl").write_text('{"schema_version": 1}\nnot json\n')
    assert main(["report", str(tmp_path)]) == 4
    assert "launches.jsonl:1" in capsys.readouterr().err
