"""Differences of all weights of an encoder: with gates that learn which are zero, and sparse once that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = [
    "GatedDifference",
    "SparseDifference",
    "flat_weights",
    "in_shape",
    "open_probability",
    "sampled_gate",
    "settled_gate",
]

_LOW, _HIGH = -1.5, 1.5
_CLIPPED = 1e-4
_OPEN = 5.0


def sampled_gate(alpha: Tensor, uniform: Tensor) -> Tensor:
    """Hard-concrete gates in [0, 1] at temperature 1 (Louizos et al., ICLR 2018).

    Args:
        alpha: logits.
        uniform: draws from [0, 1) of the same shape.
    """
    uniform = uniform.clamp(_CLIPPED, 1 - _CLIPPED)
    return _stretched(torch.sigmoid(torch.logit(uniform) + alpha))


def settled_gate(alpha: Tensor) -> Tensor:
    """Hard-concrete gates without noise (the same paper's for inference); 0 where alpha is not above 0."""
    return _stretched(torch.sigmoid(alpha))


def open_probability(alpha: Tensor) -> Tensor:
    """Probability that a sampled gate is not 0 (the same paper)."""
    return torch.sigmoid(alpha - math.log(-_LOW / _HIGH))


def _stretched(s: Tensor) -> Tensor:
    return (s * (_HIGH - _LOW) + _LOW).clamp(0, 1)


class GatedDifference(nn.Module):
    """z * zt * v for every weight: v the difference, z its own gate, zt that of its tensor. It starts at zero, open.

    All tensors lie behind one another in one vector, so that the loop's weight decay leaves v and the gates alone.

    Args:
        sizes: elements of each tensor.
        alpha_scale: of logits against what is learned, so that they learn that much faster at one learning rate.
    """

    def __init__(self, sizes: Sequence[int], alpha_scale: float) -> None:
        super().__init__()
        self._sizes, self.alpha_scale = list(sizes), alpha_scale
        self.values = nn.Parameter(torch.zeros(sum(sizes)))
        self.gates = nn.Parameter(torch.full((sum(sizes),), _OPEN / alpha_scale))
        self.tensor_gates = nn.Parameter(torch.full((len(sizes),), _OPEN / alpha_scale))

    def forward(self) -> Tensor:
        """The difference, [N]: with gates drawn in training, with settled ones in evaluation."""
        return self.gate(sampled=self.training) * self.values

    def gate(self, *, sampled: bool) -> Tensor:
        """Gates of the elements times those of their tensors, [N]."""
        own, shared = self.alpha_scale * self.gates, self.alpha_scale * self.tensor_gates
        if sampled:
            z = sampled_gate(own, torch.rand_like(own))
            zt = sampled_gate(shared, torch.rand_like(shared))
        else:
            z, zt = settled_gate(own), settled_gate(shared)
        return torch.cat([own * of for own, of in zip(torch.split(z, self._sizes), zt.unbind(), strict=True)])

    def expected_open(self) -> Tensor:
        """E[L0] as released: the expected number of open gates of elements, and that of tensors, added. A scalar."""
        own, shared = self.alpha_scale * self.gates, self.alpha_scale * self.tensor_gates
        return open_probability(own).sum() + open_probability(shared).sum()

    @torch.no_grad()
    def decay(self, share: float) -> None:
        """Draw all logits towards 0 by a share of themselves."""
        self.gates.mul_(1 - share)
        self.tensor_gates.mul_(1 - share)


class SparseDifference(nn.Module):
    """Differences of some weights, kept as their places and values.

    Args:
        stored: weights that differ.
        total: weights of the encoder.
    """

    indices: Tensor

    def __init__(self, stored: int, total: int) -> None:
        super().__init__()
        self.total = total
        self.register_buffer("indices", torch.zeros(stored, dtype=torch.int32))
        self.values = nn.Parameter(torch.zeros(stored))

    def forward(self) -> Tensor:
        """The difference, [N]."""
        return self.values.new_zeros(self.total).index_add(0, self.indices, self.values)

    def stored(self) -> Tensor:
        """Which weights differ, bool [N]."""
        there = torch.zeros(self.total, dtype=torch.bool, device=self.indices.device)
        return there.index_fill(0, self.indices.long(), True)


def flat_weights(encoder: nn.Module) -> Tensor:
    """All weights of an encoder in one vector [N], tensor after tensor."""
    return torch.cat([parameter.detach().flatten() for parameter in encoder.parameters()])


def in_shape(encoder: nn.Module, flat: Tensor) -> Mapping[str, Tensor]:
    """One vector [N] as an encoder's weights, by name."""
    named = dict(encoder.named_parameters())
    parts = torch.split(flat, [parameter.numel() for parameter in named.values()])
    return {
        name: part.view(parameter.shape) for (name, parameter), part in zip(named.items(), parts, strict=True)
    }
