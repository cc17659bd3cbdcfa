"""Errors of one kind become one problem with several places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mtlbench.data.check.report import Place, Problem
from mtlbench.data.folder.error import FolderError
from mtlbench.errors import DataError

__all__ = ["grouped"]


def grouped(errors: Iterable[DataError]) -> tuple[Problem, ...]:
    """One problem for all errors of a kind, in the order in which the first of each was found."""
    kinds: dict[tuple[str, str | None], list[DataError]] = {}
    for error in errors:
        key = error.key if isinstance(error, FolderError) else (error.what, error.fix)
        kinds.setdefault(key, []).append(error)
    return tuple(_problem(alike) for alike in kinds.values())


def _problem(alike: Sequence[DataError]) -> Problem:
    first = alike[0]
    if len(alike) == 1:
        return Problem(first.what, (Place(first.where or "", ""),), first.fix)
    known = [error for error in alike if isinstance(error, FolderError)]
    if not known:
        return Problem(first.what, _places(alike), first.fix)
    what, fix = known[0].together(known[1:])
    return Problem(what, _places(alike), fix)


def _places(alike: Iterable[DataError]) -> tuple[Place, ...]:
    places = (
        Place(error.where or "", error.detail if isinstance(error, FolderError) else "") for error in alike
    )
    return tuple(dict.fromkeys(places))
