"""Reads one YAML file into plain Python values, and remembers where each of them was written.

The rules are those of the YAML 1.2 core schema, narrowed where a suite could be misread (`docs/suites.md`).
PyYAML scans, parses and composes nodes; plain values are built from them here, so that no file can run code.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from yaml.reader import ReaderError

from mtlbench.errors import SuiteError, did_you_mean

__all__ = ["MAX_DEPTH", "MAX_VALUES", "Document", "KeyPath", "Position", "parse", "read_document", "shorten"]

MAX_BYTES, MAX_VALUES, MAX_DEPTH = 1 << 20, 20_000, 50
KeyPath: TypeAlias = tuple[str | int, ...]
Locate: TypeAlias = "Callable[[int], Position]"
_CORE = "tag:yaml.org,2002:"
_HINTS = {
    r"'\t'": "YAML does not allow tabs there: use spaces",
    "mapping values are not allowed": "Put quotes around text that holds ': ', and check the indentation",
    "another document": "Keep one document in a file: remove the line '---'",
}


@dataclass(frozen=True)
class Position:
    """A place in a file: `line` and `column` count from 1, in characters."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Document:
    """A suite as written, before the schema.

    Args:
        value: dict, list, str, int, float, bool and None only; keys are str. Of a file always a dict.
        positions: where each value begins, by its path; `()` is the whole. An alias is found at its anchor.
        key_positions: where the key of each mapping entry begins, by the path of the entry.
    """

    value: Any
    positions: dict[KeyPath, Position]
    key_positions: dict[KeyPath, Position]

    def resolve(self, path: KeyPath, *, labels: bool = False) -> KeyPath:
        """The part of `path` that was written.

        An index is left out where one item stands for its list. A missing key ends the path; with `labels`
        it is left out too, as pydantic's labels of union members must be.
        """
        value, found = self.value, []
        for step in path:
            steps = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
            if step in steps:
                value = value[step]
                found.append(step)
            elif isinstance(step, str) and not labels:
                break
        return tuple(found)

    def where(self, path: KeyPath) -> str:
        """`file:line:column` of the value at `path`, or of the nearest written value around it."""
        return str(self.positions[self.resolve(path)])


def read_document(path: Path, asked_at: Position | None = None) -> Document:
    """Read one YAML file; includes are left as they are.

    `asked_at` is where another file includes it: the place to blame when it cannot be read.

    Raises:
        SuiteError: the file cannot be read or breaks a rule; says where.
    """
    text = _read_text(path, None if asked_at is None else str(asked_at))
    document = parse(text, _locator(path, text))
    if document is None or not isinstance(document.value, dict):
        what = "the top level must be a mapping" if document else "the file is empty"
        where = document.where(()) if document else str(path)
        raise SuiteError(what, where=where, fix="Write 'key: value' lines")
    return document


def parse(text: str, locate: Locate) -> Document | None:
    """Parse one YAML value, None if there is none; `locate` gives the position of a character of `text`.

    Raises:
        SuiteError: the text breaks a rule; says where.
    """
    try:
        return _Loader(text, locate).load()
    except ReaderError as error:
        what = f"character U+{error.character:04X} is not allowed"
        raise _refused(locate(error.position), what, "Remove it") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.problem, error.context) if part)[:200]
        fix = next((hint for sign, hint in _HINTS.items() if sign in what), "Check quotes and indentation")
        raise _refused(locate(mark.index if mark else 0), f"not valid YAML: {what}", fix) from error


def shorten(text: str, limit: int = 60) -> str:
    """`text` in quotes for a message, cut to about `limit` characters."""
    return repr(text if len(text) <= limit else f"{text[: limit - 3]}...")


def _read_text(path: Path, asked_at: str | None) -> str:
    try:
        if not path.exists():
            raise SuiteError(
                f"there is no file {shorten(str(path), 200)}", where=asked_at, fix=_neighbours(path)
            )
        if not path.is_file():
            raise SuiteError(
                f"{shorten(str(path), 200)} is not a file", where=asked_at, fix="Name a YAML file"
            )
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        what = (
            f"the file {shorten(str(path), 200)} cannot be read: {getattr(error, 'strerror', None) or error}"
        )
        raise SuiteError(what, where=asked_at, fix="Check its name and rights") from error
    if len(raw) > MAX_BYTES:
        raise SuiteError("the file is larger than 1 MiB", where=str(path), fix="Name a suite file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")
        at = _locator(path, before)(len(before))
        raise _refused(at, "the file is not UTF-8 text", "Save it as UTF-8") from error


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {shorten(str(path.parent), 200)} either"
    files = (file.name for file in path.parent.iterdir() if file.suffix in {".yaml", ".yml"})
    return did_you_mean(path.name, islice(files, 200))


def _locator(file: Path, text: str) -> Locate:
    starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def locate(index: int) -> Position:
        line = bisect_right(starts, index)
        return Position(file, line, index - starts[line - 1] + 1)

    return locate


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the core schema, bounds on size and depth, and its own construction.

    The bounds hold for the tree with its aliases expanded, and are known before anything is expanded. Each
    alias is built anew, so that no two places of a suite share a value.
    """

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  # the stubs call it an instance's

    def __init__(self, text: str, locate: Locate) -> None:
        super().__init__(text)
        self._locate = locate
        self._open: list[str | None] = []
        self._composed = 0
        self._extent: dict[yaml.Node, tuple[int, int]] = {}
        self._document = Document(None, {}, {})

    def load(self) -> Document | None:
        try:
            node = self.get_single_node()
        except (ValueError, OverflowError) as error:  # PyYAML converts escapes and version numbers unchecked
            what = "not valid YAML: an escape or a version is out of range"
            raise _refused(self._locate(self.index), what, "Correct it") from error
        return None if node is None else replace(self._document, value=self._build(node, ()))

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it open
        at = event.start_mark.index
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open:
                what = f"alias {shorten(f'*{event.anchor}')} stands inside what it repeats"
                raise _refused(self._locate(at), what, "Write the value out")
            return super().compose_node(parent, index)
        self._composed += 1
        self._check(at, self._composed, len(self._open) + 1)
        self._open.append(event.anchor)
        node = super().compose_node(parent, index)
        self._open.pop()
        if node is not None:
            self._extent[node] = self._measured(node)
            self._check(at, *self._extent[node])
        return node

    def _measured(self, node: yaml.Node) -> tuple[int, int]:
        """Number of nodes and of levels at and below `node`, aliases expanded."""
        children = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            children = [part for entry in node.value for part in entry]
        extents = [self._extent[child] for child in children]
        return 1 + sum(size for size, _ in extents), 1 + max((depth for _, depth in extents), default=0)

    def _check(self, at: int, size: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _refused(self._locate(at), f"values are nested over {MAX_DEPTH} deep", "Nest them less")
        if size > MAX_VALUES:
            what = f"this holds over {MAX_VALUES} values, or repeats so many by aliases (a YAML bomb)"
            raise _refused(self._locate(at), what, "List axes and points only: the plan multiplies them")

    def _build(self, node: yaml.Node, path: KeyPath) -> Any:
        at = self._document.positions[path] = self._locate(node.start_mark.index)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_CORE}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_CORE}seq":
            return [self._build(item, (*path, i)) for i, item in enumerate(node.value)]
        return _scalar(node, at)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, item in node.value:
            at = self._locate(key_node.start_mark.index)
            key = _scalar(key_node, at) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise _refused(at, "a key must be text", "Put quotes around it, or remove it")
            if key == "<<":
                raise _refused(at, "merge keys '<<' are not allowed", "Use include")
            below = (*path, key)
            if key in value:
                what = f"key {shorten(key)} is written twice, first at {self._document.key_positions[below]}"
                raise _refused(at, what, "Keep one of them")
            self._document.key_positions[below] = at
            value[key] = self._build(item, below)
        return value


def _scalar(node: yaml.Node, at: Position) -> str | int | float | bool | None:
    tag = node.tag.replace(_CORE, "!!")
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALARS:
        raise _refused(at, f"tag {shorten(tag)} is not allowed here", "Remove it: suites hold plain values")
    pattern, convert = _SCALARS[node.tag]
    try:
        if not pattern.fullmatch(node.value):
            raise ValueError(f"is not what its tag {tag} says")  # noqa: TRY301  # one way out of here
        return convert(node.value)
    except ValueError as error:
        raise _refused(at, f"{shorten(node.value)} {error}", "Correct it, or put text in quotes") from error


def _str(text: str) -> str:
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")  # PyYAML leaves pairs in halves
    except UnicodeDecodeError as error:
        raise ValueError("holds half a surrogate pair") from error


def _int(text: str) -> int:
    if re.match("[-+]?0[0-9]", text):
        raise ValueError("begins with 0, which some YAML readers take for octal")
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise ValueError("does not fit into 64 bits")
    return int(text)


def _float(text: str) -> float:
    if not re.search("[0-9]", text) or not math.isfinite(float(text)):
        raise ValueError("is not a finite number")
    return float(text)


_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_NO_NUMBER = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_SCALARS: dict[str, tuple[re.Pattern[str], Callable[[str], str | int | float | bool | None]]] = {
    f"{_CORE}null": (re.compile(r"(?:null|Null|NULL|~|)\Z"), lambda _: None),
    f"{_CORE}bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), lambda text: text[0] in "tT"),
    f"{_CORE}int": (re.compile(r"[-+]?[0-9]+\Z"), _int),
    f"{_CORE}float": (re.compile(rf"(?:{_NUMBER}|{_NO_NUMBER})\Z"), _float),
    f"{_CORE}str": (re.compile(r"(?s:.*)"), _str),
}
for _tag, (_pattern, _) in _SCALARS.items():  # a plain scalar is the first of these that it looks like
    _Loader.add_implicit_resolver(_tag, _pattern, None)


def _refused(at: Position, what: str, fix: str) -> SuiteError:
    return SuiteError(what, where=str(at), fix=fix)
