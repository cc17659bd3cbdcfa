"""Workers that train in this process without training, and fail at everything else: what they are told is the point."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from mtlbench.execute.jobs import train as train_module
from mtlbench.execute.process import WorkerFailedError, WorkerPool
from mtlbench.training.loop import TrainingResult


def install(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put them in the place of worker processes; returns the jobs that they are given."""
    jobs: list[dict[str, Any]] = []

    def do(_, job, **__):
        job = json.loads(json.dumps(job))
        jobs.append(job)
        if job["kind"] != "train":
            raise WorkerFailedError("not run here")
        return train_module.train_job(job, None) | {"pid": 1}

    def train(recipe, protocol, tasks, train_split, val_split, *, parents, **_):
        parent = sum(float(state["w"].sum()) for state in parents.values())
        return TrainingResult({"w": torch.full((3,), 0.1) + parent}, 1, [{"epoch": 1.0, "loss": 0.5}])

    monkeypatch.setattr(WorkerPool, "run", do)
    monkeypatch.setattr(train_module, "train", train)
    monkeypatch.setattr(train_module, "load_split", lambda *_: None)
    monkeypatch.setattr(train_module, "prepare", lambda _: None)
    monkeypatch.setattr(train_module, "capture", lambda: {"torch": "2", "host_hash": "secret"})
    return jobs
