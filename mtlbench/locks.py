"""Advisory file locks, released by the kernel when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["file_lock", "try_lock"]


@contextmanager
def file_lock(
    path: Path, *, shared: bool = False, on_wait: Callable[[str], None] = lambda _: None
) -> Iterator[int]:
    """Hold a lock on a file, waiting for it if need be.

    Args:
        path: the lock file; created where absent, never removed (removing it would let two holders in).
        shared: many shared holders, or one exclusive.
        on_wait: called once, with what the holder wrote into the file, if the lock is not free at once.

    Yields:
        The open file descriptor. A child process that inherits it keeps the lock until it ends as well.
    """
    descriptor = _open(path)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait(_holder(descriptor))
            fcntl.flock(descriptor, kind)
        if not shared:
            _sign(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def try_lock(path: Path) -> Iterator[str | None]:
    """Hold an exclusive lock if it is free; yields None when held, else what its holder wrote."""
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _holder(descriptor) or "another process"
        else:
            _sign(descriptor)
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


def _sign(descriptor: int) -> None:
    """Write who holds the lock, for those who wait; not possible in another user's file."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()}".encode(), 0)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 100, 0).decode(errors="replace")
