"""A run folder: `run.json`, `suite.resolved.yaml`, `launches.jsonl`, `cells.csv`, `seeds.csv`, `samples/`, `logs/`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlbench.errors import CellFailedError, JournalError, UsageError
from mtlbench.results.description import known_schema
from mtlbench.results.journal import Launch, read_journal

__all__ = ["RunFolder", "require_folder", "write_atomically"]

_SAMPLES = {"evaluate": "images", "time": "latency"}


@dataclass(frozen=True)
class RunFolder:
    """Places inside one run folder."""

    path: Path

    @property
    def journal(self) -> Path:
        """One line per launch."""
        return self.path / "launches.jsonl"

    @property
    def samples(self) -> Path:
        """Raw samples and per-image statistics, Parquet; pictures, NumPy."""
        return self.path / "samples"

    @property
    def logs(self) -> Path:
        """What failed workers wrote to standard error."""
        return self.path / "logs"

    @property
    def lock(self) -> Path:
        """Held by the one writer."""
        return self.path / ".lock"

    def launches(self) -> list[Launch]:
        """The journal."""
        return read_journal(self.journal)

    def sample_file(self, launch: Launch) -> Path:
        """Where a launch that keeps raw samples or per-image statistics has them."""
        return self.samples / f"{launch['launch_id']}.{_SAMPLES[launch['kind']]}.parquet"

    def has_samples(self, launch: Launch) -> bool:
        """Whether that file is there; without it a launch is not done."""
        return launch["kind"] not in _SAMPLES or self.sample_file(launch).exists()

    def remove_orphans(self) -> None:
        """Remove samples that no launch of the journal names: what a kill between the two leaves."""
        known = {self.sample_file(launch) for launch in self.launches() if launch["kind"] in _SAMPLES}
        for path in self.samples.glob("*.parquet"):
            if path not in known:
                path.unlink()

    def forget(self, cell_ids: set[str], *, everything: bool) -> None:
        """Remove the launches of some cells, and with `everything` all that a run leaves; nothing else."""
        if everything:
            for folder in (self.samples, self.logs):
                shutil.rmtree(folder, ignore_errors=True)
            for name in ("run.json", "launches.jsonl", "cells.csv", "seeds.csv", "suite.resolved.yaml"):
                (self.path / name).unlink(missing_ok=True)
        elif self.journal.exists():
            kept = [launch for launch in self.launches() if launch["cell_id"] not in cell_ids]
            write_atomically(
                self.journal, "".join(json.dumps(launch, ensure_ascii=False) + "\n" for launch in kept)
            )

    def read_run(self) -> dict[str, Any] | None:
        """`run.json`, or None where there is none.

        Raises:
            JournalError: it cannot be read, or is of a newer schema.
        """
        path = self.path / "run.json"
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise JournalError(
                f"not JSON: {error}", where=str(path), fix="Restore it, or run the suite again with --fresh"
            ) from error
        return known_schema(run, path)

    def require_run(self) -> dict[str, Any]:
        """`run.json` of an existing run.

        Raises:
            UsageError: this is not a run folder.
        """
        run = self.read_run()
        if run is None:
            raise UsageError(
                "not a run folder: no run.json", where=str(self.path), fix="Name a folder that `run` wrote"
            )
        if not run.get("cells"):
            raise CellFailedError("the run has no cells", where=str(self.path))
        return run

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Replace `run.json`."""
        write_atomically(self.path / "run.json", json.dumps(run, indent=1, ensure_ascii=False))


def require_folder(path: Path, *, create: bool) -> None:
    """Check that `path` is a folder or can become one, and make it where asked to.

    Raises:
        UsageError: it is something else, or cannot be made.
    """
    existing = next((folder for folder in (path, *path.absolute().parents) if folder.exists()), path)
    try:
        if create:
            path.mkdir(parents=True, exist_ok=True)
        elif not (existing.is_dir() and os.access(existing, os.W_OK)):
            raise NotADirectoryError(0, "not a folder that can be written to")
    except OSError as error:
        raise UsageError(
            f"cannot be a folder for results: {error.strerror}", where=str(path), fix="Choose another --out"
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
