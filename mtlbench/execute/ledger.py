"""What a run has done, and the only place that writes its journal."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mtlbench.execute.prepare import Prepared
from mtlbench.execute.versions import extension_origins, result_versions, reuse_key
from mtlbench.measure.environment import capture, machine_id
from mtlbench.results.folder import RunFolder
from mtlbench.results.journal import SCHEMA_VERSION, Launch, append_launch
from mtlbench.suite.plan import Cell
from mtlbench.suite.schema import Measure
from mtlbench.training.cache import StoredArtifact

__all__ = ["Failure", "LaunchLedger"]

Weights = Sequence[StoredArtifact] | None
"""A cell's trained weights, or None where they are untrained."""

# The settings that shape one launch of each kind; others only say how many there are.
_SHAPING = {
    "evaluate": ("crosscheck",),
    "profile": ("rounds",),
    "time": (
        *("rounds", "max_seconds", "warmup_max_seconds", "energy", "energy_min_seconds"),
        *("frame_rate_hz", "poisson_rate_hz", "poisson_seed", "arrival_seconds"),
    ),
}


class Failure(NamedTuple):
    """Why a job gave no result.

    Attributes:
        reason: what is wrong, and what to do about it.
        log: file inside the run folder with the worker's last words; None where no worker began.
    """

    reason: str
    log: str | None

    def as_result(self) -> dict[str, Any]:
        """In the place of a worker's result."""
        return {"error": self.reason, "log": self.log}


class LaunchLedger:
    """Launches that are done, and the recording of new ones.

    Args:
        folder: the run folder; the caller holds its lock.
        run_id: of this run.
        prepared: plan, data hashes and artifacts.
        launches: what was done before.
    """

    def __init__(
        self, folder: RunFolder, run_id: str, prepared: Prepared, launches: Iterable[Launch]
    ) -> None:
        self.folder = folder
        self.session = uuid.uuid4().hex[:8]
        self._run_id = run_id
        self._prepared = prepared
        self._measure: Measure = prepared.plan.suite.suite.measure
        self._lock = threading.Lock()
        self._machine = machine_id(capture())
        self._attempts: Counter[tuple[str, str, int]] = Counter()
        self._done: set[tuple[str, str, int, str]] = set()
        for launch in launches:
            self._remember(launch)

    @property
    def machine(self) -> str:
        """This machine's id."""
        return self._machine

    def current(self, cell: Cell, weights: Weights) -> dict[str, str]:
        """By kind, the reuse key of the launches that count for a cell."""
        return {kind: self._key(cell, kind, _named(weights)) for kind in _SHAPING}

    def is_done(self, cell: Cell, kind: str, block: int, weights: Weights) -> bool:
        """Whether an equal launch succeeded on this machine before."""
        return (cell.id, kind, block, self._key(cell, kind, _named(weights))) in self._done

    def job(self, cell: Cell, kind: str, block: int, position: int, weights: Weights) -> dict[str, Any]:
        """What the worker of one launch is told."""
        return {
            "kind": kind,
            "launch_id": self._launch_id(cell, kind, block),
            "cell_id": cell.id,
            "cell": cell.specification,
            "places": {
                "dataset": dict(cell.dataset.places),
                "encoder": dict(cell.problem.encoder.places),
                "variant": dict(cell.variant.places),
            },
            "weights": None if weights is None else [stored.told() for stored in weights],
            "samples": str(self.folder.samples),
            "measure": self._measure.model_dump(mode="json"),
            "block": block,
            "position": position,
        }

    def record(
        self,
        job: Mapping[str, Any],
        cell: Cell,
        weights: Weights,
        started_unix_s: float,
        result: dict[str, Any],
    ) -> Launch:
        """Write down one launch: the worker's result, or its `error`."""
        launch = (
            self._identity(cell, job["kind"], job["block"], _named(weights))
            | {
                "launch_id": job["launch_id"],
                "weights_from": [stored.weights_from for stored in weights or ()],
            }
            | _at(started_unix_s)
            | {"position": job["position"], "duration_s": time.time() - started_unix_s}
            | _flat(result)
        )
        self._append(launch)
        return launch

    def fail(self, cell: Cell, kind: str, failure: Failure) -> None:
        """Record that a launch could not even start, because its weights are not there."""
        identity = self._identity(cell, kind, 0, "failed") | {"launch_id": self._launch_id(cell, kind, 0)}
        self._append(identity | _at(time.time()) | _flat(failure.as_result()))

    def _launch_id(self, cell: Cell, kind: str, block: int) -> str:
        """Unique among all launches of all machines; a repeat within a session is numbered."""
        self._attempts[cell.id, kind, block] += 1
        attempt = self._attempts[cell.id, kind, block]
        return f"{cell.id}-{kind}-{block}-{self.session}" + (f"-{attempt}" if attempt > 1 else "")

    def _identity(self, cell: Cell, kind: str, block: int, weights: str) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": self._run_id,
            "machine_id": self._machine,
            "session": self.session,
            "kind": kind,
            "suite": self._prepared.plan.suite.suite.suite,
            "cell_id": cell.id,
            "group": cell.group,
            "block": block,
            "variant": cell.variant.name,
            **{f"axis.{name}": value for name, value in cell.point.items()},
            "tasks": "+".join(cell.asked_names),
            "dataset": cell.labels.get("dataset", cell.dataset.name),
            "encoder": cell.labels.get("encoder", cell.problem.encoder.name),
            "hardware": cell.hardware.label,
            "seed": cell.seed,
            "artifact_ids": [artifact.key for artifact in self._prepared.artifacts[cell.id]],
            "weights_hash": weights,
            "data_hash": self._prepared.data_hashes[cell.id],
            **{f"code_version.{name}": version for name, version in result_versions(cell).items()},
            "extensions": extension_origins(cell),
            "reuse_key": self._key(cell, kind, weights),
        }

    def _key(self, cell: Cell, kind: str, weights: str) -> str:
        measure = self._measure.model_dump(mode="json")
        settings = {name: measure[name] for name in _SHAPING[kind]}
        return reuse_key(cell, weights, self._prepared.data_hashes[cell.id], settings)

    def _append(self, launch: Launch) -> None:
        with self._lock:
            append_launch(self.folder.journal, launch)
            self._remember(launch)

    def _remember(self, launch: Launch) -> None:
        is_own = launch["status"] == "ok" and launch["machine_id"] == self._machine
        if is_own and self.folder.has_samples(launch):
            self._done.add((launch["cell_id"], launch["kind"], launch["block"], launch["reuse_key"]))


def _named(weights: Weights) -> str:
    return "untrained" if weights is None else "+".join(stored.weights_hash for stored in weights)


def _at(unix_s: float) -> dict[str, Any]:
    utc = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")
    return {"started_utc": utc, "started_unix_s": unix_s}


def _flat(result: dict[str, Any]) -> dict[str, Any]:
    """A worker's result as journal keys: `environment` spread out, an error as status and reason."""
    if "error" in result:
        return {"status": "failed", "reason": result["error"], "log": result.get("log")}
    environment = result.pop("environment", {})
    spread = {f"environment.{name}": value for name, value in environment.items()}
    return {"status": "ok", "reason": None, **result, **spread}
