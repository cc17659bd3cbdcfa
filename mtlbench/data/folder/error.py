"""Faults that a dataset can have at many places, and how those of one kind are told together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from mtlbench.errors import DataError

__all__ = ["FolderError"]


class FolderError(DataError):
    """Something wrong at one place that is often wrong at many.

    Args:
        what: what is wrong at this place, see `MtlbenchError`.
        where: the place.
        kind: what is wrong without what differs from place to place; faults of one kind are told together.
        detail: what differs, in a few words.
        fix: what to do about this place.
        advice: what to do about many such places; `fix` where it fits them all.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str,
        kind: str,
        detail: str = "",
        fix: str | None = None,
        advice: str | None = None,
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.kind = kind
        self.detail = detail
        self.advice = advice or fix

    @property
    def key(self) -> tuple[str, str | None]:
        """Equal for faults that are told together."""
        return self.kind, self.advice

    def together(self, others: Sequence[Self]) -> tuple[str, str | None]:
        """What is wrong, and what to do, said once for this and `others` of the same key."""
        return self.kind, self.advice
