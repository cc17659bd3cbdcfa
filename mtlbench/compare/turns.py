"""Two runs side by side: who may launch next, and which suspected cells get more launches.

Both runs go through the same launches in the same order, so usually both wait for the same one. Which of the two goes
first is drawn anew for every pair. Where they differ (a launch that was disturbed is repeated, a cell that one side
does not have) whoever is behind goes on alone.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from mtlbench.errors import MachineUnfitError, MtlbenchError, UsageError
from mtlbench.execute.turns import TURNS

__all__ = ["Request", "RunningSide", "take_turns"]

_FINE = (0, 4)
_PATIENCE_S = 10.0
_USAGE, _UNFIT = 2, 5


class Request(NamedTuple):
    """A launch that a run wants to start."""

    cell_id: str
    group: str
    block: int


@dataclass
class RunningSide:
    """One of the two runs: its process, and what it waits for.

    Attributes:
        name: `base` or `head`.
        command: what starts its mtlbench.
        log: where its output goes.
        process: None before it starts.
        waiting: the launch that it asks for; None while it works.
        ended: whether it will ask no more.
        served: launches that it was told to start.
    """

    name: str
    command: str
    log: Path
    process: subprocess.Popen[bytes] | None = None
    waiting: Request | None = None
    ended: bool = False
    served: set[Request] = field(default_factory=set)
    requests: IO[str] | None = None
    replies: IO[str] | None = None

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the run; it trains and evaluates, and then asks for its first timed launch.

        Args:
            arguments: what its mtlbench is told.
            environment: variables beside this process's own.

        Raises:
            UsageError: its command cannot be started.
        """
        replies_in, replies_out = os.pipe()
        requests_in, requests_out = os.pipe()
        # The checkout we stand in is head's: base must not import from it.
        own = {TURNS: f"{replies_in},{requests_out}", "PYTHONSAFEPATH": "1"}
        try:
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    [*shlex.split(self.command), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment, **own},
                    pass_fds=(replies_in, requests_out),
                )
        except (OSError, ValueError) as error:
            for descriptor in (replies_out, requests_in):
                os.close(descriptor)
            raise UsageError(
                f"cannot be started: {error}",
                where=f"--{self.name} {self.command}",
                fix="Name an mtlbench command",
            ) from error
        finally:
            for descriptor in (replies_in, requests_out):
                os.close(descriptor)
        self.requests, self.replies = os.fdopen(requests_in), os.fdopen(replies_out, "w")

    def read(self) -> None:
        """Read the next request; the run has ended where there is none."""
        assert self.requests is not None  # noqa: S101  # it was started
        line = self.requests.readline()
        if not line.endswith("\n"):
            self.waiting, self.ended = None, True
            return
        try:
            asked = json.loads(line)
            self.waiting = Request(str(asked["cell_id"]), str(asked["group"]), int(asked["block"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.name} asks for launches in words of another version: {line.strip()[:80]}",
                where=f"--{self.name} {self.command}",
                fix="Compare versions that understand each other",
            ) from error

    def reply(self, word: str) -> None:
        """Answer the request that waits: `go` or `skip`."""
        assert self.replies is not None  # noqa: S101  # it was started
        assert self.waiting is not None  # noqa: S101  # somebody looked
        if word == "go":
            self.served.add(self.waiting)
        self.waiting = None
        with suppress(BrokenPipeError):  # it has died, which reading its next request tells
            self.replies.write(word + "\n")
            self.replies.flush()

    def finish(self) -> None:
        """Wait for its end, and raise what it failed with; failed cells are no failure of the run.

        Raises:
            MachineUnfitError: it refused the machine.
            UsageError: the suite or the command is wrong for it, or it cannot take turns.
            MtlbenchError: it failed inside.
        """
        assert self.process is not None  # noqa: S101  # it was started
        code = self.process.wait()
        if code not in _FINE:
            kinds: Mapping[int, type[MtlbenchError]] = {_USAGE: UsageError, _UNFIT: MachineUnfitError}
            said = self.log.read_text(errors="replace").strip().splitlines()
            last = next(
                (line for line in reversed(said) if line.startswith("mtlbench: ")), said[-1] if said else ""
            )
            raise kinds.get(code, MtlbenchError)(
                f"{self.name} ended with exit code {code}: {last.removeprefix('mtlbench: ').rstrip('.')}",
                where=str(self.log),
            )

    def stop(self) -> None:
        """End it now; what it has journaled stays."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.requests, self.replies):
            if stream is not None:
                with suppress(OSError):  # a reply that nobody reads any more
                    stream.close()


def take_turns(
    base: RunningSide,
    head: RunningSide,
    *,
    groups: Sequence[str],
    wanted: Callable[[Request], bool],
    on_launch: Callable[[str, Request], None],
) -> None:
    """Serve two started runs until both have ended.

    Args:
        base: waits for its first launch, or has ended.
        head: the same.
        groups: comparison groups in the order in which the runs go through them.
        wanted: whether a launch is to run at all; asked when all that comes before it is done on both sides.
        on_launch: told the side and the launch that starts.

    Raises:
        MtlbenchError: a side ended in the middle; what it said.
    """
    while not (base.ended and head.ended):
        for side in _next(base, head, groups):
            assert side.waiting is not None  # noqa: S101  # `_next` gives sides that wait
            if wanted(side.waiting):
                on_launch(side.name, side.waiting)
                side.reply("go")
            else:
                side.reply("skip")
            side.read()  # the launch has ended when the run asks for the next one
            if side.ended:
                side.finish()


def _next(base: RunningSide, head: RunningSide, groups: Sequence[str]) -> list[RunningSide]:
    """Who goes now, in order: both where they wait for the same launch, else who is behind."""
    waiting = [side for side in (base, head) if side.waiting is not None]
    if len(waiting) == 1:
        return waiting
    if base.waiting == head.waiting:
        order = [base, head]
        random.Random(f"{base.waiting}").shuffle(order)  # noqa: S311  # an order, not a secret
        return order
    for side in waiting:
        if side.waiting in side.served:
            return [side]  # a repeat

    def place(side: RunningSide) -> tuple[int, int, bool]:
        assert side.waiting is not None  # noqa: S101  # both wait
        _, group, block = side.waiting
        other = head if side is base else base
        at = groups.index(group) if group in groups else len(groups)
        return at, block, side.waiting not in other.served

    return [min(waiting, key=place)]
