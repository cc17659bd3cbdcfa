"""What a run would do: cells, groups, launches, artifacts, what is cached, and an estimate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mtlbench.execute.estimate import estimate_seconds
from mtlbench.execute.left import Left, look_ahead
from mtlbench.execute.observer import JobKind
from mtlbench.execute.prepare import Prepared
from mtlbench.execute.starts import require_starts
from mtlbench.measure.energy import select_meter
from mtlbench.results.folder import RunFolder
from mtlbench.training.artifact import Artifact
from mtlbench.training.cache import ArtifactCache, StoredArtifact

__all__ = ["print_plan"]


def print_plan(prepared: Prepared, out: Path, fresh: bool, console: Console) -> None:
    """Print the plan; nothing is run, and nothing is written.

    Raises:
        DataError: published weights that networks would start from are not there, or do not fit.
    """
    left, stored = look_ahead(prepared, RunFolder(out), ArtifactCache(), fresh=fresh)
    require_starts(left)
    _print_cells(prepared, left, console)
    _print_groups(prepared, console)
    artifacts = [*prepared.wanted(), *left.shipped, *left.trainings]
    if artifacts:
        _print_artifacts(artifacts, stored, console)
    _print_left(left, estimate_seconds(left, prepared.plan.suite.suite.measure), console)
    for line in _obstacles(prepared):
        console.print(escape(line), highlight=False, soft_wrap=True)


def _obstacles(prepared: Prepared) -> Iterator[str]:
    """What will be missing from the results, each in one line."""
    refused = Counter(cell.unsupported for cell in prepared.plan.cells if cell.unsupported is not None)
    yield from (f"problem: {problem}" for problem in prepared.problems if problem not in refused)
    for refusal, count in refused.items():
        word = "problem" if refusal in prepared.problems else "unsupported"
        yield f"{word}: {count} {'cell' if count == 1 else 'cells'}: {refusal}"
    meter = prepared.plan.suite.suite.measure.energy
    for device in sorted({cell.hardware.device for cell in prepared.plan.cells if cell.unsupported is None}):
        reason = select_meter(meter, device).unavailable()
        if reason is not None:
            yield f"no energy on {device}: {reason}"
    if not any(cell.unsupported is None for cell in prepared.plan.requested()):
        yield "nothing that is asked for can be measured here"


def _print_left(left: Left, seconds: dict[JobKind, float] | None, console: Console) -> None:
    counts = f"{len(left.trainings)} trainings, {len(left.evaluations)} evaluations"
    console.print(
        f"to do: {counts}, {len(left.profiles)} profiles, {left.launches} timed launches", highlight=False
    )
    if seconds is None:
        console.print("no estimate: a network of this suite cannot be sized up without building it")
        return
    parts = ", ".join(f"{name} {_minutes(value)}" for name, value in seconds.items())
    console.print(f"roughly {_minutes(sum(seconds.values()))}: {parts}", highlight=False)


def _print_cells(prepared: Prepared, left: Left, console: Console) -> None:
    table = Table(
        "cell", "id", "role", "to do", title="Cells", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    table.columns[0].overflow = "fold"
    waiting = {cell.id for cell in left.evaluations}
    launches = {cell.id: count for cell, count in left.timings}
    for cell in prepared.plan.cells:
        parts = ["evaluate"] * (cell.id in waiting)
        parts += [f"{launches[cell.id]} launches"] if cell.id in launches else []
        todo = f"unsupported: {cell.unsupported}" if cell.unsupported else " + ".join(parts) or "done"
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
        table.add_row(escape(artifact.label), artifact.key[:8], _state(stored.get(artifact.key)))
    console.print(table)
    console.print()


def _state(stored: StoredArtifact | None) -> str:
    if stored is None:
        return "to train"
    return "shipped" if stored.weights_from == "shipped" else "cached"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
