"""Ctrl-C held back for the few moments in which it would leave something half done."""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager

__all__ = ["HeldInterrupt"]


class HeldInterrupt(AbstractContextManager["HeldInterrupt"]):
    """An interrupt that arrives inside the block is raised at its end.

    Python interrupts the main thread only, so elsewhere there is nothing to hold.
    """

    def __init__(self) -> None:
        self._arrived = False
        self._holding = False

    def __enter__(self) -> HeldInterrupt:
        self._before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and self._before is not None:
            signal.signal(signal.SIGINT, self._remember)
            self._holding = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._holding:
            signal.signal(signal.SIGINT, self._before)
        if self._arrived:
            signal.raise_signal(signal.SIGINT)

    def _remember(self, *_: object) -> None:
        self._arrived = True
