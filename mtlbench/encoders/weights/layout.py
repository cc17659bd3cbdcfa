"""Key layouts: how the names in somebody else's weights file become the names of an encoder.

A layout is a table. Every key of a file must match one of its rules, or one of the patterns that say what is left out
on purpose; every parameter of the encoder must get a value, or be one that may keep its start value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

__all__ = ["OWN", "Layout", "Resize", "Resized", "Rule"]

Resized = tuple[Tensor, str]
"""A value brought to another size, and how."""

Resize = Callable[[Tensor, tuple[int, ...]], Resized | None]
"""From a value and the wanted shape; None where it cannot be fitted."""


@dataclass(frozen=True, slots=True)
class Rule:
    r"""Which keys become which parameter.

    Args:
        pattern: of the whole key.
        name: of the parameter: a template (`\1`), or a function of the match where numbers change.
        part: index of this piece, where several keys are joined along their first dimension (query, key, value).
        parts: how many pieces there are.
    """

    pattern: str
    name: str | Callable[[re.Match[str]], str]
    part: int = 0
    parts: int = 1

    def apply(self, key: str) -> str | None:
        """The parameter that `key` belongs to; None where this rule is not about it."""
        match = re.fullmatch(self.pattern, key)
        if match is None:
            return None
        return match.expand(self.name) if isinstance(self.name, str) else self.name(match)


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to name the weights of an encoder.

    Args:
        name: for people.
        rules: tried in order; the first that matches decides.
        left_out: (pattern of the whole key, why) of what has no counterpart on purpose.
        optional: patterns of parameters and buffers that a file need not hold.
        resize: (pattern of a parameter, function) for values of another size than the encoder's: see `Resize`.
    """

    name: str
    rules: tuple[Rule, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    optional: tuple[str, ...] = ()
    resize: tuple[tuple[str, Resize], ...] = ()

    def target(self, key: str) -> tuple[str, Rule] | None:
        """The parameter of a key and the rule that says so."""
        for rule in self.rules:
            name = rule.apply(key)
            if name is not None:
                return name, rule
        return None

    def reason_to_leave_out(self, key: str) -> str | None:
        """Why a key is left out on purpose; None where it is not."""
        return next((why for pattern, why in self.left_out if re.fullmatch(pattern, key)), None)

    def may_lack(self, name: str) -> bool:
        """Whether a file need not hold this parameter."""
        return any(re.fullmatch(pattern, name) for pattern in self.optional)

    def resized(self, name: str, value: Tensor, shape: tuple[int, ...]) -> Resized | None:
        """`value` fitted to the shape of the parameter `name`; None where that has no meaning."""
        for pattern, function in self.resize:
            if re.fullmatch(pattern, name):
                return function(value, shape)
        return None


OWN = Layout("the encoder's own names", (Rule(r"(.+)", r"\1"),))
"""What mtlbench itself writes."""
