"""The first blocks once, the rest for each asked task: what is timed, counted and asked for predictions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mtlbench.cost.units import CostUnit
from mtlbench.variants.base import Runnable, Trace
from mtlbench.variants.sharing.costs import encoder_units, head_units
from mtlbench.variants.sharing.network import flat_layers
from mtlbench.variants.sharing.prefix_network import PrefixNetwork, run_blocks

__all__ = ["PrefixRunnable"]


class PrefixRunnable(Runnable):
    """A network for some of its tasks.

    Args:
        network: on its device, in evaluation mode.
        names: the asked tasks.
    """

    def __init__(self, network: PrefixNetwork, names: Sequence[str]) -> None:
        self.tasks = tuple(names)
        self._network, self._depth = network, len(flat_layers(network.encoder()))

    def __call__(self, x: Tensor, decisions: Trace | None = None) -> tuple[dict[str, Tensor], Trace]:
        """See `Runnable`; there is nothing to replay."""
        network, batch = self._network, len(x)
        shared = network.encoder()
        x, beginning = run_blocks(shared, shared.embed(x), 0, network.first)
        predictions = {}
        for name in self.tasks:
            _, rest = run_blocks(network.encoder(name), x, network.first, self._depth)
            predictions[name] = network.head(name)([*beginning, *rest])
        return predictions, Trace(batch)

    def units(self) -> list[CostUnit]:
        """The shared blocks, then each asked task's own blocks and its head."""
        network = self._network
        units = encoder_units(network.encoder(), 0, network.first)
        for name in self.tasks:
            own = encoder_units(network.encoder(name), network.first, None)
            stem = {unit.id for unit in encoder_units(network.encoder(), 0, 0)}
            units += [unit.prefixed(name) for unit in own if unit.id not in stem]
            units += head_units(name, network.head(name))
        return units

    def networks(self) -> list[nn.Module]:
        """Encoders of the asked tasks, which have their first blocks in common, and their heads."""
        network = self._network
        encoders: list[nn.Module] = [network.encoder(name) for name in self.tasks]
        return [*encoders, *(network.head(name) for name in self.tasks)]

    def parts(self) -> list[tuple[str, nn.Module]]:
        """The first asked task's encoder, of the others what is their own, and all heads."""
        network = self._network
        first, *others = self.tasks
        parts = network.encoder(first).stages()
        for name in others:
            encoder = network.encoder(name)
            part_of = {id(module): part for part, module in encoder.stages()}
            own = [encoder.get_submodule(module) for module in encoder.modules_from(network.first)]
            parts += [(part_of.get(id(module), "encoder"), module) for module in own]
        return [*parts, *((f"head.{name}", network.head(name)) for name in self.tasks)]
