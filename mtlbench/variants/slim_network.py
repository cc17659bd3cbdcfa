"""Dense networks whose MLPs keep as many hidden channels as a budget buys, and how they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlbench.cost.units import total_macs
from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.encoders.vit_layers import Mlp
from mtlbench.errors import UsageError
from mtlbench.training.artifact import Problem
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.variants.dense_recipe import DenseRecipe
from mtlbench.variants.network import DenseNetwork, build_dense, load_trained

__all__ = ["SlimRecipe", "build_slim", "importance", "slim", "widths_for"]

_STEPS = 50
"""Halvings: more than any number of channels needs."""


def widths_for(network: DenseNetwork, budget: float) -> list[int]:
    """Hidden channels that each MLP keeps, in the order of the layers: the same share of all, to whole channels.

    Args:
        network: a dense one.
        budget: share of its MACs with the heads of all tasks; what is kept takes no more, and one channel more in any
            layer would.

    Raises:
        UsageError: the encoder has no blocks, or one hidden channel in each MLP is more than the budget.
    """
    layers = _layers(network)
    full = [layer.feed_forward.fc1.out_features for layer in layers]
    costs = [layer.mlp_macs // hidden for layer, hidden in zip(layers, full, strict=True)]
    reference = total_macs(network.units(network.problem.task_names))
    fixed = reference - _macs(full, costs)
    spare = int(budget * reference) - fixed
    if sum(costs) > spare:
        raise UsageError(
            f"a budget of {budget:g} cannot be met: MLPs of one hidden channel leave "
            f"{(fixed + sum(costs)) / reference:.3f} of the reference's MACs",
            fix="Raise the budget",
        )
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _macs(_shared(full, middle), costs) <= spare else (low, middle)
    return _filled(_shared(full, low), full, costs, spare)


def importance(mlp: Mlp) -> Tensor:
    """How much each hidden channel counts, [hidden]: the l1 norm of its weights in times that of its weights out.

    The first factor alone is that of Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, section 3.1.
    """
    return mlp.fc1.weight.abs().sum(dim=1) * mlp.fc2.weight.abs().sum(dim=0)


def slim(network: DenseNetwork, budget: float) -> DenseNetwork:
    """The same network, changed in place: every MLP keeps its most important hidden channels, in their order.

    Raises:
        UsageError: see `widths_for`.
    """
    for layer, width in zip(_layers(network), widths_for(network, budget), strict=True):
        mlp = layer.feed_forward
        ranked = importance(mlp).argsort(descending=True, stable=True)
        _keep(mlp, ranked[:width].sort().values)
    return network


def build_slim(
    problem: Problem, budget: float, seed: int, state: Mapping[str, Tensor] | None
) -> DenseNetwork:
    """A slim network in evaluation mode: from a trained state of this budget, or from a new dense network.

    At a budget of 1 it is the dense network. Arguments and errors are those of `build_dense` and `widths_for`.
    """
    if budget >= 1:
        return build_dense(problem, seed, state)
    if state is None:
        return slim(build_dense(problem, seed, None), budget)
    with torch.random.fork_rng(devices=[]):
        network = slim(DenseNetwork(problem), budget)
    load_trained(network, state)
    return network.eval()


class SlimRecipe(DenseRecipe):
    """The static network, slimmed, then trained on with the tasks' own losses.

    Args:
        problem: what is trained.
        budget: share of the static network's MACs.
        shares: of the suite's epochs, which are trained in one go.
    """

    def __init__(self, problem: Problem, budget: float, shares: Sequence[float]) -> None:
        super().__init__(problem)
        self._budget, self._shares = budget, shares

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The suite's epochs, scaled."""
        return protocol.scaled(*self._shares)

    def network(self, parents: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Module:
        """The parent's most important channels."""
        return slim(build_dense(self._problem, seed, parents["dense"]), self._budget)


def _layers(network: DenseNetwork) -> list[Layer]:
    encoder = network.encoder
    if not isinstance(encoder, BlockEncoder):
        raise UsageError(
            f"static_slim slims the MLPs of transformer blocks, which encoder {encoder.name} does not have",
            fix="Use vit or swin",
        )
    return [layer for stage in encoder.layers_of for layer in stage]


def _shared(full: Sequence[int], share: float) -> list[int]:
    return [max(1, int(share * hidden)) for hidden in full]


def _macs(widths: Sequence[int], costs: Sequence[int]) -> int:
    return sum(width * cost for width, cost in zip(widths, costs, strict=True))


def _filled(widths: list[int], full: Sequence[int], costs: Sequence[int], limit: int) -> list[int]:
    """One channel more in layer after layer, as long as any fits."""
    left, before = limit - _macs(widths, costs), -1
    while left != before:
        before = left
        for i, cost in enumerate(costs):
            if widths[i] < full[i] and cost <= left:
                widths[i] += 1
                left -= cost
    return widths


def _keep(mlp: Mlp, channels: Tensor) -> None:
    """Leave an MLP these hidden channels alone."""
    weight_in, bias = mlp.fc1.weight.detach()[channels], mlp.fc1.bias.detach()[channels]
    weight_out = mlp.fc2.weight.detach()[:, channels].contiguous()
    mlp.fc1.weight, mlp.fc1.bias = nn.Parameter(weight_in), nn.Parameter(bias)
    mlp.fc2.weight = nn.Parameter(weight_out)
    mlp.fc1.out_features = mlp.fc2.in_features = len(channels)
