"""Residual networks (He et al., CVPR 2016) in the variant known as v1.5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench.cost.formulas import conv_macs
from mtlbench.cost.units import CostUnit
from mtlbench.encoders.base import Encoder, EncoderOptions
from mtlbench.encoders.weights.layout import Layout
from mtlbench.encoders.weights.resnet_keys import resnet_layouts
from mtlbench.errors import UsageError

__all__ = ["BasicBlock", "Bottleneck", "ResNet"]

Grid = tuple[int, int]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, the first with the stride.

    Args:
        inputs: channels before.
        width: channels inside and after.
        stride: of the block.
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, width, ceil(h / stride), ceil(w / stride)]."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 ones, around a shortcut.

    The stride is on the 3x3 convolution, not on the first 1x1 as in the paper: v1.5, which is what published
    weights of today are for.

    Args:
        inputs: channels before.
        width: channels inside; four times as many after.
        stride: of the block.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, 4 * width, ceil(h / stride), ceil(w / stride)]."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


@dataclass(frozen=True, slots=True)
class _Arch:
    block: type[BasicBlock | Bottleneck]
    width: int
    depths: tuple[int, int, int, int]


_ARCHS: dict[str | int, _Arch] = {
    "nano": _Arch(BasicBlock, width=16, depths=(2, 2, 2, 2)),
    18: _Arch(BasicBlock, width=64, depths=(2, 2, 2, 2)),
    50: _Arch(Bottleneck, width=64, depths=(3, 4, 6, 3)),
}


class ResNetOptions(EncoderOptions):
    """Options of `ResNet`, beside those of every encoder.

    Attributes:
        arch: 18 and 50 layers as published; nano, ours, is 18 layers at a quarter of the width.
    """

    arch: Literal["nano", 18, 50] = 18


class ResNet(Encoder):
    """Feature maps of the four stages, at strides 4, 8, 16 and 32.

    Every size can be run whose last map has more than one cell; map i has ceil(H / strides[i]) rows.

    Args:
        size: input (height, width) in pixels.
        options: see `ResNetOptions`.

    Attributes:
        layer1, layer2, layer3, layer4: the blocks of each stage, by their names in published weights.

    Raises:
        UsageError: the last map would have a single cell.
    """

    name = "resnet"
    Options = ResNetOptions
    options: ResNetOptions
    strides = (4, 8, 16, 32)

    def __init__(self, size: tuple[int, int], **options: Any) -> None:
        super().__init__(size, **options)
        if refusal := self.refuse_size(size, options):
            raise UsageError(refusal, fix="Change the size of the data")
        arch = _ARCHS[self.options.arch]
        widths = [arch.width * 2**i for i in range(4)]
        self.channels = tuple(arch.block.expansion * width for width in widths)
        self.conv1 = nn.Conv2d(3, arch.width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(arch.width)
        inputs = (arch.width, *self.channels)
        layers = [
            nn.Sequential(
                arch.block(inputs[i], width, stride=1 if i == 0 else 2),
                *(arch.block(self.channels[i], width, stride=1) for _ in range(arch.depths[i] - 1)),
            )
            for i, width in enumerate(widths)
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self._initialise()

    @classmethod
    def refuse_size(cls, size: tuple[int, int], options: dict[str, Any]) -> str | None:
        """Why this input size cannot be run, in one sentence; None where it can."""
        cls.Options.model_validate(options)
        if min(size) < 1 or max(size) <= cls.strides[-1]:
            height, width = size
            return (
                f"resnet needs more than {cls.strides[-1]} pixels in height or width, not {height}x{width}: "
                "of a single cell batch norm knows no variance"
            )
        return None

    def stem(self, x: Tensor) -> Tensor:
        """Normalised images [B, 3, H, W] to [B, C, H / 4, W / 4], rounded up."""
        return F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] to feature maps, each [B, channels[i], H / strides[i], W / strides[i]].

        Fractions of a cell are rounded up.
        """
        x = self.stem(x)
        maps: list[Tensor] = []
        for layer in self._layers():
            x = layer(x)
            maps.append(x)
        return maps

    def layouts(self) -> tuple[Layout, ...]:
        """The names of torchvision, which are timm's too, and Hugging Face's."""
        return resnet_layouts()

    def stages(self) -> list[tuple[str, nn.Module]]:
        """The first convolution and every block; norm and pooling of the stem stay with the encoder."""
        blocks = [(part, block) for part, block, _ in self._blocks()]
        return [("encoder", self), ("encoder.stem", self.conv1), *blocks]

    def units(self) -> list[CostUnit]:
        """MACs per image of the stem and of every block."""
        units = [CostUnit("encoder.stem", "encoder.stem", _conv_cost(self.conv1, self.size)[0])]
        return units + [
            CostUnit(part, part, _block_macs(block, grid)) for part, block, grid in self._blocks()
        ]

    def _layers(self) -> tuple[nn.Sequential, nn.Sequential, nn.Sequential, nn.Sequential]:
        return self.layer1, self.layer2, self.layer3, self.layer4

    def _blocks(self) -> Iterator[tuple[str, BasicBlock | Bottleneck, Grid]]:
        """Part, block, and (height, width) of its input."""
        before = (4, *self.strides)
        for i, layer in enumerate(self._layers()):
            for j, block in enumerate(layer):
                assert isinstance(block, BasicBlock | Bottleneck)  # noqa: S101  # Sequential forgets what it holds
                stride = before[i] if j == 0 else self.strides[i]
                yield f"encoder.stage.{i}.block.{j}", block, _shrunk(self.size, stride)

    def _initialise(self) -> None:
        """Kaiming normal by fan-out for all convolutions, as the published networks; norms start as identity."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """What brings the input of a block to the shape of its output; None where it has it."""
    if inputs == outputs and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


def _shrunk(grid: Grid, stride: int) -> Grid:
    return -(-grid[0] // stride), -(-grid[1] // stride)


def _conv_cost(conv: nn.Conv2d, grid: Grid) -> tuple[int, Grid]:
    """MACs of a convolution padded by half its kernel on a grid, and the grid after it."""
    after = _shrunk(grid, conv.stride[0])
    return conv_macs((conv.in_channels, *grid), conv.weight.shape, (conv.out_channels, *after)), after


def _block_macs(block: BasicBlock | Bottleneck, grid: Grid) -> int:
    """Convolutions of the main path, in order, and of the shortcut."""
    shortcut = block.downsample[0] if block.downsample is not None else None
    macs = _conv_cost(shortcut, grid)[0] if isinstance(shortcut, nn.Conv2d) else 0
    for conv in block.children():
        if isinstance(conv, nn.Conv2d):
            cost, grid = _conv_cost(conv, grid)
            macs += cost
    return macs
