"""Short names for people. Identity never depends on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtlbench.training.artifact import Named

__all__ = ["distinct_labels", "point_label"]


def point_label(point: Mapping[str, Any]) -> str:
    """`[keep=0.5,width=1.0]`, or nothing for a variant without axes."""
    return "[" + ",".join(f"{name}={value}" for name, value in point.items()) + "]" if point else ""


def distinct_labels(components: Sequence[Named]) -> list[str]:
    """A label for each component: its name, its `arch` if it has one, and whatever else tells it from namesakes."""
    bases = [_base(component) for component in components]
    labels = []
    for component, base in zip(components, bases, strict=True):
        namesakes = [other for other, name in zip(components, bases, strict=True) if name == base]
        labels.append(base + _difference(component, namesakes))
    return labels


def _base(component: Named) -> str:
    arch = component.options.get("arch")
    return f"{component.name}-{arch}" if arch else component.name


def _difference(component: Named, namesakes: Sequence[Named]) -> str:
    keys = [
        key
        for key in component.options
        if key != "arch" and any(other.options.get(key) != component.options[key] for other in namesakes)
    ]
    return "".join(f"-{key}{_short(component.options[key])}" for key in keys)


def _short(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)
