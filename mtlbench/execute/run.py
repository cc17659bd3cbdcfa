"""Executing a plan: train what is missing, evaluate, then time in blocks; every launch goes to the journal."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from mtlbench.execute.estimate import estimate_seconds
from mtlbench.execute.ledger import Failure, LaunchLedger
from mtlbench.execute.left import what_is_left
from mtlbench.execute.observer import JobKind, Observer
from mtlbench.execute.prepare import Prepared
from mtlbench.execute.process import WorkerFailedError, WorkerPool
from mtlbench.execute.schedule import RepeatBudget, block_order
from mtlbench.execute.turns import Turns
from mtlbench.locks import file_lock
from mtlbench.measure.process import thread_environment, usable_cores
from mtlbench.results.evidence import is_disturbed
from mtlbench.results.journal import Launch
from mtlbench.suite.plan import Cell
from mtlbench.training.artifact import Artifact
from mtlbench.training.cache import ArtifactCache, StoredArtifact

__all__ = ["Executor", "timing_lock_path"]


def timing_lock_path() -> Path:
    """`MTLBENCH_LOCK`, or one file per machine in the system's temporary folder.

    Timing holds it alone; training and evaluation share it. So no mtlbench on a machine ever times beside the work
    of another one.
    """
    named = os.environ.get("MTLBENCH_LOCK")
    return Path(named) if named else Path(tempfile.gettempdir()) / "mtlbench-timing.lock"


class Executor:
    """Does what is left of a plan.

    Args:
        prepared: the plan with its data and artifacts.
        ledger: what is done already, and where launches are recorded.
        cache: where artifacts are.
        observer: told of every job.
        turns: asked before each timed launch; a run that is alone need not ask.
    """

    def __init__(
        self,
        prepared: Prepared,
        ledger: LaunchLedger,
        cache: ArtifactCache,
        observer: Observer,
        turns: Turns | None = None,
    ) -> None:
        self._prepared = prepared
        self._ledger = ledger
        self._cache = cache
        self._observer = observer
        self._turns = turns or Turns()
        self._pool = WorkerPool()
        self._stored: dict[str, StoredArtifact] = {}
        self._failed: dict[str, Failure] = {}

    def execute(self, on_trained: Callable[[Mapping[str, Mapping[str, str]]], None] = lambda _: None) -> None:
        """Run every job that is left. A job that fails is recorded, and the sweep goes on.

        Args:
            on_trained: told, between training and the first launch, by cell and kind which launches count from now
                on (see `LaunchLedger.current`).
        """
        try:
            self._missing()
            left = what_is_left(self._prepared, self._ledger, self._stored)
            counts: dict[JobKind, int] = {
                "train": len(left.trainings),
                "evaluate": len(left.evaluations),
                "profile": len(left.profiles),
                "time": left.launches,
            }
            self._observer.planned(counts, estimate_seconds(left, self._prepared.plan.suite.suite.measure))
            for artifact in left.shipped:
                self._observer.message(f"loaded, shipped: {artifact.label}")
            self._train()
            ready = [cell for cell in self._runnable_cells() if self._is_trained(cell)]
            on_trained({cell.id: self._ledger.current(cell, self._weights(cell)) for cell in ready})
            self._evaluate()
            self._profile()
            self._time()
        finally:
            self._pool.close()

    # Training -------------------------------------------------------------------------------------------------

    def _find(self, artifact: Artifact) -> bool:
        if artifact.key not in self._stored:
            stored = self._cache.find(artifact.key)
            if stored is not None:
                self._stored[artifact.key] = stored
        return artifact.key in self._stored

    def _missing(self) -> list[Artifact]:
        """What must be trained; whatever else is needed has then been looked up."""
        return self._prepared.missing(self._find)

    def _train(self) -> None:
        missing = self._missing()
        if not missing:
            return
        futures: dict[str, Future[None]] = {}
        threads = max(int(artifact.source.training["threads"]) for artifact in missing)
        with self._sharing_the_machine(), self._workers(threads) as workers:
            for artifact in missing:
                parents = [futures[p.key] for p in artifact.parents.values() if p.key in futures]
                futures[artifact.key] = workers.submit(self._train_one, artifact, parents)
            self._wait(futures.values())

    def _train_one(self, artifact: Artifact, parents: list[Future[None]]) -> None:
        """Train one artifact after its parents (submitted earlier, so they never wait for this one's thread)."""
        for parent in parents:
            parent.result()
        failed = [parent for parent in artifact.parents.values() if parent.key in self._failed]
        if failed:
            self._failed[artifact.key] = self._failed[failed[0].key]
            return
        with self._cache.training(artifact.key, self._say_waiting, self._pool.check) as lock:
            if not self._find(artifact):
                self._run_training(artifact, lock)
                self._find(artifact)

    def _run_training(self, artifact: Artifact, lock: int) -> None:
        self._observer.started("train", artifact.key, artifact.label)
        dataset, encoder = artifact.source.dataset, artifact.problem.encoder
        job = {
            "kind": "train",
            "artifact": artifact.specification(),
            "places": {
                "dataset": dict(dataset.places),
                "encoder": dict(encoder.places),
                "variant": dict(self._prepared.places.get(artifact.key, {})),
            },
            "parents": {role: self._stored[p.key].told() for role, p in artifact.parents.items()},
            "cache_root": str(self._cache.root.parent),
        }
        error = None
        try:
            self._pool.run(
                job,
                environment=thread_environment(int(artifact.source.training["threads"])),
                log=self._ledger.folder.logs / f"train-{artifact.key}.log",
                on_event=partial(self._observer.progressed, artifact.key),
                inherited=(lock,),
            )
        except WorkerFailedError as failure:
            error = failure.reason
            self._failed[artifact.key] = Failure(
                f"artifact failed: {artifact.label}: {error}", self._log_of(failure)
            )
        self._observer.finished("train", artifact.key, error)

    # Evaluation -----------------------------------------------------------------------------------------------

    def _evaluate(self) -> None:
        cells = []
        for cell in self._runnable_cells():
            failures = [
                self._failed[a.key] for a in self._prepared.artifacts[cell.id] if a.key in self._failed
            ]
            if failures:
                self._ledger.fail(cell, "evaluate", failures[0])
            elif not self._ledger.is_done(cell, "evaluate", 0, self._weights(cell)):
                cells.append(cell)
        if not cells:
            return
        threads = max(cell.hardware.threads for cell in cells)
        with self._sharing_the_machine(), self._workers(threads) as workers:
            self._wait([workers.submit(self._launch, cell, "evaluate", 0, 0) for cell in cells])

    # Profiling ------------------------------------------------------------------------------------------------

    def _profile(self) -> None:
        settings = self._prepared.plan.suite.suite.measure
        if not settings.profile:
            return
        repeats = RepeatBudget(settings.requeue)
        for cell in self._runnable_cells():
            if self._is_evaluated(cell) and not self._ledger.is_done(cell, "profile", 0, self._weights(cell)):
                with file_lock(timing_lock_path(), on_wait=self._say_waiting) as lock:
                    again = True
                    while again:
                        launch = self._launch(cell, "profile", 0, 0, lock)
                        again = repeats.wants_another(cell.id, disturbed=is_disturbed(launch))

    # Timing ---------------------------------------------------------------------------------------------------

    def _time(self) -> None:
        settings = self._prepared.plan.suite.suite.measure
        blocks: list[tuple[str, int, list[Cell]]] = []
        for group, members in self._prepared.plan.groups().items():
            ready = [cell for cell in members if self._is_evaluated(cell)]
            for block in range(settings.launches):
                left = [c for c in ready if not self._ledger.is_done(c, "time", block, self._weights(c))]
                if left:
                    blocks.append((group, block, left))
        repeats = RepeatBudget(settings.requeue)

        def again(cell: Cell, block: int, position: int, lock: int) -> bool:
            if not self._turns.may_launch(cell.id, cell.group, block):
                return False
            launch = self._launch(cell, "time", block, position, lock)
            return repeats.wants_another((cell.id, block), disturbed=is_disturbed(launch))

        for group, block, members in blocks:
            with file_lock(timing_lock_path(), on_wait=self._say_waiting) as lock:
                waiting = list(enumerate(block_order(members, block, settings.order, group)))
                while waiting:
                    waiting = [(at, cell) for at, cell in waiting if again(cell, block, at, lock)]
        if repeats.gave_up:
            self._observer.message(
                "other work disturbed most launches, so they are no longer repeated, only marked: see the warnings"
            )

    # Shared ---------------------------------------------------------------------------------------------------

    def _runnable_cells(self) -> list[Cell]:
        return [cell for cell in self._prepared.plan.cells if cell.unsupported is None]

    def _is_evaluated(self, cell: Cell) -> bool:
        return self._is_trained(cell) and self._ledger.is_done(cell, "evaluate", 0, self._weights(cell))

    def _is_trained(self, cell: Cell) -> bool:
        return all(artifact.key in self._stored for artifact in self._prepared.artifacts[cell.id])

    def _weights(self, cell: Cell) -> list[StoredArtifact] | None:
        if cell.training is None:
            return None
        return [self._stored[artifact.key] for artifact in self._prepared.artifacts[cell.id]]

    def _launch(
        self, cell: Cell, kind: JobKind, block: int, position: int, lock: int | None = None
    ) -> Launch:
        """One launch: a fresh process, then one line in the journal, whatever happened."""
        label = f"{cell.label} block {block + 1}" if kind == "time" else cell.label
        weights = self._weights(cell)
        job = self._ledger.job(cell, kind, block, position, weights)
        self._observer.started(kind, job["launch_id"], label)
        started = time.time()
        try:
            result = self._pool.run(
                job,
                environment=thread_environment(cell.hardware.threads),
                log=self._ledger.folder.logs / f"{job['launch_id']}.log",
                inherited=() if lock is None else (lock,),
            )
        except WorkerFailedError as failure:
            result = Failure(failure.reason, self._log_of(failure)).as_result()
        launch = self._ledger.record(job, cell, weights, started, result)
        self._observer.finished(kind, job["launch_id"], result.get("error"))
        return launch

    def _log_of(self, failure: WorkerFailedError) -> str | None:
        """Where the worker's last words are, inside the run folder."""
        folder = self._ledger.folder.path
        return None if failure.where is None else os.path.relpath(failure.where, folder)

    def _sharing_the_machine(self) -> Any:
        return file_lock(timing_lock_path(), shared=True, on_wait=self._say_waiting, check=self._pool.check)

    def _say_waiting(self, holder: str) -> None:
        self._observer.message(
            f"waiting: another mtlbench is using this machine ({holder or timing_lock_path()})"
        )

    def _workers(self, threads: int) -> ThreadPoolExecutor:
        """As many at once as have cores of their own."""
        return ThreadPoolExecutor(max(1, usable_cores() // threads))

    def _wait(self, futures: Iterable[Future[Any]]) -> None:
        """Wait for all; on Ctrl-C or an internal error, end the workers first so that the wait ends too."""
        try:
            for future in list(futures):
                future.result()
        except BaseException:
            self._pool.close()
            for future in futures:
                future.cancel()
            raise
