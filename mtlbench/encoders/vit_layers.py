"""The pieces of a pre-norm vision transformer (Dosovitskiy et al., ICLR 2021, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Attention", "Block", "DropPath", "Mlp"]


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., ECCV 2016): in training, drop the residual branch of random samples.

    Args:
        rate: probability of dropping; what is kept is scaled by 1 / (1 - rate).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] to the same shape; the identity in evaluation."""
        if not self.training or self.rate == 0:
            return x
        keep = torch.rand(x.shape[0], *[1] * (x.dim() - 1), device=x.device) >= self.rate
        return x * keep / (1 - self.rate)


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values.

    Args:
        dim: channels of a token.
        heads: attention heads, each of `dim // heads` channels.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Tokens [B, N, C] to [B, N, C].

        Args:
            x: the tokens.
            bias: added to the attention logits, [1 or B, heads, N, N].
        """
        B, N, C = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(B, N, C))
        return projected

    def answer(self, asking: Tensor, x: Tensor) -> Tensor:
        """Attention for some tokens alone, over all of them.

        Args:
            asking: the tokens that ask, [B, K, C].
            x: all tokens, [B, N, C].

        Returns:
            [B, K, C], the rows that `forward` would give the asking tokens.
        """
        B, N, C = x.shape
        weight, bias = self.qkv.weight, self.qkv.bias
        q = F.linear(asking, weight[:C], bias[:C]).view(B, -1, self.heads, C // self.heads).transpose(1, 2)
        both = F.linear(x, weight[C:], bias[C:]).view(B, N, 2, self.heads, C // self.heads)
        k, v = both.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(B, -1, C))
        return projected


class Mlp(nn.Module):
    """Two linear layers with the exact GELU between them.

    Args:
        dim: channels of a token.
        hidden: channels between the two layers.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [..., C] to [..., C]."""
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class Block(nn.Module):
    """Attention and MLP, each a residual branch behind its own norm.

    The branches are methods of their own, without the residual, so that a policy can gate or move them apart.

    Args:
        dim: channels of a token.
        heads: attention heads.
        hidden: channels inside the MLP.
        eps: of the layer norms.
        drop_path: rate of stochastic depth of both branches.
    """

    def __init__(self, dim: int, heads: int, hidden: int, eps: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, hidden)
        self.drop_path = DropPath(drop_path)

    def attention_part(self, x: Tensor) -> Tensor:
        """What attention adds to the tokens [B, N, C]."""
        branch: Tensor = self.drop_path(self.attn(self.norm1(x)))
        return branch

    def mlp_part(self, x: Tensor) -> Tensor:
        """What the MLP adds to the tokens [..., C], each by itself."""
        branch: Tensor = self.drop_path(self.mlp(self.norm2(x)))
        return branch

    def run_tokens(self, x: Tensor, rows: Tensor) -> Tensor:
        """The block for some tokens alone; the others are attended to, and stay as they are.

        Args:
            x: tokens [B, N, C]; overwritten.
            rows: of the flattened tokens [B * N, C], as many of each sample: [B * K].
        """
        flat = x.view(-1, x.shape[-1])
        some = flat.index_select(0, rows).add_(self._answers(x, rows))
        flat.index_copy_(0, rows, some.add_(self.mlp(self.norm2(some))))
        return x

    def _answers(self, x: Tensor, rows: Tensor) -> Tensor:
        """What attention adds to some rows of the flattened tokens, [B * K, C]."""
        B, _, C = x.shape
        normed = self.norm1(x)
        asking = normed.view(-1, C).index_select(0, rows).view(B, -1, C)
        return self.attn.answer(asking, normed).view(-1, C)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [B, N, C] to [B, N, C]."""
        x = x + self.attention_part(x)
        return x + self.mlp_part(x)
