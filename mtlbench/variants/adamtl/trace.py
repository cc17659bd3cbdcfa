"""What a call cost and kept, told from its decisions; computed only where somebody asks, so that no clock runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.cost.units import CostUnit
from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.variants.adamtl.budget import Budgets
from mtlbench.variants.adamtl.decide import Rule
from mtlbench.variants.adamtl.layers import Kept, Way, kept_mask
from mtlbench.variants.adamtl.walk import Decisions
from mtlbench.variants.base import Trace
from mtlbench.variants.lazy import Lazy

__all__ = ["ClaimedMacs", "TraceMaker"]


class ClaimedMacs(Protocol):
    """What the original authors' formula would print.

    Attributes:
        full_macs: where everything runs and nothing is decided.
    """

    full_macs: float

    def __call__(self, told: Decisions) -> Sequence[float]:
        """Of these decisions: MACs by sample, computed when first looked at."""


class TraceMaker:
    """Traces of one configured network.

    Args:
        encoder: the network's.
        budgets: of the same network; knows what a policy costs.
        rule: what decides.
        way: what skipping means.
        once: token decisions once per stage.
        names: tasks with a policy of their own; empty where tasks share one.
        claimed: what the original authors' formula would print; None where there is none.
    """

    def __init__(
        self,
        encoder: BlockEncoder,
        budgets: Budgets,
        rule: Rule,
        way: Way,
        *,
        once: bool,
        names: Sequence[str],
        claimed: ClaimedMacs | None = None,
    ) -> None:
        self._stages, self._budgets, self._rule, self._way = encoder.layers_of, budgets, rule, way
        self._once, self._names, self._claimed = once, tuple(names), claimed

    def policy_units(self) -> list[CostUnit]:
        """What deciding costs where every layer runs."""
        units = []
        for s, stage in enumerate(self._stages):
            if self._rule.asks_blocks(s):
                units.append(CostUnit(f"policy.blocks.{s}", "policy", self._budgets.block_policy_macs(s)))
            asking = [i for i in range(len(stage)) if self._rule.asks_tokens(s, i)]
            macs = self._budgets.token_policy_macs(s)
            if self._once:
                units += [CostUnit(f"policy.tokens.{s}", "policy", macs)] if asking else []
            else:
                units += [CostUnit(f"policy.tokens.{s}.{i}", "policy", macs) for i in asking]
        return units

    def trace(self, told: Decisions) -> Trace:
        """The trace of a call."""
        return Trace(
            told.batch,
            active=Lazy(lambda: self._active(told)),
            decisions=told,
            claimed_macs=None if self._claimed is None else self._claimed(told),
            claimed_full_macs=None if self._claimed is None else self._claimed.full_macs,
            kept=Lazy(lambda: self._maps(told)),
        )

    def _active(self, told: Decisions) -> dict[str, Tensor]:
        active = {}
        for s, stage in enumerate(self._stages):
            for i, layer in enumerate(stage):
                kept = told.layers[s][i]
                runs = _runs(kept, told.batch)
                attention, mlp = self._shares(layer, kept, runs)
                active[f"{layer.unit}.attention"] = attention
                active[f"{layer.unit}.mlp"] = mlp
                if not self._once and self._rule.asks_tokens(s, i):
                    active[f"policy.tokens.{s}.{i}"] = runs
        return active

    def _shares(self, layer: Layer, kept: Kept, runs: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of attention and MLP that each sample of the batch needed, float64 [B]."""
        if kept.places is None:
            return runs, runs
        tokens = kept_mask(layer, kept.places, self._way.scope).sum(dim=1).cpu()
        mlp = (layer.extra + tokens).double() / (layer.extra + layer.tokens)
        if self._way.scope == "block":
            places = kept.places
            counts = (
                places.sum(1) if places.dtype == torch.bool else torch.full(places.shape[:1], places.shape[1])
            )
            macs = [layer.place_macs(n)[0] if n or layer.extra else 0 for n in counts.tolist()]
            attention = torch.tensor(macs, dtype=torch.float64) / layer.attention_macs
        else:
            attention = torch.ones_like(mlp)
        if self._way.empty_block:
            there = tokens > 0
            attention, mlp = attention * there, mlp * there
        return _to_batch(attention, kept, runs), _to_batch(mlp, kept, runs)

    def _maps(self, told: Decisions) -> dict[str, Tensor]:
        """Share of layers that each token went through, [B, h, w] on the first grid; `all` is what ran.

        Beside it, where tasks have policies of their own, what each of them would have kept alone.
        """
        maps = {"all": self._map(told, None)}
        return maps | {name: self._map(told, t) for t, name in enumerate(self._names)}

    def _map(self, told: Decisions, task: int | None) -> Tensor:
        grid = self._stages[0][0].grid
        total = torch.zeros(told.batch, *grid)
        count = 0
        for s, stage in enumerate(self._stages):
            for i, layer in enumerate(stage):
                kept = told.layers[s][i]
                mask = self._mask(s, i, layer, kept, task, told.batch).view(-1, 1, *layer.grid)
                total += F.interpolate(mask, size=grid, mode="nearest")[:, 0]
                count += 1
        return total / count

    def _mask(self, stage: int, i: int, layer: Layer, kept: Kept, task: int | None, batch: int) -> Tensor:
        """Tokens that went through a layer, float [B, N]."""
        runs = _runs(kept, batch)
        places = kept.places
        if task is not None and kept.logits is not None and places is not None:
            places = self._rule.places(stage, i, kept.logits[..., task : task + 1], kept.samples)
        if places is None:
            return runs.float()[:, None].expand(-1, layer.tokens)
        mask = kept_mask(layer, places, self._way.scope).float().cpu()
        return (
            mask
            if kept.samples is None
            else torch.zeros(batch, layer.tokens).index_copy(0, kept.samples.cpu(), mask)
        )


def _runs(kept: Kept, batch: int) -> Tensor:
    """1 for the samples that ran a layer, float64 [B]."""
    if kept.samples is None:
        return torch.ones(batch, dtype=torch.float64)
    return torch.zeros(batch, dtype=torch.float64).index_fill(0, kept.samples.cpu(), 1.0)


def _to_batch(shares: Tensor, kept: Kept, runs: Tensor) -> Tensor:
    return (
        shares if kept.samples is None else torch.zeros_like(runs).index_copy(0, kept.samples.cpu(), shares)
    )
