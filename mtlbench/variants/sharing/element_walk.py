"""Dense encoders run side by side, block by block, so that one's outputs can be compared with the other's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.variants.sharing.network import flat_layers

__all__ = ["HOOKED", "INPUT_OF", "THRESHOLDED", "Change", "SideBySide", "Thresholding", "WatchedLayer"]

HOOKED = ("norm1", "qkv", "proj", "fc1", "act", "fc2")
"""Outputs whose differences the third stage of training penalises."""
THRESHOLDED = ("qkv", "proj", "fc1", "fc2")
"""Outputs that are compared with thresholds: those of the linear layers of a block."""
INPUT_OF = {"qkv": "norm1", "proj": "mixed", "fc1": "norm2", "fc2": "act"}
"""By linear layer, the output that it takes."""

Watch = Callable[[str, Tensor], Tensor]


class Change(Protocol):
    """What becomes of outputs inside a block of a sub-task.

    Attributes:
        names: the outputs that it is called for; of the base task's block these are held.
    """

    names: Collection[str]

    def __call__(self, task: str, block: int, name: str, output: Tensor, of_base: Tensor) -> Tensor:
        """The output to go on with.

        Args:
            task: the sub-task.
            block: index of the block.
            name: of the output: one of `HOOKED`, or an input of `INPUT_OF`.
            output: of the sub-task's block, a row for each token of each image, those of an image together.
            of_base: of the base task's block, of the same shape.
        """


class WatchedLayer(nn.Module):
    """A block that shows what happens inside it.

    Args:
        layer: the block.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.norm1, self.norm2 = layer.norm1, layer.norm2
        self.attention, self.feed_forward = layer.attention, layer.feed_forward

    def forward(self, x: Tensor, watch: Watch) -> Tensor:
        """Tokens [B, N, C] to [B, N, C]; every output goes on as `watch` returns it."""
        layer, (B, N, C) = self.layer, x.shape
        every = layer.everywhere(B)
        index = None if every is None else layer.rows(every)
        rows = x.reshape(-1, C) if index is None else x.reshape(-1, C)[index]
        normed = watch("norm1", layer.seated(self.norm1(rows), every))
        mixed, _ = layer.mix(watch("qkv", self.attention.qkv(normed)), B, every, None)
        said = watch("proj", self.attention.proj(watch("mixed", mixed)))
        rows = rows + layer.unseated(said, every)
        hidden = watch("fc1", self.feed_forward.fc1(watch("norm2", self.norm2(rows))))
        rows = rows + watch("fc2", self.feed_forward.fc2(watch("act", F.gelu(hidden))))
        return (rows if index is None else torch.empty_like(rows).index_copy(0, index, rows)).view(B, N, C)


class SideBySide:
    """The base task's encoder and those of sub-tasks, in step, so that the outputs of one block are held at a time.

    Stochastic depth is left out: it would make differences of its own.

    Args:
        base: the base task's encoder; no gradient passes it.
        others: by sub-task, its encoder.
    """

    def __init__(self, base: BlockEncoder, others: Mapping[str, BlockEncoder]) -> None:
        self.base, self.others = base, dict(others)
        self.base_layers = _watched(base)
        self.layers = {name: _watched(encoder) for name, encoder in others.items()}

    def __call__(self, x: Tensor, change: Change) -> tuple[list[Tensor], dict[str, list[Tensor]]]:
        """Images [B, 3, H, W] to the feature maps of the base task, and of each sub-task.

        Args:
            x: normalised images.
            change: called for its outputs of every block of every sub-task.
        """
        with torch.no_grad():
            base = self.base.embed(x)
        own = {name: encoder.embed(x) for name, encoder in self.others.items()}
        base_maps: list[Tensor] = []
        maps: dict[str, list[Tensor]] = {name: [] for name in own}
        index = 0
        for stage, layers in enumerate(self.base.layers_of):
            for _ in layers:
                seen: dict[str, Tensor] = {}
                with torch.no_grad():
                    base = self.base_layers[index](base, partial(_noted, change, seen))
                for name, tokens in own.items():
                    watch = partial(_changed, change, name, index, seen)
                    own[name] = self.layers[name][index](tokens, watch)
                index += 1
            with torch.no_grad():
                found, base = self.base.close(stage, base)
            base_maps.append(found)
            for name, encoder in self.others.items():
                found, own[name] = encoder.close(stage, own[name])
                maps[name].append(found)
        return base_maps, maps


class Thresholding:
    """Elements that are less than a threshold from the base task's become the base task's.

    Args:
        levels: by sub-task, the threshold of each block.
    """

    names: Collection[str] = THRESHOLDED

    def __init__(self, levels: Mapping[str, Sequence[float]]) -> None:
        self._levels = levels

    def __call__(self, task: str, block: int, name: str, output: Tensor, of_base: Tensor) -> Tensor:
        """See `Change`."""
        return torch.where((output - of_base).abs() < self._levels[task][block], of_base, output)


def _watched(encoder: BlockEncoder) -> nn.ModuleList:
    return nn.ModuleList(WatchedLayer(layer) for layer in flat_layers(encoder))


def _noted(change: Change, seen: dict[str, Tensor], name: str, output: Tensor) -> Tensor:
    if name in change.names:
        seen[name] = output
    return output


def _changed(
    change: Change, task: str, block: int, seen: Mapping[str, Tensor], name: str, output: Tensor
) -> Tensor:
    return change(task, block, name, output, seen[name]) if name in seen else output
