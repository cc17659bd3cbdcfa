"""The networks of the element-wise form: one dense network per task, and what is stored of those of the sub-tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlbench.encoders.blocks import BlockEncoder
from mtlbench.heads.base import Head
from mtlbench.training.artifact import Problem
from mtlbench.variants.network import DenseNetwork, build_dense, load_trained
from mtlbench.variants.sharing.element_gates import (
    GatedDifference,
    SparseDifference,
    flat_weights,
    in_shape,
)
from mtlbench.variants.sharing.network import block_encoder, flat_layers, new_head

__all__ = [
    "DENSITIES",
    "VARIANT",
    "ElementBranch",
    "ElementNetwork",
    "GatedBranch",
    "build_elements",
    "element_encoder",
]

VARIANT = "computation_sharing_element"
DENSITIES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Densities for which thresholds are calibrated; between them, and up to none at 1, they are interpolated."""

_UNTRAINED_SHARE = 0.1
_UNTRAINED_STD = 0.005


class GatedBranch(nn.Module):
    """What the first stage trains of a sub-task: gated differences of its encoder's weights, and its head.

    Args:
        problem: the sub-task's.
        encoder: the base task's.
        alpha_scale: as `GatedDifference` takes it.
    """

    def __init__(self, problem: Problem, encoder: BlockEncoder, alpha_scale: float) -> None:
        super().__init__()
        self.difference = GatedDifference([part.numel() for part in encoder.parameters()], alpha_scale)
        self.head: Head = new_head(problem, problem.task_names[0], encoder)


class ElementBranch(nn.Module):
    """All that is stored of a sub-task: the weights that differ, its head, and calibrated thresholds.

    Args:
        problem: of which it is one task.
        name: the task.
        encoder: the base task's.
        stored: weights that differ.

    Attributes:
        levels: thresholds by density and block, [len(DENSITIES), blocks]; not a number before calibration.
    """

    levels: Tensor

    def __init__(self, problem: Problem, name: str, encoder: BlockEncoder, stored: int) -> None:
        super().__init__()
        total = sum(parameter.numel() for parameter in encoder.parameters())
        self.difference = SparseDifference(stored, total)
        self.head: Head = new_head(problem, name, encoder)
        blocks = len(flat_layers(encoder))
        self.register_buffer("levels", torch.full((len(DENSITIES), blocks), torch.nan))

    @classmethod
    def of_state(
        cls, problem: Problem, name: str, encoder: BlockEncoder, state: Mapping[str, Tensor]
    ) -> ElementBranch:
        """With trained weights.

        Raises:
            MtlbenchError: they do not fit.
        """
        values = state.get("difference.values")
        branch = cls(problem, name, encoder, 0 if values is None else len(values))
        load_trained(branch, state)
        return branch

    @torch.no_grad()
    def start_at_random(self) -> None:
        """Differences of an untrained network: a few that tell tasks apart."""
        difference = self.difference
        drawn = torch.randperm(difference.total)[: len(difference.indices)].sort().values
        difference.indices.copy_(drawn)
        nn.init.normal_(difference.values, std=_UNTRAINED_STD)


class ElementNetwork(nn.Module):
    """One dense network per task.

    Args:
        problem: all tasks.
        base: the base task's network.
        base_task: its name.
        branches: of the other tasks, in order.
    """

    def __init__(
        self, problem: Problem, base: DenseNetwork, base_task: str, branches: Mapping[str, ElementBranch]
    ) -> None:
        super().__init__()
        self.base_task = base_task
        self.branches = nn.ModuleDict(dict(branches))
        folded = {name: _folded(problem.only(name), base, branch) for name, branch in branches.items()}
        self.networks = nn.ModuleDict({base_task: base, **folded})

    def network(self, name: str) -> DenseNetwork:
        """A task's own, the difference added to its weights."""
        network = self.networks[name]
        assert isinstance(network, DenseNetwork)  # noqa: S101  # ModuleDict forgets what it holds
        return network

    def encoder(self, name: str) -> BlockEncoder:
        """A task's own."""
        return element_encoder(self.network(name).encoder)

    def branch(self, name: str) -> ElementBranch:
        """What is stored of a sub-task."""
        branch = self.branches[name]
        assert isinstance(branch, ElementBranch)  # noqa: S101  # as above
        return branch


def build_elements(
    problem: Problem, base: str, seed: int, states: Sequence[Mapping[str, Tensor]] | None
) -> ElementNetwork:
    """In evaluation mode, with random weights of `seed`, or with trained ones. The global random state stays as it is.

    Args:
        problem: all tasks.
        base: the base task.
        seed: of what no state sets.
        states: of the base task's dense network, then of each branch in the order of the tasks.

    Raises:
        UsageError: the encoder is not made of blocks.
        MtlbenchError: a state does not fit.
    """
    dense = build_dense(problem.only(base), seed, states[0] if states else None)
    encoder = element_encoder(dense.encoder)
    names = [name for name in problem.task_names if name != base]
    branches = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for i, name in enumerate(names):
            if states:
                branches[name] = ElementBranch.of_state(problem, name, encoder, states[1 + i])
            else:
                total = sum(parameter.numel() for parameter in encoder.parameters())
                branches[name] = ElementBranch(problem, name, encoder, round(_UNTRAINED_SHARE * total))
                branches[name].start_at_random()
        return ElementNetwork(problem, dense, base, branches).eval()


def element_encoder(encoder: nn.Module) -> BlockEncoder:
    """The encoder, if it is made of blocks.

    Raises:
        UsageError: it is not.
    """
    return block_encoder(encoder, VARIANT)


@torch.no_grad()
def _folded(problem: Problem, base: DenseNetwork, branch: ElementBranch) -> DenseNetwork:
    """A sub-task's own dense network."""
    found = DenseNetwork(problem)
    found.encoder.load_state_dict(base.encoder.state_dict())
    weights = flat_weights(base.encoder) + branch.difference()
    for name, weight in in_shape(found.encoder, weights).items():
        found.encoder.get_parameter(name).copy_(weight)
    found.heads[problem.task_names[0]] = branch.head
    return found
