"""How decisions are made while a network runs: scores of tokens and layers, and a rule that makes them choices."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.variants.adamtl.budget import Budgets, Counts
from mtlbench.variants.adamtl.policy import Policies

__all__ = [
    "EVEN",
    "Independent",
    "Noise",
    "PolicyScores",
    "RandomScores",
    "Rule",
    "Scores",
    "Threshold",
    "TopK",
    "keep_score",
]

EVEN = math.log(2)
"""The score at which the tasks together keep with probability one half: sum of softplus = -log(1 - 1/2)."""


class Noise:
    """Uniform draws for every token and layer of each image, from a seed and the image alone.

    Args:
        encoder: what is decided about.
        tasks: draws for each token and layer.
        seed: another seed, other draws for the same image.
    """

    def __init__(self, encoder: BlockEncoder, tasks: int, seed: int) -> None:
        self._tasks, self._seed = tasks, seed
        self._tokens: list[list[slice]] = []
        self._blocks: list[slice] = []
        end = 0
        for stage in encoder.layers_of:
            self._blocks.append(slice(end, end := end + len(stage)))
            self._tokens.append([slice(end, end := end + layer.tokens) for layer in stage])
        self._size = end
        self._drawn = torch.empty(0)

    def begin(self, images: Tensor) -> None:
        """Draw for a new call, images [B, 3, H, W]."""
        rows = []
        for image in images.detach().cpu().contiguous():
            key = zlib.crc32(image.numpy().tobytes(), self._seed)
            rows.append(torch.rand(self._size, self._tasks, generator=torch.Generator().manual_seed(key)))
        self._drawn = torch.stack(rows).to(images.device)

    def blocks(self, stage: int) -> Tensor:
        """[B, depth, T] in [0, 1)."""
        return self._drawn[:, self._blocks[stage]]

    def tokens(self, stage: int, i: int) -> Tensor:
        """[B, N, T] in [0, 1)."""
        return self._drawn[:, self._tokens[stage][i]]


class Scores(ABC):
    """Where logits come from."""

    def begin(self, images: Tensor) -> None:  # noqa: B027  # most need no preparation
        """A new call with these images."""

    @abstractmethod
    def blocks(self, stage: int, tokens: Tensor) -> Tensor:
        """Logits of the layers of a stage, [B, depth, T], from the tokens [B, N, C] that enter it."""

    @abstractmethod
    def tokens(self, stage: int, i: int, tokens: Tensor, samples: Tensor | None) -> Tensor:
        """Logits of the tokens [M, N, C] of layer i, [M, N, T].

        Args:
            stage: which stage.
            i: which layer of it.
            tokens: of the samples that run it.
            samples: their indices in the batch; None for all.
        """


class PolicyScores(Scores):
    """The policies' logits, for the asked tasks."""

    def __init__(self, policies: Policies, names: Sequence[str]) -> None:
        self._policies, self._names = policies, tuple(names)

    def blocks(self, stage: int, tokens: Tensor) -> Tensor:
        """See `Scores`."""
        logits: Tensor = self._policies.block(stage)(tokens, self._names)
        return logits

    def tokens(self, stage: int, i: int, tokens: Tensor, samples: Tensor | None) -> Tensor:
        """See `Scores`."""
        logits: Tensor = self._policies.token(stage)(tokens, self._names)
        return logits


class RandomScores(Scores):
    """The control: draws from seed and image, whatever the network sees."""

    def __init__(self, encoder: BlockEncoder, seed: int) -> None:
        self._noise = Noise(encoder, 1, seed)

    def begin(self, images: Tensor) -> None:
        """See `Scores`."""
        self._noise.begin(images)

    def blocks(self, stage: int, tokens: Tensor) -> Tensor:
        """See `Scores`."""
        return self._noise.blocks(stage)

    def tokens(self, stage: int, i: int, tokens: Tensor, samples: Tensor | None) -> Tensor:
        """See `Scores`."""
        drawn = self._noise.tokens(stage, i)
        return drawn if samples is None else drawn[samples]


class Rule(ABC):
    """What becomes of logits.

    Class attributes:
        ragged: whether images may keep different numbers of places.
    """

    ragged: ClassVar[bool] = True

    def begin(self, images: Tensor) -> None:  # noqa: B027  # most need no preparation
        """A new call with these images."""

    @abstractmethod
    def asks_blocks(self, stage: int) -> bool:
        """Whether there is anything to choose among the layers of a stage."""

    @abstractmethod
    def asks_tokens(self, stage: int, i: int) -> bool:
        """Whether there is anything to choose among the tokens of a layer."""

    def keeps_none(self, stage: int, i: int) -> bool:
        """Whether a layer keeps no token at all, where there is nothing to choose."""
        return False

    def runs_none(self, stage: int) -> bool:
        """Whether no layer of a stage runs at all, where there is nothing to choose."""
        return False

    def settled(self, stage: int, i: int | None, logits: Tensor, samples: Tensor | None) -> Tensor:
        """Logits with the chance that is part of the rule, if any: what is then decided by.

        Args:
            stage: which stage.
            i: which layer of it; None for the layers themselves.
            logits: [M, N, T] or [B, depth, T].
            samples: as for `places`.
        """
        return logits

    @abstractmethod
    def layers(self, stage: int, logits: Tensor) -> Tensor:
        """Settled logits [B, depth, T] to the layers that run, bool [B, depth]."""

    @abstractmethod
    def places(self, stage: int, i: int, logits: Tensor, samples: Tensor | None) -> Tensor:
        """Settled logits [M, N, T] to kept places: indices, long [M, K], or whether each is kept, bool [M, places].

        Args:
            stage: which stage.
            i: which layer of it.
            logits: of the samples that run it.
            samples: their indices in the batch; None for all.
        """


class TopK(Rule):
    """The best so many: the same cost for every image, known before the call.

    Args:
        counts: how many.
        budgets: of the same network.
        stages: the layers.
        pooled: whether places are what is chosen, not tokens.
    """

    ragged = False

    def __init__(self, counts: Counts, budgets: Budgets, encoder: BlockEncoder, *, pooled: bool) -> None:
        self.counts, self._budgets, self._stages, self._pooled = counts, budgets, encoder.layers_of, pooled

    def asks_blocks(self, stage: int) -> bool:
        """See `Rule`."""
        return self._budgets.asks_blocks(self.counts, stage)

    def asks_tokens(self, stage: int, i: int) -> bool:
        """See `Rule`."""
        return self._budgets.asks_tokens(self.counts, self._stages[stage][i], stage, i)

    def keeps_none(self, stage: int, i: int) -> bool:
        """See `Rule`."""
        return self.counts.places[stage][i] == 0

    def runs_none(self, stage: int) -> bool:
        """See `Rule`."""
        return self.counts.layers[stage] == 0

    def layers(self, stage: int, logits: Tensor) -> Tensor:
        """See `Rule`."""
        scores = _ranking(logits)
        best = scores.topk(self.counts.layers[stage], dim=1).indices
        return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)

    def places(self, stage: int, i: int, logits: Tensor, samples: Tensor | None) -> Tensor:
        """See `Rule`."""
        scores = _ranking(logits, self._stages[stage][i] if self._pooled else None)
        return scores.topk(self.counts.places[stage][i], dim=1, sorted=False).indices


class Threshold(Rule):
    """Everything whose score, summed over the asked tasks, is above one threshold: images differ in cost.

    Args:
        encoder: the network's.
        threshold: of the score -log(1 - p), p the probability that any task keeps.
        blocks, tokens: which gates there are.
        pooled: whether places are what is chosen, not tokens.
    """

    def __init__(
        self, encoder: BlockEncoder, threshold: float, *, blocks: bool, tokens: bool, pooled: bool
    ) -> None:
        self._stages, self._threshold, self._pooled = encoder.layers_of, threshold, pooled
        self._blocks, self._tokens = blocks, tokens

    def asks_blocks(self, stage: int) -> bool:
        """See `Rule`."""
        return self._blocks

    def asks_tokens(self, stage: int, i: int) -> bool:
        """See `Rule`."""
        return self._tokens

    def layers(self, stage: int, logits: Tensor) -> Tensor:
        """See `Rule`."""
        return self.score(logits) > self._threshold

    def places(self, stage: int, i: int, logits: Tensor, samples: Tensor | None) -> Tensor:
        """See `Rule`."""
        return self.score(logits, self._stages[stage][i]) > self._threshold

    def score(self, logits: Tensor, layer: Layer | None = None) -> Tensor:
        """Logits [..., T] to what is compared with the threshold; of the places of a layer where they are chosen."""
        return keep_score(logits, layer if self._pooled else None)


class Independent(Rule):
    """The released code: each task decides for itself, what any of them keeps is kept.

    Args:
        encoder: the network's.
        blocks, tokens: which gates there are.
        pooled: whether places are what is chosen, not tokens: those of which more than half of the tokens are kept.
        noise: draws with the policies' probabilities; None to cut at one half.
    """

    def __init__(
        self, encoder: BlockEncoder, *, blocks: bool, tokens: bool, pooled: bool, noise: Noise | None
    ) -> None:
        self._stages, self._pooled = encoder.layers_of, pooled
        self._blocks, self._tokens, self._noise = blocks, tokens, noise

    def begin(self, images: Tensor) -> None:
        """See `Rule`."""
        if self._noise is not None:
            self._noise.begin(images)

    def asks_blocks(self, stage: int) -> bool:
        """See `Rule`."""
        return self._blocks

    def asks_tokens(self, stage: int, i: int) -> bool:
        """See `Rule`."""
        return self._tokens

    def settled(self, stage: int, i: int | None, logits: Tensor, samples: Tensor | None) -> Tensor:
        """See `Rule`: sigmoid(l) > u is l - logit(u) > 0."""
        if self._noise is None:
            return logits
        draws = self._noise.blocks(stage) if i is None else self._noise.tokens(stage, i)
        return logits - torch.logit(draws if samples is None else draws[samples])

    def layers(self, stage: int, logits: Tensor) -> Tensor:
        """See `Rule`."""
        return (logits > 0).any(dim=-1)

    def places(self, stage: int, i: int, logits: Tensor, samples: Tensor | None) -> Tensor:
        """See `Rule`."""
        kept = (logits > 0).any(dim=-1)
        return self._stages[stage][i].pool(kept.to(logits.dtype)) > 0.5 if self._pooled else kept


def keep_score(logits: Tensor, layer: Layer | None = None) -> Tensor:
    """-log of the probability that no task keeps, [..., T] to [...]; never negative, and larger is likelier to be kept.

    Args:
        logits: of each task.
        layer: whose places take the mean of their tokens, [..., places]; None for each token by itself.
    """
    scores = F.softplus(logits).sum(dim=-1)
    return scores if layer is None else layer.pool(scores)


def _ranking(logits: Tensor, layer: Layer | None = None) -> Tensor:
    """What orders as `keep_score` does; the logits do where they are of one task, and cost nothing."""
    return logits.squeeze(-1) if logits.shape[-1] == 1 and layer is None else keep_score(logits, layer)
