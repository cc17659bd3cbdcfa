"""`mtlbench run` and `mtlbench validate`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from mtlbench import api
from mtlbench.results.folder import RunFolder, require_folder

if TYPE_CHECKING:
    from mtlbench.execute.prepare import Prepared

__all__ = ["dry_run_command", "run_command", "validate_command"]


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
    console.print(f"\nrun folder: {result.folder}", soft_wrap=True, highlight=False)
    return result.exit_code


def dry_run_command(
    suite: str, out: Path | None, overrides: list[str], only: str | None, fresh: bool
) -> None:
    """Print cells, groups, launches, artifacts, what is cached, and an estimate."""
    from mtlbench.cli.dry_run import print_plan
    from mtlbench.execute.description import describe_run

    prepared = api.prepare(suite, overrides=overrides, only=only)
    folder = RunFolder(_folder(prepared, out))
    require_folder(folder.path, create=False)
    if not fresh:
        describe_run(folder, prepared.plan)  # refuses what the run itself would refuse
    print_plan(prepared, folder.path, fresh, Console())


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
    for _, row in failed.iterrows():
        console.print(
            f"failed: {escape(row['label'])}: {escape(str(row['reason']))}", soft_wrap=True, highlight=False
        )
