"""Task networks that share the first blocks of a base task's encoder, exactly."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlbench.encoders.blocks import BlockEncoder
from mtlbench.heads.base import Head
from mtlbench.training.artifact import Problem
from mtlbench.variants.network import DenseNetwork, build_dense, load_trained
from mtlbench.variants.sharing.network import block_encoder, check_shared_blocks, new_head

__all__ = ["PrefixBranch", "PrefixNetwork", "build_prefix", "run_blocks"]


class PrefixBranch(nn.Module):
    """A sub-task's own blocks and head; its encoder's first blocks are the base task's.

    Args:
        problem: of which this is one task.
        name: the task.
        encoder: the base task's, from whose weights the own blocks start.
        first: the first own block.
    """

    def __init__(self, problem: Problem, name: str, encoder: BlockEncoder, first: int) -> None:
        super().__init__()
        own = encoder.modules_from(first)
        self._encoder = [_branched(encoder, own)]  # in a list, so that what it shares is not registered here
        self.own = nn.ModuleDict(
            {module.replace(".", "-"): self.encoder.get_submodule(module) for module in own}
        )
        self.head = new_head(problem, name, encoder)

    @property
    def encoder(self) -> BlockEncoder:
        """Whole, with the shared blocks in it."""
        return self._encoder[0]


class PrefixNetwork(nn.Module):
    """A base task's dense network and the branches of the other tasks.

    Args:
        problem: all tasks; without the base task where a branch is trained, which needs its encoder alone.
        base: the base task.
        first: the first block that each task has to itself.
        base_state: weights of the base task's network, or of its encoder alone; None for random ones.
    """

    def __init__(
        self, problem: Problem, base: str, first: int, base_state: Mapping[str, Tensor] | None
    ) -> None:
        super().__init__()
        self.base_task, self.first = base, first
        self.base = DenseNetwork(problem.only(base))
        encoder = block_encoder(self.base.encoder, "prefix_sharing")
        check_shared_blocks(encoder, first)
        if base_state is not None:
            load_trained(self.base, base_state)
        names = [name for name in problem.task_names if name != base]
        self.branches = nn.ModuleDict({name: PrefixBranch(problem, name, encoder, first) for name in names})

    def encoder(self, name: str | None = None) -> BlockEncoder:
        """A task's encoder; the base task's by default."""
        if name is None or name == self.base_task:
            return block_encoder(self.base.encoder, "prefix_sharing")
        return self.branch(name).encoder

    def branch(self, name: str) -> PrefixBranch:
        """What a sub-task has to itself."""
        branch = self.branches[name]
        assert isinstance(branch, PrefixBranch)  # noqa: S101  # ModuleDict forgets what it holds
        return branch

    def head(self, name: str) -> Head:
        """The head of any task."""
        head = self.base.heads[name] if name == self.base_task else self.branch(name).head
        assert isinstance(head, Head)  # noqa: S101  # as above
        return head


def build_prefix(
    problem: Problem, base: str, first: int, seed: int, states: Sequence[Mapping[str, Tensor]] | None
) -> PrefixNetwork:
    """In evaluation mode, with random weights of `seed`, or with trained ones. The global random state stays as it is.

    Args:
        problem: as `PrefixNetwork` takes it.
        base: the base task.
        first: as `PrefixNetwork` takes it.
        seed: of what no state sets.
        states: of the base task's dense network, then of each branch in the order of the tasks.

    Raises:
        MtlbenchError: a state does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        start = None
        if states is None and torch.get_default_device().type != "meta":
            start = build_dense(problem.only(base), seed, None).state_dict()
        network = PrefixNetwork(problem, base, first, states[0] if states else start)
        if start is not None:
            _tell_apart(network)
    for branch, state in zip(network.branches.values(), states[1:] if states else (), strict=False):
        load_trained(branch, state)
    for name in network.branches:
        network.branch(name).encoder.eval()  # it is no submodule, its own blocks alone are
    return network.eval()


def run_blocks(encoder: BlockEncoder, x: Tensor, start: int, stop: int) -> tuple[Tensor, list[Tensor]]:
    """Tokens that enter block `start` to those that enter block `stop`, and the feature maps on the way.

    Args:
        encoder: whose blocks.
        x: tokens [B, N, C].
        start: first block that is run.
        stop: the block behind the last one.
    """
    maps, index = [], 0
    for stage, layers in enumerate(encoder.layers_of):
        for layer in layers:
            if start <= index < stop:
                x = layer.run(x)
            index += 1
        if start < index <= stop:
            found, x = encoder.close(stage, x)
            maps.append(found)
    return x, maps


def _branched(encoder: BlockEncoder, own: Collection[str]) -> BlockEncoder:
    """A copy whose modules and parameters are the encoder's, all but the `own` ones."""
    branched = copy.deepcopy(encoder)
    branched.__dict__.pop("layers_of", None)  # made anew from the modules that it now has
    _adopt(branched, encoder, own, "")
    return branched


def _adopt(module: nn.Module, other: nn.Module, own: Collection[str], path: str) -> None:
    for name in module._parameters:
        module._parameters[name] = other._parameters[name]
    for name in module._buffers:
        module._buffers[name] = other._buffers[name]
    for name, child in list(module.named_children()):
        full = f"{path}{name}"
        if full in own:
            continue
        theirs = other.get_submodule(name)
        if any(some.startswith(f"{full}.") for some in own):
            _adopt(child, theirs, own, f"{full}.")
        else:
            setattr(module, name, theirs)


def _tell_apart(network: PrefixNetwork) -> None:
    """Untrained branches differ from the base task, so that nothing passes for shared that is not."""
    for branch in network.branches.values():
        for parameter in branch.parameters():
            if parameter.ndim > 1:
                nn.init.trunc_normal_(parameter, std=0.02)
