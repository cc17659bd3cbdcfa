"""The pieces of a Swin transformer (Liu et al., ICCV 2021, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench.encoders.vit_layers import Attention, DropPath, Mlp

__all__ = ["PatchEmbed", "PatchMerging", "SwinBlock", "SwinStage", "WindowAttention", "WindowGrid", "Windows"]

_ACROSS = -100.0
"""Logit between tokens that only the cyclic shift brought into one window; finite, as in the published code."""


class Windows(nn.Module):
    """How the tokens of one grid fall into windows: indices and masks, all known before the first call.

    Padding at the bottom and the right, the cyclic shift and the cut into windows are one gather, and their
    reverse is another. Padding tokens are zeros that take part in attention, as in the published code.

    Args:
        height: of the grid in tokens.
        width: the same.
        window: side of a window in tokens.
        shift: tokens by which the windows are moved down and to the right; 0 for none.
        trained_window: side of the window whose relative positions the bias tables cover. A smaller window
            uses the middle of the table.

    Attributes:
        count: windows in the padded grid.
        area: tokens in a window.
        window_of: the window of each token of the grid, [height * width].
        sizes: tokens of the grid in each window, padding left out, [count].
    """

    order: Tensor
    places: Tensor
    window_of: Tensor
    sizes: Tensor
    relative_position_index: Tensor
    mask: Tensor | None

    def __init__(self, height: int, width: int, window: int, shift: int, trained_window: int) -> None:
        super().__init__()
        rows, columns = -(-height // window), -(-width // window)
        self.count, self.area = rows * columns, window**2
        self.padded = self.count * self.area > height * width

        padding = height * width  # the index of the zero token behind all others
        grid = torch.full((rows * window, columns * window), padding)
        grid[:height, :width] = torch.arange(height * width).view(height, width)
        order = _cut(grid.roll((-shift, -shift), (0, 1)), window).flatten()
        places = torch.empty(height * width + 1, dtype=torch.long)
        places[order] = torch.arange(len(order))

        self.register_buffer("order", order, persistent=False)
        self.register_buffer("places", places[:-1].clone(), persistent=False)
        window_of = places[:-1] // self.area
        self.register_buffer("window_of", window_of, persistent=False)
        sizes = (order.view(self.count, self.area) < padding).sum(dim=1)
        self.register_buffer("sizes", sizes, persistent=False)
        self.register_buffer(
            "relative_position_index", _relative_position_index(window, trained_window), persistent=False
        )
        mask = _shift_mask(rows * window, columns * window, window, shift) if shift else None
        self.register_buffer("mask", mask, persistent=False)

    def partition(self, x: Tensor) -> Tensor:
        """Tokens [B, height * width, C] to windows [B * count, area, C]."""
        if self.padded:
            x = F.pad(x, (0, 0, 0, 1))
        return x.index_select(1, self.order).view(-1, self.area, x.shape[-1])

    def rows(self, kept: Tensor) -> Tensor:
        """Tokens of some windows, [B, K] to [B, K * area]; height * width stands for padding."""
        return self.order.view(self.count, self.area)[kept].flatten(1)

    def merge(self, x: Tensor) -> Tensor:
        """Windows [B * count, area, C] back to tokens [B, height * width, C]."""
        return x.reshape(-1, self.count * self.area, x.shape[-1]).index_select(1, self.places)

    def bias(self, table: Tensor, batch: int) -> Tensor:
        """What is added to the attention logits: relative position bias and the mask of the shift.

        Args:
            table: bias of each relative position and head, [(2 * trained_window - 1)**2, heads].
            batch: images in the batch.

        Returns:
            [1, heads, area, area], or [batch * count, heads, area, area] where windows are shifted.
        """
        bias = F.embedding(self.relative_position_index, table).permute(2, 0, 1).contiguous().unsqueeze(0)
        if self.mask is None:
            return bias
        return (bias + self.mask).unsqueeze(0).expand(batch, -1, -1, -1, -1).flatten(0, 1)

    def bias_of(self, table: Tensor, kept: Tensor) -> Tensor:
        """`bias` for some windows alone, [B, K] indices: [1 or B * K, heads, area, area]."""
        bias = F.embedding(self.relative_position_index, table).permute(2, 0, 1).contiguous().unsqueeze(0)
        return bias if self.mask is None else bias + self.mask[kept.flatten()]


class WindowGrid(nn.Module):
    """All that depends on the input size in one stage.

    A grid no larger than the window in one direction has windows of its smaller side, and no shift: one
    window spans it then.

    Args:
        height: of the grid in tokens.
        width: the same.
        window: side of a window in tokens.

    Attributes:
        plain: windows of the even blocks.
        shifted: windows of the odd blocks; `plain` where there is no shift.
    """

    def __init__(self, height: int, width: int, window: int) -> None:
        super().__init__()
        self.height, self.width = height, width
        side = min(height, width, window)
        shift = window // 2 if side == window < min(height, width) else 0
        self.plain = Windows(height, width, side, 0, window)
        self.shifted = Windows(height, width, side, shift, window) if shift else self.plain


class PatchEmbed(nn.Module):
    """Non-overlapping patches, projected and normalised.

    Args:
        dim: channels of a token.
        patch: side of a patch in pixels.
        eps: of the layer norm.
    """

    def __init__(self, dim: int, patch: int, eps: float) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)
        self.norm = nn.LayerNorm(dim, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, H, W] to tokens [B, h * w, C], by rows."""
        tokens: Tensor = self.norm(self.proj(x).flatten(2).transpose(1, 2))
        return tokens


class PatchMerging(nn.Module):
    """Four neighbours become one token of twice the channels; an odd grid is padded with zeros.

    Args:
        dim: channels of a token before.
        eps: of the layer norm.
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim, eps=eps)

    def forward(self, x: Tensor, grid: WindowGrid) -> Tensor:
        """Tokens [B, h * w, C] to [B, ceil(h / 2) * ceil(w / 2), 2 * C]."""
        C = x.shape[-1]
        x = x.view(-1, grid.height, grid.width, C)
        if grid.height % 2 or grid.width % 2:
            x = F.pad(x, (0, 0, 0, grid.width % 2, 0, grid.height % 2))
        _, height, width, _ = x.shape
        squares = x.view(-1, height // 2, 2, width // 2, 2, C)
        # the published order of the four: down first, then right
        neighbours = squares.permute(0, 1, 3, 4, 2, 5).reshape(-1, height * width // 4, 4 * C)
        merged: Tensor = self.reduction(self.norm(neighbours))
        return merged


class WindowAttention(Attention):
    """Self-attention inside a window, with a learned bias for every relative position.

    Args:
        dim: channels of a token.
        heads: attention heads.
        window: side of the largest window in tokens.
    """

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__(dim, heads)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))


class SwinBlock(nn.Module):
    """Window attention and MLP, each a residual branch behind its own norm.

    The branches are methods of their own, without the residual, so that a policy can gate or move them apart.

    Args:
        dim: channels of a token.
        heads: attention heads.
        window: side of the largest window in tokens.
        shifted: whether the windows are shifted, where the grid has room for it.
        eps: of the layer norms.
        drop_path: rate of stochastic depth of both branches.
    """

    def __init__(
        self, dim: int, heads: int, window: int, *, shifted: bool, eps: float, drop_path: float
    ) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = WindowAttention(dim, heads, window)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, 4 * dim)
        self.drop_path = DropPath(drop_path)

    def attention_part(self, x: Tensor, grid: WindowGrid) -> Tensor:
        """What attention adds to the tokens [B, h * w, C] of the whole grid."""
        windows = self.windows(grid)
        bias = windows.bias(self.attn.relative_position_bias_table, x.shape[0])
        branch: Tensor = windows.merge(self.attn(windows.partition(self.norm1(x)), bias))
        dropped: Tensor = self.drop_path(branch)
        return dropped

    def mlp_part(self, x: Tensor) -> Tensor:
        """What the MLP adds to the tokens [..., C], each by itself."""
        branch: Tensor = self.drop_path(self.mlp(self.norm2(x)))
        return branch

    def windows(self, grid: WindowGrid) -> Windows:
        """The windows of this block on a grid."""
        return grid.shifted if self.shifted else grid.plain

    def run_windows(self, x: Tensor, grid: WindowGrid, kept: Tensor) -> Tensor:
        """The block for some windows alone; all other tokens stay as they are.

        Args:
            x: tokens [B, h * w, C]; overwritten.
            grid: the resolution.
            kept: indices of windows, as many of each sample: [B, K].
        """
        B, N, C = x.shape
        windows = self.windows(grid)
        rows = windows.rows(kept)
        there = rows < N if windows.padded else None
        rows = (rows + N * torch.arange(B, device=x.device)[:, None]).flatten()
        if there is not None:  # padding is no row of x, but takes part in attention as zeros
            rows = rows[there.flatten()]
        flat = x.view(-1, C)
        some = flat.index_select(0, rows)
        bias = windows.bias_of(self.attn.relative_position_bias_table, kept)
        some.add_(self._mixed(self.norm1(some), bias, windows.area, there))
        flat.index_copy_(0, rows, some.add_(self.mlp(self.norm2(some))))
        return x

    def _mixed(self, normed: Tensor, bias: Tensor, area: int, there: Tensor | None) -> Tensor:
        """Attention inside windows of rows [R, C]; `there` says which tokens of the windows are no padding."""
        C = normed.shape[-1]
        if there is not None:
            normed = normed.new_zeros(there.numel(), C).masked_scatter_(there.view(-1, 1), normed)
        mixed: Tensor = self.attn(normed.view(-1, area, C), bias).view(-1, C)
        return mixed if there is None else mixed[there.flatten()]

    def forward(self, x: Tensor, grid: WindowGrid) -> Tensor:
        """Tokens [B, h * w, C] to [B, h * w, C]."""
        x = x + self.attention_part(x, grid)
        return x + self.mlp_part(x)


class SwinStage(nn.Module):
    """The blocks that work at one resolution, and the step to the next.

    Args:
        grid: the resolution.
        blocks: in order.
        downsample: None in the last stage.
    """

    def __init__(self, grid: WindowGrid, blocks: list[SwinBlock], downsample: PatchMerging | None) -> None:
        super().__init__()
        self.grid = grid
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    @property
    def typed_blocks(self) -> list[SwinBlock]:
        """The blocks."""
        return [block for block in self.blocks if isinstance(block, SwinBlock)]

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [B, h * w, C] through all blocks, before `downsample`."""
        for block in self.blocks:
            x = block(x, self.grid)
        return x


def _cut(grid: Tensor, window: int) -> Tensor:
    """Cells [H, W] to windows [count, area], both by rows."""
    height, width = grid.shape
    cells = grid.view(height // window, window, width // window, window)
    return cells.transpose(1, 2).reshape(-1, window**2)


def _relative_position_index(window: int, trained_window: int) -> Tensor:
    """Row of the bias table for each pair of tokens, [area, area]; the table covers `trained_window`."""
    y, x = (offset.flatten() for offset in torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij"))
    middle = trained_window - 1
    down = y[:, None] - y[None, :] + middle
    right = x[:, None] - x[None, :] + middle
    return down * (2 * trained_window - 1) + right


def _shift_mask(height: int, width: int, window: int, shift: int) -> Tensor:
    """0 between neighbours of the padded grid, `_ACROSS` between strangers, [count, 1, area, area]."""
    region = [
        (torch.arange(side) >= side - window).long() + (torch.arange(side) >= side - shift).long()
        for side in (height, width)
    ]
    regions = _cut(3 * region[0][:, None] + region[1][None, :], window)
    strangers = regions[:, None, :] != regions[:, :, None]
    return torch.zeros(strangers.shape).masked_fill(strangers, _ACROSS).unsqueeze(1)
