"""The baseline of the repository: this code still counts what it did, and renewing one shows what changes."""

from __future__ import annotations

import shutil

import pytest
import runs

from mtlbench import api
from mtlbench.cli.app import main
from mtlbench.results.table import load_results


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """Runs cost nothing: they are copies of the baseline."""

    def run(suite, *, out, overrides, observer):
        assert overrides == ["measure.launches=0", "measure.requeue=0"]
        shutil.copytree(runs.BASELINE, out)
        (out / "logs").mkdir()
        (out / "samples" / "x.pictures.npz").touch()
        table = load_results(out)
        return api.RunResult(out, table, 0)

    monkeypatch.setattr(api, "run", run)
    return tmp_path / "kept"


@pytest.mark.slow
def test_this_code_still_counts_and_predicts_what_the_baseline_does(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    # on another processor a pixel of a rare class may turn, which 32 images cannot tell from a loss
    code = main(["baseline", "ci", "--check", "--folder", str(runs.BASELINE), "--allow-inconclusive"])
    said = capsys.readouterr()
    assert code == 0, said.out
    assert "loaded, shipped" in said.err
    assert not (tmp_path / "cache" / "artifacts").exists() or not any(
        (tmp_path / "cache" / "artifacts").iterdir()
    )


def test_the_baseline_is_what_may_be_committed():
    files = {
        path.name.partition("-")[0] if path.suffix == ".parquet" else path.name
        for path in runs.BASELINE.rglob("*")
    }
    assert {"run.json", "launches.jsonl", "cells.csv", "seeds.csv", "suite.resolved.yaml"} <= files
    assert sum(path.stat().st_size for path in runs.BASELINE.rglob("*")) < 500_000
    assert not any(
        b"/work" in path.read_bytes() or b"/home" in path.read_bytes() for path in runs.BASELINE.glob("*.*")
    )


def test_a_check_shows_the_difference_and_leaves_the_baseline(made_up, capsys):
    runs.copy(made_up.parent, made_up.name)
    runs.edit_launches(made_up, runs.set_keys(params=1), runs.STATIC, "evaluate")
    before = (made_up / "launches.jsonl").read_text()
    assert main(["baseline", "ci", "--check", "--folder", str(made_up)]) == 1
    assert "params" in capsys.readouterr().out
    assert (made_up / "launches.jsonl").read_text() == before


def test_renewing_shows_the_difference_and_replaces(made_up, capsys):
    runs.copy(made_up.parent, made_up.name)
    runs.edit_launches(made_up, runs.set_keys(params=1), runs.STATIC, "evaluate")
    assert main(["baseline", "ci", "--folder", str(made_up)]) == 0
    assert "params" in capsys.readouterr().out
    assert main(["compare", str(made_up), str(runs.BASELINE)]) == 0
    assert not (made_up / "logs").exists()
    assert not list(made_up.rglob("*.npz"))


def test_the_first_baseline_is_written(made_up, capsys):
    assert main(["baseline", "ci", "--folder", str(made_up)]) == 0
    assert "baseline written" in capsys.readouterr().out
    assert (made_up / "run.json").exists()


def test_a_check_without_a_baseline_is_a_usage_error(made_up, capsys):
    assert main(["baseline", "ci", "--check", "--folder", str(made_up)]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_a_suite_that_fails_leaves_the_baseline(made_up, monkeypatch, capsys):
    runs.copy(made_up.parent, made_up.name)
    table = load_results(made_up).assign(status="failed", reason="no memory")
    monkeypatch.setattr(api, "run", lambda *_, **__: api.RunResult(made_up, table, 4))
    assert main(["baseline", "ci", "--folder", str(made_up)]) == 4
    assert "no memory" in capsys.readouterr().err
    assert (made_up / "run.json").exists()


def test_a_folder_that_holds_something_else_is_left_alone(made_up, capsys):
    made_up.mkdir()
    (made_up / "thesis.tex").write_text("years of work")
    assert main(["baseline", "ci", "--folder", str(made_up)]) == 2
    assert "something else" in capsys.readouterr().err
    assert [path.name for path in made_up.iterdir()] == ["thesis.tex"]


def test_what_lies_beside_a_baseline_stays(made_up):
    runs.copy(made_up.parent, made_up.name)
    (made_up / "notes.md").write_text("why")
    assert main(["baseline", "ci", "--folder", str(made_up)]) == 0
    assert (made_up / "notes.md").exists()
