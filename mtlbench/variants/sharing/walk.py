"""One pass: the base task's encoder, and beside it every asked sub-task, which takes from it what differs little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mtlbench.encoders.blocks import Layer
from mtlbench.variants.sharing.choose import Rule
from mtlbench.variants.sharing.deltas import LayerDelta
from mtlbench.variants.sharing.masked import masked_run
from mtlbench.variants.sharing.network import SharingNetwork, flat_layers
from mtlbench.variants.sharing.shared_layer import Part, Run, SharedLayer, given

__all__ = ["Differences", "Told", "Walk"]


@dataclass(slots=True)
class Told:
    """What was decided in one call.

    Args:
        batch: samples.
        kept: by sub-task, for each layer of its branch, the places that were computed, [B, K]; None for all.
        differing: by sub-task, mean over tokens of how far they were from the base task's in each layer, as a share of
            the norm of its tokens; only where that is watched.
    """

    batch: int
    kept: dict[str, list[Tensor | None]]
    differing: dict[str, list[Tensor]] = field(default_factory=dict)


class Differences(nn.Module):
    """How far each place of a sub-task is from the base task's before a block: what is compared with a threshold.

    The group norm over channels of the difference of activations, and of what the difference of weights makes of the
    token: the two terms by which y_k = W_b X_b + dW X + W_b dX differs from the base task's.

    Args:
        shared: the block.
        delta: the sub-task's.
    """

    gram: Tensor

    def __init__(self, layer: Layer, delta: LayerDelta) -> None:
        super().__init__()
        self.layer, self.delta = layer, delta
        self.register_buffer("gram", delta.gram().detach())

    def forward(self, x: Tensor, base: Tensor) -> Tensor:
        """Tokens of both before the block, [B, N, C], to [B, places]."""
        layer = self.layer
        own = x[:, layer.extra :]
        moved = torch.linalg.vector_norm(own - base[:, layer.extra :], dim=-1)
        return layer.pool(moved + self.delta.norms(layer.norm1(own), self.gram))


class Walk:
    """A configured pass.

    Args:
        network: in evaluation mode, or with branches in training.
        names: the asked tasks.
        rule: which tokens are computed.
        carried: what the others get; see the option `below`.
        masked: compute everything and throw away.
        training: gradients reach the branches alone, so the base task runs by itself.
        watching: tell how far sub-tasks are from the base task, which then runs in any case.
    """

    def __init__(
        self,
        network: SharingNetwork,
        names: Sequence[str],
        rule: Rule,
        *,
        carried: bool,
        masked: bool = False,
        training: bool = False,
        watching: bool = False,
    ) -> None:
        self._encoder, self._first = network.encoder, network.shared_blocks
        layers = flat_layers(self._encoder)
        self.layers = nn.ModuleList(SharedLayer(layer) for layer in layers)
        self.names = tuple(name for name in names if name != network.base_task)
        self._rule, self._carried, self._masked, self._training = rule, carried, masked, training
        self._watching = watching
        own = range(len(layers) - self._first)
        self._deltas = {name: [network.branch(name).delta(i) for i in own] for name in self.names}
        self.differences: Mapping[str, nn.ModuleList] = {
            name: nn.ModuleList(Differences(layers[self._first + i], deltas[i]) for i in own)
            for name, deltas in self._deltas.items()
        }
        gives = any(rule.asks(i) or rule.unasked(i, 1) is not None for i in own)
        self.base_goes_on = network.base_task in names or bool(self.names and (gives or watching))
        """Whether the base task's encoder is run behind the shared blocks."""
        self._base_task = network.base_task

    def __call__(self, x: Tensor, replay: Told | None = None) -> tuple[dict[str, list[Tensor]], Told]:
        """Images [B, 3, H, W] to the feature maps of every task, and what was decided.

        Args:
            x: normalised images.
            replay: what to compute whatever the differences say; they are looked at all the same.
        """
        base = self._encoder.embed(x)
        told = Told(len(x), {name: [] for name in self.names}, {name: [] for name in self.names})
        maps: dict[str, list[Tensor]] = {name: [] for name in (self._base_task, *self.names)}
        own: dict[str, Tensor] = {}
        index = 0
        for stage, layers in enumerate(self._encoder.layers_of):
            for _ in layers:
                if index < self._first:
                    base = self._run(index, [Part(base)])[0].after
                else:
                    own = own or dict.fromkeys(self.names, base)
                    base, own = self._layer_of_all(index - self._first, base, own, told, replay)
                index += 1
            base, own = self._close(stage, base, own, maps)
        return maps, told

    def _layer_of_all(
        self, i: int, base: Tensor, own: dict[str, Tensor], told: Told, replay: Told | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Block i behind the shared ones."""
        kept = {name: self._kept(i, name, base, own[name], told, replay) for name in self.names}
        parts, owners = [], []
        if self.base_goes_on:
            parts.append(Part(base))
        for name, places in kept.items():
            if places is None or places.shape[1]:
                donor = 0 if self.base_goes_on else None
                parts.append(Part(own[name], places, donor, self._deltas[name][i], self._carried))
                owners.append(name)
        runs = self._run(self._first + i, parts)
        mine = dict(zip(owners, runs[len(runs) - len(owners) :], strict=True))
        found = {
            name: mine[name].after if name in mine else given(runs[0], own[name], self._carried)
            for name in self.names
        }
        return (runs[0].after if self.base_goes_on else base), found

    def _kept(
        self, i: int, name: str, base: Tensor, own: Tensor, told: Told, replay: Told | None
    ) -> Tensor | None:
        if self._watching:
            told.differing[name].append(_differing(own, base))
        planned = None if replay is None else replay.kept[name][i]
        if not self._rule.asks(i):
            places = self._rule.unasked(i, len(own)) if replay is None else planned
            places = None if places is None else places.to(own.device)
        else:
            with torch.no_grad():
                asked = self.differences[name][i](own, base)
                places = self._rule.places(i, name, asked)
            places = places if replay is None else planned
        told.kept[name].append(places)
        return places

    def _run(self, index: int, parts: list[Part]) -> list[Run]:
        shared = self._layer(index)
        if self._masked:
            runs: list[Run] = []
            for part in parts:
                runs.append(masked_run(shared.layer, part, runs[0] if runs and part.donor == 0 else None))
            return runs
        if not self._training or not self.base_goes_on:
            found: list[Run] = shared(parts)
            return found
        with torch.no_grad():
            first: Run = shared(parts[:1])[0]
        later: list[Run] = []
        for part in parts[1:]:
            part.donor = first
            later += shared([part])
        return [first, *later]

    def _close(
        self, stage: int, base: Tensor, own: dict[str, Tensor], maps: dict[str, list[Tensor]]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if self.base_goes_on or not own:
            found, base = self._encoder.close(stage, base)
            maps[self._base_task].append(found)
        return base, self._close_own(stage, own, maps)

    def _close_own(
        self, stage: int, own: dict[str, Tensor], maps: dict[str, list[Tensor]]
    ) -> dict[str, Tensor]:
        """The step behind a stage for every sub-task; before they branch off, their maps are the base task's."""
        after = {}
        for name in self.names:
            if own:
                found, after[name] = self._encoder.close(stage, own[name])
                maps[name].append(found)
            else:
                maps[name].append(maps[self._base_task][-1])
        return after

    def _layer(self, index: int) -> SharedLayer:
        layer = self.layers[index]
        assert isinstance(layer, SharedLayer)  # noqa: S101  # ModuleList forgets what it holds
        return layer


def _differing(own: Tensor, base: Tensor) -> Tensor:
    """Mean over tokens of their distance from the base task's, as a share of the norm of its tokens: a scalar."""
    distance = torch.linalg.vector_norm(own - base, dim=-1)
    share: Tensor = distance / torch.linalg.vector_norm(base, dim=-1).clamp(min=1e-6)
    return share.mean()
