"""The decoder of the released code of AdaMTL (Neseem, Agiza and Reda, CVPRW 2023)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench import component
from mtlbench.cost.formulas import conv_macs
from mtlbench.cost.units import CostUnit
from mtlbench.heads.base import Head, map_size

__all__ = ["AdaMTLHead"]


class AdaMTLHeadOptions(component.Options):
    """Options of `AdaMTLHead`.

    Attributes:
        width: the decoder's dimension, of which each map gets half; 128 with Swin-T and 256 with larger ones in the
            released configurations.
        layout: `released` reads the memory of tokens [B, h, w, C] as if it were [B, C, h, w], without the permutation
            that is missing in the released code; only weights that were trained so need it.
    """

    width: Annotated[int, Field(ge=2, multiple_of=2)] = 128
    layout: Literal["correct", "released"] = "correct"


class AdaMTLHead(Head):
    """Two residual blocks for each map, all of them at the finest grid, two 1x1 convolutions, and resizing.

    Sizes, order and names of the layers are facts of the released code, the same for all tasks. Maps come from
    after the merging of a stage there (`maps: after_merging` of `swin`); here any strides and sizes will do. In
    evaluation every sample is computed by itself.

    Args:
        size: (height, width) of image and prediction in pixels.
        in_channels: channels of each feature map.
        strides: input pixels per cell of each feature map.
        out_channels: channels of the prediction.
        options: see `AdaMTLHeadOptions`.

    Attributes:
        grid: (height, width) of the finest map.
    """

    name = "adamtl"
    Options = AdaMTLHeadOptions
    options: AdaMTLHeadOptions

    def __init__(
        self,
        size: tuple[int, int],
        in_channels: tuple[int, ...],
        strides: tuple[int, ...],
        out_channels: int,
        **options: Any,
    ) -> None:
        super().__init__(size, in_channels, strides, out_channels, **options)
        half = self.options.width // 2
        self.grid = map_size(size, min(strides))
        self.refine = nn.ModuleList(
            nn.Sequential(
                _Block(
                    channels,
                    half,
                    nn.Sequential(nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half)),
                ),
                _Block(half, half, nn.Identity()),
            )
            for channels in in_channels
        )
        self.fuse = nn.Conv2d(len(in_channels) * half, half, 1)
        self.norm = nn.BatchNorm2d(half)
        self.predict = nn.Conv2d(half, out_channels, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps, each [B, in_channels[i], h, w] as `map_size` says, to [B, out_channels, H, W]."""
        if self.options.layout == "released":
            maps = [_misread(x) for x in maps]
        refined = [
            F.interpolate(refine(x), size=self.grid, mode="nearest")
            for refine, x in zip(self.refine, maps, strict=True)
        ]
        prediction = self.predict(F.relu(self.norm(self.fuse(torch.cat(refined, dim=1))), inplace=True))
        return F.interpolate(prediction, size=self.size, mode="bilinear", align_corners=False)

    def start_from(self, value: float) -> None:
        """Set the bias of the last layer."""
        assert self.predict.bias is not None  # noqa: S101  # it is created with one
        nn.init.constant_(self.predict.bias, value)

    def units(self) -> list[CostUnit]:
        """MACs per image of the blocks of each map, of the fusing convolution, and of the prediction."""
        half = self.options.width // 2
        units = []
        for i, (channels, stride) in enumerate(zip(self.in_channels, self.strides, strict=True)):
            grid = map_size(self.size, stride)
            macs = _macs(channels, half, 3, grid) + _macs(channels, half, 1, grid)
            units.append(CostUnit(f"head.refine.{i}", "head", macs + 3 * _macs(half, half, 3, grid)))
        inputs = len(self.in_channels) * half
        return [
            *units,
            CostUnit("head.fuse", "head", _macs(inputs, half, 1, self.grid)),
            CostUnit("head.predict", "head", _macs(half, self.out_channels, 1, self.grid)),
        ]


class _Block(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, shortcut: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, outputs, h, w]."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        return F.relu(y, inplace=True)


def _misread(x: Tensor) -> Tensor:
    """A map [B, C, h, w] as tokens by rows [B, h * w, C], and their memory as [B, C, h, w]."""
    return x.flatten(2).transpose(1, 2).reshape(x.shape)


def _macs(inputs: int, outputs: int, kernel: int, grid: tuple[int, int]) -> int:
    return conv_macs((inputs, *grid), (outputs, inputs, kernel, kernel), (outputs, *grid))
