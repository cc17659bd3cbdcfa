"""`mtlbench run` and `mtlbench validate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from mtlbench import api
from mtlbench.errors import CellFailedError
from mtlbench.results.folder import RunFolder, require_folder

if TYPE_CHECKING:
    from mtlbench.execute.prepare import Prepared

__all__ = ["dry_run_command", "run_command", "validate_command"]

_NOTHING_MEASURED = CellFailedError.exit_code


def run_command(suite: str, out: Path | None, overrides: list[str], only: str | None, fresh: bool) -> int:
    """Run, show progress, print the table; returns the exit code."""
    from mtlbench.cli.progress import ProgressObserver
    from mtlbench.cli.report import open_view
    from mtlbench.report.terminal import print_table

    console = Console()
    with ProgressObserver(console) as observer:
        result = api.run(suite, out=out, overrides=overrides, only=only, fresh=fresh, observer=observer)
    print_table(open_view(result.folder), console)
    _print_failures(result, console)
    _print_unsupported(result, console)
    console.print(f"\nrun folder: {result.folder}", soft_wrap=True, highlight=False)
    return result.exit_code


def dry_run_command(suite: str, out: Path | None, overrides: list[str], only: str | None, fresh: bool) -> int:
    """Print cells, groups, launches, artifacts, what is cached, an estimate, and what stands in the way.

    Returns:
        The exit code: that of a run of which nothing could be measured, or 0.
    """
    from mtlbench.cli.dry_run import print_plan
    from mtlbench.execute.description import describe_run

    prepared = api.prepare(suite, overrides=overrides, only=only)
    folder = RunFolder(_folder(prepared, out))
    require_folder(folder.path, create=False)
    if not fresh:
        describe_run(folder, prepared.plan)  # refuses what the run itself would refuse
    print_plan(prepared, folder.path, fresh, Console())
    return 0 if any(cell.unsupported is None for cell in prepared.plan.requested()) else _NOTHING_MEASURED


def validate_command(suite: str, overrides: list[str]) -> None:
    """Say that a suite is valid and how many cells it has; errors are raised."""
    from mtlbench.suite.load import load_suite
    from mtlbench.suite.plan import plan_suite

    plan = plan_suite(load_suite(suite, overrides))
    reasons = Counter(cell.unsupported for cell in plan.cells if cell.unsupported)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{escape(str(plan.suite.path))}: valid, {len(plan.cells)} cells")
    for reason, count in reasons.items():
        console.print(f"  {count} of them cannot be run: {escape(reason)}")


def _folder(prepared: Prepared, out: Path | None) -> Path:
    return out if out is not None else Path("results") / prepared.plan.suite.suite.suite


def _print_failures(result: api.RunResult, console: Console) -> None:
    failed = result.table[result.table["status"] == "failed"]
    if failed.empty:
        return
    folder = RunFolder(result.folder)
    logs = {launch["cell_id"]: launch["log"] for launch in folder.launches() if launch.get("log")}
    for _, row in failed.iterrows():
        _say(console, f"failed: {row['label']}: {row['reason']}")
        if row["cell_id"] in logs:
            _say(console, f"  log: {folder.path / logs[row['cell_id']]}")


def _print_unsupported(result: api.RunResult, console: Console) -> None:
    """What could not be run at all; in plain words where that leaves nothing."""
    unsupported = result.table[result.table["status"] == "unsupported"]
    for line in _counted(unsupported["reason"]):
        _say(console, f"unsupported: {line}")
    if result.exit_code and not (result.table["status"] == "failed").any():
        _say(console, "nothing that was asked for could be measured")


def _counted(reasons: Iterable[str]) -> list[str]:
    """Each reason once, with the number of cells that have it."""
    counts = Counter(reasons)
    return [f"{count} {'cell' if count == 1 else 'cells'}: {reason}" for reason, count in counts.items()]


def _say(console: Console, text: str) -> None:
    console.print(escape(text), soft_wrap=True, highlight=False)
