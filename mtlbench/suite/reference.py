"""The reference of suite files, generated from the schema: `python -m mtlbench.suite.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from mtlbench import data, encoders, heads
from mtlbench.registry import Registry
from mtlbench.suite.gate import Gate
from mtlbench.suite.schema import ComponentRef, Hardware, Measure, Suite, VariantRef
from mtlbench.training.protocol import TrainingProtocol

__all__ = ["suite_reference"]

_SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("The suite", Suite, "The top level of the file, beside `include`."),
    (
        "A component",
        ComponentRef,
        "Datasets, encoders, the head and variants: a name alone, or a mapping that holds it and any of its options.",
    ),
    ("A variant", VariantRef, "As a component, and its axes."),
    ("`hardware`", Hardware, "One mapping, or a list of them."),
    ("`training`", TrainingProtocol, "A mapping, or `random`. AdamW with linear warm-up and cosine decay."),
    ("`measure`", Measure, "How much is measured."),
    ("`gate`", Gate, "What `mtlbench compare` and `mtlbench gate` let pass."),
)

_REGISTRIES: tuple[tuple[str, Registry[Any]], ...] = (
    ("dataset", data.registry),
    ("encoder", encoders.registry),
    ("head", heads.registry),
)


def suite_reference() -> str:
    """All keys of a suite file with default, meaning and limits, and the options of what it names, as Markdown."""
    lines = [
        "# Suite reference",
        "",
        "Generated from the schema by `python -m mtlbench.suite.reference`.",
        "",
    ]
    for title, model, about in _SECTIONS:
        lines += [f"## {title}", "", about, "", "| key | default | meaning |", "|---|---|---|"]
        lines += [_row(name, field) for name, field in model.model_fields.items()]
        lines.append("")
    for kind, registry in _REGISTRIES:
        for component in registry.names():
            lines += _options(f"## Options of the {kind} `{component}`", registry.get(component).Options)
    return "\n".join(lines)


def _options(title: str, model: type[BaseModel]) -> list[str]:
    """A component's options, if it has any."""
    fields = model.model_fields.items()
    rows = [f"| `{name}` | {_default(field)} | {_option_values(field)} |" for name, field in fields]
    return [title, "", "| key | default | values |", "|---|---|---|", *rows, ""] if rows else []


def _row(name: str, field: Any) -> str:
    more = [_words(field.annotation), _limits(field.metadata), _limits_inside(field.annotation)]
    said = "; ".join(filter(None, more))
    return f"| `{name}` | {_default(field)} | {field.description}{f' ({said})' if said else ''} |"


def _default(field: Any) -> str:
    return "required" if field.is_required() else f"`{_plain(field.get_default(call_default_factory=True))}`"


def _words(annotation: Any) -> str:
    """The words that a choice allows."""
    return (
        ", ".join(f"`{word}`" for word in get_args(annotation)) if get_origin(annotation) is Literal else ""
    )


_LIMITS = {
    "ge": "at least {}",
    "gt": "greater than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "multiple_of": "a multiple of {}",
    "min_length": "{} or more",
    "max_length": "{} or fewer",
    "pattern": "matching `{}`",
}


def _limits(metadata: Iterable[Any]) -> str:
    """What the constraints of a field say, `at least 1 and less than 5`."""
    flat = [part for whole in metadata for part in getattr(whole, "metadata", [whole])]
    found = [
        words.format(str(getattr(part, name)).replace("|", "\\|"))
        for part in flat
        for name, words in _LIMITS.items()
        if getattr(part, name, None) is not None
    ]
    return " and ".join(found)


def _limits_inside(annotation: Any) -> str:
    """The same of the items of a list."""
    if get_origin(annotation) is not list or get_origin(get_args(annotation)[0]) is not Annotated:
        return ""
    limits = _limits(get_args(get_args(annotation)[0])[1:])
    return f"each {limits}" if limits else ""


def _option_values(field: Any) -> str:
    return ", ".join(filter(None, [_values(field.annotation), _limits(field.metadata)]))


def _values(annotation: Any) -> str:
    """What kind of value an option takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return " ".join(filter(None, [_values(arguments[0]), _limits(arguments[1:])]))
    if origin in {Union, UnionType}:
        return " or ".join(_values(member) for member in arguments)
    if origin is dict:
        return f"mapping of {_values(arguments[0])} to {_values(arguments[1])}"
    if origin is tuple:
        count = "list" if arguments[-1] is Ellipsis else f"list of {len(arguments)}"
        return f"{count}, each a {_values(arguments[0])}"
    return _words(annotation) or _KINDS.get(annotation, str(annotation))


_KINDS: dict[Any, str] = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    type(None): "null",
    Any: "a value",
}


def _plain(value: Any) -> str:
    if isinstance(value, ComponentRef):
        return value.name
    if isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "{}" if value == {} else str(value) or "''"


if __name__ == "__main__":
    sys.stdout.write(suite_reference())
