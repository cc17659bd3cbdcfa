"""Progress: jobs that are called the same, and an estimate of the time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mtlbench.cli.progress import Pace, ProgressObserver


def test_jobs_of_one_name_do_not_get_in_each_others_way():
    stream = io.StringIO()
    with ProgressObserver(Console(file=stream)) as observer:
        observer.planned({"train": 2, "time": 1}, None)
        for job in ("a", "b"):
            observer.started("train", job, "the same name")
        observer.finished("train", "a", None)
        observer.progressed("b", {"epoch": 1, "epochs": 2, "loss": 0.5})
        observer.finished("train", "b", "the loss of depth is nan at step 3")
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("training the same name: ")
    assert lines[1] == "failed training the same name: the loss of depth is nan at step 3"


def test_the_estimate_is_that_of_a_steady_pace():
    now = [0.0]
    pace = Pace(now=lambda: now[0])
    pace.left = {"train": 2, "time": 4}
    assert pace.seconds_left() is None
    pace.expected = {"train": 99.0, "time": 8.0}
    assert pace.seconds_left() == pytest.approx(107.0)
    pace.start("train", "a")
    now[0] = 10.0
    pace.share("a", 0.5)
    assert pace.seconds_left() == pytest.approx(30.0 + 8.0)
    now[0] = 20.0
    pace.finish("train", "a")
    assert pace.seconds_left() == pytest.approx(20.0 + 8.0)
