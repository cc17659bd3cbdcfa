"""The contract of a head: feature maps in, one dense prediction out, and its closed-form cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from mtlbench.component import Component
from mtlbench.cost.units import CostUnit
from mtlbench.registry import Registry

__all__ = ["Head", "map_size", "registry"]


def map_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """(height, width) of the feature map of an image: what does not divide is rounded up, as padded layers do."""
    return -(-size[0] // stride), -(-size[1] // stride)


class Head(nn.Module, Component, ABC):
    """A dense head over the feature maps of an encoder at one input size.

    Args:
        size: input (height, width) of the image in pixels, which is also the size of the prediction.
        in_channels: channels of each feature map.
        strides: input pixels per cell of each feature map.
        out_channels: channels of the prediction.
        options: as the head's `Options` say.
    """

    def __init__(
        self,
        size: tuple[int, int],
        in_channels: tuple[int, ...],
        strides: tuple[int, ...],
        out_channels: int,
        **options: Any,
    ) -> None:
        super().__init__()
        self.size = size
        self.in_channels = in_channels
        self.strides = strides
        self.out_channels = out_channels
        self.options = self.Options.model_validate(options)

    @abstractmethod
    def forward(self, maps: list[Tensor]) -> Tensor:
        """Feature maps, each [B, in_channels[i], h, w] as `map_size` says, to [B, out_channels, H, W]."""

    @abstractmethod
    def start_from(self, value: float) -> None:
        """Make the untrained head predict about `value` everywhere."""

    @abstractmethod
    def units(self) -> list[CostUnit]:
        """Closed-form cost of `forward`, ids starting with `head.`."""


registry: Registry[type[Head]] = Registry("head", "mtlbench.heads")
