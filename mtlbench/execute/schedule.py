"""The order of launches: a block launches every member of a comparison group once, and repeats what was disturbed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal, TypeVar

__all__ = ["RepeatBudget", "block_order"]

T = TypeVar("T")


class RepeatBudget:
    """Which disturbed launches are repeated: each a few times, and none any more on a machine that is never quiet.

    Args:
        most: repeats of one launch.

    Attributes:
        gave_up: whether so many launches were disturbed that repeating them no longer helps.
    """

    _ENOUGH = 8

    def __init__(self, most: int) -> None:
        self.gave_up = False
        self._most = most
        self._attempts: Counter[Hashable] = Counter()
        self._disturbed = 0

    def wants_another(self, launch: Hashable, *, disturbed: bool) -> bool:
        """Told of every launch that ended; whether it should run again."""
        self._attempts[launch] += 1
        self._disturbed += disturbed
        total = self._attempts.total()
        if total >= self._ENOUGH and 2 * self._disturbed > total:
            self.gave_up = self._most > 0
        return disturbed and not self.gave_up and self._attempts[launch] <= self._most


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
