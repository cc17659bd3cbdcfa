from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny import WHOLE, Recorder, write_suite

from mtlbench import RunResult, run
from mtlbench.locks import file_lock


class Finished(NamedTuple):
    """One complete run of the tiny suite, profiling included."""

    suite: Path
    result: RunResult
    observer: Recorder


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Finished:
    """Run once also where pytest-xdist has several processes; it takes half a minute."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _finish(tmp_path_factory.mktemp("finished"))
    common = tmp_path_factory.getbasetemp().parent / "finished"
    own = tmp_path_factory.mktemp("finished")
    with file_lock(common.with_suffix(".lock")):
        if not common.exists():
            common.mkdir()
            done = _finish(common)
            (common / "told.pickle").write_bytes(pickle.dumps((done.result, vars(done.observer))))
    shutil.copytree(common, own, dirs_exist_ok=True)
    result, told = pickle.loads((own / "told.pickle").read_bytes())  # noqa: S301  # written a few lines above
    observer = Recorder()
    vars(observer).update(told)
    return Finished(own / "tiny.yaml", replace(result, folder=own / "run"), observer)


def _finish(folder: Path) -> Finished:
    suite = write_suite(folder, WHOLE)
    observer = Recorder()
    return Finished(suite, run(suite, out=folder / "run", observer=observer), observer)
