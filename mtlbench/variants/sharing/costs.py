"""Closed-form costs of computation sharing, and what a call needed of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.cost.units import CostUnit
from mtlbench.encoders.blocks import BlockEncoder, Layer
from mtlbench.heads.base import Head
from mtlbench.variants.base import Trace
from mtlbench.variants.lazy import Lazy
from mtlbench.variants.sharing.choose import Rule
from mtlbench.variants.sharing.network import SharingNetwork, flat_layers
from mtlbench.variants.sharing.walk import Told, Walk

__all__ = ["Costs", "closing_units", "encoder_units", "head_units"]


class Costs:
    """Units and traces of one configured pass.

    Args:
        network: whose.
        walk: the pass.
        rule: what chooses.
        names: the asked tasks, in order.
    """

    def __init__(self, network: SharingNetwork, walk: Walk, rule: Rule, names: Sequence[str]) -> None:
        self._network, self._walk, self._rule, self._names = network, walk, rule, tuple(names)
        self._layers = flat_layers(network.encoder)
        self._own = self._layers[network.shared_blocks :]

    def units(self) -> list[CostUnit]:
        """The base task's encoder as far as it runs, each branch with everything computed, and the asked heads."""
        units = encoder_units(self._network.encoder, 0, None if self._walk.base_goes_on else self._first)
        for name in self._walk.names:
            units += [unit.prefixed(name) for unit in self._branch_units(name)]
            units += [unit.prefixed(name) for unit in closing_units(self._network.encoder, self._first)]
        return units + [unit for name in self._names for unit in head_units(name, self._network.head(name))]

    def trace(self, told: Told) -> Trace:
        """The trace of a call."""
        return Trace(
            told.batch,
            active=Lazy(lambda: self._active(told)),
            decisions=told,
            kept=Lazy(lambda: self._maps(told)),
        )

    @property
    def _first(self) -> int:
        return self._network.shared_blocks

    def _branch_units(self, name: str) -> list[CostUnit]:
        units = []
        for i, layer in enumerate(self._own):
            delta, seats = self._network.branch(name).delta(i), layer.seats(layer.places)
            rows = layer.extra + layer.tokens
            units += [
                CostUnit(f"{layer.unit}.attention", layer.unit, layer.attention_macs),
                CostUnit(f"{layer.unit}.mlp", layer.unit, layer.mlp_macs),
                CostUnit(f"sharing.{i}.attention", "sharing", delta.attention_macs(seats)),
                CostUnit(f"sharing.{i}.mlp", "sharing", delta.mlp_macs(rows)),
            ]
            if self._rule.asks(i):
                units.append(CostUnit(f"sharing.{i}.difference", "sharing", delta.norm_macs(layer.tokens)))
        return units

    def _active(self, told: Told) -> dict[str, Tensor]:
        active = {}
        for name in self._walk.names:
            for i, layer in enumerate(self._own):
                attention, mlp = shares(layer, told.kept[name][i], told.batch)
                for prefix in (f"{name}.{layer.unit}", f"{name}.sharing.{i}"):
                    active[f"{prefix}.attention"], active[f"{prefix}.mlp"] = attention, mlp
        return active

    def _maps(self, told: Told) -> dict[str, Tensor]:
        """By sub-task, the share of layers that each token was computed in, [B, h, w] on the first grid."""
        grid = self._layers[0].grid
        maps = {}
        for name in self._walk.names:
            total = torch.zeros(told.batch, *grid)
            for layer, kept in zip(self._own, told.kept[name], strict=True):
                mask = token_mask(layer, kept, told.batch).view(-1, 1, *layer.grid)
                total += F.interpolate(mask, size=grid, mode="nearest")[:, 0]
            maps[name] = total / len(self._layers)
        return maps


def shares(layer: Layer, kept: Tensor | None, batch: int) -> tuple[Tensor, Tensor]:
    """Shares of attention and MLP that each sample needed, float64 [B].

    Args:
        layer: which.
        kept: places that were computed, [B, K]; None for all.
        batch: B.
    """
    if kept is None:
        return torch.ones(batch, dtype=torch.float64), torch.ones(batch, dtype=torch.float64)
    places = kept.shape[1]
    if places == 0:
        return torch.zeros(batch, dtype=torch.float64), torch.zeros(batch, dtype=torch.float64)
    attention = torch.full((batch,), layer.seats(places) / layer.seats(layer.places), dtype=torch.float64)
    rows = layer.extra + token_mask(layer, kept, batch).sum(dim=1).double()
    return attention, rows / (layer.extra + layer.tokens)


def token_mask(layer: Layer, kept: Tensor | None, batch: int) -> Tensor:
    """Which tokens of the grid were computed, float [B, N] on the CPU."""
    if kept is None:
        return torch.ones(batch, layer.tokens)
    return layer.spread(torch.zeros(batch, layer.places).scatter_(1, kept.cpu(), 1.0))


def encoder_units(encoder: BlockEncoder, start: int, stop: int | None) -> list[CostUnit]:
    """Units of an encoder's blocks from `start` to before `stop`, of its stem and of the steps between them.

    Args:
        encoder: which.
        start: first block; the stem comes with block 0.
        stop: None for all the rest.
    """
    blocks = {layer.unit: i for i, layer in enumerate(flat_layers(encoder))}
    stop = len(blocks) if stop is None else stop
    closing = {unit.id for unit in closing_units(encoder, 0)}
    own = {unit.id for unit in closing_units(encoder, start)}
    own -= {unit.id for unit in closing_units(encoder, stop)}
    found = []
    for unit in encoder.units():
        owner = unit.id.rpartition(".")[0]
        if owner in blocks:
            there = start <= blocks[owner] < stop
        else:
            there = unit.id in own if unit.id in closing else start == 0
        found += [unit] if there else []
    return found


def closing_units(encoder: BlockEncoder, first: int) -> list[CostUnit]:
    """Units of the steps between stages that come behind block `first`, itself included."""
    found, end = [], 0
    for stage, layers in enumerate(encoder.layers_of):
        end += len(layers)
        if end > first:
            found += encoder.close_units(stage)
    return found


def head_units(name: str, head: Head) -> list[CostUnit]:
    """Units of a task's head."""
    return [
        CostUnit(f"head.{name}.{unit.id.removeprefix('head.')}", f"head.{name}", unit.macs)
        for unit in head.units()
    ]
