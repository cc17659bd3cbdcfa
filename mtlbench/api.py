"""The same as the command line, from Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from mtlbench.errors import UsageError
from mtlbench.locks import try_lock
from mtlbench.results.folder import RunFolder, require_folder, write_atomically
from mtlbench.results.journal import repair_journal
from mtlbench.results.table import load_results, write_tables

if TYPE_CHECKING:
    import pandas as pd

    from mtlbench.execute.observer import Observer
    from mtlbench.execute.prepare import Prepared
    from mtlbench.suite.plan import Plan

__all__ = ["RunResult", "load_results", "prepare", "run"]


@dataclass(frozen=True)
class RunResult:
    """What a run left behind.

    Args:
        folder: the run folder.
        table: one row per cell, as `load_results` gives it.
        exit_code: 0; 4 where cells failed, or none of those asked for could be run.
    """

    folder: Path
    table: pd.DataFrame
    exit_code: int


def prepare(suite: str | Path, *, overrides: Sequence[str] = (), only: str | None = None) -> Prepared:
    """Read, validate and plan a suite, and look for its data on this machine.

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

    return prepare_plan(_selected(_planned(suite, overrides), only))


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
        fresh: forget earlier results of the cells and train everything that they need again.
        observer: told of every job.

    Raises:
        UsageError: the suite, the data or the folder is wrong.
        DataError: files that networks start from are not there, or do not fit; nothing has run or was forgotten.
        MachineUnfitError: the machine lacks what the suite demands.
    """
    from mtlbench.execute.prepare import prepare_plan

    plan = _planned(suite, overrides)
    prepared = prepare_plan(_selected(plan, only))
    seen = {cell.id: cell for cell in prepared.plan.cells}
    whole = replace(plan, cells=tuple(seen.get(cell.id, cell) for cell in plan.cells))
    folder = RunFolder(Path(out) if out is not None else Path("results") / plan.suite.suite.suite)
    with _writing(folder):
        _execute(folder, whole, prepared, fresh, observer)
        table = write_tables(folder)
    ran = table[table["cell_id"].isin(set(seen))]
    runnable = any(cell.unsupported is None for cell in prepared.plan.requested())
    return RunResult(folder.path, table, 4 if not runnable or (ran["status"] == "failed").any() else 0)


def _planned(suite: str | Path, overrides: Sequence[str]) -> Plan:
    from mtlbench.suite.load import load_suite
    from mtlbench.suite.plan import plan_suite

    return plan_suite(load_suite(str(suite), overrides))


def _selected(plan: Plan, only: str | None) -> Plan:
    if only is None:
        return plan
    selected = plan.only(only)
    if not selected.cells:
        labels = [cell.label for cell in plan.cells]
        near = get_close_matches(only, labels, n=3, cutoff=0.0)
        raise UsageError(
            f"--only {only!r} matches no cell", fix=f"--dry-run lists them all, such as {', '.join(near)}"
        )
    return selected


@contextmanager
def _writing(folder: RunFolder) -> Iterator[None]:
    """Be the one writer of a run folder.

    Raises:
        UsageError: somebody else is, or it cannot be a folder.
    """
    require_folder(folder.path, create=True)
    with try_lock(folder.lock) as holder:
        if holder is not None:
            raise UsageError(
                f"another mtlbench ({holder}) is writing this run folder",
                where=str(folder.path),
                fix="Wait for it",
            )
        yield


def _execute(
    folder: RunFolder, whole: Plan, prepared: Prepared, fresh: bool, observer: Observer | None
) -> None:
    from mtlbench.execute.description import describe_run
    from mtlbench.execute.ledger import LaunchLedger
    from mtlbench.execute.left import look_ahead
    from mtlbench.execute.observer import Observer
    from mtlbench.execute.run import Executor
    from mtlbench.execute.starts import require_starts
    from mtlbench.execute.turns import Turns
    from mtlbench.training.cache import ArtifactCache

    cache = ArtifactCache()
    repair_journal(folder.journal)
    require_starts(look_ahead(prepared, folder, cache, fresh=fresh)[0])
    if fresh:
        folder.forget(
            {cell.id for cell in prepared.plan.cells}, everything=len(prepared.plan.cells) == len(whole.cells)
        )
        for artifact in prepared.missing(lambda _: False):
            cache.forget(artifact.key)
    description = describe_run(folder, whole)
    folder.write_run(description)
    write_atomically(folder.path / "suite.resolved.yaml", whole.suite.resolved())
    folder.remove_orphans()
    ledger = LaunchLedger(folder, description["run_id"], prepared, folder.launches())

    def on_trained(current: Mapping[str, Mapping[str, str]]) -> None:
        own = description["current"].get(ledger.machine, {})
        others = {cell: keys for cell, keys in own.items() if cell not in prepared.data_hashes}
        description["current"][ledger.machine] = others | {cell: dict(keys) for cell, keys in current.items()}
        folder.write_run(description)

    try:
        turns = Turns.from_environment()
        Executor(prepared, ledger, cache, observer or Observer(), turns).execute(on_trained)
    except KeyboardInterrupt:
        write_tables(folder)
        raise
