"""Loads a suite and what it includes, merged into one document that knows where each value was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtlbench.errors import SuiteError, did_you_mean
from mtlbench.suite.yaml_source import MAX_VALUES, Document, KeyPath, Position, read_document, shorten

__all__ = ["load", "merge", "shipped_suites"]

MAX_INCLUDES = 64
_SHIPPED = "mtlbench:"


def load(path: str | Path) -> Document:
    """Read a suite and all that its top-level key `include` names.

    A file name is relative to the including file; `mtlbench:NAME` is a suite of this package. A later include
    overrides an earlier one, the including file overrides them all (see `merge`).

    Raises:
        SuiteError: a file cannot be read, breaks a rule, or includes itself; says where.
    """
    return _Includes().load(Path(path), None)


def merge(base: Document, over: Document) -> Document:
    """`base` overridden by `over`.

    Mappings merge key by key; anything else is replaced. A null in `over` deletes the key of `base`; where
    `base` has no such key, the null stays. Neither argument is changed; the result shares values with them.
    """
    merged = _Merge()
    value = merged.both((), base, over, base.value, over.value)
    return Document(value, merged.positions, merged.key_positions)


def shipped_suites() -> dict[str, Path]:
    """Suites that come with mtlbench, by name: from the installed package, or from a source checkout."""
    package = Path(__file__).resolve().parents[1]
    files = sorted((package / "suites").glob("*.yaml"))
    if not files and (package.parent / "pyproject.toml").is_file():
        files = sorted((package.parent / "suites").glob("*.yaml"))
    return {file.stem: file for file in files}


class _Merge:
    """Merges values and gathers the positions of what it took from either side."""

    def __init__(self) -> None:
        self.positions: dict[KeyPath, Position] = {}
        self.key_positions: dict[KeyPath, Position] = {}

    def both(
        self, path: KeyPath, base: Document, over: Document, low: dict[str, Any], high: dict[str, Any]
    ) -> dict[str, Any]:
        self.positions[path] = over.positions[path]
        value: dict[str, Any] = {}
        for key in [*low, *(key for key in high if key not in low)]:
            below = (*path, key)
            if key not in high:
                value[key] = self.take(below, base, low[key])
            elif key not in low:
                value[key] = self.take(below, over, high[key])
            elif isinstance(low[key], dict) and isinstance(high[key], dict):
                self.key_positions[below] = over.key_positions[below]
                value[key] = self.both(below, base, over, low[key], high[key])
            elif high[key] is not None:
                value[key] = self.take(below, over, high[key])
        return value

    def take(self, path: KeyPath, source: Document, value: Any) -> Any:
        self.positions[path] = source.positions[path]
        if path in source.key_positions:
            self.key_positions[path] = source.key_positions[path]
        if isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                self.take((*path, key), source, item)
        return value


class _Includes:
    """One load: each file is read and merged once, however many include it."""

    def __init__(self) -> None:
        self._done: dict[Path, Document] = {}
        self._chain: list[tuple[Path, Path]] = []
        self._count = 0

    def load(self, path: Path, asked_at: Position | None) -> Document:
        own = read_document(path, asked_at)
        real = path.resolve()
        if real in [opened for opened, _ in self._chain]:
            raise self._cycle(real, path, asked_at)
        if real not in self._done:
            self._chain.append((real, path))
            self._done[real] = self._merged(path, own)
            self._chain.pop()
        return self._done[real]

    def _merged(self, path: Path, own: Document) -> Document:
        merged: Document | None = None
        for name, at in _entries(own):
            self._count += 1
            if self._count > MAX_INCLUDES:
                what = f"there are more than {MAX_INCLUDES} includes"
                raise SuiteError(what, where=str(at), fix="Merge some of the files")
            included = self.load(_target(path, name, at), at)
            merged = included if merged is None else _bounded(merge(merged, included), at)
        own = _without_include(own)
        return own if merged is None else _bounded(merge(merged, own), own.positions[()])

    def _cycle(self, real: Path, path: Path, asked_at: Position | None) -> SuiteError:
        opened = [file for file, _ in self._chain]
        chain = [str(shown) for _, shown in self._chain[opened.index(real) :]]
        return SuiteError(
            f"a file includes itself: {' -> '.join([*chain, str(path)])}",
            where=str(asked_at),
            fix="Remove one of these includes",
        )


def _entries(document: Document) -> list[tuple[str, Position]]:
    """What `include` names, each with its position."""
    if "include" not in document.value:
        return []
    value = document.value["include"]
    named = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
    entries: list[tuple[str, Position]] = []
    for index, name in named:
        at = document.positions[("include",) if index is None else ("include", index)]
        if not isinstance(name, str) or not name.strip():
            what = "include must be a file name or a list of file names"
            raise SuiteError(what, where=str(at), fix="Name a YAML file")
        entries.append((name, at))
    return entries


def _target(including: Path, name: str, at: Position) -> Path:
    if not name.startswith(_SHIPPED):
        return including.parent / name
    suites, wanted = shipped_suites(), name.removeprefix(_SHIPPED)
    if wanted not in suites:
        what = f"mtlbench ships no suite {shorten(wanted)}"
        raise SuiteError(what, where=str(at), fix=did_you_mean(wanted, suites))
    return suites[wanted]


def _without_include(document: Document) -> Document:
    def kept(positions: dict[KeyPath, Position]) -> dict[KeyPath, Position]:
        return {path: at for path, at in positions.items() if path[:1] != ("include",)}

    value = {key: item for key, item in document.value.items() if key != "include"}
    return Document(value, kept(document.positions), kept(document.key_positions))


def _bounded(document: Document, at: Position) -> Document:
    if len(document.positions) > MAX_VALUES:
        what = f"with its includes the suite holds more than {MAX_VALUES} values"
        raise SuiteError(what, where=str(at), fix="Include less")
    return document
