"""The networks of computation sharing: the base task's dense network, and what each sub-task adds to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlbench import heads, tasks
from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.errors import UsageError
from mtlbench.heads.base import Head
from mtlbench.training.artifact import Problem
from mtlbench.variants.network import DenseNetwork, build_dense, load_trained
from mtlbench.variants.sharing.deltas import LayerDelta, layer_deltas
from mtlbench.variants.sharing.options import SharingOptions

__all__ = [
    "DENSITIES",
    "Branch",
    "SharingNetwork",
    "block_encoder",
    "build_sharing",
    "check_shared_blocks",
    "flat_layers",
    "new_head",
]

DENSITIES = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""Densities for which thresholds are calibrated; between them they are interpolated."""


class Branch(nn.Module):
    """What a sub-task adds: differences of the weights of its own blocks, a head, and calibrated thresholds.

    Args:
        problem: of which this is one task.
        name: the task.
        encoder: the base task's.
        shared_blocks: blocks, from the first on, that are the base task's alone.
        options: rank and scale of the differences.

    Attributes:
        levels: thresholds by density and block, [len(DENSITIES), blocks of its own]; not a number before calibration.
    """

    levels: Tensor

    def __init__(
        self, problem: Problem, name: str, encoder: BlockEncoder, shared_blocks: int, options: SharingOptions
    ) -> None:
        super().__init__()
        own = flat_layers(encoder)[shared_blocks:]
        self.deltas = layer_deltas(own, options.rank, options.scale)
        self.head = new_head(problem, name, encoder)
        self.register_buffer("levels", torch.full((len(DENSITIES), len(own)), torch.nan))

    def delta(self, i: int) -> LayerDelta:
        """Of its own block i."""
        delta = self.deltas[i]
        assert isinstance(delta, LayerDelta)  # noqa: S101  # ModuleList forgets what it holds
        return delta


class SharingNetwork(nn.Module):
    """A base task's dense network and the branches of the other tasks.

    Args:
        problem: all tasks; without the base task where branches are trained, which need its encoder alone.
        base: the base task.
        shared_blocks: as `Branch` takes it.
        options: as `Branch` takes them.
    """

    def __init__(self, problem: Problem, base: str, shared_blocks: int, options: SharingOptions) -> None:
        super().__init__()
        self.problem, self.base_task = problem, base
        self.base = DenseNetwork(problem.only(base))
        encoder = block_encoder(self.base.encoder, "computation_sharing")
        check_shared_blocks(encoder, shared_blocks)
        self.shared_blocks = shared_blocks
        self.branches = nn.ModuleDict(
            {
                name: Branch(problem, name, encoder, shared_blocks, options)
                for name in problem.task_names
                if name != base
            }
        )

    @property
    def encoder(self) -> BlockEncoder:
        """The base task's."""
        return block_encoder(self.base.encoder, "computation_sharing")

    def branch(self, name: str) -> Branch:
        """What a sub-task adds."""
        branch = self.branches[name]
        assert isinstance(branch, Branch)  # noqa: S101  # ModuleDict forgets what it holds
        return branch

    def head(self, name: str) -> Head:
        """The head of any task."""
        head = self.base.heads[name] if name == self.base_task else self.branch(name).head
        assert isinstance(head, Head)  # noqa: S101  # as above
        return head

    def dense(self, name: str) -> DenseNetwork:
        """The task's own dense network with the same weights, in evaluation mode."""
        if name == self.base_task:
            return self.base
        with torch.random.fork_rng(devices=[]):
            found = DenseNetwork(self.problem.only(name)).to(next(self.encoder.parameters()))
        found.encoder.load_state_dict(self.encoder.state_dict())
        found.heads[name].load_state_dict(self.head(name).state_dict())
        own = flat_layers(block_encoder(found.encoder, "computation_sharing"))[self.shared_blocks :]
        with torch.no_grad():
            for i, layer in enumerate(own):
                delta = self.branch(name).delta(i)
                layer.attention.qkv.weight += delta.qkv.dense()
                layer.attention.proj.weight += delta.proj.dense()
                layer.feed_forward.fc1.weight += delta.fc1.dense()
                layer.feed_forward.fc2.weight += delta.fc2.dense()
        return found.eval()


def build_sharing(
    problem: Problem,
    base: str,
    shared_blocks: int,
    options: SharingOptions,
    seed: int,
    states: Sequence[Mapping[str, Tensor]] | None,
) -> SharingNetwork:
    """In evaluation mode, with random weights of `seed`, or with trained ones. The global random state stays as it is.

    Args:
        problem: as `SharingNetwork` takes it.
        base: the base task.
        shared_blocks: as `Branch` takes it.
        options: as `Branch` takes them.
        seed: of what no state sets.
        states: of the base task's dense network, then of each branch in the order of the tasks.

    Raises:
        MtlbenchError: a state does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SharingNetwork(problem, base, shared_blocks, options)
        if states is None:
            dense = build_dense(problem.only(base), seed, None)
            if torch.get_default_device().type != "meta":
                network.base.load_state_dict(dense.state_dict())
                _tell_apart(network)
    for module, state in zip((network.base, *network.branches.values()), states or (), strict=False):
        load_trained(module, state)
    return network.eval()


def _tell_apart(network: SharingNetwork) -> None:
    """Differences of an untrained network that are not zero, so that tasks differ and there is something to share."""
    for branch in network.branches.values():
        for name, parameter in branch.named_parameters():
            if name.endswith(".up"):
                nn.init.normal_(parameter, std=0.02)


def flat_layers(encoder: BlockEncoder) -> tuple[Layer, ...]:
    """All layers in order."""
    return tuple(layer for stage in encoder.layers_of for layer in stage)


def check_shared_blocks(encoder: BlockEncoder, count: int) -> None:
    """Raises UsageError where an encoder has fewer blocks than are to be shared."""
    depth = len(flat_layers(encoder))
    if count > depth:
        raise UsageError(
            f"{count} blocks cannot be shared: encoder {encoder.name} has {depth}",
            fix=f"Set shared_blocks to at most {depth}",
        )


def block_encoder(encoder: nn.Module, variant: str) -> BlockEncoder:
    """The encoder, if it is made of blocks.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(encoder, BlockEncoder):
        name = getattr(encoder, "name", type(encoder).__name__)
        raise UsageError(
            f"{variant} shares blocks and tokens, which encoder {name} does not have", fix="Use vit or swin"
        )
    return encoder


def new_head(problem: Problem, name: str, encoder: BlockEncoder) -> Head:
    """A head for one task, untrained."""
    spec = next(task for task in problem.tasks if task.name == name)
    task = tasks.registry.get(name)(**spec.options)
    head_class = heads.registry.get(problem.head.name)
    head = head_class(problem.size, encoder.channels, encoder.strides, task.channels, **problem.head.options)
    head.start_from(task.initial_output)
    return head
