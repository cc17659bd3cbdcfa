"""Mappings of a trace that are made when somebody looks, so that nothing of it runs while a clock does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

__all__ = ["Lazy"]


class Lazy(Mapping[str, Tensor]):
    """A mapping that is made when it is first looked at.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], dict[str, Tensor]]) -> None:
        self._make = make
        self._made: dict[str, Tensor] | None = None

    def _mapping(self) -> dict[str, Tensor]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, key: str) -> Tensor:
        return self._mapping()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping())

    def __len__(self) -> int:
        return len(self._mapping())
