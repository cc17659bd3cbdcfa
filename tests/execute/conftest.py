from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from tiny import WHOLE, write_suite

from mtlbench import RunResult, run
from mtlbench.execute.observer import Observer


class Recorder(Observer):
    """Remembers what it was told."""

    def __init__(self):
        self.jobs: list[tuple[str, str]] = []
        self.epochs: list[str] = []
        self.messages: list[str] = []
        self.counts: dict[str, int] = {}

    def planned(self, counts, seconds):
        self.counts = dict(counts)

    def started(self, kind, job, label):
        self.jobs.append((kind, label))

    def progressed(self, job, row):
        self.epochs.append(job)

    def message(self, text):
        self.messages.append(text)


class Finished(NamedTuple):
    """One complete run of the tiny suite, profiling included."""

    suite: Path
    result: RunResult
    observer: Recorder


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    suite = write_suite(folder, WHOLE)
    observer = Recorder()
    return Finished(suite, run(suite, out=folder / "run", observer=observer), observer)
