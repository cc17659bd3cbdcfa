"""What every registered component with options shares: a name, a version, validated options."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

__all__ = ["Component", "Options", "Row"]

T = TypeVar("T")

Row = Annotated[T, Field(strict=False)]
"""A tuple that YAML writes as a list, in a model that is not `Options`: `Row[tuple[int, int]]`."""


def _loosen_sequences(schema: Any) -> None:
    """Let every list and tuple of a schema take the other kind."""
    if isinstance(schema, dict):
        if schema.get("type") in ("list", "tuple"):  # a dict here is a field that is called type
            schema.setdefault("strict", False)
        for inner in schema.values():
            _loosen_sequences(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _loosen_sequences(inner)


class Options(BaseModel):
    """Base of every options model: unknown keys are refused, types are not converted, values never change.

    Lists and tuples stand for each other, because YAML and JSON know one of them only; their items are as strict as
    all options. Defaults are checked like what is given.

    A field declared with `exclude=True` says *where* something is on this machine (a data root); it is not part of
    any specification, so that the same data elsewhere is the same cell.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _loosen_sequences(schema)
        return schema


class Component:
    """A registered thing that suites name and set options of.

    `version` is part of the code version of every result that the component shaped: raise it whenever the same
    options would give other numbers.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Options: ClassVar[type[Options]] = Options
    shorthand: ClassVar[str] = ""
    """The option that `name:value` in a suite sets (`hf:FOLDER` is `{name: hf, model: FOLDER}`); empty for none."""

    @classmethod
    def resolve(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Options with all defaults written out, as JSON-able values: what specifications hash.

        Raises:
            pydantic.ValidationError: an option is unknown or of the wrong type.
        """
        return cls.Options.model_validate(options).model_dump(mode="json")

    @classmethod
    def places(cls, options: dict[str, Any]) -> dict[str, Any]:
        """The options that say where something is on this machine, as given; no part of any specification."""
        fields = cls.Options.model_fields
        return {name: value for name, value in options.items() if name in fields and fields[name].exclude}
