"""The order of launches: a block launches every member of a comparison group once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, TypeVar

__all__ = ["block_order"]

T = TypeVar("T")


def block_order(members: Sequence[T], block: int, order: Literal["shuffled", "abba"], group: str) -> list[T]:
    """Members in the order in which this block launches them.

    `abba` runs odd blocks backwards, so that linear drift cancels over each pair of blocks; `shuffled` draws a
    permutation from (group, block), which also breaks periodic disturbances. Both are equal on every machine.
    """
    if order == "abba":
        return list(members) if block % 2 == 0 else list(reversed(members))
    shuffled = list(members)
    random.Random(f"{group}#{block}").shuffle(shuffled)  # noqa: S311  # an order, not a secret
    return shuffled
