"""The plain vision transformer (Dosovitskiy et al., ICLR 2021; tiny and small: Touvron et al., ICML 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench.cost.formulas import attention_macs, conv_macs, linear_macs
from mtlbench.cost.units import CostUnit
from mtlbench.encoders.base import EncoderOptions
from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.encoders.vit_layers import Attention, Block, Mlp
from mtlbench.encoders.weights.layout import Layout
from mtlbench.encoders.weights.vit_keys import vit_layouts
from mtlbench.errors import UsageError

__all__ = ["ViT"]

_MLP_RATIO = 4


@dataclass(frozen=True, slots=True)
class _Arch:
    dim: int
    depth: int
    heads: int


_ARCHS = {
    "nano": _Arch(dim=96, depth=6, heads=3),
    "tiny": _Arch(dim=192, depth=12, heads=3),
    "small": _Arch(dim=384, depth=12, heads=6),
    "base": _Arch(dim=768, depth=12, heads=12),
}


class ViTOptions(EncoderOptions):
    """Options of `ViT`, beside those of every encoder.

    Attributes:
        arch: width, depth and heads: tiny, small and base as published; nano (96 wide, 6 deep) is ours.
        patch: side of a patch in pixels, and the stride of every feature map.
        drop_path: stochastic depth of the last block in training; earlier blocks less, in a straight line
            from 0.
        taps: feature maps taken, after evenly spaced blocks: 4 of 12 are blocks 3, 6, 9 and 12.
        norm_eps: of all layer norms; 1e-12 is that of the published ViT weights.
    """

    arch: Literal["nano", "tiny", "small", "base"] = "tiny"
    patch: Annotated[int, Field(ge=1)] = 16
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    taps: Annotated[int, Field(ge=1, le=6)] = 4
    norm_eps: Annotated[float, Field(gt=0)] = 1e-12


@dataclass(frozen=True)
class ViTLayer(Layer):
    """One block; its places are the tokens of the grid."""

    block: Block

    @property
    def norm1(self) -> nn.Module:
        """See `Layer`."""
        return self.block.norm1

    @property
    def attention(self) -> Attention:
        """See `Layer`."""
        return self.block.attn

    @property
    def norm2(self) -> nn.Module:
        """See `Layer`."""
        return self.block.norm2

    @property
    def feed_forward(self) -> Mlp:
        """See `Layer`."""
        return self.block.mlp

    @property
    def places(self) -> int:
        """See `Layer`."""
        return self.tokens

    def attend(self, x: Tensor) -> Tensor:
        """See `Layer`."""
        return self.block.attention_part(x)

    def mlp(self, rows: Tensor) -> Tensor:
        """See `Layer`."""
        return self.block.mlp_part(rows)

    def run_places(self, x: Tensor, kept: Tensor) -> Tensor:
        """See `Layer`."""
        return self.block.run_tokens(x, self.rows(kept))

    @property
    def held_channels(self) -> int:
        """See `Layer`: keys and values."""
        return 2 * self.dim

    def rows(self, kept: Tensor) -> Tensor:
        """See `Layer`."""
        B, every = len(kept), self.extra + self.tokens
        always = torch.arange(self.extra, device=kept.device).expand(B, -1)
        rows = torch.cat((always, kept + self.extra), dim=1)
        return (rows + every * torch.arange(B, device=kept.device)[:, None]).flatten()

    def mix(
        self, qkv: Tensor, batch: int, kept: Tensor | None, held: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Layer`: tokens that ask nothing are attended to as they are held."""
        seen = qkv[:, self.dim :]
        if kept is not None:
            if held is None:
                raise ValueError("keys and values of the tokens that do not ask are missing")
            seen = held.index_copy(0, self.rows(kept), seen)
        heads = self.attention.heads
        q = qkv[:, : self.dim].view(batch, -1, heads, self.dim // heads).transpose(1, 2)
        k, v = seen.view(batch, -1, 2, heads, self.dim // heads).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return mixed.transpose(1, 2).reshape(-1, self.dim), seen

    def mix_macs(self, kept: int) -> int:
        """See `Layer`."""
        every = (1, self.extra + self.tokens, self.dim)
        return attention_macs((1, self.extra + kept, self.dim), every, every)

    def place_macs(self, kept: int) -> tuple[int, int]:
        """See `Layer`: keys and values of all tokens, the rest of those that are kept."""
        every, some = self.extra + self.tokens, self.extra + kept
        asked, all_of_them = (1, some, self.dim), (1, every, self.dim)
        attention = attention_macs(asked, all_of_them, all_of_them)
        projections = 2 * linear_macs(every + some, self.dim, self.dim)
        return projections + attention, self.token_macs * some

    def pool(self, scores: Tensor) -> Tensor:
        """See `Layer`."""
        return scores

    def spread(self, kept: Tensor) -> Tensor:
        """See `Layer`."""
        return kept


class ViT(BlockEncoder):
    """Feature maps of evenly spaced blocks, all at the stride of the patch.

    The forward pass is made of steps that a variant can run one by one: `embed`, then each of `blocks`,
    then `to_map` at the blocks in `tap_blocks`.

    Args:
        size: input (height, width) in pixels, multiples of the patch. The position embedding belongs to
            this size.
        options: see `ViTOptions`.

    Attributes:
        grid: (height, width) in patches.
        tap_blocks: index of the block behind each feature map.
        blocks: the transformer blocks.

    Raises:
        UsageError: the patch does not divide the size.
    """

    name = "vit"
    Options = ViTOptions
    options: ViTOptions

    def __init__(self, size: tuple[int, int], **options: Any) -> None:
        super().__init__(size, **options)
        if refusal := self.refuse_size(size, options):
            raise UsageError(refusal, fix="Change the size of the data or the patch")
        arch = _ARCHS[self.options.arch]
        patch, taps, eps = self.options.patch, self.options.taps, self.options.norm_eps
        self.dim = arch.dim
        self.grid = (size[0] // patch, size[1] // patch)
        self.channels = (arch.dim,) * taps
        self.strides = (patch,) * taps
        self.tap_blocks = tuple(-(-arch.depth * (i + 1) // taps) - 1 for i in range(taps))

        self.patch_embed = nn.Conv2d(3, arch.dim, kernel_size=patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, arch.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid[0] * self.grid[1], arch.dim))
        rates = [self.options.drop_path * i / max(arch.depth - 1, 1) for i in range(arch.depth)]
        self.blocks = nn.ModuleList(
            Block(arch.dim, arch.heads, _MLP_RATIO * arch.dim, eps, rate) for rate in rates
        )
        self.tap_norms = nn.ModuleList(nn.LayerNorm(arch.dim, eps=eps) for _ in range(taps))
        self._initialise()

    @classmethod
    def refuse_size(cls, size: tuple[int, int], options: dict[str, Any]) -> str | None:
        """Why this input size cannot be run, in one sentence; None where it can."""
        patch = cls.Options.model_validate(options).patch
        if min(size) < patch or size[0] % patch or size[1] % patch:
            height, width = size
            return f"vit needs height and width in multiples of its patch, {patch}, not {height}x{width}"
        return None

    def embed(self, x: Tensor) -> Tensor:
        """Normalised images [B, 3, H, W] to tokens [B, 1 + h * w, C]: class token, then patches by rows."""
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        return torch.cat((self.cls_token.expand(x.shape[0], -1, -1), patches), dim=1) + self.pos_embed

    def to_map(self, tokens: Tensor, i: int) -> Tensor:
        """Tokens [B, 1 + h * w, C] to feature map i, [B, C, h, w], through the norm of that tap."""
        patches: Tensor = self.tap_norms[i](tokens[:, 1:])
        return patches.transpose(1, 2).reshape(tokens.shape[0], self.dim, *self.grid)

    @cached_property
    def layers_of(self) -> tuple[tuple[Layer, ...], ...]:
        """A stage ends at each tap, the last one with the last block."""
        starts = (0, *(tap + 1 for tap in self.tap_blocks))
        return tuple(
            tuple(
                ViTLayer(stage, f"encoder.block.{i}", self.grid, 1, self.dim, self._block(i))
                for i in range(start, stop)
            )
            for stage, (start, stop) in enumerate(pairwise(starts))
        )

    def close(self, stage: int, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The map of a tap; the tokens go on as they are."""
        return self.to_map(tokens, stage), tokens

    def modules_from(self, first: int) -> list[str]:
        """See `BlockEncoder`."""
        blocks = [f"blocks.{i}" for i in range(first, len(self.blocks))]
        return blocks + [f"tap_norms.{i}" for i, tap in enumerate(self.tap_blocks) if tap >= first]

    def _block(self, i: int) -> Block:
        block = self.blocks[i]
        assert isinstance(block, Block)  # noqa: S101  # ModuleList forgets what it holds
        return block

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] to feature maps, each [B, C, H / patch, W / patch]."""
        tokens = self.embed(x)
        maps: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.tap_blocks:
                maps.append(self.to_map(tokens, len(maps)))
        return maps

    def layouts(self) -> tuple[Layout, ...]:
        """Its own names, timm's (DeiT and AugReg among them) and Hugging Face's."""
        return vit_layouts(len(self.channels), self.grid)

    def stages(self) -> list[tuple[str, nn.Module]]:
        """The stem and every block; norms of the taps stay with the encoder."""
        blocks = [(f"encoder.block.{i}", block) for i, block in enumerate(self.blocks)]
        return [("encoder", self), ("encoder.stem", self.patch_embed), *blocks]

    def units(self) -> list[CostUnit]:
        """MACs per image of the stem and of the attention and the MLP of every block."""
        (height, width), patch = self.size, self.options.patch
        stem = conv_macs((3, height, width), (self.dim, 3, patch, patch), (self.dim, *self.grid))
        layers = (layer for stage in self.layers_of for layer in stage)
        return [
            CostUnit("encoder.stem", "encoder.stem", stem),
            *(unit for layer in layers for unit in layer.units()),
        ]

    def _initialise(self) -> None:
        """Truncated normal of 0.02 for all weights, the class token and the positions; zero biases."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
