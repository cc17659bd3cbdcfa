"""What a variant tells the training loop: a network to train and its losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping

from torch import Tensor, nn

from mtlbench.training.protocol import TrainingProtocol

__all__ = ["Recipe"]


class Recipe(ABC):
    """One training stage of one variant."""

    @abstractmethod
    def network(self, parents: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Module:
        """The network to train, initialised from `seed` and from the states of the artifact's parents."""

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The settings of this stage, from those of the suite; None where there is nothing to train."""
        return protocol

    @abstractmethod
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

    @abstractmethod
    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """Predictions by task for validation; `network` is in evaluation mode."""

    def finish(  # noqa: B027  # most stages end with their last step
        self, network: nn.Module, validation: Callable[[], Iterator[Tensor]]
    ) -> None:
        """What is set from data once the weights stand, such as thresholds.

        Args:
            network: in evaluation mode, with the weights that are kept.
            validation: each call passes once over the normalised images of the validation split, [B, 3, H, W] each.
        """
