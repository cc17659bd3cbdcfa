"""The Swin transformer (Liu et al., ICCV 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from mtlbench.cost.formulas import attention_macs, conv_macs, linear_macs
from mtlbench.cost.units import CostUnit
from mtlbench.encoders.base import Encoder, EncoderOptions
from mtlbench.encoders.swin_layers import (
    PatchEmbed,
    PatchMerging,
    SwinBlock,
    SwinStage,
    WindowGrid,
    Windows,
)
from mtlbench.encoders.weights.layout import Layout
from mtlbench.encoders.weights.swin_keys import swin_layouts
from mtlbench.errors import UsageError

__all__ = ["Swin"]


@dataclass(frozen=True, slots=True)
class _Arch:
    dim: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]


_ARCHS = {
    "nano": _Arch(dim=32, depths=(2, 2, 4, 2), heads=(1, 2, 4, 8)),
    "tiny": _Arch(dim=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24)),
    "small": _Arch(dim=96, depths=(2, 2, 18, 2), heads=(3, 6, 12, 24)),
    "base": _Arch(dim=128, depths=(2, 2, 18, 2), heads=(4, 8, 16, 32)),
}


class SwinOptions(EncoderOptions):
    """Options of `Swin`, beside those of every encoder.

    Attributes:
        arch: width, depths and heads: tiny, small and base as published; nano (32 wide, depths 2, 2, 4, 2) is
            ours.
        patch: side of a patch in pixels, and the stride of the finest feature map; 4 as published.
        window: side of an attention window in tokens; 7 as published. Smaller in stages whose grid is
            smaller, so that weights do not depend on the input size.
        drop_path: stochastic depth of the last block in training; earlier blocks less, in a straight line
            from 0.
        norm_eps: of all layer norms.
    """

    arch: Literal["nano", "tiny", "small", "base"] = "tiny"
    patch: Annotated[int, Field(ge=1)] = 4
    window: Annotated[int, Field(ge=1)] = 7
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    norm_eps: Annotated[float, Field(gt=0)] = 1e-5


class Swin(Encoder):
    """Feature maps of the four stages, each at half the resolution of the one before.

    The forward pass is made of steps that a variant can run one by one: `embed`, then for each of `layers` its
    blocks (`attention_part`, which needs the whole grid, and `mlp_part`), `to_map`, and `downsample`. Grids
    that the window does not divide are padded inside attention, odd ones at `downsample`; so map i has
    ceil(H / strides[i]) rows.

    Args:
        size: input (height, width) in pixels, multiples of the patch.
        options: see `SwinOptions`.

    Attributes:
        layers: the stages, by the name they have in published weights; `stage(i)` is the typed way in.
        tap_norms: the norm of each feature map; the last is the final norm of the published network.

    Raises:
        UsageError: the patch does not divide the size.
    """

    name = "swin"
    Options = SwinOptions
    options: SwinOptions

    def __init__(self, size: tuple[int, int], **options: Any) -> None:
        super().__init__(size, **options)
        if refusal := self.refuse_size(size, options):
            raise UsageError(refusal, fix="Change the size of the data or the patch")
        arch, patch, eps = _ARCHS[self.options.arch], self.options.patch, self.options.norm_eps
        self.channels = tuple(arch.dim * 2**i for i in range(len(arch.depths)))
        self.strides = tuple(patch * 2**i for i in range(len(arch.depths)))
        self.patch_embed = PatchEmbed(arch.dim, patch, eps)
        self.layers = nn.ModuleList(self._build_stage(arch, i) for i in range(len(arch.depths)))
        self.tap_norms = nn.ModuleList(nn.LayerNorm(channels, eps=eps) for channels in self.channels)
        self._initialise()

    @classmethod
    def refuse_size(cls, size: tuple[int, int], options: dict[str, Any]) -> str | None:
        """Why this input size cannot be run, in one sentence; None where it can."""
        patch = cls.Options.model_validate(options).patch
        if min(size) < patch or size[0] % patch or size[1] % patch:
            height, width = size
            return f"swin needs height and width in multiples of its patch, {patch}, not {height}x{width}"
        return None

    def stage(self, i: int) -> SwinStage:
        """Stage i."""
        stage = self.layers[i]
        assert isinstance(stage, SwinStage)  # noqa: S101  # ModuleList forgets what it holds
        return stage

    def embed(self, x: Tensor) -> Tensor:
        """Normalised images [B, 3, H, W] to tokens [B, h * w, C], by rows."""
        tokens: Tensor = self.patch_embed(x)
        return tokens

    def to_map(self, tokens: Tensor, i: int) -> Tensor:
        """Tokens [B, h * w, C] after the blocks of stage i to feature map i, [B, C, h, w], through its norm."""
        grid = self.stage(i).grid
        normed: Tensor = self.tap_norms[i](tokens)
        return normed.transpose(1, 2).reshape(-1, self.channels[i], grid.height, grid.width)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] to feature maps, each [B, channels[i], H / strides[i], W / strides[i]].

        Fractions of a cell are rounded up.
        """
        tokens = self.embed(x)
        maps: list[Tensor] = []
        for i in range(len(self.layers)):
            stage = self.stage(i)
            tokens = stage(tokens)
            maps.append(self.to_map(tokens, i))
            if stage.downsample is not None:
                tokens = stage.downsample(tokens, stage.grid)
        return maps

    def layouts(self) -> tuple[Layout, ...]:
        """The official names, timm's and Hugging Face's."""
        return swin_layouts(len(self.channels))

    def stages(self) -> list[tuple[str, nn.Module]]:
        """The stem, every block and every step between stages; norms of the taps stay with the encoder."""
        parts: list[tuple[str, nn.Module]] = [("encoder", self), ("encoder.stem", self.patch_embed)]
        for i in range(len(self.layers)):
            stage = self.stage(i)
            parts += [(f"encoder.stage.{i}.block.{j}", block) for j, block in enumerate(stage.blocks)]
            if stage.downsample is not None:
                parts.append((f"encoder.stage.{i}.downsample", stage.downsample))
        return parts

    def units(self) -> list[CostUnit]:
        """MACs per image of the stem, of the attention and the MLP of every block, and between stages.

        Attention counts padding tokens, which are computed like all others.
        """
        patch, grid, dim = self.options.patch, self.stage(0).grid, self.channels[0]
        stem = conv_macs((3, *self.size), (dim, 3, patch, patch), (dim, grid.height, grid.width))
        units = [CostUnit("encoder.stem", "encoder.stem", stem)]
        for i, dim in enumerate(self.channels):
            stage = self.stage(i)
            tokens = stage.grid.height * stage.grid.width
            attention, mlp = _attention_macs(stage.grid.plain, dim), 2 * linear_macs(tokens, dim, 4 * dim)
            for j in range(len(stage.blocks)):
                part = f"encoder.stage.{i}.block.{j}"
                units += [CostUnit(f"{part}.attention", part, attention), CostUnit(f"{part}.mlp", part, mlp)]
            if stage.downsample is not None:
                part = f"encoder.stage.{i}.downsample"
                merged = self.stage(i + 1).grid.height * self.stage(i + 1).grid.width
                units.append(CostUnit(part, part, linear_macs(merged, 4 * dim, 2 * dim)))
        return units

    def _build_stage(self, arch: _Arch, i: int) -> SwinStage:
        options, dim, before = self.options, self.channels[i], sum(arch.depths[:i])
        steepness = options.drop_path / max(sum(arch.depths) - 1, 1)
        blocks = [
            SwinBlock(
                dim,
                arch.heads[i],
                options.window,
                shifted=j % 2 == 1,
                eps=options.norm_eps,
                drop_path=steepness * (before + j),
            )
            for j in range(arch.depths[i])
        ]
        height, width = (-(-side // self.strides[i]) for side in self.size)
        last = i == len(arch.depths) - 1
        downsample = None if last else PatchMerging(dim, options.norm_eps)
        return SwinStage(WindowGrid(height, width, options.window), blocks, downsample)

    def _initialise(self) -> None:
        """Truncated normal of 0.02 for linear weights and bias tables, zero biases; the stem as PyTorch does."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, SwinBlock):
                nn.init.trunc_normal_(module.attn.relative_position_bias_table, std=0.02)


def _attention_macs(windows: Windows, dim: int) -> int:
    """Projections and attention of all windows of one block."""
    one_head = (windows.count, windows.area, dim)
    projections = linear_macs(windows.count * windows.area, dim, 4 * dim)
    return projections + attention_macs(one_head, one_head, one_head)
