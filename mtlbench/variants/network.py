"""The dense network that every family starts from: one encoder, one head per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlbench import encoders, heads, tasks
from mtlbench.cost.units import CostUnit
from mtlbench.encoders.base import Encoder
from mtlbench.errors import MtlbenchError
from mtlbench.heads.base import Head
from mtlbench.training.artifact import Problem
from mtlbench.variants.base import Runnable, Trace

__all__ = ["DenseNetwork", "DenseRunnable", "build_dense", "load_trained"]


class DenseNetwork(nn.Module):
    """One encoder and one head per task of a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem
        encoder_class = encoders.registry.get(problem.encoder.name)
        head_class = heads.registry.get(problem.head.name)
        self.encoder: Encoder = encoder_class(problem.size, **problem.encoder.options)
        self.heads = nn.ModuleDict()
        for spec in problem.tasks:
            task = tasks.registry.get(spec.name)(**spec.options)
            head = head_class(
                problem.size,
                self.encoder.channels,
                self.encoder.strides,
                task.channels,
                **problem.head.options,
            )
            head.start_from(task.initial_output)
            self.heads[spec.name] = head

    def forward(self, x: Tensor, names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Normalised images [B, 3, H, W] to predictions [B, C, H, W] of the named tasks (all by default)."""
        maps = self.encoder(x)
        return {name: self.heads[name](maps) for name in names or self.problem.task_names}

    def units(self, names: Sequence[str]) -> list[CostUnit]:
        """Cost units of the encoder and of the named heads."""
        return [*self.encoder.units(), *(unit for name in names for unit in self._head_units(name))]

    def parts(self, names: Sequence[str]) -> list[tuple[str, nn.Module]]:
        """(part, module): the encoder's stages, each named head as its own."""
        return [*self.encoder.stages(), *((f"head.{name}", self.heads[name]) for name in names)]

    def _head_units(self, name: str) -> list[CostUnit]:
        head = self.heads[name]
        assert isinstance(head, Head)  # noqa: S101  # ModuleDict forgets what it holds
        return [
            CostUnit(f"head.{name}.{unit.id.removeprefix('head.')}", f"head.{name}", unit.macs)
            for unit in head.units()
        ]


def build_dense(problem: Problem, seed: int, state: Mapping[str, Tensor] | None) -> DenseNetwork:
    """A dense network in evaluation mode: from a trained state, or new.

    A new one has random weights of `seed`, its encoder the published weights where its options name some (on the meta
    device it has none at all). The global random state is left as found.

    Raises:
        MtlbenchError: the state does not fit the network.
        DataError: the published weights are not there, or do not fit the encoder.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DenseNetwork(problem)
        if state is None and torch.get_default_device().type != "meta":
            network.encoder.start(problem.encoder.places)
    if state is not None:
        load_trained(network, state)
    return network.eval()


def load_trained(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a trained state.

    Raises:
        MtlbenchError: it does not fit the network.
    """
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise MtlbenchError(
            f"trained weights do not fit the network: {error}", fix="Run again with --fresh"
        ) from error


class DenseRunnable(Runnable):
    """Dense networks run in turn, each for its own tasks; the trace is always full."""

    def __init__(self, runs: Sequence[tuple[DenseNetwork, tuple[str, ...]]], device: str) -> None:
        self._runs = [(network.to(device), names) for network, names in runs]
        self.tasks = tuple(name for _, names in runs for name in names)

    def __call__(self, x: Tensor, decisions: Trace | None = None) -> tuple[dict[str, Tensor], Trace]:
        """See `Runnable`; a dense network has no decision to replay."""
        predictions: dict[str, Tensor] = {}
        for network, names in self._runs:
            predictions.update(network(x, names))
        return predictions, Trace(x.shape[0])

    def units(self) -> list[CostUnit]:
        """Units of every network; prefixed by its tasks where there are several."""
        if len(self._runs) == 1:
            network, names = self._runs[0]
            return network.units(names)
        return [
            unit.prefixed("+".join(names)) for network, names in self._runs for unit in network.units(names)
        ]

    def networks(self) -> list[nn.Module]:
        """The networks."""
        return [network for network, _ in self._runs]

    def parts(self) -> list[tuple[str, nn.Module]]:
        """Encoder and heads of every network."""
        return [part for network, names in self._runs for part in network.parts(names)]
