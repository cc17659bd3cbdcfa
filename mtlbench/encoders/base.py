"""The contract of an encoder: an image in, a list of feature maps out, and its closed-form cost."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from mtlbench.component import Component
from mtlbench.cost.units import CostUnit
from mtlbench.registry import Registry

__all__ = ["Encoder", "registry"]


class Encoder(nn.Module, Component):
    """A backbone at one input size.

    Args:
        size: input (height, width) in pixels.
        options: as the encoder's `Options` say.

    Attributes:
        channels: channels of each feature map, finest first.
        strides: input pixels per cell of each feature map.
        mean, std: of the normalised input, per RGB channel of an image in [0, 1].
    """

    mean: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    std: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)
    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __init__(self, size: tuple[int, int], **options: Any) -> None:
        super().__init__()
        self.size = size
        self.options = self.Options.model_validate(options)

    @classmethod
    def refuse_size(cls, size: tuple[int, int], options: dict[str, Any]) -> str | None:
        """Why this input size cannot be run, in one sentence; None where it can."""
        return None

    @abstractmethod
    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] to feature maps, each [B, channels[i], H / strides[i], W / strides[i]]."""

    @abstractmethod
    def units(self) -> list[CostUnit]:
        """Closed-form cost of `forward`, ids starting with `encoder.`."""


registry: Registry[type[Encoder]] = Registry("encoder", "mtlbench.encoders")
