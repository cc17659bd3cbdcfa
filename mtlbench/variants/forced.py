"""Decisions that are drawn instead of made, for networks whose own would mean nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["any_places"]


def any_places(sizes: Sequence[int], count: int, batch: int, generator: torch.Generator) -> Tensor:
    """Random places [batch, count]; always as many of each size, so that they cost the same.

    Args:
        sizes: tokens of each place.
        count: how many are drawn.
        batch: samples.
        generator: of the draws.
    """
    there = torch.tensor(sizes)
    chosen: list[Tensor] = []
    for size in sorted(set(sizes)):
        of_size = (there == size).nonzero().squeeze(1)
        before = sum(part.shape[1] for part in chosen)
        share = round(count * int((there <= size).sum()) / len(there)) - before
        order = torch.rand(batch, len(of_size), generator=generator).argsort(dim=1)
        chosen.append(of_size[order[:, :share]])
    return torch.cat(chosen, dim=1)
