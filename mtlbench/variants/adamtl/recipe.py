"""Training in the paper's stages: after the static network the policies alone, then all of it together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench import tasks
from mtlbench.training.artifact import Problem
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.training.recipe import Recipe
from mtlbench.variants.adamtl.budget import Budgets
from mtlbench.variants.adamtl.calibrate import calibrate
from mtlbench.variants.adamtl.gates import Gates, OpenGates, ProbableGates, RandomGates, RankedGates
from mtlbench.variants.adamtl.network import AdaptiveNetwork, build_adaptive
from mtlbench.variants.adamtl.options import AdaMTLOptions
from mtlbench.variants.adamtl.runnable import budgets_of

__all__ = ["AdaptiveRecipe", "JointRecipe", "PolicyRecipe", "stage_recipe"]

_VALIDATED_RATIO = 0.5
_DRAWN_RATIOS = (0.1, 0.9)


class AdaptiveRecipe(Recipe):
    """What both stages share.

    Args:
        problem: what is trained.
        options: of the variant.
        budget: share of the reference's MACs that the network is trained for; None for a runtime budget, for which
            every step draws how much is kept.
        random: whether decisions are random, as in the control.
    """

    def __init__(
        self, problem: Problem, options: AdaMTLOptions, budget: float | None, *, random: bool = False
    ) -> None:
        self._problem, self._options, self._budget, self._random = problem, options, budget, random
        self._tasks = {spec.name: tasks.registry.get(spec.name)(**spec.options) for spec in problem.tasks}
        self._made: Budgets | None = None

    def network(self, parents: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Module:
        """The parent's weights, policies of `seed` where the parent has none."""
        return build_adaptive(self._problem, self._options, seed, list(parents.values()), random=self._random)

    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """Predictions as trained for; with a runtime budget, where half of what can be skipped is."""
        return _adaptive(network).gated(images, self._validated(_adaptive(network)))

    def _task_losses(
        self, predictions: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        return {name: task.loss(predictions[name], labels[name]) for name, task in self._tasks.items()}

    def _validated(self, network: AdaptiveNetwork) -> Gates:
        if self._budget is None:
            return self._ranked(network, _VALIDATED_RATIO)
        if self._random:
            return self._for_budget(network, self._budget)
        return ProbableGates(network.blocks, self._options)

    def _for_budget(self, network: AdaptiveNetwork, budget: float) -> Gates:
        return RandomGates(network.blocks, self._budgets(network).solve(budget), self._options)

    def _ranked(self, network: AdaptiveNetwork, ratio: float) -> Gates:
        counts = self._budgets(network).at(ratio)
        made = RandomGates if self._random else RankedGates
        return made(network.blocks, counts, self._options)

    def _budgets(self, network: AdaptiveNetwork) -> Budgets:
        """Made for the first step: shapes alone shape it."""
        if self._made is None:
            self._made = budgets_of(network, self._problem.task_names)
        return self._made

    def _drawn(self, network: AdaptiveNetwork, full_share: float) -> Gates:
        """Gates for one step of training for all budgets."""
        if torch.rand(()).item() < full_share:
            return self._ranked(network, 1.0)
        low, high = _DRAWN_RATIOS
        return self._ranked(network, low + (high - low) * torch.rand(()).item())


class PolicyRecipe(AdaptiveRecipe):
    """The policies alone; encoder and heads are frozen."""

    def network(self, parents: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Module:
        """See `AdaptiveRecipe`."""
        return _adaptive(super().network(parents, seed)).freeze()

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The suite's epochs, scaled as the paper's; none without a share."""
        return protocol.scaled(self._options.pretrain_share)

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """Keep everything; or the tasks' own losses at budgets of any size."""
        adaptive = _adaptive(network)
        if self._options.pretrain == "ranked":
            return self._task_losses(adaptive.gated(images, self._drawn(adaptive, 0.0)), labels)
        gates = OpenGates(self._options.tau)
        adaptive.gated(images, gates)
        return {"open": torch.stack(gates.closed).sum()}

    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """See `AdaptiveRecipe`."""
        if self._options.pretrain == "open":
            return dict(network(images))
        return super().predict(network, images)


class JointRecipe(AdaptiveRecipe):
    """Everything together, drawn to a budget or trained for all of them."""

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The suite's epochs, scaled as the paper's; random decisions have no stage before, and get its epochs."""
        options = self._options
        shares = (options.pretrain_share, options.joint_share) if self._random else (options.joint_share,)
        return protocol.scaled(*shares)

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """The tasks' losses, and the budget's where the network is trained for one."""
        adaptive = _adaptive(network)
        if self._budget is None:
            drawn = self._drawn(adaptive, self._options.full_share)
            return self._task_losses(adaptive.gated(images, drawn), labels)
        if self._random:
            return self._task_losses(adaptive.gated(images, self._for_budget(adaptive, self._budget)), labels)
        gates = ProbableGates(adaptive.blocks, self._options, self._turn(progress))
        losses = self._task_losses(adaptive.gated(images, gates), labels)
        return losses | {"budget": self._options.budget_weight * self._budget_loss(adaptive, gates)}

    def finish(self, network: nn.Module, validation: Callable[[], Iterator[Tensor]]) -> None:
        """Thresholds for the budgets that are set at run time."""
        if self._budget is None and not self._random:
            calibrate(_adaptive(network), validation)

    def _turn(self, progress: float) -> int | None:
        """The one task whose decisions count in the first half of alternating training; None for all."""
        count = len(self._problem.tasks)
        if not self._options.alternate or progress >= 0.5 or count == 1:
            return None
        return int(progress * 2 * _ROUNDS * count) % count

    def _budget_loss(self, network: AdaptiveNetwork, gates: ProbableGates) -> Tensor:
        assert self._budget is not None  # noqa: S101  # else there is no such loss
        budgets = self._budgets(network)
        if self._options.budget_weights == "channels":
            ratio = budgets.ratio(self._budget)
            terms = _channel_fractions(network, gates)
            targets = {"tokens": ratio, "blocks": 1 - (1 - ratio) * self._options.block_share}
            return torch.stack([self._distance(terms[kind], targets[kind]) for kind in terms]).sum()
        spent = budgets.spent(gates.block_gates, gates.token_gates)
        return self._distance(spent, self._budget)

    def _distance(self, spent: Tensor, target: float) -> Tensor:
        """Squared distance of each image [B], or of their mean, from the target."""
        if self._options.budget_target == "batch":
            spent = spent.mean(dim=0, keepdim=True)
        return F.mse_loss(spent, torch.full_like(spent, target))


_ROUNDS = 4
"""Turns of each task in alternating training; the released code takes one epoch a turn."""


def _channel_fractions(network: AdaptiveNetwork, gates: ProbableGates) -> dict[str, Tensor]:
    """Kept shares of blocks, and of tokens weighted by their channels, by image [B]: the released budget."""
    found = {}
    stages = network.blocks.layers_of
    blocks = [gate for gate in gates.block_gates if gate is not None]
    if blocks:
        found["blocks"] = torch.cat(blocks, dim=1).mean(dim=1)
    if any(gates.token_gates):
        kept = [
            layer.dim * gate.sum(dim=1)
            for stage, of_stage in zip(stages, gates.token_gates, strict=True)
            for layer, gate in zip(stage, of_stage, strict=True)
        ]
        there = sum(layer.dim * layer.tokens for stage in stages for layer in stage)
        found["tokens"] = torch.stack(kept).sum(dim=0) / there
    return found


def _adaptive(network: nn.Module) -> AdaptiveNetwork:
    assert isinstance(network, AdaptiveNetwork)  # noqa: S101  # it is what `network` gave
    return network


def stage_recipe(
    stage: str, problem: Problem, options: AdaMTLOptions, budget: float | None, *, random: bool
) -> AdaptiveRecipe:
    """The recipe of the stage `policy` or `joint`."""
    made: dict[str, type[AdaptiveRecipe]] = {"policy": PolicyRecipe, "joint": JointRecipe}
    return made[stage](problem, options, budget, random=random)
