"""From a budget to how much is kept: closed-form MACs of an encoder of which some tokens and layers are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.errors import UsageError
from mtlbench.variants.adamtl.layers import choices
from mtlbench.variants.adamtl.options import AdaMTLOptions
from mtlbench.variants.adamtl.policy import Policies

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Budgets", "Counts"]

_STEPS = 50


@dataclass(frozen=True)
class Counts:
    """How much of the encoder runs for every image.

    Args:
        places: by stage and layer, tokens (or windows) that are kept where the layer runs.
        layers: by stage, layers that run.
    """

    places: tuple[tuple[int, ...], ...]
    layers: tuple[int, ...]


class Budgets:
    """What each share of the reference's MACs buys.

    Args:
        encoder: of which some is skipped.
        policies: what decides, charged to the budget; None for decisions that cost nothing.
        names: the asked tasks.
        options: what can be skipped.
        reference_macs: MACs per image of the static network for these tasks.
    """

    def __init__(
        self,
        encoder: BlockEncoder,
        policies: Policies | None,
        names: Sequence[str],
        options: AdaMTLOptions,
        reference_macs: int,
    ) -> None:
        self._stages = encoder.layers_of
        self._policies, self._names, self._options = policies, tuple(names), options
        self.reference_macs = reference_macs
        self.fixed_macs = reference_macs - sum(
            layer.attention_macs + layer.mlp_macs for stage in self._stages for layer in stage
        )

    @property
    def full(self) -> Counts:
        """Everything runs."""
        return Counts(
            tuple(tuple(self.places(layer) for layer in stage) for stage in self._stages),
            tuple(len(stage) for stage in self._stages),
        )

    @property
    def smallest(self) -> float:
        """The least budget that can be met: what is left where nothing is kept that can be skipped."""
        return self.macs(self.at(0.0)) / self.reference_macs

    def places(self, layer: Layer) -> int:
        """What a token decision chooses among."""
        return choices(layer, self._options.scope)

    def at(self, ratio: float) -> Counts:
        """What is kept at one ratio for the whole network, rounded to whole places and layers."""
        options, full = self._options, self.full
        tokens = 1.0 if options.gates == "blocks" else ratio
        blocks = {"tokens": 1.0, "blocks": ratio, "both": 1 - (1 - ratio) * options.block_share}[
            options.gates
        ]
        return Counts(
            tuple(tuple(_round(tokens * there) for there in stage) for stage in full.places),
            tuple(_round(blocks * depth) for depth in full.layers),
        )

    def solve(self, budget: float) -> Counts:
        """The most that a budget buys; never more than asked, and by less than one place and layer below.

        Raises:
            UsageError: even the smallest network is larger.
        """
        if budget >= 1:
            return self.full
        return self._filled(self.at(self.ratio(budget)), budget * self.reference_macs)

    def ratio(self, budget: float) -> float:
        """The one ratio at which the whole network meets a budget.

        Raises:
            UsageError: even the smallest network is larger.
        """
        if budget >= 1:
            return 1.0
        limit = budget * self.reference_macs
        if self.macs(self.at(0.0)) > limit:
            raise UsageError(
                f"a budget of {budget:g} cannot be met: what cannot be skipped takes {self.smallest:.3f} of the "
                "reference's MACs",
                fix="Raise the budget, or let more be skipped (options `gates` and `scope`)",
            )
        low, high = 0.0, 1.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.macs(self.at(middle)) <= limit else (low, middle)
        return low

    def spent(self, block_gates: Sequence[Tensor | None], token_gates: Sequence[Sequence[Tensor]]) -> Tensor:
        """What gates in training spend: a share of the reference's MACs by image [B], with gradients.

        Args:
            block_gates: by stage, [B, depth]; None where there is no such gate.
            token_gates: by stage and layer, [B, N]; empty where there is no such gate.
        """
        total: Tensor | float = float(self.fixed_macs)
        for s, stage in enumerate(self._stages):
            blocks = block_gates[s]
            once = self._options.decide == "stage"
            policy = self.token_policy_macs(s) if token_gates[s] else 0
            total = total + (0 if blocks is None else self.block_policy_macs(s)) + (policy if once else 0)
            for i, layer in enumerate(stage):
                open_macs, shut_macs = layer.attention_macs + layer.mlp_macs, self.layer_macs(layer, 0)
                cost: Tensor | float = float(open_macs)
                if token_gates[s]:
                    kept = token_gates[s][i].mean(dim=1)
                    cost = (0 if once else policy) + shut_macs + (open_macs - shut_macs) * kept
                total = total + (cost if blocks is None else blocks[:, i] * cost)
        share = total / self.reference_macs
        assert not isinstance(share, float)  # noqa: S101  # some gate is there
        return share

    def macs(self, counts: Counts) -> int:
        """MACs per image of encoder, heads and policies."""
        total = self.fixed_macs
        for s, stage in enumerate(self._stages):
            total += self.block_policy_macs(s) if self.asks_blocks(counts, s) else 0
            # Layers of a stage keep alike where some of them are skipped, so it does not matter which run.
            costs = [
                self.layer_macs(layer, kept) for layer, kept in zip(stage, counts.places[s], strict=True)
            ]
            total += sum(costs) * counts.layers[s] // len(stage)
            if self._options.decide == "stage":
                asking = any(self.asks_tokens(counts, layer, s, i) for i, layer in enumerate(stage))
                total += self.token_policy_macs(s) if asking and counts.layers[s] else 0
            else:
                asking_layers = sum(self.asks_tokens(counts, layer, s, i) for i, layer in enumerate(stage))
                total += self.token_policy_macs(s) * asking_layers * counts.layers[s] // len(stage)
        return total

    def layer_macs(self, layer: Layer, kept: int) -> int:
        """MACs per image of a layer that runs, where so many places are kept."""
        if kept == self.places(layer):
            return layer.attention_macs + layer.mlp_macs
        if self._options.scope == "block":
            return sum(layer.place_macs(kept)) if kept or layer.extra else 0
        return layer.attention_macs + layer.token_macs * (layer.extra + kept)

    def asks_tokens(self, counts: Counts, layer: Layer, stage: int, i: int) -> bool:
        """Whether there is anything to choose among the tokens of a layer."""
        return 0 < counts.places[stage][i] < self.places(layer)

    def asks_blocks(self, counts: Counts, stage: int) -> bool:
        """Whether there is anything to choose among the layers of a stage."""
        return 0 < counts.layers[stage] < len(self._stages[stage])

    def token_policy_macs(self, stage: int) -> int:
        """MACs per image of one token decision."""
        if self._policies is None or not len(self._policies.token_policies):
            return 0
        return self._policies.token(stage).macs(self._stages[stage][0].tokens, self._names)

    def block_policy_macs(self, stage: int) -> int:
        """MACs per image of one block decision."""
        if self._policies is None or not len(self._policies.block_policies):
            return 0
        return self._policies.block(stage).macs(self._stages[stage][0].tokens, self._names)

    def _filled(self, counts: Counts, limit: float) -> Counts:
        """One place more wherever that still fits, until none does."""
        if self._options.gates == "blocks":
            return counts
        before = None
        while counts != before:
            before = counts
            for s, i in self._steps():
                grown = self._grown(counts, s, i)
                counts = grown if self.macs(grown) <= limit else counts
        return counts

    def _steps(self) -> list[tuple[int, int | None]]:
        """Single layers; whole stages where layers are skipped too, because all of one stage then keep alike."""
        if self._options.gates == "both":
            return [(s, None) for s in range(len(self._stages))]
        return [(s, i) for s, stage in enumerate(self._stages) for i in range(len(stage))]

    def _grown(self, counts: Counts, stage: int, chosen: int | None) -> Counts:
        more = tuple(
            min(kept + (chosen is None or i == chosen), self.places(layer))
            for i, (layer, kept) in enumerate(zip(self._stages[stage], counts.places[stage], strict=True))
        )
        return replace(counts, places=(*counts.places[:stage], more, *counts.places[stage + 1 :]))


def _round(value: float) -> int:
    return int(value + 0.5)
