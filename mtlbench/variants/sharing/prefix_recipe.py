"""Training the part of a network that a sub-task does not share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtlbench import tasks
from mtlbench.training.artifact import Problem
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.training.recipe import Recipe
from mtlbench.variants.sharing.network import flat_layers
from mtlbench.variants.sharing.options import PrefixOptions
from mtlbench.variants.sharing.prefix_network import PrefixBranch, PrefixNetwork, run_blocks

__all__ = ["PrefixRecipe"]


class PrefixRecipe(Recipe):
    """The task's own loss; the shared blocks are frozen, the others start from the base task's.

    Args:
        problem: the sub-task alone.
        options: of the variant, the base task named.
        first: the first block that is the sub-task's own.
    """

    def __init__(self, problem: Problem, options: PrefixOptions, first: int) -> None:
        self._problem, self._options, self._first = problem, options, first
        self._name = problem.task_names[0]
        self._task = tasks.registry.get(self._name)(**problem.tasks[0].options)
        self._shared: PrefixNetwork | None = None

    def network(self, parents: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Module:
        """The branch; the base task's encoder is kept beside it."""
        assert self._options.base is not None  # noqa: S101  # the artifact names it
        torch.manual_seed(seed)
        encoder = {key: value for key, value in parents["base"].items() if key.startswith("encoder.")}
        shared = PrefixNetwork(self._problem, self._options.base, self._first, encoder)
        shared.base.requires_grad_(False).eval()
        self._shared = shared
        return shared.branch(self._name)

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The suite's epochs, scaled."""
        return protocol.scaled(self._options.branch_share)

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """The task's."""
        return {self._name: self._task.loss(self._predicted(network, images), labels[self._name])}

    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """The task's prediction."""
        return {self._name: self._predicted(network, images)}

    def _predicted(self, network: nn.Module, images: Tensor) -> Tensor:
        assert isinstance(network, PrefixBranch)  # noqa: S101  # it is what `network` gave
        assert self._shared is not None  # noqa: S101  # as above
        encoder = self._shared.encoder()
        with torch.no_grad():
            x, beginning = run_blocks(encoder, encoder.embed(images), 0, self._first)
        _, rest = run_blocks(network.encoder, x, self._first, len(flat_layers(encoder)))
        predicted: Tensor = network.head([*beginning, *rest])
        return predicted
