"""What a run would do: cells, groups, launches, artifacts, what is cached, and an estimate."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mtlbench.execute.estimate import estimate_seconds
from mtlbench.execute.ledger import LaunchLedger
from mtlbench.execute.prepare import Prepared
from mtlbench.results.folder import RunFolder
from mtlbench.suite.plan import Cell
from mtlbench.training.artifact import Artifact
from mtlbench.training.cache import ArtifactCache, StoredArtifact

__all__ = ["print_plan"]


def print_plan(prepared: Prepared, out: Path, fresh: bool, console: Console) -> None:
    """Print the plan; nothing is run, and nothing is written."""
    cache = ArtifactCache()
    artifacts = prepared.wanted()
    stored = {a.key: found for a in artifacts if not fresh and (found := cache.find(a.key)) is not None}
    left = _Left(prepared, RunFolder(out), stored, fresh)
    _print_cells(prepared, left, console)
    _print_groups(prepared, console)
    missing = prepared.missing(lambda artifact: artifact.key in stored)
    if artifacts:
        _print_artifacts([*artifacts, *missing], stored, console)
    cells = {cell.id: cell for cell in prepared.plan.cells}
    measure = prepared.plan.suite.suite.measure
    estimate = estimate_seconds(missing, left.evaluations, left.timings, cells, measure)
    counts = f"{len(missing)} trainings, {len(left.evaluations)} evaluations"
    parts = [("training", estimate.train), ("evaluation", estimate.evaluate), ("timing", estimate.time)]
    console.print(f"to do: {counts}, {sum(left.timings.values())} timed launches", highlight=False)
    console.print(
        f"roughly {_minutes(estimate.total)}: " + ", ".join(f"{name} {_minutes(s)}" for name, s in parts),
        highlight=False,
    )


class _Left:
    """What of each cell is not done yet."""

    def __init__(
        self, prepared: Prepared, folder: RunFolder, stored: dict[str, StoredArtifact], fresh: bool
    ) -> None:
        ledger = LaunchLedger(folder, "", prepared)
        self.evaluations: list[Cell] = []
        self.timings: dict[str, int] = {}
        launches = prepared.plan.suite.suite.measure.launches
        for cell in prepared.plan.cells:
            if cell.unsupported is not None:
                continue
            needed = prepared.artifacts[cell.id]
            known = not fresh and all(artifact.key in stored for artifact in needed)
            weights = [stored[a.key] for a in needed] if known and cell.training is not None else None
            if not (known and ledger.is_done(cell, "evaluate", 0, weights)):
                self.evaluations.append(cell)
            done = sum(known and ledger.is_done(cell, "time", block, weights) for block in range(launches))
            self.timings[cell.id] = launches - done


def _print_cells(prepared: Prepared, left: _Left, console: Console) -> None:
    table = Table(
        "cell", "id", "role", "to do", title="Cells", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    table.columns[0].overflow = "fold"
    waiting = {cell.id for cell in left.evaluations}
    for cell in prepared.plan.cells:
        if cell.unsupported is not None:
            todo = f"unsupported: {cell.unsupported}"
        else:
            parts = ["evaluate"] * (cell.id in waiting) + [f"{left.timings[cell.id]} launches"] * bool(
                left.timings[cell.id]
            )
            todo = " + ".join(parts) or "done"
        table.add_row(escape(cell.label), cell.id[:8], cell.role, escape(todo))
    console.print(table)
    console.print()


def _print_groups(prepared: Prepared, console: Console) -> None:
    launches = prepared.plan.suite.suite.measure.launches
    table = Table("group", "members", "launches", title="Comparison groups", title_justify="left", box=None)
    for name, members in prepared.plan.groups().items():
        table.add_row(escape(name), str(len(members)), f"{launches} blocks x {len(members)}")
    console.print(table)
    console.print()


def _print_artifacts(artifacts: list[Artifact], stored: dict[str, StoredArtifact], console: Console) -> None:
    table = Table("artifact", "key", "state", title="Artifacts", title_justify="left", box=None)
    for artifact in {artifact.key: artifact for artifact in artifacts}.values():
        state = "cached" if artifact.key in stored else "to train"
        table.add_row(escape(artifact.label), artifact.key[:8], state)
    console.print(table)
    console.print()


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
