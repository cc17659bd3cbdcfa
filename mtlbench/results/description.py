"""Whether a `run.json` is one: what readers rely on is there, and of the right kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtlbench.errors import JournalError
from mtlbench.results.journal import SCHEMA_VERSION

__all__ = ["known_schema", "require_description"]

_OF_RUN: dict[str, type] = {"run_id": str, "suite": str, "measure": dict, "primary": dict, "cells": dict}
_OF_MEASURE: dict[str, type] = {"launches": int, "resamples": int}
_OF_CELL: dict[str, type] = {
    **dict.fromkeys(("cell_id", "label", "group", "role", "dataset", "encoder", "hardware"), str),
    **dict.fromkeys(("reference_id", "decision", "mode"), str),
    **dict.fromkeys(("baseline_ids", "companions", "spec"), dict),
    "waivers": list,
    **dict.fromkeys(("unsupported", "budget"), object),  # of any kind, null too, but there
}
_OF_SPEC: dict[str, type] = {
    **dict.fromkeys(("variant", "point", "problem", "hardware"), dict),
    "seed": int,
    "training": object,
}
_FIX = "Restore it, or run the suite again with --fresh"


def known_schema(run: Any, path: Path) -> dict[str, Any]:
    """What was read from a `run.json`, as a description of a schema that this code knows.

    Raises:
        JournalError: it is of a newer schema, or no description at all.
    """
    if not isinstance(run, dict):
        raise JournalError("not the description of a run", where=str(path), fix=_FIX)
    version = run.get("schema_version", 0)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise JournalError(
            f"schema version {version!r} is not known",
            where=str(path),
            fix="Read it with the mtlbench that wrote it",
        )
    return run


def require_description(run: dict[str, Any], path: Path) -> None:
    """Check that a `run.json` has all that comparisons rely on.

    Args:
        run: its content, of a known schema.
        path: the file, for messages.

    Raises:
        JournalError: something is missing or of another kind; names the key.
    """
    _require(run, _OF_RUN, "", path)
    _require(run["measure"], _OF_MEASURE, "measure.", path)
    for cell_id, entry in run["cells"].items():
        _require({"entry": entry}, {"entry": dict}, f"cells.{cell_id}.", path)
        _require(entry, _OF_CELL, f"cells.{cell_id}.", path)
        _require(entry["spec"], _OF_SPEC, f"cells.{cell_id}.spec.", path)


def _require(values: dict[str, Any], kinds: dict[str, type], prefix: str, path: Path) -> None:
    for key, kind in kinds.items():
        if key not in values:
            raise JournalError(f"lacks {prefix}{key}", where=str(path), fix=_FIX)
        if not isinstance(values[key], kind):
            raise JournalError(
                f"{prefix}{key} is not of type {kind.__name__}: {values[key]!r:.60}",
                where=str(path),
                fix=_FIX,
            )
