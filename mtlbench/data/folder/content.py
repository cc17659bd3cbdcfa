"""Hashes of many files, remembered for as long as none of them is touched."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtlbench.errors import DataError
from mtlbench.training.cache import cache_root

__all__ = ["content_hashes"]

# A file changed twice within one tick of its file system's clock (2 s on FAT) can keep its stamp.
SETTLED_NS = 2_000_000_000


def content_hashes(root: Path, files: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of each file's bytes, under the same names.

    Hashes are kept in the cache folder, never beside the data, and are used again where path, size and times of
    change are as they were.

    Args:
        root: whose hashes are kept together.
        files: by name.

    Raises:
        DataError: a file is not there or cannot be read.
    """
    place = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()
    store = cache_root() / "content" / f"{place[:16]}.json"
    known = _stored(store)
    fresh: dict[str, list[Any]] = {}
    hashes: dict[str, str] = {}
    now = time.time_ns()
    for name, file in files.items():
        path = os.path.abspath(file)
        try:
            stat = file.stat()
            stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
            entry = known.get(path, [])
            hashes[name] = entry[3] if entry[:3] == stamp else _sha256(file)
        except OSError as error:
            raise DataError(
                f"the file cannot be read: {error.strerror}",
                where=str(file),
                fix="Restore the file, or take it out of the split lists",
            ) from error
        if now - max(stamp[1:]) > SETTLED_NS:
            fresh[path] = [*stamp, hashes[name]]
    if any(known.get(path) != entry for path, entry in fresh.items()):
        _store(store, known | fresh)
    return hashes


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stored(store: Path) -> dict[str, list[Any]]:
    """What was remembered; nothing where that cannot be read, because it can always be computed again."""
    try:
        content = json.loads(store.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _store(store: Path, entries: Mapping[str, list[Any]]) -> None:
    """Replace what is remembered at once; a cache that cannot be written costs nothing but time."""
    with suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=store.parent, suffix=".tmp")
        with os.fdopen(descriptor, "w") as stream:
            json.dump(entries, stream)
        os.replace(name, store)
