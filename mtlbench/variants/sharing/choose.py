"""Which tokens of a sub-task differ enough from the base task's to be computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mtlbench.encoders.blocks import Layer

__all__ = ["Everything", "Ranked", "Rule", "Thresholds", "counts_at"]


def counts_at(layers: Sequence[Layer], density: float) -> tuple[int, ...]:
    """Places that each layer computes at a density, rounded to whole ones."""
    return tuple(int(density * layer.places + 0.5) for layer in layers)


class Rule(ABC):
    """What becomes of differences.

    Class attributes:
        ragged: whether images may compute different numbers of places.
    """

    ragged: ClassVar[bool] = False

    @abstractmethod
    def asks(self, i: int) -> bool:
        """Whether there is anything to choose in layer i."""

    @abstractmethod
    def unasked(self, i: int, batch: int) -> Tensor | None:
        """Without a choice: no place, [B, 0], or all of them, None."""

    @abstractmethod
    def places(self, i: int, task: str, differences: Tensor) -> Tensor:
        """Differences of the places, [B, places], to the indices of those that are computed, [B, K]."""


class Everything(Rule):
    """Full density."""

    def asks(self, i: int) -> bool:
        """See `Rule`."""
        return False

    def unasked(self, i: int, batch: int) -> Tensor | None:
        """See `Rule`."""
        return None

    def places(self, i: int, task: str, differences: Tensor) -> Tensor:
        """Never called."""
        raise NotImplementedError


class Ranked(Rule):
    """The places that differ most, as many in every image.

    Args:
        layers: the layers of a branch.
        density: share of places that are computed.
    """

    def __init__(self, layers: Sequence[Layer], density: float) -> None:
        self.counts = counts_at(layers, density)
        self._there = [layer.places for layer in layers]

    def asks(self, i: int) -> bool:
        """See `Rule`."""
        return 0 < self.counts[i] < self._there[i]

    def unasked(self, i: int, batch: int) -> Tensor | None:
        """See `Rule`."""
        return None if self.counts[i] else torch.empty(batch, 0, dtype=torch.long)

    def places(self, i: int, task: str, differences: Tensor) -> Tensor:
        """See `Rule`."""
        return differences.topk(self.counts[i], dim=1, sorted=False).indices


class Thresholds(Rule):
    """The places that differ by more than a threshold, image by image.

    Args:
        levels: by task, a threshold for each layer of its branch.
    """

    ragged = True

    def __init__(self, levels: Mapping[str, Sequence[float]]) -> None:
        self._levels = levels

    def asks(self, i: int) -> bool:
        """See `Rule`."""
        return True

    def unasked(self, i: int, batch: int) -> Tensor | None:
        """Never called."""
        raise NotImplementedError

    def places(self, i: int, task: str, differences: Tensor) -> Tensor:
        """See `Rule`; one image a call, because others may compute more."""
        if len(differences) != 1:
            raise ValueError("thresholds take one image a call")
        return (differences[0] > self._levels[task][i]).nonzero().view(1, -1)
