"""A light dense head: sum all feature maps at the finest grid, refine up to stride 4, predict."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench import component
from mtlbench.cost.formulas import conv_macs
from mtlbench.cost.units import CostUnit
from mtlbench.heads.base import Head, map_size

__all__ = ["MultiScaleHead"]

_FINEST_STRIDE = 4


class MultiScaleOptions(component.Options):
    """Options of `MultiScaleHead`.

    Attributes:
        width: channels between the first and the last layer.
    """

    width: Annotated[int, Field(ge=1)] = 64


class MultiScaleHead(Head):
    """Fuses feature maps of any strides into one dense prediction.

    Ours; the fusion is that of the all-MLP decoder of SegFormer (Xie et al., NeurIPS 2021, section 3.2).
    Each map is projected to `width` by a 1x1 convolution at its own grid, resized to the finest grid, and
    summed: the same as a 1x1 convolution over the concatenated maps, since resizing and projecting commute,
    and cheaper. A second 1x1 convolution right after it could express nothing more. Then as many steps of
    twofold upsampling and a 3x3 convolution as bring the stride down to 4, a 1x1 convolution to the output
    channels, and bilinear resizing to the image. In evaluation every sample is computed by itself.

    Args:
        size: (height, width) of image and prediction in pixels.
        in_channels: channels of each feature map.
        strides: input pixels per cell of each feature map.
        out_channels: channels of the prediction.
        options: see `MultiScaleOptions`.

    Attributes:
        grids: (height, width) of the summed maps and then of the result of each step.
    """

    name = "multiscale"
    Options = MultiScaleOptions
    options: MultiScaleOptions

    def __init__(
        self,
        size: tuple[int, int],
        in_channels: tuple[int, ...],
        strides: tuple[int, ...],
        out_channels: int,
        **options: Any,
    ) -> None:
        super().__init__(size, in_channels, strides, out_channels, **options)
        width = self.options.width
        finest = min(strides)
        self.grids = [map_size(size, finest)]
        while finest > _FINEST_STRIDE * 2 ** (len(self.grids) - 1):
            self.grids.append((2 * self.grids[-1][0], 2 * self.grids[-1][1]))

        self.project = nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for channels in in_channels)
        self.norm = nn.BatchNorm2d(width)
        self.refine = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.GELU())
            for _ in self.grids[1:]
        )
        self.predict = nn.Conv2d(width, out_channels, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps, each [B, in_channels[i], h, w] as `map_size` says, to [B, out_channels, H, W]."""
        projected = [
            _resize(project(x), self.grids[0]) for project, x in zip(self.project, maps, strict=True)
        ]
        fused = projected[0]
        for other in projected[1:]:
            fused = fused + other
        fused = F.gelu(self.norm(fused))
        for step, grid in zip(self.refine, self.grids[1:], strict=True):
            fused = step(_resize(fused, grid))
        return _resize(self.predict(fused), self.size)

    def start_from(self, value: float) -> None:
        """Set the bias of the last layer."""
        assert self.predict.bias is not None  # noqa: S101  # it is created with one
        nn.init.constant_(self.predict.bias, value)

    def units(self) -> list[CostUnit]:
        """MACs per image of each projection, each refining step, and the prediction."""
        width = self.options.width
        units = []
        for i, (channels, stride) in enumerate(zip(self.in_channels, self.strides, strict=True)):
            grid = map_size(self.size, stride)
            units.append(_unit(f"head.project.{i}", channels, width, 1, grid))
        for i, grid in enumerate(self.grids[1:]):
            units.append(_unit(f"head.refine.{i}", width, width, 3, grid))
        units.append(_unit("head.predict", width, self.out_channels, 1, self.grids[-1]))
        return units


def _resize(x: Tensor, grid: tuple[int, int]) -> Tensor:
    if x.shape[-2:] == grid:
        return x
    return F.interpolate(x, size=grid, mode="bilinear", align_corners=False)


def _unit(name: str, inputs: int, outputs: int, kernel: int, grid: tuple[int, int]) -> CostUnit:
    macs = conv_macs((inputs, *grid), (outputs, inputs, kernel, kernel), (outputs, *grid))
    return CostUnit(name, "head", macs)
