"""Advisory file locks, released by the kernel when their holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["file_lock", "try_lock"]

# How often a waiter looks: seldom enough to cost 0.01 % of a core beside whatever the holder measures.
_POLL_S = 0.2


@contextmanager
def file_lock(
    path: Path,
    *,
    shared: bool = False,
    on_wait: Callable[[str], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[int]:
    """Hold a lock on a file, waiting for it if need be.

    Args:
        path: the lock file; created where absent, never removed (removing it would let two holders in).
        shared: many shared holders, or one exclusive.
        on_wait: called once, with what an exclusive holder wrote into the file, if the lock is not free at once.
        check: called while waiting; what it raises ends the wait.

    Yields:
        The open file descriptor. A child process that inherits it keeps the lock until it ends as well.
    """
    descriptor = _open(path)
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        if not _try(descriptor, kind):
            on_wait(_holder(descriptor))
            while not _try(descriptor, kind):
                check()
                time.sleep(_POLL_S)
        with _signed(descriptor, shared):
            yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def try_lock(path: Path) -> Iterator[str | None]:
    """Hold an exclusive lock if it is free; yields None when held, else what its holder wrote."""
    descriptor = _open(path)
    try:
        if not _try(descriptor, fcntl.LOCK_EX):
            yield _holder(descriptor) or "another process"
            return
        with _signed(descriptor, shared=False):
            yield None
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """The lock file, created where absent; read-only where it belongs to another user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    # The umask would keep other users of this machine from waiting for the same lock.
    with suppress(PermissionError):
        os.fchmod(descriptor, 0o666)
    return descriptor


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _signed(descriptor: int, shared: bool) -> Iterator[None]:
    """Say in the file who holds the lock, for those who wait; shared holders are many and say nothing."""
    if not shared:
        _write(descriptor, f"pid {os.getpid()}")
    try:
        yield
    finally:
        if not shared:
            _write(descriptor, "")


def _write(descriptor: int, text: str) -> None:
    """Replace what the file says; not possible in another user's file."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 100, 0).decode(errors="replace")
