"""The cheap checks that known tools fail (peers.md, section 6), as far as they are about time, memory and processes.

Those about cost are in `tests/cost/test_cost_peer_checks.py`; those about meters in `tests/measure/test_pyrapl.py` and
`test_nvml.py`; about resuming in `test_interruption.py`; about including in `tests/suite/test_include.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from mtlbench.execute.process import WorkerPool
from mtlbench.measure import thread_environment
from mtlbench.results.folder import RunFolder
from mtlbench.stats.quantiles import reportable_from

SLEEPER = """
import json, sys, time
sys.stdin.read()
time.sleep(3)
print(json.dumps({"event": "result", "result": {}}))
"""

ASKED = """
import json, os, sys
import torch
from mtlbench.measure import prepare
said = prepare(int(sys.argv[1])).as_dict()
denormal = (torch.full((4,), 1e-39) * 1)[0].item()
affinity = sorted(os.sched_getaffinity(0))
real = [torch.get_num_threads(), torch.get_num_interop_threads(), affinity, denormal]
print(json.dumps({**said, "real": real}))
"""


def test_the_parent_uses_under_one_percent_of_a_core_while_a_launch_runs(monkeypatch, tmp_path):
    started = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda _, **options: started([sys.executable, "-c", SLEEPER], **options)
    )
    began, used = time.monotonic(), time.process_time()
    WorkerPool().run({}, environment={}, log=tmp_path / "log")
    took = time.monotonic() - began
    assert took > 3
    # Starting the worker is a few milliseconds of work, which a launch of real length makes small.
    assert (time.process_time() - used) / took < 0.01


def test_the_record_is_of_the_workers_environment_not_of_the_parents(finished):
    launches = [x for x in RunFolder(finished.result.folder).launches() if x["kind"] == "time"]
    for launch in launches:
        assert launch["pid"] != os.getpid()
        for name, value in thread_environment(1).items():
            assert launch[f"process.env.{name}"] == value
    assert any(os.environ.get(name) != value for name, value in thread_environment(1).items())


def test_a_percentile_is_left_out_where_the_calls_are_too_few(finished):
    table = finished.result.table
    for percent in (50, 90, 99):
        needed = reportable_from(percent / 100)
        for calls, value in zip(_calls(finished), table[f"latency_ms_p{percent}"], strict=True):
            assert pd.isna(value) == (calls < needed), (percent, calls)


def test_every_input_is_issued_equally_often_and_its_path_is_kept(finished):
    folder = RunFolder(finished.result.folder)
    for launch in folder.launches():
        if launch["kind"] == "time":
            samples = pd.read_parquet(folder.sample_file(launch))
            assert samples.groupby("input").size().nunique() == 1
        if launch["kind"] == "evaluate":
            images = pd.read_parquet(folder.sample_file(launch))
            assert (images["macs_nominal"] > 0).all()


def test_realisation_is_there_or_says_why_not_wherever_a_saving_is(finished):
    table = finished.result.table
    assert (table["realisation"].notna() ^ table["realisation_reason"].notna()).all()


def test_memory_is_of_a_process_of_its_own(finished):
    folder = RunFolder(finished.result.folder)
    timed = {x["pid"] for x in folder.launches() if x["kind"] == "time"}
    profiled = [x["pid"] for x in folder.launches() if x["kind"] == "profile"]
    assert not timed & set(profiled)
    table = finished.result.table.set_index("variant")
    # T single-task networks side by side hold T encoders; what that costs is in their row.
    assert table.loc["single_task", "weights_mib"] > 1.5 * table.loc["static_mtl", "weights_mib"]


def test_results_are_read_back_from_json_and_csv_without_executing_anything(finished):
    lines = (finished.result.folder / "launches.jsonl").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert np.isfinite(pd.read_csv(finished.result.folder / "cells.csv")["latency_ms"]).all()


def _calls(finished) -> list[int]:
    launches = pd.DataFrame(RunFolder(finished.result.folder).launches())
    timed = launches[launches["kind"] == "time"].groupby("cell_id")["n_calls"].sum()
    return [int(timed[cell]) for cell in finished.result.table["cell_id"]]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_worker_has_what_it_was_asked_for_and_no_more(threads):
    """Intra- and inter-operation threads, affinity, denormals: read back inside the process that measures."""
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(threads)],
        env={**os.environ, **thread_environment(threads)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    intra, inter, affinity, denormal = said["real"]
    assert (said["threads"], said["interop_threads"]) == (intra, inter) == (threads, 1)
    assert said["affinity"] == ",".join(map(str, affinity))
    assert said["flush_denormal"] is (denormal == 0.0)
