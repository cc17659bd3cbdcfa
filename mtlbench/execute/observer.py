"""What a run tells whoever watches it. The base class watches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["JobKind", "Observer"]

JobKind = Literal["train", "evaluate", "profile", "time"]


class Observer:
    """Callbacks of a run. They may come from several threads, but never while a launch is timed."""

    def planned(self, counts: Mapping[JobKind, int], seconds: Mapping[JobKind, float] | None) -> None:
        """How many jobs of each kind are left to do, and roughly how long they take; None where nobody knows."""

    def started(self, kind: JobKind, job: str, label: str) -> None:
        """A job begins: its id, and what it is called."""

    def progressed(self, job: str, row: Mapping[str, Any]) -> None:
        """A training finished an epoch; `row` has `epoch`, `epochs`, `loss` and validation metrics."""

    def finished(self, kind: JobKind, job: str, error: str | None) -> None:
        """A job ended; `error` says why it failed."""

    def message(self, text: str) -> None:
        """Something that the user should know."""
