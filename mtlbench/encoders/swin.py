"""The Swin transformer (Liu et al., ICCV 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench.cost.formulas import attention_macs, conv_macs, linear_macs
from mtlbench.cost.units import CostUnit
from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.encoders.swin_layers import (
    PatchEmbed,
    PatchMerging,
    SwinBlock,
    SwinStage,
    WindowGrid,
    Windows,
)
from mtlbench.encoders.swin_options import SwinOptions
from mtlbench.encoders.vit_layers import Attention, Mlp
from mtlbench.encoders.weights.layout import Layout
from mtlbench.encoders.weights.swin_keys import swin_layouts
from mtlbench.errors import UsageError
from mtlbench.heads.base import map_size

__all__ = ["Swin"]


@dataclass(frozen=True)
class SwinLayer(Layer):
    """One block; its places are its own windows, which are others in every second block."""

    block: SwinBlock
    window_grid: WindowGrid

    @property
    def _windows(self) -> Windows:
        return self.block.windows(self.window_grid)

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
        return self._windows.count

    @property
    def place_sizes(self) -> tuple[int, ...]:
        """See `Layer`."""
        return tuple(self._windows.sizes.tolist())

    def attend(self, x: Tensor) -> Tensor:
        """See `Layer`."""
        return self.block.attention_part(x, self.window_grid)

    def mlp(self, rows: Tensor) -> Tensor:
        """See `Layer`."""
        return self.block.mlp_part(rows)

    def run_places(self, x: Tensor, kept: Tensor) -> Tensor:
        """See `Layer`."""
        return self.block.run_windows(x, self.window_grid, kept)

    def rows(self, kept: Tensor) -> Tensor:
        """See `Layer`."""
        rows = self._windows.rows(kept)
        there = rows < self.tokens
        rows = rows + self.tokens * torch.arange(len(kept), device=kept.device)[:, None]
        return rows[there] if self._windows.padded else rows.flatten()

    @property
    def pads(self) -> bool:
        """See `Layer`."""
        return self._windows.padded

    def everywhere(self, batch: int) -> Tensor | None:
        """See `Layer`."""
        return torch.arange(self.places, device=self._windows.order.device).expand(batch, -1)

    def seated(self, rows: Tensor, kept: Tensor | None) -> Tensor:
        """See `Layer`."""
        there = self._there(kept)
        if there is None:
            return rows
        seats = rows.new_zeros(len(there), rows.shape[-1])
        return seats.index_copy(0, there.nonzero().squeeze(1), rows)

    def unseated(self, seats: Tensor, kept: Tensor | None) -> Tensor:
        """See `Layer`."""
        there = self._there(kept)
        return seats if there is None else seats[there]

    def seats(self, kept: int) -> int:
        """See `Layer`."""
        return kept * self._windows.area

    def mix(
        self, qkv: Tensor, batch: int, kept: Tensor | None, held: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Layer`: a window sees itself alone."""
        if kept is None:
            raise ValueError("windows have no order of their own: name them all")
        windows, attention = self._windows, self.block.attn
        q, k, v = (
            qkv.view(-1, windows.area, 3, attention.heads, self.dim // attention.heads)
            .permute(2, 0, 3, 1, 4)
            .unbind(0)
        )
        bias = windows.bias_of(attention.relative_position_bias_table, kept)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return mixed.transpose(1, 2).reshape(-1, self.dim), None

    def mix_macs(self, kept: int) -> int:
        """See `Layer`: padding tokens count."""
        inside = (kept, self._windows.area, self.dim)
        return attention_macs(inside, inside, inside)

    def _there(self, kept: Tensor | None) -> Tensor | None:
        """Which seats of kept windows are no padding, bool [A]; None where none is."""
        if not self._windows.padded:
            return None
        if kept is None:
            raise ValueError("windows have no order of their own: name them all")
        return (self._windows.rows(kept) < self.tokens).flatten()

    def place_macs(self, kept: int) -> tuple[int, int]:
        """See `Layer`: attention counts padding tokens, which are computed like all others."""
        windows = self._windows
        one_head = (kept, windows.area, self.dim)
        projections = linear_macs(kept * windows.area, self.dim, 4 * self.dim)
        rows = min(kept * windows.area, self.tokens)
        return projections + attention_macs(one_head, one_head, one_head), self.token_macs * rows

    def pool(self, scores: Tensor) -> Tensor:
        """See `Layer`."""
        windows = self._windows
        totals = scores.new_zeros(scores.shape[0], self.places).index_add(1, windows.window_of, scores)
        return totals / windows.sizes

    def spread(self, kept: Tensor) -> Tensor:
        """See `Layer`."""
        return kept[:, self._windows.window_of]


class Swin(BlockEncoder):
    """Feature maps of the four stages, each at half the resolution of the one before.

    The forward pass is made of steps that a variant can run one by one: `embed`, then for each of `layers` its
    blocks (`attention_part`, which needs the whole grid, and `mlp_part`), and `close`, which is `downsample` and,
    before or after it, `to_map`. Grids that the window does not divide are padded inside attention, odd ones at
    `downsample`; so map i has ceil(H / strides[i]) rows.

    Args:
        size: input (height, width) in pixels, multiples of the patch.
        options: see `SwinOptions`.

    Attributes:
        dims: channels inside each stage, which its map may have twice.
        layers: the stages, by the name they have in published weights; `stage(i)` is the typed way in.
        tap_norms: the norm of each feature map, if they have one; the last is the final norm of the published network.

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
        patch, eps = self.options.patch, self.options.norm_eps
        self.dims = self.options.architecture.dims
        last = len(self.dims) - 1
        later = self.options.maps == "after_merging"
        taps = [min(i + later, last) for i in range(last + 1)]  # the stage whose tokens are map i
        self.channels = tuple(self.dims[i] for i in taps)
        self.strides = tuple(patch * 2**i for i in taps)
        self.patch_embed = PatchEmbed(self.dims[0], patch, eps)
        self.layers = nn.ModuleList(self._build_stage(i) for i in range(len(self.dims)))
        self.tap_norms = nn.ModuleList(
            nn.LayerNorm(channels, eps=eps) if self.options.tap_norms else nn.Identity()
            for channels in self.channels
        )
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
        """Tokens [B, h * w, C], where map i is taken, to feature map i, [B, C, h, w], through its norm."""
        normed: Tensor = self.tap_norms[i](tokens)
        return normed.transpose(1, 2).reshape(-1, self.channels[i], *map_size(self.size, self.strides[i]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] to feature maps, each [B, channels[i], H / strides[i], W / strides[i]].

        Fractions of a cell are rounded up.
        """
        tokens = self.embed(x)
        maps: list[Tensor] = []
        for i in range(len(self.layers)):
            of_stage, tokens = self.close(i, self.stage(i)(tokens))
            maps.append(of_stage)
        return maps

    @cached_property
    def layers_of(self) -> tuple[tuple[Layer, ...], ...]:
        """The blocks of each stage."""
        return tuple(
            tuple(
                SwinLayer(
                    i,
                    f"encoder.stage.{i}.block.{j}",
                    (stage.grid.height, stage.grid.width),
                    0,
                    self.dims[i],
                    block,
                    stage.grid,
                )
                for j, block in enumerate(stage.typed_blocks)
            )
            for i, stage in enumerate(map(self.stage, range(len(self.layers))))
        )

    def close(self, stage: int, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The map of a stage, and its tokens at half the resolution."""
        of = self.stage(stage)
        after = tokens if of.downsample is None else of.downsample(tokens, of.grid)
        return self.to_map(after if self.options.maps == "after_merging" else tokens, stage), after

    def modules_from(self, first: int) -> list[str]:
        """See `BlockEncoder`."""
        found, index = [], 0
        for i, layers in enumerate(self.layers_of):
            found += [f"layers.{i}.blocks.{j}" for j in range(len(layers)) if index + j >= first]
            index += len(layers)
            if index > first:
                found.append(f"tap_norms.{i}")
                found += [] if self.stage(i).downsample is None else [f"layers.{i}.downsample"]
        return found

    def layouts(self) -> tuple[Layout, ...]:
        """The official names, timm's and Hugging Face's."""
        return swin_layouts(len(self.channels), before_merging=self.options.maps == "before_merging")

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
        patch, grid, dim = self.options.patch, self.stage(0).grid, self.dims[0]
        stem = conv_macs((3, *self.size), (dim, 3, patch, patch), (dim, grid.height, grid.width))
        units = [CostUnit("encoder.stem", "encoder.stem", stem)]
        for i in range(len(self.dims)):
            units += [unit for layer in self.layers_of[i] for unit in layer.units()]
            units += self.close_units(i)
        return units

    def close_units(self, stage: int) -> list[CostUnit]:
        """See `BlockEncoder`: the step to the next stage."""
        if self.stage(stage).downsample is None:
            return []
        part, dim, after = f"encoder.stage.{stage}.downsample", self.dims[stage], self.stage(stage + 1).grid
        return [CostUnit(part, part, linear_macs(after.height * after.width, 4 * dim, 2 * dim))]

    def _build_stage(self, i: int) -> SwinStage:
        options, dim, arch = self.options, self.dims[i], self.options.architecture
        before = sum(arch.depths[:i])
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
        height, width = map_size(self.size, options.patch * 2**i)
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
