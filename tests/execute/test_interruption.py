"""Kills, Ctrl-C, locks: the journal stays readable, nothing is lost but the launch in flight, nothing runs twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tiny import command

from mtlbench import load_results
from mtlbench.execute.run import timing_lock_path
from mtlbench.locks import file_lock
from mtlbench.results.folder import RunFolder

KILLS = int(os.environ.get("MTLBENCH_TEST_KILLS", "4"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_at_random_moments_loses_nothing_and_repeats_nothing(finished, tmp_path):
    folder = tmp_path / "run"
    environment = {"MTLBENCH_CACHE": str(tmp_path / "cache")}
    arguments = ("run", finished.suite, "--out", folder, "--set", "measure.launches=4")
    rng = random.Random(7)
    seen: list[str] = []
    for _ in range(KILLS):
        process = command(*arguments, **environment)
        time.sleep(rng.uniform(1.0, 9.0))
        process.kill()
        process.communicate()
        recorded = [launch["launch_id"] for launch in RunFolder(folder).launches()]
        assert recorded[: len(seen)] == seen
        seen = recorded
    process = command(*arguments, **environment)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    launches = RunFolder(folder).launches()
    assert {launch["status"] for launch in launches} == {"ok"}
    counts = Counter((launch["cell_id"], launch["kind"], launch["block"]) for launch in launches)
    assert set(counts.values()) == {1}
    kinds = Counter(kind for _, kind, _ in counts)
    assert kinds == {"evaluate": 2, "time": 2 * 4, "profile": 2}
    files = sorted(path.name for path in (folder / "samples").glob("*.parquet"))
    kept = [launch for launch in launches if launch["kind"] != "profile"]
    assert files == sorted(RunFolder(folder).sample_file(launch).name for launch in kept)
    table = load_results(folder)
    columns = [name for name in table.columns if name.startswith(("metric.", "delta_m", "macs_"))]
    assert set(table["status"]) == {"ok"}
    for name in columns:
        assert list(table[name].astype(str)) == list(finished.result.table[name].astype(str)), name


def test_ctrl_c_ends_the_workers_and_exits_130(finished, tmp_path):
    folder = tmp_path / "run"
    process = command("run", finished.suite, "--out", folder, "--set", "measure.launches=50")
    worker = _wait_for_worker(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert not _is_alive(worker)
    assert all(launch["status"] == "ok" for launch in RunFolder(folder).launches())
    assert (folder / "cells.csv").exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="parent-death signals are Linux's")
def test_a_killed_run_leaves_no_worker_behind(finished, tmp_path):
    process = command("run", finished.suite, "--out", tmp_path / "run", "--set", "measure.launches=50")
    worker = _wait_for_worker(process)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 5
    while _is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(worker)


def test_a_second_mtlbench_waits_for_the_timing_lock(finished, tmp_path):
    folder, before = _copied(finished, tmp_path)
    with file_lock(timing_lock_path()):
        process = command("run", finished.suite, "--out", folder, "--set", "measure.launches=3")
        assert process.stdout is not None
        said = iter(process.stdout.readline, "")
        waiting = f"waiting: another mtlbench is using this machine (pid {os.getpid()})"
        assert any(waiting in line for line in said)
        time.sleep(1)
        assert process.poll() is None
        assert RunFolder(folder).launches() == before
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert len(RunFolder(folder).launches()) == len(before) + 2


def test_two_writers_of_one_folder_are_refused(finished):
    with file_lock(RunFolder(finished.result.folder).lock):
        process = command("run", finished.suite, "--out", finished.result.folder)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "is writing this run folder" in errors


def test_a_worker_that_dies_is_a_failed_cell_not_a_crash(tmp_path, finished):
    folder, _ = _copied(finished, tmp_path)
    process = command("run", finished.suite, "--out", folder, "--set", "measure.launches=3")
    worker = _wait_for_worker(process)
    worker.kill()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 4, errors
    assert "killed by signal 9" in output
    again = command("run", finished.suite, "--out", folder, "--set", "measure.launches=3")
    output, errors = again.communicate(timeout=120)
    assert again.returncode == 0, output + errors
    assert set(load_results(folder)["status"]) == {"ok"}


def _copied(finished, tmp_path):
    """The finished run as a folder of one's own, and its launches."""
    folder = tmp_path / "run"
    shutil.copytree(finished.result.folder, folder)
    return folder, RunFolder(folder).launches()


def _wait_for_worker(process: subprocess.Popen[str]) -> psutil.Process:
    """The first worker that has lived long enough to be at work."""
    parent = psutil.Process(process.pid)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in parent.children():
            with suppress(psutil.Error):  # other children, such as git, are gone before they can be asked
                is_worker = any("worker" in argument for argument in child.cmdline())
                if is_worker and time.time() - child.create_time() > 0.7:
                    return child
        time.sleep(0.05)
    process.kill()
    raise AssertionError("no worker was started")


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
