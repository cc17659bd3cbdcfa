"""A block computed whole and then thrown away where the base task's is taken: the reference for `SharedLayer`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.encoders.blocks import Layer
from mtlbench.variants.sharing.deltas import LowRank
from mtlbench.variants.sharing.shared_layer import Part, Run, given

__all__ = ["masked_run"]


def masked_run(layer: Layer, part: Part, donor: Run | None) -> Run:
    """What `SharedLayer` gives for one part, one dense product after the other.

    Args:
        layer: the block.
        part: `part.donor` is not looked at.
        donor: of the places that are not kept.
    """
    B, N, C = part.x.shape
    every = layer.everywhere(B)
    rows = torch.arange(B * N, device=part.x.device) if every is None else layer.rows(every)
    x = part.x.reshape(-1, C)[rows]
    delta = part.delta
    qkv = _linear(
        layer.attention.qkv, layer.seated(layer.norm1(x), every), None if delta is None else delta.qkv
    )
    kept = _kept_rows(layer, part.kept, B, N, part.x.device)
    if donor is not None and donor.held is not None and part.kept is not None:
        qkv[:, C:] = torch.where(kept[rows, None], qkv[:, C:], donor.held[rows])
    mixed, held = layer.mix(qkv, B, every, None)
    said = _linear(layer.attention.proj, mixed, None if delta is None else delta.proj)
    x = x + layer.unseated(said, every)
    mlp = layer.feed_forward
    hidden = F.gelu(_linear(mlp.fc1, layer.norm2(x), None if delta is None else delta.fc1))
    x = x + _linear(mlp.fc2, hidden, None if delta is None else delta.fc2)
    found = torch.empty_like(x)
    found[rows] = x
    if donor is not None and part.kept is not None:
        others = given(donor, part.x, part.carried).reshape(-1, C)
        found = torch.where(kept[:, None], found, others)
    return Run(part.x, found.view(B, N, C), held)


def _kept_rows(layer: Layer, kept: Tensor | None, batch: int, tokens: int, device: torch.device) -> Tensor:
    """Whether each flattened token is computed, bool [B * N]."""
    if kept is None:
        return torch.ones(batch * tokens, dtype=torch.bool, device=device)
    mask = torch.zeros(batch * tokens, dtype=torch.bool, device=device)
    if kept.shape[1]:
        mask[layer.rows(kept)] = True
    return mask


def _linear(linear: torch.nn.Linear, x: Tensor, delta: LowRank | None) -> Tensor:
    weight = linear.weight if delta is None else linear.weight + delta.dense()
    return F.linear(x, weight, linear.bias)
