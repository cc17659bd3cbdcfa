"""Code of other packages: which code a result came from, and which line of it raised."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from mtlbench.errors import UsageError
from mtlbench.hashing import digest

__all__ = ["Fault", "extension_error", "find_fault", "is_own", "note_extension", "origin", "told"]

_OWN = __name__.partition(".")[0]
_packages: set[str] = set()


class Fault(NamedTuple):
    """Where code of another package raised.

    Attributes:
        where: `file:line`.
        who: the function, as `Class.method`.
    """

    where: str
    who: str


def is_own(module: str) -> bool:
    """Whether a module is mtlbench's own."""
    return module.partition(".")[0] == _OWN


def note_extension(module: str) -> bool:
    """Whether a module is not mtlbench's own; its package is remembered as one whose code runs inside mtlbench."""
    if is_own(module):
        return False
    _packages.add(module.partition(".")[0])
    return True


def origin(found: type) -> str | None:
    """Which code a class of another package is: its distribution's version and a hash of the source.

    The source is that of the modules of its package that define the class and its bases. None for mtlbench's own.
    """
    if is_own(found.__module__):
        return None
    package = found.__module__.partition(".")[0]
    names = _distributions().get(package, [])
    known = [f"{name} {metadata.version(name)}" for name in dict.fromkeys(names)]
    sources = [_source(base) for base in found.__mro__ if base.__module__.partition(".")[0] == package]
    return ", ".join([*known, f"source {digest(sources, 12)}"])


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _source(found: type) -> str:
    try:
        file = inspect.getsourcefile(found)
    except TypeError:  # a class made at an interpreter's prompt
        return ""
    return "" if file is None or not Path(file).is_file() else Path(file).read_text(encoding="utf-8")


def find_fault(error: BaseException) -> Fault | None:
    """The innermost line of another package's code that an exception came through; None where there is none."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return Fault(f"{error.filename}:{error.lineno}", "the module")
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _packages:
            found = Fault(f"{frame.f_code.co_filename}:{line}", _function(frame))
    return found


def extension_error(error: Exception) -> UsageError | None:
    """What to tell the author of an extension whose code raised; None where no code of an extension was involved."""
    fault = find_fault(error)
    if fault is None:
        return None
    return UsageError(
        f"{fault.who} raised {told(error)}",
        where=fault.where,
        fix="Correct that code, or leave what it belongs to out of the suite",
    )


def told(error: BaseException) -> str:
    """An exception in a sentence: its type, and its text if it has any."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _function(frame: FrameType) -> str:
    """`Class.method`, whatever comprehension or inner function the line is in."""
    name = frame.f_code.co_qualname.partition(".<locals>")[0]
    return f"module {frame.f_globals['__name__']}" if name == "<module>" else name
