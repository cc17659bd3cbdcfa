"""Running one job in a fresh worker process, and ending it whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import mtlbench
from mtlbench.errors import MtlbenchError

__all__ = ["RunStopped", "WorkerFailedError", "WorkerPool"]

Event = dict[str, Any]


class WorkerFailedError(MtlbenchError):
    """A worker ended without a result, or reported an error of its own; `where` is its log, if it got that far."""

    exit_code = 4

    @property
    def reason(self) -> str:
        """What is recorded: what is wrong, and what to do about it."""
        return f"{self.what}. {self.fix}" if self.fix else self.what


class RunStopped(Exception):  # noqa: N818  # not an error: the run was interrupted
    """The pool was closed; the job did not run to its end, and nothing is to be recorded of it."""


class WorkerPool:
    """The worker processes of one run; all are ended with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._closed = False

    def run(
        self,
        job: Mapping[str, Any],
        *,
        environment: Mapping[str, str],
        log: Path,
        on_event: Callable[[Event], None] = lambda _: None,
        inherited: Sequence[int] = (),
    ) -> dict[str, Any]:
        """Run one job to its end; blocks without using the processor.

        Args:
            job: what the worker is told, JSON-able.
            environment: variables added to this process's own.
            log: file for the worker's standard error; removed when the job succeeds.
            on_event: called for every progress event, in the calling thread.
            inherited: file descriptors (locks) that the worker keeps open until it ends.

        Returns:
            The worker's result, with its `pid`.

        Raises:
            WorkerFailedError: says what the worker said last.
            RunStopped: the pool was closed.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as errors:
            process = self._start(environment, errors, inherited)
            try:
                result = _converse(process, job, on_event)
            finally:
                self._end(process)
        if result is None and self._closed:
            raise RunStopped
        if result is None or "error" in result:
            raise _failure(result, process.returncode, log)
        log.unlink()
        return result | {"pid": process.pid}

    def check(self) -> None:
        """Raise `RunStopped` where the pool was closed."""
        if self._closed:
            raise RunStopped

    def close(self) -> None:
        """Kill what still runs, and refuse new jobs."""
        with self._lock:
            self._closed = True
            for process in self._running:
                _kill(process)

    def _start(
        self, environment: Mapping[str, str], errors: IO[str], inherited: Sequence[int]
    ) -> subprocess.Popen[str]:
        with self._lock:
            self.check()
            try:
                process = subprocess.Popen(
                    # -P: a folder named mtlbench where the user happens to be is not what this process runs.
                    [sys.executable, "-P", "-m", "mtlbench.execute.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    env={**os.environ, **_own_code(), **environment, "MTLBENCH_PARENT": str(os.getpid())},
                    pass_fds=tuple(inherited),
                    # A session of its own: Ctrl-C reaches the parent alone, which then ends its workers in order.
                    start_new_session=True,
                )
            except OSError as error:
                raise WorkerFailedError(f"no worker could be started: {error}") from error
            self._running.add(process)
            return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            _kill(process)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                # A job that was not handed over whole is still in the buffer; its reader is gone, which is no news.
                with suppress(BrokenPipeError):
                    stream.close()
        with self._lock:
            self._running.discard(process)


def _own_code() -> dict[str, str]:
    """What lets a worker find the very package that runs here, also where that is a checkout nobody installed."""
    root = Path(mtlbench.__file__).resolve().parents[1]
    if root.name in ("site-packages", "dist-packages"):
        return {}
    return {"PYTHONPATH": os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])}


def _converse(
    process: subprocess.Popen[str], job: Mapping[str, Any], on_event: Callable[[Event], None]
) -> dict[str, Any] | None:
    """Hand the job over, pass events on, return the result; None where the worker ended without one."""
    assert process.stdin is not None  # noqa: S101  # both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(json.dumps(dict(job)))
        process.stdin.close()
    except BrokenPipeError:
        process.wait()
        return None
    result: dict[str, Any] | None = None
    for line in process.stdout:
        if not line.endswith("\n"):
            break  # cut off by a kill
        message = json.loads(line)
        if message["event"] == "result":
            result = message["result"]
        else:
            on_event(message)
    process.wait()
    return result


def _kill(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _failure(result: Mapping[str, Any] | None, code: int, log: Path) -> WorkerFailedError:
    if result is not None:
        return WorkerFailedError(result["error"], where=str(log), fix=result.get("fix"))
    lines = log.read_text(errors="replace").strip().splitlines()
    how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
    last = f": {lines[-1]}" if lines else ""
    return WorkerFailedError(
        f"the worker was {how}{last}" if code < 0 else f"the worker {how}{last}", where=str(log)
    )
