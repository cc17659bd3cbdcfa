"""A configured network that shares computation between tasks: what is timed, counted and asked for predictions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlbench.cost.units import CostUnit
from mtlbench.variants.base import Runnable, Trace
from mtlbench.variants.forced import any_places
from mtlbench.variants.lazy import Lazy
from mtlbench.variants.sharing.choose import Everything, Rule, counts_at
from mtlbench.variants.sharing.costs import Costs
from mtlbench.variants.sharing.network import SharingNetwork, flat_layers
from mtlbench.variants.sharing.walk import Told, Walk

__all__ = ["SharingRunnable"]


class SharingRunnable(Runnable):
    """A network with a rule.

    Args:
        network: on its device, in evaluation mode.
        names: the asked tasks.
        rule: which tokens of sub-tasks are computed.
        density: what the rule computes on average.
        carried: what the others get.
        masked: compute everything and throw away.
    """

    def __init__(
        self,
        network: SharingNetwork,
        names: Sequence[str],
        rule: Rule,
        density: float,
        *,
        carried: bool,
        masked: bool,
    ) -> None:
        self.tasks = tuple(names)
        self._network, self._rule = network, rule
        self._walk = Walk(network, names, rule, carried=carried, masked=masked)
        self._costs = Costs(network, self._walk, rule, names)
        self._own = flat_layers(network.encoder)[network.shared_blocks :]
        self._counts = counts_at(self._own, density)

    def __call__(self, x: Tensor, decisions: Trace | None = None) -> tuple[dict[str, Tensor], Trace]:
        """See `Runnable`; where images compute different numbers of tokens, one after the other."""
        replay = None if decisions is None else decisions.decisions
        if not self._rule.ragged or len(x) == 1:
            maps, told = self._walk(x, replay)
            return self._predictions(maps), self._costs.trace(told)
        alone = [self(x[i : i + 1], None if replay is None else replay[i]) for i in range(len(x))]
        predictions = {name: torch.cat([found[name] for found, _ in alone]) for name in self.tasks}
        return predictions, _together([trace for _, trace in alone])

    def _predictions(self, maps: dict[str, list[Tensor]]) -> dict[str, Tensor]:
        return {name: self._network.head(name)(maps[name]) for name in self.tasks}

    def forced(self, x: Tensor, seed: int) -> Trace | None:
        """See `Runnable`: as many places as the density says, anywhere."""
        if isinstance(self._rule, Everything) or not self._walk.names or not self._own:
            return None
        generator = torch.Generator().manual_seed(seed)
        if self._rule.ragged and len(x) > 1:
            return _together([self._forced(x[i : i + 1], generator) for i in range(len(x))])
        return self._forced(x, generator)

    def _forced(self, x: Tensor, generator: torch.Generator) -> Trace:
        kept: dict[str, list[Tensor | None]] = {}
        for name in self._walk.names:
            kept[name] = [
                any_places(layer.place_sizes, count, len(x), generator).to(x.device)
                if count < layer.places or self._rule.asks(i)
                else None
                for i, (layer, count) in enumerate(zip(self._own, self._counts, strict=True))
            ]
        return self._costs.trace(Told(len(x), kept))

    def cache_bytes(self) -> int:
        """See `Runnable`: what the base task holds of one block, its tokens before and behind it, keys and values."""
        if isinstance(self._rule, Everything) or not self._walk.names or not self._own:
            return 0
        size = next(self._network.encoder.parameters()).element_size()
        return size * max(
            (layer.extra + layer.tokens) * (2 * layer.dim + layer.held_channels) for layer in self._own
        )

    def units(self) -> list[CostUnit]:
        """See `Costs.units`."""
        return self._costs.units()

    def networks(self) -> list[nn.Module]:
        """The base task's encoder, the differences of the asked sub-tasks, and the asked heads."""
        deltas = [self._network.branch(name).deltas for name in self._walk.names]
        return [self._network.encoder, *deltas, *(self._network.head(name) for name in self.tasks)]

    def parts(self) -> list[tuple[str, nn.Module]]:
        """Blocks for all tasks at once, the rest of the encoder, what sharing adds, and the asked heads."""
        blocks = dict(
            zip(
                (layer.unit for layer in flat_layers(self._network.encoder)),
                self._walk.layers,
                strict=True,
            )
        )
        parts = [(name, blocks.get(name, module)) for name, module in self._network.encoder.stages()]
        heads = [(f"head.{name}", self._network.head(name)) for name in self.tasks]
        added = nn.ModuleList(self._network.branch(name).deltas for name in self._walk.names)
        looking = nn.ModuleList(self._walk.differences.values())
        return [*parts, ("sharing", nn.ModuleList((added, looking))), *heads]


def _together(alone: Sequence[Trace]) -> Trace:
    """The trace of a batch whose samples were run one after the other."""

    def joined(field: str) -> dict[str, Tensor]:
        first = getattr(alone[0], field)
        return {key: torch.cat([getattr(trace, field)[key] for trace in alone]) for key in first}

    return Trace(
        len(alone),
        active=Lazy(lambda: joined("active")),
        decisions=list(alone),
        kept=Lazy(lambda: joined("kept")),
    )
