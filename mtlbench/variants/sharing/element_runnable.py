"""The element-wise form, configured: dense networks whose outputs are thresholded after they were computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlbench.cost.units import CostUnit, total_macs
from mtlbench.variants.base import Runnable, Trace
from mtlbench.variants.network import DenseRunnable
from mtlbench.variants.sharing.element_macs import Claimed, Density, ElementCosts, linear_layers
from mtlbench.variants.sharing.element_network import ElementNetwork
from mtlbench.variants.sharing.element_walk import SideBySide, Thresholding
from mtlbench.variants.sharing.network import flat_layers

__all__ = ["DenseElementRunnable", "ElementRunnable"]


class DenseElementRunnable(DenseRunnable):
    """The tasks' dense networks at full density; nothing is claimed to be left out."""

    def __call__(self, x: Tensor, decisions: Trace | None = None) -> tuple[dict[str, Tensor], Trace]:
        """See `Runnable`."""
        predictions, trace = super().__call__(x, decisions)
        trace.claimed_full_macs = float(total_macs(self.units()))
        trace.claimed_macs = [trace.claimed_full_macs] * trace.batch
        return predictions, trace


class ElementRunnable(Runnable):
    """The base task's dense network and those of sub-tasks; what differs little is set to the base task's.

    There is nothing to decide: everything is computed before it is compared. Images run one after the other, since
    products of a larger batch round in another way, which would move elements across thresholds.

    Args:
        network: on its device, in evaluation mode.
        names: the asked tasks.
        levels: by asked sub-task, the threshold of each block.
    """

    def __init__(
        self, network: ElementNetwork, names: Sequence[str], levels: Mapping[str, Sequence[float]]
    ) -> None:
        self.tasks = tuple(names)
        self._network, self._change = network, Thresholding(levels)
        self._costs = ElementCosts(network, names)
        self._side_by_side = SideBySide(
            network.encoder(network.base_task),
            {name: network.encoder(name) for name in self._costs.sub_tasks},
        )
        self._full_macs = self._costs.full_macs()

    def __call__(self, x: Tensor, decisions: Trace | None = None) -> tuple[dict[str, Tensor], Trace]:
        """See `Runnable`."""
        images = torch.split(x, 1)
        alone = [self._predicted(image) for image in images]
        predictions = alone[0] if len(alone) == 1 else _joined(alone)
        claimed = Claimed(len(x), lambda: [self._claimed(image) for image in images])
        return predictions, Trace(len(x), claimed_macs=claimed, claimed_full_macs=self._full_macs)

    def _predicted(self, image: Tensor) -> dict[str, Tensor]:
        of_base, maps = self._side_by_side(image, self._change)
        maps[self._base] = of_base
        return {name: self._network.network(name).heads[name](maps[name]) for name in self.tasks}

    def _claimed(self, image: Tensor) -> float:
        return self._costs.claimed_macs(self._side_by_side, self._change, image)

    def densities(self, x: Tensor) -> list[Density]:
        """How sparse each linear layer of each asked sub-task is on images [B, 3, H, W]."""
        return self._costs.densities(self._side_by_side, self._change, x)

    def cache_bytes(self) -> int:
        """See `Runnable`: outputs of the base task's linear layers, those of its largest block."""
        if not self._costs.sub_tasks:
            return 0
        layers = flat_layers(self._network.encoder(self._base))
        elements = [
            sum(macs // linear.in_features for linear, macs in linear_layers(layer).values())
            for layer in layers
        ]
        return max(elements) * layers[0].attention.qkv.weight.element_size()

    def units(self) -> list[CostUnit]:
        """All that runs, whole: see `ElementCosts.units`."""
        return self._costs.units()

    def networks(self) -> list[nn.Module]:
        """The dense networks of the asked tasks, and the base task's encoder in any case."""
        base = () if self._base in self.tasks else (self._network.encoder(self._base),)
        return [*base, *(self._network.network(name) for name in self.tasks)]

    def parts(self) -> list[tuple[str, nn.Module]]:
        """Encoder stages and asked heads of every network that runs."""
        watched = {self._base: self._side_by_side.base_layers, **self._side_by_side.layers}
        found = []
        for name in self._costs.running:
            encoder, layers = self._network.encoder(name), watched[name]
            blocks = dict(zip((layer.unit for layer in flat_layers(encoder)), layers, strict=True))
            found += [(part, blocks.get(part, module)) for part, module in encoder.stages()]
        return found + [(f"head.{name}", self._network.network(name).heads[name]) for name in self.tasks]

    @property
    def _base(self) -> str:
        return self._network.base_task


def _joined(alone: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([found[name] for found in alone]) for name in alone[0]}
