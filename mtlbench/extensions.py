"""Code of other packages: whether a class keeps its contract, and which line of it raised."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any, NamedTuple

from mtlbench.component import Component
from mtlbench.errors import UsageError
from mtlbench.hashing import digest

__all__ = [
    "Fault",
    "extension_error",
    "find_fault",
    "note_extension",
    "origin",
    "require_contract",
    "told",
]

_OWN = __name__.partition(".")[0]
_METHODS = (property, classmethod, staticmethod, FunctionType)
_packages: set[str] = set()


class Fault(NamedTuple):
    """Where code of another package raised.

    Attributes:
        where: `file:line`.
        who: the function, as `Class.method`.
    """

    where: str
    who: str


def note_extension(module: str) -> bool:
    """Whether a module is not mtlbench's own; its package is remembered as one whose code runs inside mtlbench."""
    package = module.partition(".")[0]
    if package == _OWN:
        return False
    _packages.add(package)
    return True


def origin(found: type) -> str | None:
    """Which code a class of another package is: its distribution's version and a hash of the source.

    The source is that of the modules of its package that define the class and its bases. None for mtlbench's own.
    """
    package = found.__module__.partition(".")[0]
    if package == _OWN:
        return None
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


def require_contract(kind: str, name: str, found: Any) -> None:
    """Refuse a class of another package that lacks what its contract asks for.

    Args:
        kind: of component, for the message.
        name: under which it is registered.
        found: what is registered.

    Raises:
        UsageError: says all that is wrong, and where the class is.
    """
    if not (isinstance(found, type) and issubclass(found, Component)):
        raise UsageError(
            f"{kind} {name!r} is registered as {_said(found)}, which is no component",
            fix="Name a class that derives from the contract of its kind (docs/extending.md)",
        )
    wrong = [*_missing(found), *_misnamed(found, name), *_misshapen(found)]
    if wrong:
        raise UsageError(
            f"{kind} {name!r} does not keep its contract: {_place(found)} {'; '.join(wrong)}",
            fix=f"See {_contract(found)}",
        )


def _missing(found: type[Component]) -> Iterator[str]:
    methods = sorted(getattr(found, "__abstractmethods__", ()))
    if methods:
        yield f"lacks {', '.join(methods)}"
    declared = {
        attribute: None
        for base in _own_bases(found)
        for attribute, annotation in inspect.get_annotations(base).items()
        if "ClassVar" in str(annotation)
    }
    unset = [attribute for attribute in declared if not hasattr(found, attribute)]
    if unset:
        yield f"lacks the class attribute{'s' * (len(unset) > 1)} {', '.join(unset)}"


def _misnamed(found: type[Component], name: str) -> Iterator[str]:
    own = getattr(found, "name", name)
    if own != name:
        yield f"calls itself {own!r}, which must be the name that it is registered under"


def _misshapen(found: type[Component]) -> Iterator[str]:
    """Methods that cannot be called as the contract calls them."""
    for base in found.__mro__:
        if _is_own(base) or not issubclass(base, Component):
            continue
        for name, member in vars(base).items():
            promised = _promised(found, name)
            if promised is None:
                continue
            if isinstance(promised, property):
                if inspect.isfunction(member):
                    yield f"has {name} as a method, which must be a @property"
            elif not callable(_function_of(member)):
                yield f"has {name} as {member!r}, which must be a method"
            elif refused := _refused(found, name, _function_of(promised), _function_of(member)):
                yield refused


def _promised(found: type[Component], name: str) -> Any:
    """The method or property of this name in the contract; None where the contract has none."""
    if name.startswith("_") and name != "__init__":
        return None
    members = [vars(base)[name] for base in _own_bases(found) if name in vars(base)]
    return members[0] if members and isinstance(members[0], _METHODS) else None


def _refused(found: type[Component], name: str, promised: Any, own: Any) -> str | None:
    """Why the own function cannot be called as the promised one is."""
    wanted = inspect.signature(promised)
    positional: list[str] = []
    named: dict[str, None] = {}
    for parameter in wanted.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            named |= dict.fromkeys(found.Options.model_fields)  # how constructors are called
        elif parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(parameter.name)
        else:
            named[parameter.name] = None
    try:
        inspect.signature(own).bind(*positional, **named)
    except TypeError as error:
        return f"has {name}{inspect.signature(own)}, which must take {wanted}: {error}"
    return None


def _function_of(member: Any) -> Any:
    return getattr(member, "__func__", member)


def _own_bases(found: type) -> list[type]:
    return [base for base in found.__mro__ if _is_own(base) and issubclass(base, Component)]


def _is_own(base: type) -> bool:
    return base.__module__.partition(".")[0] == _OWN


def _said(found: Any) -> str:
    if hasattr(found, "__qualname__"):
        return f"the {type(found).__name__} {found.__module__}.{found.__qualname__}"
    return f"a {type(found).__name__}"


def _place(found: type) -> str:
    """The class and, where its source can be found, its line."""
    try:
        file, (_, line) = inspect.getsourcefile(found), inspect.getsourcelines(found)
    except (OSError, TypeError):
        return f"{found.__module__}.{found.__qualname__}"
    return f"{found.__qualname__} ({file}:{line})"


def _contract(found: type[Component]) -> str:
    """Where the contract is written."""
    contract = _own_bases(found)[-2:][0]  # the last is Component, which they all share
    return f"{contract.__name__} in {contract.__module__.replace('.', '/')}.py"


def _function(frame: FrameType) -> str:
    """`Class.method`, whatever comprehension or inner function the line is in."""
    name = frame.f_code.co_qualname.partition(".<locals>")[0]
    return f"module {frame.f_globals['__name__']}" if name == "<module>" else name
