"""The reference of suite files, generated from the schema: `python -m mtlbench.suite.reference`."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import BaseModel

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
)


def suite_reference() -> str:
    """All keys of a suite file with type, default and meaning, as Markdown."""
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
    return "\n".join(lines)


def _row(name: str, field: Any) -> str:
    default = (
        "required" if field.is_required() else f"`{_plain(field.get_default(call_default_factory=True))}`"
    )
    return f"| `{name}` | {default} | {field.description} |"


def _plain(value: Any) -> str:
    if isinstance(value, ComponentRef):
        return value.name
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, list):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "{}" if value == {} else str(value) or "''"


if __name__ == "__main__":
    sys.stdout.write(suite_reference())
