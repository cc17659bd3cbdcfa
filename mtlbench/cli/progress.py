"""Progress over artifacts and launches, with an estimate of the time left.

Drawn only when something happens, never on a timer: while a launch is timed, the parent sleeps.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from mtlbench.execute.observer import JobKind, Observer
from mtlbench.report.wrap import shortened

__all__ = ["ProgressObserver"]

_AGAIN = " (again, was disturbed)"
_LABEL_FROM = len("failed evaluating :")
_TITLE = 10
_WIDE = 100
_LEAST = 10
"""Characters of what runs that are shown however narrow the terminal is."""

_NAMES: dict[JobKind, str] = {
    "train": "training",
    "evaluate": "evaluating",
    "profile": "profiling",
    "time": "timing",
}


class ProgressObserver(Observer):
    """One bar per kind of job on a terminal; one line per finished job elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.RLock()
        self._bars: dict[JobKind, TaskID] = {}
        self._pace = Pace()
        self._running: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._bar = 24 if console.width >= _WIDE else 12
        self._progress = Progress(
            TextColumn(f"{{task.description:<{_TITLE}}}"),
            BarColumn(bar_width=self._bar),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
            auto_refresh=False,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._running.clear()
            self._draw("")
            self._progress.stop()

    def planned(self, counts: Mapping[JobKind, int], seconds: Mapping[JobKind, float] | None) -> None:
        """Set the totals."""
        with self._lock:
            self._pace.expected = dict(seconds or {})
            for kind, count in counts.items():
                self._pace.left[kind] = count
                if count:
                    self._bars[kind] = self._progress.add_task(_NAMES[kind], total=count, note="")
            self._draw("")

    def started(self, kind: JobKind, job: str, label: str) -> None:
        """Show what runs."""
        with self._lock:
            if _first_launch(job) in self._labels:
                label += _AGAIN
                self._repeat(kind)
            self._pace.start(kind, job)
            self._labels[job] = self._running[job] = label
            self._draw(" · ".join(self._running.values()))

    def progressed(self, job: str, row: Mapping[str, Any]) -> None:
        """Show a training's epoch and loss."""
        with self._lock:
            self._pace.share(job, row["epoch"] / row["epochs"])
            epoch = f"epoch {row['epoch']:.0f}/{row['epochs']}"
            self._running[job] = f"{self._labels[job]} {epoch} loss {row['loss']:.3f}"
            self._draw(" · ".join(self._running.values()))

    def finished(self, kind: JobKind, job: str, error: str | None) -> None:
        """Advance; on a plain stream, one line."""
        with self._lock:
            seconds = self._pace.finish(kind, job)
            self._running.pop(job, None)
            label = self._labels[job]
            if kind in self._bars:
                self._progress.advance(self._bars[kind])
            if error is not None:
                label = self._brief(label)
                self._say(f"[red]failed[/red] {_NAMES[kind]} {escape(label)}: {escape(error)}")
            elif not self._console.is_terminal:
                self._say(f"{_NAMES[kind]} {escape(label)}: {seconds:.1f} s{self._eta()}")
            self._draw(" · ".join(self._running.values()))

    def message(self, text: str) -> None:
        """Print a line."""
        with self._lock:
            self._say(escape(text))

    def _repeat(self, kind: JobKind) -> None:
        """One job more than was planned."""
        self._pace.left[kind] = self._pace.left.get(kind, 0) + 1
        if kind in self._bars:
            bar = self._bars[kind]
            self._progress.update(bar, total=(self._progress.tasks[bar].total or 0) + 1)

    def _say(self, text: str) -> None:
        # a terminal breaks lines anywhere, rich between words; elsewhere a line is a line
        self._progress.console.print(text, highlight=False, soft_wrap=not self._console.is_terminal)

    def _brief(self, label: str) -> str:
        """A label that a terminal need not break."""
        return shortened(label, self._console.width - _LABEL_FROM) if self._console.is_terminal else label

    def _draw(self, running: str) -> None:
        for task in self._bars.values():
            self._progress.update(task, note="")
        current = next((t for t in self._bars.values() if not self._progress.tasks[t].finished), None)
        if current is not None:
            eta = self._eta()
            digits = max(len(str(task.total)) for task in self._progress.tasks)
            room = self._console.width - _TITLE - self._bar - 2 * digits - len(eta) - len(" " * 3 + "/")
            self._progress.update(current, note=escape(shortened(running, max(room, _LEAST))) + eta)
        self._progress.refresh()

    def _eta(self) -> str:
        seconds = self._pace.seconds_left()
        return "" if seconds is None else f"  about {_clock(seconds)} left"


class Pace:
    """Estimates the time left: each kind of job by its pace so far, or as was expected before it began."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.left: dict[JobKind, int] = {}
        self.expected: dict[JobKind, float] = {}
        self._now = now
        self._done: Counter[JobKind] = Counter()
        self._started: dict[str, tuple[JobKind, float, float]] = {}
        self._first: dict[JobKind, float] = {}

    def start(self, kind: JobKind, job: str) -> None:
        """A job begins."""
        self._started[job] = (kind, self._now(), 0.0)
        self._first.setdefault(kind, self._now())

    def share(self, job: str, share: float) -> None:
        """A running job has done this share of its work."""
        kind, begun, _ = self._started[job]
        self._started[job] = (kind, begun, share)

    def finish(self, kind: JobKind, job: str) -> float:
        """A job ended; returns its seconds."""
        _, begun, _ = self._started.pop(job, (kind, self._now(), 0.0))
        self._done[kind] += 1
        self.left[kind] = max(self.left.get(kind, 1) - 1, 0)
        return self._now() - begun

    def seconds_left(self) -> float | None:
        """None where a kind that is left has neither a pace nor an expectation."""
        total = 0.0
        for kind, count in self.left.items():
            if count == 0:
                continue
            begun = sum(share for k, _, share in self._started.values() if k == kind)
            done = self._done[kind] + begun
            if done > 0:
                total += (self._now() - self._first[kind]) / done * (count - begun)
            elif kind in self.expected:
                total += self.expected[kind]
            else:
                return None
        return total or None


def _first_launch(job: str) -> str:
    """The id of the launch that a job repeats; repeats are numbered (`LaunchLedger`)."""
    return job.rpartition("-")[0]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
