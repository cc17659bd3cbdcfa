"""One run as a comparison sees it: what it was, and what its journal says about every cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mtlbench.compare.verdict import Side
from mtlbench.results.description import require_description
from mtlbench.results.evidence import Evidence, gather, is_disturbed
from mtlbench.results.folder import RunFolder
from mtlbench.results.journal import Launch

__all__ = ["RunSide", "open_side"]

# Clocks are corrected by fractions of a second all the time; more is a jump.
_JUMP_S = 2.0


@dataclass
class RunSide:
    """A run folder, read once.

    Attributes:
        name: `base` or `head`.
        folder: the run folder.
        run: its `run.json`.
        launches: its journal.
        evidence: by (cell, machine), what the journal says.
    """

    name: str
    folder: RunFolder
    run: Mapping[str, Any]
    launches: list[Launch]
    evidence: Mapping[tuple[str, str], Evidence]

    @cached_property
    def by_cell(self) -> dict[str, dict[str, Evidence]]:
        """Evidence by cell id, then by machine."""
        found: dict[str, dict[str, Evidence]] = {}
        for (cell_id, machine), evidence in self.evidence.items():
            found.setdefault(cell_id, {})[machine] = evidence
        return found

    @property
    def machines(self) -> tuple[str, ...]:
        """Ids of the machines that launches ran on."""
        return tuple(sorted({launch["machine_id"] for launch in self.launches}))

    def told(self) -> Side:
        """What outputs print of it."""
        commits = {
            f"{commit[:10]}{'+' if launch.get('environment.git_dirty') else ''}"
            for launch in self.launches
            if (commit := launch.get("environment.git_commit"))
        }
        return Side(
            self.folder.path, self.run["suite"], self.run["run_id"], tuple(sorted(commits)), self.machines
        )

    def notes(self) -> list[str]:
        """What is odd about the journal as a whole."""
        return [*self._cut(), *self._clock()]

    def disturbed_share(self) -> float | None:
        """Share of timed launches that other work disturbed; None where nothing was timed."""
        timed = [
            is_disturbed(launch) for found in self.evidence.values() for launch in found.timings.values()
        ]
        return sum(timed) / len(timed) if timed else None

    def _cut(self) -> list[str]:
        path = self.folder.journal
        content = path.read_bytes() if path.exists() else b""
        if content and not content.endswith(b"\n"):
            return [
                f"The last line of {self.name}'s journal is incomplete and was left out: a run was killed."
            ]
        return []

    def _clock(self) -> list[str]:
        """Launches of one session are journaled as they end, so none may end before the one above it."""
        ended: dict[tuple[str, str], float] = {}
        for launch in self.launches:
            session = (launch["machine_id"], launch["session"])
            end = launch["started_unix_s"] + launch.get("duration_s", 0.0)
            if end < ended.get(session, end) - _JUMP_S:
                return [
                    f"The clock of {self.name}'s machine was set back during the run, so blocks may seem apart that "
                    "were not; those are left out of paired times."
                ]
            ended[session] = end
        return []


def open_side(name: str, path: Path) -> RunSide:
    """Read a run folder.

    Args:
        name: `base` or `head`.
        path: the folder.

    Raises:
        UsageError: it is not a run folder.
        JournalError: a file of it cannot be read, or is of a newer schema; names file and line.
        CellFailedError: the run has no cells.
    """
    folder = RunFolder(path)
    run = folder.require_run()
    require_description(run, path / "run.json")
    launches = folder.launches()
    return RunSide(name, folder, run, launches, gather(folder, run, launches))
