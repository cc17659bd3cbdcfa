"""Randomness from integer hashing alone, so that a seed gives the same scene on any machine.

`splitmix64` (Steele, Lea and Flood, OOPSLA 2014, figure 15) on Python integers; a float is the top 53 bits
divided by 2**53, which is exact. No distribution needs more than `+ - * /`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["GOLDEN", "Chance", "mix64", "unit_of"]

T = TypeVar("T")

_MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio: multiples of it, modulo 2**64, are evenly spread."""


def mix64(value: int) -> int:
    """The finaliser of splitmix64: a bijection of 64-bit integers that scatters near ones."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def unit_of(bits: int) -> float:
    """The 64-bit integer `bits` as a float in [0, 1)."""
    return ((bits & _MASK) >> 11) / 9007199254740992.0


class Chance:
    """A stream of random numbers, fixed by `key`.

    Args:
        key: integers; streams of different keys are unrelated.
    """

    def __init__(self, *key: int) -> None:
        state = 0
        for part in key:
            state = mix64(state + GOLDEN + mix64(part))
        self._state = state

    def bits(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + GOLDEN) & _MASK
        return mix64(self._state)

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        return unit_of(self.bits())

    def between(self, low: float, high: float) -> float:
        """Uniform between `low` and `high`."""
        return low + (high - low) * self.unit()

    def below(self, count: int) -> int:
        """An integer from 0 to `count - 1`."""
        return (self.bits() * count) >> 64

    def happens(self, probability: float) -> bool:
        """True with `probability`."""
        return self.unit() < probability

    def pick(self, choices: Sequence[T]) -> T:
        """One of `choices`."""
        return choices[self.below(len(choices))]

    def shuffled(self, choices: Sequence[T]) -> list[T]:
        """`choices` in random order."""
        deck = list(choices)
        for last in range(len(deck) - 1, 0, -1):
            other = self.below(last + 1)
            deck[last], deck[other] = deck[other], deck[last]
        return deck
