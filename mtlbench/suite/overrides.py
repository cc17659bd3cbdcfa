"""Changes single values of a loaded suite: what `--set a.b=c` on the command line asks for."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlbench.errors import UsageError
from mtlbench.suite.yaml_source import MAX_DEPTH, Document, KeyPath, Position, parse, shorten

__all__ = ["SetPosition", "apply_override"]


@dataclass(frozen=True)
class SetPosition(Position):
    """The place of a value that was set on the command line; prints as the option itself."""

    text: str

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 80 else f"{self.text[:77]}..."
        return f"--set {shown.encode('utf-8', 'backslashreplace').decode()}"


def apply_override(document: Document, text: str) -> Document:
    """A copy of `document` with one value set.

    Args:
        document: a loaded suite; not changed.
        text: `a.b=c`: keys and list indices (from 0) joined by dots, then a YAML value. Missing keys are
            made, and a null on the way becomes a mapping; a list index must exist. A null is set as such.

    Raises:
        UsageError: the text is malformed, or the path does not fit the suite; names the `--set`.
    """
    at = SetPosition(Path("--set"), 1, 1, text)
    left, equals, right = text.partition("=")
    if not equals:
        raise _refused(at, "there is no '=' in it", "Write it as --set key.key=value")
    parts = _parts(left, at)
    setting = parse(right, lambda _: at)
    if setting is None:
        raise _refused(at, "there is no value after '='", "Write null or '' if that is meant")
    changed = Document(deepcopy(document.value), dict(document.positions), dict(document.key_positions))
    holder, path = _holder(changed, parts[:-1], at)
    step = _step(holder, parts[-1], path, at)
    holder[step] = setting.value
    _note(changed, (*path, step), at, setting)
    return changed


def _parts(left: str, at: SetPosition) -> list[str]:
    parts = left.strip().split(".")
    if not all(part and part.isprintable() for part in parts):
        raise _refused(
            at, "a key before '=' is empty or cannot be printed", "Write it as --set key.key=value"
        )
    if len(parts) > MAX_DEPTH:
        raise _refused(at, f"the path is over {MAX_DEPTH} keys deep", "Name a key of the suite")
    if parts[0] == "include":
        raise _refused(at, "include cannot be set: files are read before", "Write it into a suite file")
    return parts


def _holder(document: Document, parts: list[str], at: SetPosition) -> tuple[Any, KeyPath]:
    """The mapping or list that `parts` lead to, made on the way where it is missing."""
    holder: Any = document.value
    path: KeyPath = ()
    for part in parts:
        step = _step(holder, part, path, at)
        path = (*path, step)
        if (holder.get(step) if isinstance(holder, dict) else holder[step]) is None:
            holder[step] = {}
            _note(document, path, at, Document({}, {(): at}, {}))
        holder = holder[step]
    return holder, path


def _step(holder: Any, part: str, path: KeyPath, at: SetPosition) -> str | int:
    name = shorten(".".join(map(str, path)))
    if isinstance(holder, dict):
        return part
    if not isinstance(holder, list):
        raise _refused(at, f"{name} is a single value and holds no {shorten(part)}", f"Set {name} itself")
    index = int(part) if part.isascii() and part.isdecimal() and len(part) < 9 else len(holder)
    if index >= len(holder):
        what = f"{name} is a list of {len(holder)} without item {shorten(part)}"
        raise _refused(at, what, "Items count from 0; to add one, set the whole list")
    return index


def _note(document: Document, path: KeyPath, at: SetPosition, setting: Document) -> None:
    """Record that `setting` stands at `path`; a key that the file has written keeps its position."""
    if isinstance(path[-1], str):
        document.key_positions.setdefault(path, at)
    for old, new, kept in (
        (document.positions, setting.positions, 0),
        (document.key_positions, setting.key_positions, 1),
    ):
        for known in [
            known for known in old if known[: len(path)] == path and len(known) >= len(path) + kept
        ]:
            del old[known]
        old.update({(*path, *below): place for below, place in new.items()})


def _refused(at: SetPosition, what: str, fix: str) -> UsageError:
    return UsageError(what, where=str(at), fix=fix)
