"""Training a sub-task's branch: differences of weights first, then with tokens left to the base task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from mtlbench import tasks
from mtlbench.training.artifact import Problem
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.training.recipe import Recipe
from mtlbench.variants.network import load_trained
from mtlbench.variants.sharing.calibrate import calibrate
from mtlbench.variants.sharing.choose import Everything, Ranked, Rule
from mtlbench.variants.sharing.network import Branch, SharingNetwork, flat_layers
from mtlbench.variants.sharing.options import SharingOptions
from mtlbench.variants.sharing.walk import Told, Walk

__all__ = ["DeltaRecipe", "GateRecipe"]

_VALIDATED_DENSITY = 0.5
_DRAWN_DENSITIES = (0.05, 0.95)


class DeltaRecipe(Recipe):
    """The task's own loss with everything computed; the base task's encoder is frozen.

    Args:
        problem: the sub-task alone.
        options: of the variant, the base task named.
        shared_blocks: blocks of the base task's alone.
    """

    def __init__(self, problem: Problem, options: SharingOptions, shared_blocks: int) -> None:
        self._problem, self._options, self._shared_blocks = problem, options, shared_blocks
        self._name = problem.task_names[0]
        self._task = tasks.registry.get(self._name)(**problem.tasks[0].options)
        self._sharing: SharingNetwork | None = None

    def network(self, parents: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Module:
        """The branch of the parent stage, or a new one; the base task's encoder is kept beside it."""
        options = self._options
        assert options.base is not None  # noqa: S101  # the artifact names it
        torch.manual_seed(seed)
        sharing = SharingNetwork(self._problem, options.base, self._shared_blocks, options)
        base = parents["base"]
        load_trained(sharing.base, {key: value for key, value in base.items() if key.startswith("encoder.")})
        if "delta" in parents:
            load_trained(self._branch_of(sharing), parents["delta"])
        sharing.base.requires_grad_(False).eval()
        self._sharing = sharing
        return self._branch_of(sharing)

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The suite's epochs, scaled."""
        return protocol.scaled(self._options.delta_share)

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """The task's."""
        predicted, _ = self._run(images, Everything())
        return {self._name: self._task.loss(predicted, labels[self._name])}

    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """The task's prediction."""
        return {self._name: self._run(images, Everything())[0]}

    def _run(self, images: Tensor, rule: Rule, *, watching: bool = False) -> tuple[Tensor, Told]:
        sharing = self._network()
        walk = Walk(
            sharing,
            (self._name,),
            rule,
            carried=self._options.below == "carried",
            training=True,
            watching=watching,
        )
        maps, told = walk(images)
        predicted: Tensor = sharing.head(self._name)(maps[self._name])
        return predicted, told

    def _network(self) -> SharingNetwork:
        assert self._sharing is not None  # noqa: S101  # `network` is called first
        return self._sharing

    def _branch_of(self, sharing: SharingNetwork) -> Branch:
        return sharing.branch(self._name)


class GateRecipe(DeltaRecipe):
    """The task's own loss at densities of all sizes, and a penalty on what differs."""

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The suite's epochs, scaled."""
        return protocol.scaled(self._options.gate_share)

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """The task's, and the penalty where it has a weight."""
        penalised = self._options.sparsity > 0
        predicted, told = self._run(images, self._drawn(), watching=penalised)
        losses = {self._name: self._task.loss(predicted, labels[self._name])}
        if penalised and told.differing[self._name]:
            losses["sparsity"] = self._options.sparsity * torch.stack(told.differing[self._name]).mean()
        return losses

    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """The task's prediction at half the density."""
        return {self._name: self._run(images, self._ranked(_VALIDATED_DENSITY))[0]}

    def finish(self, network: nn.Module, validation: Callable[[], Iterator[Tensor]]) -> None:
        """Thresholds by density."""
        calibrate(self._network(), validation, carried=self._options.below == "carried")

    def _drawn(self) -> Rule:
        if torch.rand(()).item() < self._options.full_share:
            return Everything()
        low, high = _DRAWN_DENSITIES
        return self._ranked(low + (high - low) * torch.rand(()).item())

    def _ranked(self, density: float) -> Rule:
        own = flat_layers(self._network().encoder)[self._shared_blocks :]
        return Ranked(own, density)
