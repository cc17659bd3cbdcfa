"""What pydantic complains of, as sentences about keys of YAML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mtlbench.data.folder.encoding import Complaint
from mtlbench.errors import did_you_mean

__all__ = ["sentences"]

_PLAIN_WORDS = {
    "input ": "",
    "value error, ": "",
    "a valid tuple": "a list",
    "tuple": "list",
    "dictionary": "mapping",
    " after validation": "",
}


def sentences(
    error: ValidationError,
    model: type[BaseModel],
    prefix: str = "",
    known: Iterable[str] = (),
    unknown: Iterable[str] = (),
) -> list[Complaint]:
    """What pydantic complains of, a sentence for each key.

    Args:
        error: what pydantic says.
        model: the model that refused.
        prefix: what stands before the keys of `model`, with a dot.
        known: keys that are valid beside those of `model`.
        unknown: keys that `model` was not shown, because nothing knows them.
    """
    every = error.errors(include_url=False)
    missing = {details["loc"] for details in every if details["type"] == "missing"}
    foreign = [details["loc"] for details in every if details["type"] == "extra_forbidden"]
    said: dict[str, Complaint] = {}
    renamed: set[tuple[int | str, ...]] = set()
    for loc in [*foreign, *((key,) for key in unknown)]:
        inner = _model_at(model, loc[:-1])
        lacking = [str(other[-1]) for other in missing if other[:-1] == loc[:-1]]
        others = known if inner is model else ()
        is_closed = not others and all(field.is_required() for field in inner.model_fields.values())
        meant = _meant(str(loc[-1]), lacking, is_closed)
        if meant is not None:
            renamed.add((*loc[:-1], meant))
        names = [meant] if meant else {*inner.model_fields, *others}
        said[_path(prefix, loc)] = (
            f"unknown key `{_path(prefix, loc)}`",
            did_you_mean(meant or str(loc[-1]), names),
        )
    for details in every:
        loc, path = details["loc"], _path(prefix, details["loc"])
        if details["type"] == "missing" and loc not in renamed:  # else it follows from its name
            said[path] = (f"key `{path}` is missing", f"Add `{loc[-1]}:` there")
        elif details["type"] not in ("missing", "extra_forbidden"):
            said[path] = (f"`{path}` {_in_words(details)}", None)
    # a list is called too short because of an item that was refused by itself
    return [said[path] for path in said if not any(other.startswith(f"{path}.") for other in said)]


def _path(prefix: str, loc: Iterable[int | str]) -> str:
    return prefix + ".".join(str(step) for step in loc)


def _meant(key: str, missing: Sequence[str], is_closed: bool) -> str | None:
    """The missing key that an unknown one stands for: by its letters, or because every other key is there already.

    Args:
        key: the unknown one.
        missing: keys that should stand beside it.
        is_closed: whether all keys that can stand there must.
    """
    near = get_close_matches(key, missing, n=1, cutoff=0.6)
    begun = [name for name in missing if key.startswith(name) or name.startswith(key)]
    return next(iter([*near, *begun, *(missing if is_closed and len(missing) == 1 else ())]), None)


def _in_words(details: ErrorDetails) -> str:
    """Pydantic's message in the words of YAML."""
    value, message = details["input"], details["msg"]
    message = message[0].lower() + message[1:]
    for words, plain in _PLAIN_WORDS.items():
        message = message.replace(words, plain)
    return message + ("" if isinstance(value, dict | list) else f", not {value!r}")


def _model_at(model: type[BaseModel], loc: tuple[Any, ...]) -> type[BaseModel]:
    """The model that the keys `loc` below `model` lead to."""
    for step in loc:
        field = model.model_fields.get(str(step))
        if (
            field is None
            or not isinstance(field.annotation, type)
            or not issubclass(field.annotation, BaseModel)
        ):
            break
        model = field.annotation
    return model
