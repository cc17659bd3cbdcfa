"""The smallest suite that does everything, and ways to run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mtlbench.execute.observer import Observer

SUITE = """
suite: tiny
datasets: {name: scenes, size: [32, 32], train: 16, val: 4, test: 6}
tasks: [semseg, depth]
encoders: {name: vit, arch: nano, patch: 16}
head: {name: multiscale, width: 8}
variants: [static_mtl]
training: {epochs: 1, batch: 8}
measure: {inputs: 2, launches: 2, max_seconds: 0.5, warmup_max_seconds: 0.2, resamples: 100, crosscheck: false,
          requeue: 0, profile: false}
"""
WHOLE = SUITE.replace(", profile: false", "")
"""With the profiling launch of every cell."""


def write_suite(folder: Path, text: str = SUITE) -> Path:
    """The suite as a file."""
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


def command(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """`python -m mtlbench` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "mtlbench", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


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
