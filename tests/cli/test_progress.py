"""Progress: jobs that are called the same, and an estimate of the time left."""

from __future__ import annotations

import io
import re

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


def test_a_repeated_launch_says_so_and_is_one_more_than_planned():
    stream = io.StringIO()
    with ProgressObserver(Console(file=stream)) as observer:
        observer.planned({"time": 2}, None)
        for job in ("c-time-0-5e55", "c-time-0-5e55-2", "c-time-1-5e55", "d-time-0-5e55"):
            observer.started("time", job, "the same name")
            observer.finished("time", job, None)
        (bar,) = observer._progress.tasks
        assert (bar.completed, bar.total) == (4, 3), "d was never planned, the repeat is"
    lines = [line.split(": ")[0] for line in stream.getvalue().splitlines()]
    once = "timing the same name"
    assert lines == [once, f"{once} (again, was disturbed)", once, once]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_long_labels_are_shortened_in_the_middle_and_the_time_left_stays(width):
    label = "adaptive_token_pruning/scenes/vit-nano/semseg+depth+normals+saliency+edge/cpu-1t-b1 block 1"
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    with ProgressObserver(console) as observer:
        observer.planned({"time": 120}, {"time": 500.0})
        observer.started("time", "c-time-0-5e55", label)
        drawn = stream.getvalue().splitlines()[-1].rpartition("\x1b[2K")[2]
        observer.finished("time", "c-time-0-5e55", "out of memory " * 10)
    assert len(drawn) <= width
    assert "0/120" in drawn
    assert re.search(r"adap.*\u2026.*1  about 8:20 left", drawn)
    failed = stream.getvalue().partition("failed timing ")[2].splitlines()[:4]
    assert max(len("failed timing " + line) for line in failed[:1]) <= width
    assert "out of memory" in " ".join(failed)


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
