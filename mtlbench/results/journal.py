"""The journal of a run: one line of JSON per launch, appended and flushed when the launch ends.

One writer at a time; any number of readers. A kill can leave at most an incomplete last line, which readers ignore
and the next writer removes. Anything else that cannot be read is refused with its line number.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtlbench.errors import JournalError

__all__ = ["SCHEMA_VERSION", "Launch", "append_launch", "read_journal", "repair_journal"]

# Raise when a key changes its meaning; readers refuse journals that are newer than they are.
SCHEMA_VERSION = 1

Launch = dict[str, Any]
_REQUIRED = (
    *("schema_version", "run_id", "machine_id", "session", "launch_id", "kind", "cell_id", "block", "status"),
    *("reuse_key", "started_unix_s"),
)
_NUMBER_PREFIXES = (
    "macs_",
    "metric.",
    "latency_",
    "memory_",
    "params",
    "time_",
    "frames_",
    "poisson_",
    "subset.",
)
_NUMBERS = ("started_unix_s", "block", "floors_ms", "load_ms", "first_call_ms", "energy_mj", "weights_mib")
_NEVER_NULL = ("started_unix_s", "duration_s", "block")
_TEXTS = ("run_id", "machine_id", "session", "launch_id", "kind", "cell_id", "status", "reuse_key")
_LISTS = ("uncounted_ops", "warnings", "floors_ms", "artifact_ids")
_NO_NUMBERS = ("macs_refused", "macs_source", "macs_notes")
_REQUIRED_OF_RESULTS = {
    "evaluate": ("weights_hash", "data_hash", "macs_full", "macs_executed", "macs_refused", "uncounted_ops"),
    "profile": ("memory_peak_mib", "time_watched_ms"),
    "time": ("latency_ms", "floors_ms"),
}


def read_journal(path: Path) -> list[Launch]:
    """All launches, in the order in which they ended; none where there is no journal yet.

    Raises:
        JournalError: a line, other than an incomplete last one, is not a launch of a known schema.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    complete, _, _incomplete = content.rpartition(b"\n")
    return [
        _parse(line, path, number) for number, line in enumerate(complete.split(b"\n"), 1) if line.strip()
    ]


def append_launch(path: Path, launch: Mapping[str, Any]) -> None:
    """Append one launch and force it to disk. Numbers that are not finite are written as null.

    Raises:
        JournalError: the disk is full; the journal is as it was before.
    """
    line = (json.dumps(_finite(dict(launch)), allow_nan=False, ensure_ascii=False) + "\n").encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        before = os.fstat(descriptor).st_size
        written = os.write(descriptor, line)
        if written != len(line):
            os.ftruncate(descriptor, before)
            raise JournalError("could not be written whole", where=str(path), fix="Free space on its disk")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def repair_journal(path: Path) -> None:
    """Remove an incomplete last line, which a kill in the middle of a write leaves."""
    if not path.exists():
        return
    content = path.read_bytes()
    complete = content.rfind(b"\n") + 1
    if complete != len(content):
        os.truncate(path, complete)


def _parse(line: bytes, path: Path, number: int) -> Launch:
    where = f"{path}:{number}"
    try:
        launch = json.loads(line)
    except ValueError as error:
        raise JournalError(
            f"not JSON: {error}", where=where, fix="Remove the line; its launch runs again"
        ) from error
    if not isinstance(launch, dict):
        raise JournalError("not a launch", where=where, fix="Remove the line; its launch runs again")
    version = launch.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise JournalError(
            f"schema version {version!r} is not known",
            where=where,
            fix="Read it with the mtlbench that wrote it",
        )
    required = list(_REQUIRED)
    if launch.get("status") == "ok":
        required += _REQUIRED_OF_RESULTS.get(launch.get("kind", ""), ())
    missing = [key for key in required if key not in launch]
    if missing:
        raise JournalError(
            f"lacks {', '.join(missing)}", where=where, fix="Remove the line; its launch runs again"
        )
    wrong = next(_of_wrong_kind(launch), None)
    if wrong is not None:
        key, kind = wrong
        raise JournalError(
            f"{key} is not {kind}: {launch.get(key)!r:.60}", where=where, fix="Correct the line"
        )
    return launch


def _of_wrong_kind(launch: Launch) -> Iterator[tuple[str, str]]:
    """Keys whose values are not what they must be, and what that is."""
    yield from ((key, "text") for key in _TEXTS if not isinstance(launch.get(key), str))
    yield from ((key, "a list") for key in _LISTS if not isinstance(launch.get(key, []), list))
    yield from ((key, "a number") for key in _NEVER_NULL if not _is_number(launch.get(key, 0)))
    if launch.get("floors_ms") == []:
        yield "floors_ms", "a list of numbers"
    yield from (
        (key, "a number") for key, value in launch.items() if _is_measured(key) and not _is_numeric(value)
    )


def _is_measured(key: str) -> bool:
    return key in _NUMBERS or (key.startswith(_NUMBER_PREFIXES) and key not in _NO_NUMBERS)


def _is_numeric(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_numeric(item) for item in value)
    return value is None or _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
