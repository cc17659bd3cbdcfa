"""Amounts by the parts of a runnable that may hold several networks."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["without_copies"]


def without_copies(by_part: Mapping[str, float]) -> dict[str, float]:
    """Amounts by the parts' own names: `encoder#2` of `mtlbench.cost.audit.unique_parts` goes to `encoder`."""
    summed: dict[str, float] = {}
    for part, amount in by_part.items():
        name = part.partition("#")[0]
        summed[name] = summed.get(name, 0) + amount
    return summed
