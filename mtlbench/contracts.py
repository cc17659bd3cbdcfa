"""Whether a class of another package keeps the contract of its kind, found out before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from mtlbench.component import Component
from mtlbench.errors import UsageError
from mtlbench.extensions import is_own

__all__ = ["require_contract"]

_METHODS = (property, classmethod, staticmethod, FunctionType)


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
        if is_own(base.__module__) or not issubclass(base, Component):
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
    return [base for base in found.__mro__ if is_own(base.__module__) and issubclass(base, Component)]


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
