"""Finding a weights file and hashing its content."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from mtlbench.errors import DataError

__all__ = ["data_folders", "find_file", "sha256_of"]


def data_folders(given: str) -> list[Path]:
    """What a path in a suite may mean, absolute, in the order of search: under MTLBENCH_DATA, then here."""
    path = Path(given).expanduser()
    if path.is_absolute():
        return [path]
    root = os.environ.get("MTLBENCH_DATA")
    return [folder.absolute() / path for folder in ([Path(root).expanduser()] if root else []) + [Path.cwd()]]


def find_file(given: str) -> Path:
    """The absolute path of a weights file; a relative one is looked for under MTLBENCH_DATA, then here.

    Raises:
        DataError: no such file; the message says where it was looked for.
    """
    candidates = data_folders(given)
    for candidate in candidates:
        if _is_file(candidate):
            return candidate
    looked = " nor ".join(str(candidate) for candidate in candidates)
    unset = "" if len(candidates) > 1 or Path(given).is_absolute() else " (MTLBENCH_DATA is not set)"
    raise DataError(
        f"no weights file {given!r}: there is no file {looked}{unset}",
        fix="Give an absolute path, or one relative to MTLBENCH_DATA or to the working directory",
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long, or a folder that may not be looked into
        return False


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; remembered for as long as its size and time of change stay.

    Raises:
        DataError: it cannot be read.
    """
    try:
        stat = path.stat()
        return _sha256(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise DataError(
            f"the weights file cannot be read: {error.strerror}", where=str(path), fix="Name a file that can"
        ) from error


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
