"""What the FLOP counter of the released AdaMTL code prints for a backbone: its formula, with all that ours leaves out.

It prints MACs of the backbone alone; the decoders are no part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

import torch
from torch import Tensor

from mtlbench.cost.units import total_macs
from mtlbench.encoders.blocks import Layer
from mtlbench.encoders.swin import Swin
from mtlbench.variants.adamtl.budget import Budgets
from mtlbench.variants.adamtl.layers import Kept, kept_mask
from mtlbench.variants.adamtl.network import AdaptiveNetwork
from mtlbench.variants.adamtl.walk import Decisions

__all__ = ["ReleasedCounter", "released_counter"]


class ReleasedCounter:
    """The released counter, asked about decisions that were made, where the original draws new ones.

    Beside the MACs of embedding, attention, kept MLP tokens and merging it counts

    - one for each element that a norm sees: C * N twice in each block, before each merging, and after the embedding;
    - a final norm that the network no longer has, C of the last stage times N of the first // 2**stages;
    - the token policies, but not the block policies;
    - of a block that keeps no token its policy alone.

    Grids that windows or merging do not divide, which the released code cannot run, are counted with the padding of
    attention.

    Source: the printed totals of the released code, which this reproduces to the unit.

    Args:
        encoder: the network's.
        budgets: of the same network; knows what a policy costs.

    Attributes:
        full_macs: of the backbone where everything runs and no policy is asked.
    """

    def __init__(self, encoder: Swin, budgets: Budgets) -> None:
        self._stages, self._budgets = encoder.layers_of, budgets
        blocks = total_macs([unit for stage in self._stages for layer in stage for unit in layer.units()])
        first, last = self._stages[0][0], self._stages[-1][0]
        entering = [stage[0] for stage in self._stages]  # a stage but the last is merged at its own grid
        normed = first.dim * first.tokens + sum(layer.dim * layer.tokens for layer in entering[:-1])
        final = last.dim * first.tokens // 2 ** len(self._stages)
        self._fixed = total_macs(encoder.units()) - blocks + normed + final
        layers = [layer for stage in self._stages for layer in stage]
        self.full_macs = float(self._fixed + sum(_before_mlp(layer) + layer.mlp_macs for layer in layers))

    def __call__(self, told: Decisions) -> Sequence[float]:
        """MACs of the backbone by sample, computed when they are first looked at."""
        return _Claimed(self, told)

    def macs(self, told: Decisions) -> list[float]:
        """MACs of the backbone by sample."""
        total = torch.full((told.batch,), self._fixed)
        for s, stage in enumerate(self._stages):
            for layer, kept in zip(stage, told.layers[s], strict=True):
                macs = self._layer(s, layer, kept, told.batch)
                total += (
                    macs
                    if kept.samples is None
                    else torch.zeros_like(total).index_copy(0, kept.samples.cpu(), macs)
                )
        return [float(macs) for macs in total.tolist()]

    def _layer(self, stage: int, layer: Layer, kept: Kept, batch: int) -> Tensor:
        """MACs of the samples that ran a layer, int64 [M]."""
        whole = _before_mlp(layer)
        policy = self._budgets.token_policy_macs(stage) if kept.asked else 0
        if kept.places is None:
            count = batch if kept.samples is None else len(kept.samples)
            return torch.full((count,), policy + whole + layer.mlp_macs)
        tokens = kept_mask(layer, kept.places, "mlp").sum(dim=1).cpu()
        return policy + (whole + layer.token_macs * tokens) * (tokens > 0)


def released_counter(network: AdaptiveNetwork, budgets: Budgets) -> ReleasedCounter | None:
    """The counter for a network; None where the released code has none that works.

    It knows `swin` with decisions before each layer, about blocks alone or about tokens of the MLP as well; with tokens
    alone it fails.
    """
    options, encoder = network.options, network.blocks
    known = options.scope == "mlp" and options.decide == "layer" and options.gates != "tokens"
    if not (known and options.empty_block and isinstance(encoder, Swin)):
        return None
    return ReleasedCounter(encoder, budgets)


def _before_mlp(layer: Layer) -> int:
    """Of a layer that runs, what its MLP has no part in: elements of both norms, and attention."""
    return 2 * layer.dim * layer.tokens + layer.attention_macs


class _Claimed(Sequence[float]):
    """MACs by sample that are computed when they are first looked at, so that no clock runs."""

    def __init__(self, counter: ReleasedCounter, told: Decisions) -> None:
        self._counter, self._told = counter, told

    @cached_property
    def _macs(self) -> list[float]:
        return self._counter.macs(self._told)

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> list[float]: ...

    def __getitem__(self, index: int | slice) -> float | list[float]:
        return self._macs[index]

    def __len__(self) -> int:
        return self._told.batch
