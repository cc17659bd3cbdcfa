"""What a variant tells the training loop: a network to train and its losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

__all__ = ["Recipe"]


class Recipe(Protocol):
    """One training stage of one variant."""

    def network(self, parents: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Module:
        """The network to train, initialised from `seed` and from the states of the artifact's parents."""
        ...

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """Unweighted loss of each task (and of each further term), scalars.

        Args:
            network: in training mode.
            images: normalised [B, 3, H, W].
            labels: by task, in the task's label layout.
            progress: share of all training steps done, for what is annealed.
        """
        ...

    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """Predictions by task for validation; `network` is in evaluation mode."""
        ...
