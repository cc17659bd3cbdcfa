"""A worker runs the code of the process that started it, and is ended whatever it was at."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mtlbench.execute.process import WorkerFailedError, WorkerPool


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder with another mtlbench in it, and this process standing there."""
    (tmp_path / "mtlbench").mkdir()
    (tmp_path / "mtlbench" / "__init__.py").write_text("raise SystemExit('the wrong mtlbench')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_package_in_the_current_folder_is_not_what_workers_run(elsewhere):
    log = elsewhere / "log"
    with pytest.raises(WorkerFailedError):
        WorkerPool().run({"kind": "no such kind"}, environment={}, log=log)
    assert "the wrong mtlbench" not in log.read_text()
    assert "no such kind" in log.read_text()


def test_a_worker_that_was_still_being_told_its_job_is_ended_quietly():
    # Ctrl-C in the middle of telling: another error in its place would hide that it was Ctrl-C
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdin.write("half of a job")
    WorkerPool()._end(process)
    assert process.poll() is not None
