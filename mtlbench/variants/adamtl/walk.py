"""One pass through an encoder whose layers and tokens are decided about on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.variants.adamtl.decide import Rule, Scores
from mtlbench.variants.adamtl.layers import Kept, Way, gathered_layer, kept_mask, masked_layer

__all__ = ["Decisions", "Walk"]


@dataclass(slots=True)
class Decisions:
    """All that was decided in one call.

    Args:
        batch: samples.
        layers: by stage and layer.
        block_logits: by stage, [B, depth, T]; None where it was not asked.
    """

    batch: int
    layers: list[list[Kept]] = field(default_factory=list)
    block_logits: list[Tensor | None] = field(default_factory=list)


class Walk:
    """An encoder in evaluation, with scores and a rule that decide.

    Args:
        encoder: the network's.
        scores: of tokens and layers.
        rule: what becomes of the scores.
        way: what skipping means.
        masked: compute everything and multiply, instead of gathering.
        once: token decisions once per stage, not before each layer.
    """

    def __init__(
        self,
        encoder: BlockEncoder,
        scores: Scores,
        rule: Rule,
        way: Way,
        *,
        masked: bool,
        once: bool,
    ) -> None:
        self._encoder, self._scores, self._rule, self._way = encoder, scores, rule, way
        self._masked, self._once = masked, once

    def __call__(self, x: Tensor, replay: Decisions | None = None) -> tuple[list[Tensor], Decisions]:
        """Images [B, 3, H, W] to feature maps, and what was decided.

        Args:
            x: normalised images.
            replay: what to do whatever the scores say; they are computed all the same.
        """
        self._scores.begin(x)
        self._rule.begin(x)
        tokens = self._encoder.embed(x)
        maps: list[Tensor] = []
        told = Decisions(len(x))
        for stage, layers in enumerate(self._encoder.layers_of):
            tokens = self._stage(stage, layers, tokens, told, replay)
            found, tokens = self._encoder.close(stage, tokens)
            maps.append(found)
            tokens = _apart(tokens, found)
        return maps, told

    def _stage(
        self, stage: int, layers: tuple[Layer, ...], x: Tensor, told: Decisions, replay: Decisions | None
    ) -> Tensor:
        running = self._layers_that_run(stage, layers, x, told, replay)
        early = None
        if self._once and any(self._rule.asks_tokens(stage, i) for i in range(len(layers))):
            early = self._scores.tokens(stage, 0, x[:, layers[0].extra :], None)
        told.layers.append([])
        for i, layer in enumerate(layers):
            samples = running[i]
            planned = None if replay is None else replay.layers[stage][i]
            if samples is not None and len(samples) == 0:
                told.layers[stage].append(Kept(samples, asked=early is not None))
                continue
            some = x if samples is None else x.index_select(0, samples)
            kept = self._kept(stage, i, layer, some, samples, early, planned)
            told.layers[stage].append(kept)
            x = self._run(layer, x, some, kept)
        return x

    def _layers_that_run(
        self,
        stage: int,
        layers: tuple[Layer, ...],
        x: Tensor,
        told: Decisions,
        replay: Decisions | None,
    ) -> list[Tensor | None]:
        """For each layer the samples that run it; None for all. One look at the device's answer for the stage."""
        told.block_logits.append(None)
        if not self._rule.asks_blocks(stage):
            nobody = torch.empty(0, dtype=torch.long, device=x.device)
            return [nobody if self._rule.runs_none(stage) else None] * len(layers)
        logits = self._rule.settled(stage, None, self._scores.blocks(stage, x[:, layers[0].extra :]), None)
        told.block_logits[-1] = logits
        if replay is not None:
            return [kept.samples for kept in replay.layers[stage]]
        runs = self._rule.layers(stage, logits).cpu()
        return [
            None if column.all() else column.nonzero().squeeze(1).to(x.device) for column in runs.unbind(1)
        ]

    def _kept(
        self,
        stage: int,
        i: int,
        layer: Layer,
        some: Tensor,
        samples: Tensor | None,
        early: Tensor | None,
        planned: Kept | None,
    ) -> Kept:
        if not self._rule.asks_tokens(stage, i):
            places = planned.places if planned is not None else self._unasked(stage, i, some)
            return Kept(samples, places)
        if early is None:
            logits = self._scores.tokens(stage, i, some[:, layer.extra :], samples)
        else:
            logits = early if samples is None else early[samples]
        logits = self._rule.settled(stage, i, logits, samples)
        chosen = self._rule.places(stage, i, logits, samples)
        return Kept(samples, chosen if planned is None else planned.places, True, logits)

    def _unasked(self, stage: int, i: int, some: Tensor) -> Tensor | None:
        """Nothing to choose: everything is kept, or nothing at all."""
        if self._rule.keeps_none(stage, i):
            return torch.empty(len(some), 0, dtype=torch.long, device=some.device)
        return None

    def _run(self, layer: Layer, x: Tensor, some: Tensor, kept: Kept) -> Tensor:
        if self._masked:
            return self._run_masked(layer, x, kept)
        result = gathered_layer(layer, some, kept.places, self._way)
        return result if kept.samples is None else x.index_copy_(0, kept.samples, result)

    def _run_masked(self, layer: Layer, x: Tensor, kept: Kept) -> Tensor:
        mask = None if kept.places is None else kept_mask(layer, kept.places, self._way.scope).to(x.dtype)
        runs = None
        if kept.samples is not None:
            runs = x.new_zeros(len(x)).index_fill_(0, kept.samples, 1.0)
            if mask is not None:
                mask = x.new_zeros(len(x), layer.tokens).index_copy_(0, kept.samples, mask)
        return masked_layer(layer, x, runs, mask, self._way)


def _apart(tokens: Tensor, found: Tensor) -> Tensor:
    """The tokens in memory of their own: a map without a norm is a view of them, and layers overwrite them."""
    shared = tokens.untyped_storage().data_ptr() == found.untyped_storage().data_ptr()
    return tokens.clone() if shared else tokens
