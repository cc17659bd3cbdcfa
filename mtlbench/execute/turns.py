"""Taking turns with another run: each timed launch is asked for, and waits until it may start.

`mtlbench gate` starts two runs, of two versions of the code, and lets them launch one after the other, so that what
changes on the machine hits both. A run that is alone never waits.
"""

from __future__ import annotations

import json
import os
from typing import TextIO

from mtlbench.errors import UsageError

__all__ = ["TURNS", "Turns"]

TURNS = "MTLBENCH_TURNS"
"""Variable of the environment: two open file descriptors, `read,write`; whoever gives the turns holds their ends."""


class Turns:
    """Asks for each timed launch.

    Args:
        requests: where to ask, one line of JSON each; None for a run that is alone.
        replies: where `go` or `skip` comes back.
    """

    def __init__(self, requests: TextIO | None = None, replies: TextIO | None = None) -> None:
        self._requests = requests
        self._replies = replies

    @classmethod
    def from_environment(cls) -> Turns:
        """Those that the environment names; none by default.

        Raises:
            UsageError: the variable does not name two open descriptors.
        """
        named = os.environ.get(TURNS)
        if not named:
            return cls()
        try:
            replies, requests = (int(part) for part in named.split(","))
            return cls(os.fdopen(requests, "w"), os.fdopen(replies))
        except (ValueError, OSError) as error:
            raise UsageError(
                f"does not name two open descriptors: {error}",
                where=TURNS,
                fix="Unset it; `mtlbench gate` sets it",
            ) from error

    @property
    def are_taken(self) -> bool:
        """Whether another run takes turns with this one."""
        return self._requests is not None

    def may_launch(self, cell_id: str, group: str, block: int) -> bool:
        """Wait for this launch's turn, without using the processor; False where it is to be left out.

        Raises:
            UsageError: whoever gives the turns went away.
        """
        if self._requests is None or self._replies is None:
            return True
        request = {"cell_id": cell_id, "group": group, "block": block}
        try:
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
            reply = self._replies.readline().strip()
        except BrokenPipeError:
            reply = ""
        if not reply:
            raise UsageError("whoever lets two runs take turns went away", fix="Run `mtlbench gate` again")
        return reply == "go"
