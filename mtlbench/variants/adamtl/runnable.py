"""A configured adaptive network: what is timed, counted and asked for predictions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlbench.cost.units import CostUnit, total_macs
from mtlbench.encoders.blocks import Layer
from mtlbench.variants.adamtl.budget import Budgets, Counts
from mtlbench.variants.adamtl.decide import PolicyScores, RandomScores, Rule, Scores, TopK
from mtlbench.variants.adamtl.layers import Kept
from mtlbench.variants.adamtl.network import AdaptiveNetwork, way_of
from mtlbench.variants.adamtl.trace import ClaimedMacs, TraceMaker
from mtlbench.variants.adamtl.walk import Decisions, Walk
from mtlbench.variants.base import Runnable, Trace
from mtlbench.variants.forced import any_places

__all__ = ["AdaptiveRunnable", "budgets_of"]


def budgets_of(network: AdaptiveNetwork, names: Sequence[str]) -> Budgets:
    """What budgets buy for these tasks, policies charged."""
    reference = total_macs(network.units(names))
    return Budgets(network.blocks, network.policies, names, network.options, reference)


class AdaptiveRunnable(Runnable):
    """An adaptive network with a rule.

    Args:
        network: on its device, in evaluation mode.
        names: the asked tasks.
        budgets: of network and tasks.
        counts: what is kept at the configured point, where decisions are forced.
        rule: what decides; None where nothing is to be decided, because everything runs.
        random_seed: of random scores, where there are no policies.
        masked: compute everything and multiply.
        claimed: as `TraceMaker` takes it.
    """

    def __init__(
        self,
        network: AdaptiveNetwork,
        names: Sequence[str],
        budgets: Budgets,
        counts: Counts,
        rule: Rule | None,
        *,
        random_seed: int = 0,
        masked: bool = False,
        claimed: ClaimedMacs | None = None,
    ) -> None:
        self.tasks = tuple(names)
        self._network, self._counts, self._budgets, self._deciding = (
            network,
            counts,
            budgets,
            rule is not None,
        )
        options, encoder = network.options, network.blocks
        rule = rule or TopK(budgets.full, budgets, encoder, pooled=options.scope == "block")
        scores: Scores = (
            RandomScores(encoder, random_seed)
            if network.policies is None
            else PolicyScores(network.policies, names)
        )
        once, way = options.decide == "stage", way_of(options)
        self._walk = Walk(encoder, scores, rule, way, masked=masked, once=once)
        own = tuple(names) if options.policy == "taw" and network.policies is not None else ()
        self._traces = TraceMaker(encoder, budgets, rule, way, once=once, names=own, claimed=claimed)
        self._rule, self._scope = rule, options.scope

    def __call__(self, x: Tensor, decisions: Trace | None = None) -> tuple[dict[str, Tensor], Trace]:
        """See `Runnable`."""
        replay = None if decisions is None else decisions.decisions
        maps, told = self._walk(x, replay)
        predictions = {name: self._network.heads[name](maps) for name in self.tasks}
        return predictions, self._traces.trace(told)

    def forced(self, x: Tensor, seed: int) -> Trace | None:
        """See `Runnable`: as many places and layers as the budget buys, anywhere."""
        if not self._deciding:
            return None
        generator = torch.Generator().manual_seed(seed)
        stages = self._network.blocks.layers_of
        layers = [self._forced_stage(s, stage, x, generator) for s, stage in enumerate(stages)]
        return self._traces.trace(Decisions(len(x), layers, [None] * len(stages)))

    def _forced_stage(
        self, s: int, stage: tuple[Layer, ...], x: Tensor, generator: torch.Generator
    ) -> list[Kept]:
        depth, run = len(stage), self._counts.layers[s]
        order = torch.rand(len(x), depth, generator=generator).argsort(dim=1)
        runs = torch.zeros(len(x), depth, dtype=torch.bool).scatter_(1, order[:, :run], True)
        found = []
        for i, (layer, column) in enumerate(zip(stage, runs.unbind(1), strict=True)):
            samples = None if column.all() else column.nonzero().squeeze(1).to(x.device)
            count = len(x) if samples is None else len(samples)
            chosen, there = self._counts.places[s][i], self._budgets.places(layer)
            asked = self._rule.asks_tokens(s, i)
            places = None
            if asked or chosen < there:
                sizes = layer.place_sizes if self._scope == "block" else (1,) * layer.tokens
                places = any_places(sizes, chosen, count, generator).to(x.device)
                if asked and self._rule.ragged:
                    mask = torch.zeros(count, there, dtype=torch.bool, device=x.device)
                    places = mask.scatter_(1, places, True)
            found.append(Kept(samples, places, asked))
        return found

    def units(self) -> list[CostUnit]:
        """Encoder and asked heads, and the policies where something is decided."""
        policies = [unit for unit in self._traces.policy_units() if unit.macs]
        return [*self._network.units(self.tasks), *policies]

    def networks(self) -> list[nn.Module]:
        """The network, policies included."""
        return [self._network]

    def parts(self) -> list[tuple[str, nn.Module]]:
        """Encoder stages, asked heads, and the policies where something is decided."""
        parts = self._network.parts(self.tasks)
        if self._network.policies is not None and self._deciding:
            parts.append(("policy", self._network.policies))
        return parts
