"""What the frames of a stream needed of the units of computation sharing, and what is held between them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.variants.base import Trace
from mtlbench.variants.lazy import Lazy
from mtlbench.variants.sharing.choose import Rule
from mtlbench.variants.sharing.costs import Costs, shares, token_mask
from mtlbench.variants.sharing.network import SharingNetwork
from mtlbench.variants.sharing.video_keys import PICTURE
from mtlbench.variants.sharing.video_state import Frame
from mtlbench.variants.sharing.video_walk import VideoWalk

__all__ = ["VideoCosts"]


class VideoCosts(Costs):
    """Units as of single images, and traces of frames.

    Args:
        network: whose.
        walk: the pass.
        rule: what chooses where sub-tasks take from the base task.
        names: the asked tasks, in order.
    """

    def __init__(self, network: SharingNetwork, walk: VideoWalk, rule: Rule, names: Sequence[str]) -> None:
        super().__init__(network, walk, rule, names)
        self._frames = walk
        self._streams = tuple(name for name in (network.base_task, *walk.names) if name in names)

    def trace_of(self, frames: Sequence[Frame]) -> Trace:
        """The trace of a call that was given these frames."""
        return Trace(
            len(frames),
            active=Lazy(lambda: _stacked([self._needed(frame) for frame in frames])),
            decisions=tuple(frames),
            kept=Lazy(lambda: _stacked([self._seen(frame) for frame in frames])),
        )

    def held_numbers(self) -> int:
        """Numbers that are held between two frames, at most: of the last frame alone, however long the stream."""
        walk = self._frames
        needed = walk.needed(walk.keys.split)
        layers = [walk.blocks[index] for _, index in needed]
        tokens = ((layer.extra + layer.tokens) * (2 * layer.dim + layer.held_channels) for layer in layers)
        return sum(tokens) + prod(PICTURE) if needed else 0

    def _needed(self, frame: Frame) -> dict[str, Tensor]:
        """Shares of units, [1] each."""
        needed = self._base_needed(frame)
        for name in self._frames.names:
            for i, layer in enumerate(self._own):
                index = self._first + i
                attention, mlp = shares(layer, frame.places(name, index), 1)
                for prefix in (f"{name}.{layer.unit}", f"{name}.sharing.{i}"):
                    needed[f"{prefix}.attention"], needed[f"{prefix}.mlp"] = attention, mlp
                looked = self._rule.asks(i) and not frame.over_time(name, index)
                needed[f"{name}.sharing.{i}.difference"] = _flag(looked)
        return needed

    def _base_needed(self, frame: Frame) -> dict[str, Tensor]:
        """Of the base task's encoder, which goes no further than somebody needs it."""
        walk, encoder = self._frames, self._network.encoder
        needed, blocks = {}, walk.base_blocks(frame)
        for index, layer in enumerate(self._layers):
            found = shares(layer, frame.places(walk.base_task, index), 1)
            attention, mlp = found if index < blocks else (_flag(False), _flag(False))
            needed[f"{layer.unit}.attention"], needed[f"{layer.unit}.mlp"] = attention, mlp
        end = 0
        for stage, layers in enumerate(encoder.layers_of):
            end += len(layers)
            closes = _flag(walk.base_closes(end, blocks))
            needed |= {unit.id: closes for unit in encoder.close_units(stage)}
        return needed

    def _seen(self, frame: Frame) -> dict[str, Tensor]:
        """By task, the share of layers that each token was computed in, [1, h, w] on the first grid."""
        return {name: self._seen_by(name, frame) for name in self._streams}

    def _seen_by(self, name: str, frame: Frame) -> Tensor:
        grid = self._layers[0].grid
        total = torch.zeros(1, *grid)
        first = 0 if name == self._frames.base_task else self._first
        for index in range(first, len(self._layers)):
            layer = self._layers[index]
            mask = token_mask(layer, frame.places(name, index), 1).view(1, 1, *layer.grid)
            total += F.interpolate(mask, size=grid, mode="nearest")[:, 0]
        return total / len(self._layers)


def _flag(value: bool) -> Tensor:
    return torch.full((1,), float(value), dtype=torch.float64)


def _stacked(alone: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {key: torch.cat([one[key] for one in alone]) for key in alone[0]}
