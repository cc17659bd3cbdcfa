"""Gates for training: hard decisions forward, soft gradients backward (Bengio et al., 2013)."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.variants.adamtl.budget import Counts
from mtlbench.variants.adamtl.decide import keep_score
from mtlbench.variants.adamtl.options import AdaMTLOptions

__all__ = ["Gates", "OpenGates", "ProbableGates", "RandomGates", "RankedGates", "union_logits"]


class Gates(ABC):
    """From logits to gates in [0, 1] that carry gradients; None where a gate is open for all."""

    @abstractmethod
    def blocks(self, stage: int, logits: Tensor) -> Tensor | None:
        """Logits [B, depth, T] to gates [B, depth]."""

    @abstractmethod
    def tokens(self, stage: int, i: int, logits: Tensor) -> Tensor | None:
        """Logits [B, N, T] of layer i to gates of its tokens [B, N]."""


class OpenGates(Gates):
    """Everything runs; what the policies would close is collected.

    Attributes:
        closed: mean of 1 - gate of each decision, one scalar each.
    """

    def __init__(self, tau: float) -> None:
        self._tau = tau
        self.closed: list[Tensor] = []

    def blocks(self, stage: int, logits: Tensor) -> Tensor | None:
        """See `Gates`."""
        self.closed.append((1 - torch.sigmoid(logits / self._tau)).mean())
        return None

    def tokens(self, stage: int, i: int, logits: Tensor) -> Tensor | None:
        """See `Gates`."""
        return self.blocks(stage, logits)


class RankedGates(Gates):
    """The best so many of each image; the gradient is that of a sigmoid around the last one that is kept.

    Args:
        encoder: the network's.
        counts: how many.
        options: scope and temperature.
    """

    def __init__(self, encoder: BlockEncoder, counts: Counts, options: AdaMTLOptions) -> None:
        self._stages, self._counts, self._options = encoder.layers_of, counts, options

    def blocks(self, stage: int, logits: Tensor) -> Tensor | None:
        """See `Gates`."""
        return self._best(union_logits(logits), self._counts.layers[stage])

    def tokens(self, stage: int, i: int, logits: Tensor) -> Tensor | None:
        """See `Gates`."""
        layer, kept = self._stages[stage][i], self._counts.places[stage][i]
        if self._options.scope == "mlp":
            return self._best(union_logits(logits), kept)
        gates = self._best(union_logits(logits, layer), kept)
        return None if gates is None else layer.spread(gates)

    def _best(self, scores: Tensor, kept: int) -> Tensor | None:
        if kept == scores.shape[1]:
            return None
        if kept == 0:
            return torch.zeros_like(scores)
        if self._options.explore > 0:
            scores = scores + self._options.explore * torch.logit(torch.rand_like(scores), eps=1e-6)
        values, best = scores.detach().topk(kept, dim=1)
        hard = torch.zeros_like(scores).scatter_(1, best, 1.0)
        return _straight_through(hard, torch.sigmoid((scores - values[:, -1:]) / self._options.tau))


class RandomGates(RankedGates):
    """The control: any so many of each image."""

    def blocks(self, stage: int, logits: Tensor) -> Tensor | None:
        """See `Gates`."""
        return super().blocks(stage, torch.rand_like(logits[..., :1]))

    def tokens(self, stage: int, i: int, logits: Tensor) -> Tensor | None:
        """See `Gates`."""
        return super().tokens(stage, i, torch.rand_like(logits[..., :1]))


class ProbableGates(Gates):
    """A gate is open where its probability is over one half, or as drawn with that probability.

    Args:
        encoder: the network's.
        options: union, decision, scope and temperature.
        only: index of the one task whose policy counts; None for all.

    Attributes:
        block_gates: by stage, [B, depth]; None where there is no such gate.
        token_gates: by stage and layer, [B, N].
    """

    def __init__(self, encoder: BlockEncoder, options: AdaMTLOptions, only: int | None = None) -> None:
        self._stages, self._options, self._only = encoder.layers_of, options, only
        self.block_gates: list[Tensor | None] = [None for _ in self._stages]
        self.token_gates: list[list[Tensor]] = [[] for _ in self._stages]

    def blocks(self, stage: int, logits: Tensor) -> Tensor | None:
        """See `Gates`."""
        self.block_gates[stage] = gates = self._joined(logits)
        return gates

    def tokens(self, stage: int, i: int, logits: Tensor) -> Tensor | None:
        """See `Gates`."""
        layer = self._stages[stage][i]
        if self._options.scope == "mlp":
            gates = self._joined(logits)
        elif self._options.union == "soft_or":
            gates = layer.spread(self._joined(logits, layer))
        else:
            share = layer.pool(self._joined(logits))
            gates = layer.spread(_straight_through((share > 0.5).to(share.dtype), share))
        self.token_gates[stage].append(gates)
        return gates

    def _joined(self, logits: Tensor, layer: Layer | None = None) -> Tensor:
        if self._only is not None and logits.shape[-1] > 1:
            logits = logits[..., self._only : self._only + 1]
        if self._options.union == "soft_or":
            return self._gate(union_logits(logits, layer))
        return self._gate(logits).sum(dim=-1).clamp(max=1.0)

    def _gate(self, logits: Tensor) -> Tensor:
        if self._options.decision == "sampled":
            logits = logits + torch.logit(torch.rand_like(logits), eps=1e-6)
        soft = torch.sigmoid(logits / self._options.tau)
        return _straight_through((logits > 0).to(soft.dtype), soft)


def union_logits(logits: Tensor, layer: Layer | None = None) -> Tensor:
    """Logit of the probability that any task keeps, 1 - prod(1 - p): [..., T] to [...] (ours: `soft_or`).

    With z = -log(1 - p) it is log(exp(z) - 1), so every task gets a gradient, also where others keep too.

    Args:
        logits: of each task.
        layer: whose places take the mean z of their tokens; None for each token by itself.
    """
    if logits.shape[-1] == 1 and layer is None:
        return logits.squeeze(-1)
    score = keep_score(logits, layer)
    return score + torch.log(-torch.expm1(-score))


def _straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    return hard + (soft - soft.detach())  # in this order it is exactly 0 or 1
