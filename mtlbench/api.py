"""The same as the command line, from Python."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mtlbench.errors import UsageError
from mtlbench.locks import try_lock
from mtlbench.results.folder import RunFolder, write_atomically
from mtlbench.results.journal import repair_journal
from mtlbench.results.table import load_results, write_tables

if TYPE_CHECKING:
    import pandas as pd

    from mtlbench.execute.observer import Observer
    from mtlbench.execute.prepare import Prepared

__all__ = ["RunResult", "load_results", "prepare", "run"]


@dataclass(frozen=True)
class RunResult:
    """What a run left behind.

    Args:
        folder: the run folder.
        table: one row per cell, as `load_results` gives it.
        exit_code: 0, or 4 where cells failed.
    """

    folder: Path
    table: pd.DataFrame
    exit_code: int


def prepare(suite: str | Path, *, overrides: Sequence[str] = (), only: str | None = None) -> Prepared:
    """Read, validate and plan a suite, and look for its data and artifacts on this machine.

    Args:
        suite: path of a suite file, or name of a shipped one.
        overrides: texts of the form `a.b=c`.
        only: a shell pattern over cell labels and ids.

    Raises:
        SuiteError: the suite is wrong; file, line and column are named.
        UsageError: `only` matches no cell.
        DataError: a dataset is not there.
    """
    from mtlbench.execute.prepare import prepare_plan
    from mtlbench.suite.load import load_suite
    from mtlbench.suite.plan import plan_suite

    plan = plan_suite(load_suite(str(suite), overrides))
    if only is not None:
        labels = [cell.label for cell in plan.cells]
        plan = plan.only(only)
        if not plan.cells:
            raise UsageError(f"--only {only!r} matches no cell", fix=f"Cells are: {', '.join(labels)}")
    return prepare_plan(plan)


def run(
    suite: str | Path,
    *,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    only: str | None = None,
    fresh: bool = False,
    observer: Observer | None = None,
) -> RunResult:
    """Run a suite: train what is missing, evaluate, time, and write the run folder.

    A run continues where an earlier one in the same folder stopped.

    Args:
        suite: path of a suite file, or name of a shipped one.
        out: the run folder; `results/<suite>` by default.
        overrides: texts of the form `a.b=c`.
        only: a shell pattern; other cells are left as they are.
        fresh: forget earlier results of this folder and train everything again.
        observer: told of every job.

    Raises:
        UsageError: the suite, the data or the folder is wrong.
        MachineUnfitError: the machine lacks what the suite demands.
    """
    from mtlbench.execute.description import describe_run
    from mtlbench.execute.ledger import LaunchLedger
    from mtlbench.execute.observer import Observer
    from mtlbench.execute.prepare import prepare_plan
    from mtlbench.execute.run import Executor
    from mtlbench.suite.load import load_suite
    from mtlbench.suite.plan import plan_suite
    from mtlbench.training.cache import ArtifactCache

    prepared = prepare(suite, overrides=overrides, only=only)
    whole = prepared if only is None else prepare_plan(plan_suite(load_suite(str(suite), overrides)))
    folder = RunFolder(Path(out) if out is not None else Path("results") / prepared.plan.suite.suite.suite)
    cache = ArtifactCache()
    with try_lock(folder.lock) as holder:
        if holder is not None:
            raise UsageError(
                f"another mtlbench ({holder}) is writing this run folder",
                where=str(folder.path),
                fix="Wait for it",
            )
        if fresh:
            _forget(folder)
            for artifact in prepared.in_training_order():
                cache.forget(artifact.key)
        repair_journal(folder.journal)
        description = describe_run(folder, whole.plan)
        folder.write_run(description)
        write_atomically(folder.path / "suite.resolved.yaml", prepared.plan.suite.resolved)
        ledger = LaunchLedger(folder, description["run_id"], prepared)
        try:
            Executor(prepared, ledger, cache, observer or Observer()).execute()
        finally:
            table = write_tables(folder)
    ran = table[table["cell_id"].isin({cell.id for cell in prepared.plan.cells})]
    return RunResult(folder.path, table, 4 if (ran["status"] == "failed").any() else 0)


def _forget(folder: RunFolder) -> None:
    """Remove what an earlier run left, and nothing that mtlbench did not write."""
    for path in (folder.samples, folder.logs):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("run.json", "launches.jsonl", "cells.csv", "seeds.csv", "suite.resolved.yaml"):
        (folder.path / name).unlink(missing_ok=True)
