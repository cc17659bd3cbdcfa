"""Fewer of many, in order: what a figure or a table shows where everything would not be legible."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

__all__ = ["evenly"]

Item = TypeVar("Item")


def evenly(items: Sequence[Item], kinds: Sequence[Hashable], most: int) -> list[Item]:
    """At most `most` items, in order: the ends of each kind and what lies evenly between.

    Each kind gets the same room; what a small kind leaves goes to the others. Where there are more kinds than
    `most`, items are taken evenly over all.
    """
    if len(items) <= most:
        return list(items)
    members: dict[Hashable, list[int]] = {}
    for index, kind in enumerate(kinds):
        members.setdefault(kind, []).append(index)
    if len(members) > most:
        return [items[index] for index in _spread(list(range(len(items))), most)]
    kept: list[int] = []
    left, smallest_first = most, sorted(members.values(), key=len)
    for number, own in enumerate(smallest_first):
        kept += _spread(own, left // (len(smallest_first) - number))
        left = most - len(kept)
    return [items[index] for index in sorted(kept)]


def _spread(indices: list[int], most: int) -> list[int]:
    if len(indices) <= most:
        return indices
    return [indices[place] for place in np.unique(np.linspace(0, len(indices) - 1, most).round().astype(int))]
