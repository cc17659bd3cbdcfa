"""Launches that other work disturbed: repeated within their block, both kept, the quiet one used."""

from __future__ import annotations

import json

import pytest
from tiny import SUITE, Recorder, write_suite

import mtlbench
from mtlbench.execute.process import WorkerPool
from mtlbench.results.evidence import gather
from mtlbench.results.folder import RunFolder


@pytest.fixture
def run_disturbed(tmp_path, monkeypatch):
    """Run the tiny suite untrained; `disturb(kind, count)` says which launches are reported as disturbed."""

    def run(disturb, **settings):
        original, seen = WorkerPool.run, []

        def worker(self, job, **arguments):
            result = original(self, job, **arguments)
            if job["kind"] == "time":
                seen.append(job["launch_id"])
                other = [code for code in result["warnings"] if code == "not_steady"]
                result["warnings"] = other + (["foreign_load"] if disturb(len(seen)) else [])
                result["latency_ms"] = float(len(seen))
            return result

        monkeypatch.setattr(WorkerPool, "run", worker)
        text = SUITE.replace("training: {epochs: 1, batch: 8}", "training: random").replace(
            "requeue: 0, ", ""
        )
        changes = [f"measure.{name}={value}" for name, value in settings.items()]
        observer = Recorder()
        result = mtlbench.run(
            write_suite(tmp_path, text), out=tmp_path / "run", observer=observer,
            overrides=["baselines=[]", "measure.launches=1", *changes],
        )  # fmt: skip
        lines = (tmp_path / "run" / "launches.jsonl").read_text().splitlines()
        return result, [line for line in map(json.loads, lines) if line["kind"] == "time"], observer

    return run


def test_a_disturbed_launch_runs_again_and_the_quiet_one_counts(run_disturbed):
    result, launches, _ = run_disturbed(lambda n: n == 1)
    assert result.exit_code == 0
    assert [launch["latency_ms"] for launch in launches] == [1.0, 2.0]
    assert len({launch["launch_id"] for launch in launches}) == 2
    assert {launch["block"] for launch in launches} == {0}
    row = result.table.iloc[0]
    assert row["latency_ms"] == 2.0
    assert row["n_launches"] == 1
    assert "foreign_load" not in row["warnings"]


def test_what_stays_disturbed_is_marked_after_two_repeats(run_disturbed):
    result, launches, _ = run_disturbed(lambda n: True)
    assert len(launches) == 3
    assert "foreign_load" in result.table.iloc[0]["warnings"]
    folder = RunFolder(result.folder)
    (evidence,) = gather(folder, folder.require_run()).values()
    assert evidence.timings[0]["latency_ms"] == 3.0


def test_repeats_are_a_setting(run_disturbed):
    _, launches, _ = run_disturbed(lambda n: True, requeue=0)
    assert len(launches) == 1


def test_a_machine_that_is_never_quiet_is_said_once(run_disturbed):
    _, launches, observer = run_disturbed(lambda n: True, launches=4)
    assert len(launches) < 4 * 3
    assert len([text for text in observer.messages if "no longer repeated" in text]) == 1
