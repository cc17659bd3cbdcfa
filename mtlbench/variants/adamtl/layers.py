"""Running one layer for what was kept: gathered, so that what is skipped is not computed, or masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mtlbench.encoders.blocks import Layer

__all__ = ["Kept", "Way", "choices", "gathered_layer", "kept_mask", "masked_layer"]


@dataclass(frozen=True, slots=True)
class Way:
    """What skipping means; see the options of the same names."""

    scope: Literal["mlp", "block"] = "mlp"
    skip: Literal["identity", "norm_residual"] = "identity"
    empty_block: bool = False


@dataclass(slots=True)
class Kept:
    """What one layer kept in one call.

    Args:
        samples: indices of the samples that ran it, [M]; None for all of them.
        places: indices of kept places [M, K], or whether each is kept, bool [M, places]; None for all.
        asked: whether its token policy was asked.
        logits: of that policy, [M, N, T].
    """

    samples: Tensor | None = None
    places: Tensor | None = None
    asked: bool = False
    logits: Tensor | None = None


def choices(layer: Layer, scope: str) -> int:
    """How many tokens or places a token decision chooses among."""
    return layer.places if scope == "block" else layer.tokens


def kept_mask(layer: Layer, places: Tensor, scope: str) -> Tensor:
    """Whether each token of the grid is kept, bool [M, N]."""
    if places.dtype != torch.bool:
        none = torch.zeros(places.shape[0], choices(layer, scope), dtype=torch.bool, device=places.device)
        places = none.scatter_(1, places, True)
    return layer.spread(places) if scope == "block" else places


def gathered_layer(layer: Layer, x: Tensor, places: Tensor | None, way: Way) -> Tensor:
    """A layer in evaluation, computed for what is kept alone.

    Args:
        layer: which.
        x: tokens [M, extra + N, C] of the samples that run it; may be overwritten.
        places: as `Kept.places`.
        way: what skipping means.
    """
    if places is None or (places.dtype != torch.bool and places.shape[1] == choices(layer, way.scope)):
        x.add_(layer.attend(x))
        return x.add_(layer.mlp(x))
    if way.empty_block and places.dtype == torch.bool:
        there = places.any(dim=1)
        if not there.all():
            return _without_empty(layer, x, places, way, there.nonzero().squeeze(1))
    if way.scope == "block":
        return _places(layer, x, places)
    x.add_(layer.attend(x))
    rows = x.view(-1, x.shape[-1])
    kept = _token_rows(layer, places)
    if way.skip == "norm_residual":
        mask = torch.ones(len(rows), dtype=torch.bool, device=x.device)
        mask[kept] = False
        left = mask.nonzero().squeeze(1)
        others = rows.index_select(0, left)
        rows.index_copy_(0, left, others + layer.norm2(others))
    # Nothing else holds the gathered tokens, so that they do not stay in memory beside the MLP's hidden layer.
    rows.index_add_(0, kept, layer.feed_forward(layer.norm2(rows.index_select(0, kept))))
    return x


def masked_layer(layer: Layer, x: Tensor, runs: Tensor | None, kept: Tensor | None, way: Way) -> Tensor:
    """A layer computed whole and multiplied: for training, where gates carry gradients, and as a reference.

    Args:
        layer: which.
        x: tokens [B, extra + N, C].
        runs: gate of the whole layer by sample, [B]; None for open.
        kept: gates of the grid's tokens, [B, N]; None for open.
        way: what skipping means.
    """
    if kept is None:
        y = x + layer.attend(x)
        y = y + layer.mlp(y)
    else:
        always = kept.new_ones(kept.shape[0], layer.extra)
        gate = torch.cat((always, kept), dim=1).unsqueeze(-1)
        y = x + (gate if way.scope == "block" else 1) * layer.attend(x)
        instead = (1 - gate) * layer.norm2(y) if way.skip == "norm_residual" else 0
        y = y + gate * layer.mlp(y) + instead
        if way.empty_block:
            empty = (kept.detach() == 0).all(dim=1)
            y = torch.where(empty[:, None, None], x, y)
    if runs is None:
        return y
    gate = runs[:, None, None]
    return gate * y + (1 - gate) * x


def _without_empty(layer: Layer, x: Tensor, places: Tensor, way: Way, samples: Tensor) -> Tensor:
    if len(samples) == 0:
        return x
    some = gathered_layer(layer, x.index_select(0, samples), places.index_select(0, samples), way)
    return x.index_copy(0, samples, some)


def _places(layer: Layer, x: Tensor, places: Tensor) -> Tensor:
    if places.dtype != torch.bool:
        empty = places.shape[1] == 0 and layer.extra == 0
        return x if empty else layer.run_places(x, places)
    for i, kept in enumerate(places):  # each image keeps another number
        index = kept.nonzero().squeeze(1)
        if len(index) or layer.extra:
            layer.run_places(x[i : i + 1], index[None])
    return x


def _token_rows(layer: Layer, places: Tensor) -> Tensor:
    """Rows of the flattened tokens [M * (extra + N)] that the MLP runs for."""
    samples, width = len(places), layer.extra + layer.tokens
    if places.dtype == torch.bool:
        always = places.new_ones(samples, layer.extra)
        return torch.cat((always, places), dim=1).flatten().nonzero().squeeze(1)
    if layer.extra:
        always = torch.arange(layer.extra, device=places.device).expand(samples, -1)
        places = torch.cat((always, places + layer.extra), dim=1)
    if samples == 1:
        return places[0]
    return (places + width * torch.arange(samples, device=places.device)[:, None]).flatten()
