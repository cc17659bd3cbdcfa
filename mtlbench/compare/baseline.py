"""The baseline that a repository keeps: a run without timings, small enough to be committed, and its renewal."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtlbench import api
from mtlbench.compare.comparing import compare_runs
from mtlbench.compare.verdict import Comparison
from mtlbench.errors import CellFailedError, UsageError
from mtlbench.results.folder import RunFolder, require_folder

if TYPE_CHECKING:
    from mtlbench.execute.observer import Observer

__all__ = ["TIERS", "check_baseline", "update_baseline"]

TIERS = "exact,quality,front"
"""What another machine, on another day, can be held to."""

_UNTIMED = ("measure.launches=0", "measure.requeue=0")


def check_baseline(
    suite: str, baseline: Path, *, overrides: Sequence[str] = (), observer: Observer | None = None
) -> Comparison:
    """Run a suite without timings and compare it with a baseline, which stays as it is.

    Raises:
        UsageError: there is no baseline, or the suite is wrong.
        CellFailedError: nothing of the suite could be run.
    """
    RunFolder(baseline).require_run()
    with tempfile.TemporaryDirectory(prefix="mtlbench-baseline-") as scratch:
        fresh = _run(suite, Path(scratch) / "run", overrides, observer)
        return compare_runs(baseline, fresh.path, tiers=TIERS)


def update_baseline(
    suite: str, baseline: Path, *, overrides: Sequence[str] = (), observer: Observer | None = None
) -> Comparison | None:
    """Run a suite without timings and put the run in the place of a baseline.

    Returns:
        What changes; None where there was no baseline.

    Raises:
        UsageError: the suite or the folder is wrong.
        CellFailedError: cells failed; the baseline stays as it is.
    """
    _require_own(baseline)
    is_there = RunFolder(baseline).read_run() is not None
    with tempfile.TemporaryDirectory(prefix="mtlbench-baseline-") as scratch:
        fresh = _run(suite, Path(scratch) / "run", overrides, observer)
        comparison = compare_runs(baseline, fresh.path, tiers=TIERS) if is_there else None
        _slim(fresh)
        _replace(baseline, fresh.path)
    return comparison


def _run(suite: str, out: Path, overrides: Sequence[str], observer: Observer | None) -> RunFolder:
    result = api.run(suite, out=out, overrides=[*overrides, *_UNTIMED], observer=observer)
    failed = result.table[result.table["status"] == "failed"]
    if result.exit_code:
        reasons = "; ".join(f"{row['label']}: {row['reason']}" for _, row in failed.iterrows())
        raise CellFailedError(
            f"the suite did not run through: {reasons or 'none of its cells can be run'}",
            where=suite,
            fix="Run it by itself first",
        )
    return RunFolder(out)


def _slim(folder: RunFolder) -> None:
    """Keep what a comparison reads."""
    shutil.rmtree(folder.logs, ignore_errors=True)
    for path in folder.samples.iterdir():
        if not path.name.endswith(".images.parquet"):
            path.unlink()
    folder.lock.unlink(missing_ok=True)


def _require_own(folder: Path) -> None:
    """Refuse a folder that holds something else than a run: renewing would mix the two.

    Raises:
        UsageError: it does.
    """
    require_folder(folder, create=False)
    if folder.exists() and any(folder.iterdir()) and RunFolder(folder).read_run() is None:
        raise UsageError(
            "holds something else than a baseline",
            where=str(folder),
            fix="Name a folder of its own with --folder",
        )


def _replace(baseline: Path, fresh: Path) -> None:
    """Put a run in the place of another one; what else lies there stays."""
    RunFolder(baseline).forget(set(), everything=True)
    shutil.copytree(fresh, baseline, dirs_exist_ok=True)
