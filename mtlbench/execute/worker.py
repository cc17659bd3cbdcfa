"""The worker: one fresh process that does one job, told on standard input, answered on standard output.

Started as `python -m mtlbench.execute.worker`. Each line that it writes is one JSON event; the last is the result.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any, TextIO

from mtlbench.errors import MtlbenchError
from mtlbench.extensions import find_fault, told

__all__ = ["Channel", "answer", "main"]

_JOBS = {
    "train": "mtlbench.execute.jobs.train:train_job",
    "evaluate": "mtlbench.execute.jobs.evaluate:evaluate_job",
    "profile": "mtlbench.execute.jobs.profile:profile_job",
    "time": "mtlbench.execute.jobs.time:time_job",
}
_PR_SET_PDEATHSIG = 1


class Channel:
    """Where events go: the real standard output, out of reach of libraries that print."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, event: str, **fields: Any) -> None:
        """Write one event."""
        self._stream.write(json.dumps({"event": event, **fields}) + "\n")
        self._stream.flush()


def main() -> int:
    """Do one job; 0 where it gave a result."""
    _die_with_parent()
    channel = Channel(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)
    return answer(json.loads(sys.stdin.read()), channel)


def answer(job: dict[str, Any], channel: Channel) -> int:
    """Do a job and send its result, or why there is none; the exit code."""
    module, _, name = _JOBS[job["kind"]].partition(":")
    try:
        result = getattr(import_module(module), name)(job, channel)
    except MtlbenchError as error:
        traceback.print_exc()
        what = f"{error.where}: {error.what}" if error.where else error.what
        channel.send("result", result={"error": what, "fix": error.fix, "exit_code": error.exit_code})
        return error.exit_code
    except Exception as error:  # whatever a third-party variant raises is this cell's failure
        traceback.print_exc()
        fault = find_fault(error)
        at = f" in {fault.who} ({fault.where})" if fault else ""
        channel.send("result", result={"error": told(error) + at})
        return 4
    channel.send("result", result=result)
    return 0


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, so that no orphan disturbs a later measurement."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent says who it is, because it may have died before this line.
    if os.environ.get("MTLBENCH_PARENT", str(os.getppid())) != str(os.getppid()):
        os._exit(4)


if __name__ == "__main__":
    sys.exit(main())
