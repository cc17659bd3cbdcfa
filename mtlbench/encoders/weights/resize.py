"""Values that belong to a grid, brought to another grid: position embeddings and relative position tables.

Bicubic, as Liu et al. do it for tables (ICCV 2021, released code) and as is usual for position embeddings (Touvron et
al., ICML 2021, section 6); antialiased where the grid becomes coarser.
"""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.encoders.weights.layout import Resize, Resized

__all__ = ["resize_bias_table", "resize_position_embedding"]


def resize_position_embedding(grid: tuple[int, int]) -> Resize:
    """A function that fits a position embedding [1, 1 + n, C] to a class token and `grid` (height, width) patches.

    The file's n patches must be a square. A second token before them, as distilled networks have it, is dropped.
    """

    def resize(value: Tensor, shape: tuple[int, ...]) -> Resized | None:
        if value.ndim != 3 or value.shape[0] != 1 or value.shape[2] != shape[2]:
            return None
        tokens = value.shape[1]
        extra = next((n for n in (1, 2) if tokens > n and _side(tokens - n)), None)
        if extra is None:
            return None
        side = isqrt(tokens - extra)
        patches = _bicubic(value[0, extra:], (side, side), grid)
        how = (
            f"{side}x{side} to {grid[0]}x{grid[1]} patches"
            if grid != (side, side)
            else f"{side}x{side} patches"
        )
        dropped = " without the position of the distillation token" if extra == 2 else ""
        return torch.cat((value[:, :1], patches[None]), dim=1), how + dropped

    return resize


def resize_bias_table(value: Tensor, shape: tuple[int, ...]) -> Resized | None:
    """Fit a relative position table [(2 m - 1)^2, heads] of a window of m x m to that of another square window."""
    if value.ndim != 2 or len(shape) != 2 or value.shape[1] != shape[1]:
        return None
    old, new = _side(value.shape[0]), _side(shape[0])
    if not old or not new:
        return None
    how = f"window {(old + 1) // 2} to {(new + 1) // 2}"
    return _bicubic(value, (old, old), (new, new)), how


def _side(cells: int) -> int:
    """The side of a square of that many cells; 0 where there is none."""
    side = isqrt(cells)
    return side if side * side == cells else 0


def _bicubic(values: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Values [h * w, C] by rows, on another grid."""
    if old == new:
        return values
    image = values.reshape(*old, -1).permute(2, 0, 1)[None]
    fitted = F.interpolate(image, size=new, mode="bicubic", antialias=True, align_corners=False)
    return fitted[0].permute(1, 2, 0).reshape(new[0] * new[1], -1)
