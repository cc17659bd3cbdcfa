"""Training a dense network: the recipe that single-task and static multi-task networks share."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mtlbench import tasks
from mtlbench.training.artifact import Problem
from mtlbench.training.recipe import Recipe
from mtlbench.variants.network import build_dense

__all__ = ["DenseRecipe"]


class DenseRecipe(Recipe):
    """Each task's own loss on the predictions of a dense network."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._tasks = {spec.name: tasks.registry.get(spec.name)(**spec.options) for spec in problem.tasks}

    def network(self, parents: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Module:
        """A dense network with random weights; dense artifacts have no parents."""
        return build_dense(self._problem, seed, None)

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """The loss of each task."""
        predictions = network(images)
        return {name: task.loss(predictions[name], labels[name]) for name, task in self._tasks.items()}

    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """All predictions."""
        predictions: dict[str, Tensor] = network(images)
        return predictions
