"""Short names for people. Identity never depends on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtlbench.hashing import digest
from mtlbench.training.artifact import Named

__all__ = ["distinct_labels", "point_label"]


# Options that name what a component is; the first that is set goes into its label.
_TELLING = ("arch", "model", "title")
# A longer value is a hash or a sentence; its beginning tells it from others.
_LONGEST, _HASH_DIGITS = 24, 8


def point_label(point: Mapping[str, Any]) -> str:
    """`[keep=0.5,width=1.0]`, or nothing for a variant without axes."""
    return "[" + ",".join(f"{name}={value}" for name, value in point.items()) + "]" if point else ""


def distinct_labels(components: Sequence[Named]) -> list[str]:
    """A label for each component: its name, its `arch` or `title`, and whatever else tells it from namesakes."""
    bases = [_base(component) for component in components]
    labels = []
    for component, base in zip(components, bases, strict=True):
        namesakes = [other for other, name in zip(components, bases, strict=True) if name == base]
        labels.append(base + _difference(component, namesakes))
    return labels


def _base(component: Named) -> str:
    telling = next((component.options[key] for key in _TELLING if component.options.get(key)), None)
    return component.name if telling is None else f"{component.name}-{telling}"


def _difference(component: Named, namesakes: Sequence[Named]) -> str:
    """As few options as tell it from its namesakes, hashes and mappings last."""
    said = ""
    plain_first = sorted(
        (key for key in component.options if key not in _TELLING),
        key=lambda key: any(_is_opaque(other.options.get(key)) for other in namesakes),
    )
    for key in plain_first:
        others = [other for other in namesakes if other.options.get(key) != component.options[key]]
        if others:
            said += _said(key, component.options[key])
            namesakes = [other for other in namesakes if other not in others]
    return said


def _is_opaque(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and len(value) > _LONGEST)


def _said(key: str, value: Any) -> str:
    """`-patch8`, `-no-pretrained`, `-weights57934424`."""
    key = key.removesuffix("_sha256")
    if isinstance(value, bool):
        return f"-{key}" if value else f"-no-{key}"
    if _is_opaque(value):
        return f"-{key}{(digest(value) if isinstance(value, dict) else value)[:_HASH_DIGITS]}"
    return f"-{key}" + ("x".join(map(str, value)) if isinstance(value, list) else str(value))
