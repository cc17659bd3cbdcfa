"""What a sub-task adds to the base task's weights: a low-rank difference for each linear layer of each block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench.cost.formulas import linear_macs
from mtlbench.encoders.blocks import Layer

__all__ = ["LayerDelta", "LowRank", "layer_deltas"]


class LowRank(nn.Module):
    """The product of two thin matrices, added to a weight matrix (Hu et al., LoRA, ICLR 2022). It starts at zero.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        rank: channels between the two.
        scale: factor of the product.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Parameter(torch.empty(rank, inputs))
        self.up = nn.Parameter(torch.zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """What the base task's weights make of rows, and the difference.

        Args:
            x: the rows, [R, inputs].
            y: of the base task's weights, [R, outputs]; overwritten where no gradient is asked for.
        """
        thin = F.linear(x, self.down)
        if torch.is_grad_enabled():
            return torch.addmm(y, thin, self.up.t(), alpha=self.scale)
        return y.addmm_(thin, self.up.t(), alpha=self.scale)

    def macs(self, rows: int) -> int:
        """MACs of so many rows."""
        rank, inputs = self.down.shape
        return linear_macs(rows, inputs, rank) + linear_macs(rows, rank, self.up.shape[0])

    def dense(self) -> Tensor:
        """The difference as a matrix, [outputs, inputs]."""
        return self.scale * self.up @ self.down


class LayerDelta(nn.Module):
    """Differences of the four linear layers of one block.

    Args:
        layer: the block.
        rank: of each difference.
        scale: of each difference.
    """

    def __init__(self, layer: Layer, rank: int, scale: float) -> None:
        super().__init__()
        dim, hidden = layer.dim, layer.feed_forward.fc1.out_features
        self.qkv = LowRank(dim, 3 * dim, rank, scale)
        self.proj = LowRank(dim, dim, rank, scale)
        self.fc1 = LowRank(dim, hidden, rank, scale)
        self.fc2 = LowRank(hidden, dim, rank, scale)

    def of(self, linear: Literal["qkv", "proj", "fc1", "fc2"]) -> LowRank:
        """That of one linear layer."""
        found = getattr(self, linear)
        assert isinstance(found, LowRank)  # noqa: S101  # modules forget what their attributes are
        return found

    def norms(self, normed: Tensor, gram: Tensor) -> Tensor:
        """Group norm over channels of what the difference of `qkv` makes of tokens [..., C]: [...].

        Args:
            normed: tokens behind the layer's first norm.
            gram: see `gram`.
        """
        thin = F.linear(normed, self.qkv.down)
        # up to rounding no square is negative
        return (thin @ gram * thin).sum(dim=-1).clamp(min=0).sqrt()

    def gram(self) -> Tensor:
        """What `norms` needs of `qkv`, [rank, rank]: |U z| is the root of z G z."""
        return self.qkv.scale**2 * self.qkv.up.t() @ self.qkv.up

    def norm_macs(self, tokens: int) -> int:
        """MACs of `norms` for so many tokens."""
        rank, dim = self.qkv.down.shape
        return linear_macs(tokens, dim, rank) + linear_macs(tokens, rank, rank)

    def attention_macs(self, rows: int) -> int:
        """MACs of the differences around attention for so many rows."""
        return self.qkv.macs(rows) + self.proj.macs(rows)

    def mlp_macs(self, rows: int) -> int:
        """MACs of the differences of the MLP for so many rows."""
        return self.fc1.macs(rows) + self.fc2.macs(rows)


def layer_deltas(layers: Sequence[Layer], rank: int, scale: float) -> nn.ModuleList:
    """One for each layer."""
    return nn.ModuleList(LayerDelta(layer, rank, scale) for layer in layers)
