"""Turns what pydantic and the registries complain of into errors about lines of the suite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mtlbench.errors import SuiteError, UnknownNameError, did_you_mean
from mtlbench.suite.yaml_source import Document, KeyPath, Position, shorten

__all__ = ["SuiteProblemsError", "complaints", "in_one", "raise_validation", "unknown_name"]

_MOST_SHOWN = 20

_WHOLE, _NUMBER, _BOOLEAN, _LIST, _MAPPING = (
    "a whole number",
    "a number",
    "true or false",
    "a list",
    "a mapping",
)

# What a value must be, by pydantic's type of error; in braces what its context holds.
_EXPECTED = {
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "string_type": "text",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dataclass_type": _MAPPING,
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "none_required": "null",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "union_tag_invalid": "one of {expected_tags}",
}
_MISSING = {"missing", "union_tag_not_found"}


class SuiteProblemsError(SuiteError):
    """Several things are wrong with a suite; `what`, `where` and `fix` are those of the first.

    Args:
        problems: two or more.
    """

    def __init__(self, problems: Sequence[SuiteError]) -> None:
        super().__init__(problems[0].what, where=problems[0].where, fix=problems[0].fix)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [f"{len(self.problems)} problems", *map(str, self.problems[:_MOST_SHOWN])]
        more = len(self.problems) - _MOST_SHOWN
        return "\n  ".join([*lines, f"and {more} more"] if more > 0 else lines)


def in_one(problems: Sequence[SuiteError]) -> SuiteError:
    """One error that says all of them."""
    return problems[0] if len(problems) == 1 else SuiteProblemsError(problems)


@dataclass(frozen=True)
class _Fault:
    """One complaint: pydantic's details, and the path in the document that it is about.

    `of_default` is set where the value was not written there: it is the model's own.
    """

    details: ErrorDetails
    path: KeyPath
    of_default: bool = False

    @property
    def kind(self) -> str:
        return self.details["type"]

    @property
    def about_key(self) -> bool:
        return self.kind == "extra_forbidden" or self.details["loc"][-1:] == ("[key]",)

    @property
    def context(self) -> dict[str, Any]:
        return self.details.get("ctx", {})


def raise_validation(
    document: Document,
    error: ValidationError,
    model: type[BaseModel],
    prefix: KeyPath = (),
    also_known: Iterable[str] = (),
) -> NoReturn:
    """Raise as one error what `complaints` finds; it says what the arguments are.

    Raises:
        SuiteError: always.
    """
    raise in_one(complaints(document, error, model, prefix, also_known)) from error


def complaints(
    document: Document,
    error: ValidationError,
    model: type[BaseModel],
    prefix: KeyPath = (),
    also_known: Iterable[str] = (),
) -> list[SuiteError]:
    """Pydantic's complaints, each with its place, in the order of the file.

    A missing key is left out where an unknown one was meant for it. The complaints of all members of a union about one
    value become one sentence.

    Args:
        document: the suite that was validated.
        error: what pydantic says.
        model: the model that refused.
        prefix: path of the part of the document that the model was given.
        also_known: keys that are valid beside the fields of `model`.
    """
    faults = [_fault(document, details, prefix) for details in error.errors(include_url=False)]
    # Where something fails below a refused value, that value is a union whose other member was meant.
    above = {fault.path[:depth] for fault in faults for depth in range(len(fault.path))}
    groups: dict[KeyPath, list[_Fault]] = {}
    # Unknown keys first, because they explain what else is missing at one place.
    for fault in sorted(faults, key=lambda fault: fault.kind != "extra_forbidden"):
        if fault.path not in above:
            groups.setdefault(fault.path, []).append(fault)
    known = (*also_known,)
    places = {path: _place(document, path, group[0]) for path, group in groups.items()}
    found = {
        path: _complaint(places[path], path, groups[path], model, known)
        for path in sorted(groups, key=lambda path: (places[path].line, places[path].column))
    }
    meant = {(*path[:-1], complaint.fix) for path, complaint in found.items()}
    return [
        complaint
        for path, complaint in found.items()
        if groups[path][0].kind not in _MISSING or (*path[:-1], f"Did you mean {path[-1]!r}") not in meant
    ]


def _place(document: Document, path: KeyPath, fault: _Fault) -> Position:
    if fault.about_key and path in document.key_positions:
        return document.key_positions[path]
    return document.positions[document.resolve(path)]


def _complaint(
    place: Position, path: KeyPath, group: list[_Fault], model: type[BaseModel], also_known: Iterable[str]
) -> SuiteError:
    """One sentence on everything that is wrong with one value."""
    if group[0].kind == "extra_forbidden":
        loc = group[0].details["loc"][:-1]
        what = f"unknown key {shorten(str(path[-1]))}"
        fix: str | None = did_you_mean(str(path[-1]), {*_fields(model, loc), *(() if loc else also_known)})
    elif group[0].kind in _MISSING:
        what, fix = f"key {path[-1]!r} is missing", f"Add '{path[-1]}: ...' there"
        if isinstance(path[-1], int):  # of a list of fixed length
            what, fix = f"{_name(path)} is missing", "Add it to the list"
    else:
        what, fix = _wrong_value(path, group)
    return SuiteError(what, where=str(place), fix=fix)


def unknown_name(document: Document, path: KeyPath, error: UnknownNameError) -> SuiteError:
    """`error` with the position of the name: of the value at `path` if that is text, else of its key."""
    found = document.resolve(path)
    place = document.where(found)
    if found in document.key_positions and not isinstance(_value(document, found), str):
        place = str(document.key_positions[found])
    return SuiteError(error.what, where=place, fix=error.fix)


def _fault(document: Document, details: ErrorDetails, prefix: KeyPath) -> _Fault:
    kind, loc, context = details["type"], (*prefix, *details["loc"]), details.get("ctx", {})
    if kind in {"extra_forbidden", "missing"}:  # the last step is a key, even where nothing is written
        return _Fault(details, (*document.resolve(loc[:-1], labels=True), loc[-1]))
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return _Fault(details, (*document.resolve(loc, labels=True), context["discriminator"].strip("'")))
    around = document.resolve(prefix, labels=True)
    if details["loc"] and document.resolve((*prefix, details["loc"][0]), labels=True) == around:
        return _Fault(details, (*around, *details["loc"]), of_default=True)
    return _Fault(details, document.resolve(loc, labels=True))


def _wrong_value(path: KeyPath, group: list[_Fault]) -> tuple[str, str | None]:
    """What is wrong with a value, by all members of a union that refused it, and the nearest allowed word."""
    name = f"the default of {_name(path)}" if group[0].of_default else _name(path)
    # A member that got as far as its own rules is the one that was meant; what the others expect would mislead.
    group = [fault for fault in group if fault.kind == "value_error"] or group
    expected = [_EXPECTED[fault.kind].format(**fault.context) for fault in group if fault.kind in _EXPECTED]
    if not expected:
        message = str(group[0].context.get("error") or group[0].details["msg"])
        return f"{name}: {message}", None
    value = group[0].context.get("tag", group[0].details["input"])
    allowed = [word for text in expected for word in re.findall(r"'([^']*)'", text)]
    near = get_close_matches(value[:100], allowed, n=1, cutoff=0.5) if isinstance(value, str) else []
    what = f"{name} must be {' or '.join(dict.fromkeys(expected))}, got {_shown(value)}"
    return what, f"Did you mean {near[0]!r}" if near else None


def _name(path: KeyPath) -> str:
    """The last key of `path` with the indices behind it, as `--set` writes them."""
    last = max((i for i, step in enumerate(path) if isinstance(step, str)), default=None)
    return "the suite" if last is None else ".".join(str(step) for step in path[last:])


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return _MAPPING
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return shorten(value) if isinstance(value, str) else str(value)


def _value(document: Document, path: KeyPath) -> Any:
    value = document.value
    for step in path:
        value = value[step]
    return value


def _fields(model: type[BaseModel], loc: KeyPath) -> set[str]:
    """Keys that the models at `loc` below `model` know."""
    reached: list[Any] = [model]
    for step in loc:
        reached = [inner for outer in reached for inner in _inside(outer, step)]
    models = [member for annotation in reached for member in _members(annotation) if _is_model(member)]
    return {field.alias or name for found in models for name, field in found.model_fields.items()}


def _inside(annotation: Any, step: str | int) -> list[Any]:
    """Annotations of what `step` leads to; labels of union members lead nowhere and stay."""
    inside: list[Any] = []
    for member in _members(annotation):
        arguments = get_args(member)
        if _is_model(member):
            fields = {field.alias or name: field.annotation for name, field in member.model_fields.items()}
            inside.append(fields.get(str(step), member))
        elif isinstance(step, int):
            inside.extend(arguments)
        else:
            inside.append(arguments[-1] if get_origin(member) is dict else member)
    return inside


def _members(annotation: Any) -> list[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _members(arguments[0])
    if origin in {Union, UnionType}:
        return [member for argument in arguments for member in _members(argument)]
    return [annotation]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
