"""The calls that `adaptive_speed.py` times: one network, one batch, several ways to execute the same decisions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.cost.formulas import linear_macs
from mtlbench.cost.units import CostUnit, total_macs
from mtlbench.encoders.blocks import Layer
from mtlbench.encoders.vit import ViTLayer
from mtlbench.measure import clock_for
from mtlbench.training.artifact import Named, Problem
from mtlbench.variants.adamtl.budget import Budgets, Counts
from mtlbench.variants.adamtl.decide import PolicyScores, TopK
from mtlbench.variants.adamtl.layers import Kept, kept_mask
from mtlbench.variants.adamtl.network import AdaptiveNetwork, build_adaptive, way_of
from mtlbench.variants.adamtl.options import AdaMTLOptions
from mtlbench.variants.adamtl.runnable import AdaptiveRunnable, budgets_of
from mtlbench.variants.adamtl.walk import Walk
from mtlbench.variants.base import Trace

Scope = Literal["mlp", "block"]

__all__ = ["PARTS", "SIDES", "WAYS", "Call", "Ways", "build", "left_out"]

SIDES = {"swin-tiny": 224, "vit-small": 224, "swin-nano": 64, "vit-nano": 64}
"""Side of the images of each network; the last two are for trying this out."""

PARTS = ("encoder", "whole")

WAYS: dict[str, Scope] = {
    "gathered": "mlp",
    "element-mask": "mlp",
    "times mask": "mlp",
    "whole tokens": "block",
}
"""What is swept over keep ratios, with the scope of skipping."""


def build(name: str) -> AdaptiveNetwork:
    """The network of a name such as `vit-small`: three tasks, random weights."""
    encoder, arch = name.split("-")
    classes = tuple(f"class {i}" for i in range(21))
    problem = Problem(
        (SIDES[name], SIDES[name]),
        Named(encoder, {"arch": arch}),
        Named("multiscale", {"width": 64}),
        (Named("semseg", {"classes": classes}), Named("depth"), Named("normals")),
    )
    return build_adaptive(problem, AdaMTLOptions(), 0, [])


def left_out(scope: Scope) -> str:
    """Name of the call that computes nothing of what this scope can skip."""
    return f"left out {scope}"


class Call:
    """An encoder's pass and then the heads; keeps how long the encoder took."""

    def __init__(self, encode: Callable[[Tensor], list[Tensor]], network: AdaptiveNetwork) -> None:
        self.encode, self._heads, self._clock = encode, list(network.heads.values()), clock_for("cpu")
        self.encoder_ns: list[int] = []

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Images to predictions."""
        start = self._clock.now_ns()
        maps = self.encode(x)
        self.encoder_ns.append(self._clock.now_ns() - start)
        return [head(maps) for head in self._heads]


class Ways:
    """All calls of one network on one batch, and their MACs per image.

    Args:
        network: in evaluation mode.
        x: images; decisions are drawn for them.
        keeps: keep ratios.
        seed: of the decisions.

    Attributes:
        calls: by name; those that are swept are called `<way> <keep>`.
        macs: by the same names, of encoder and whole network, the policies' (`policy`) charged to both.
    """

    def __init__(self, network: AdaptiveNetwork, x: Tensor, keeps: Sequence[float], seed: int) -> None:
        self._network, self._x, self._seed = network, x, seed
        self._tasks = network.problem.task_names
        self._units = dict(zip(PARTS, (network.encoder.units(), network.units(self._tasks)), strict=True))
        self.calls = {"static": Call(network.encoder, network)}
        self.macs = {"static": {part: float(total_macs(units)) for part, units in self._units.items()}}
        self._leave_out("mlp")
        self._leave_out("block")
        self._add("policy only", "policy only", "mlp", 1.0)
        for way, scope in WAYS.items():
            for keep in keeps:
                self._add(f"{way} {keep:g}", way, scope, keep)

    def check(self) -> None:
        """The three ways to skip MLPs are one function.

        Raises:
            AssertionError: they are not.
        """
        for name, call in self.calls.items():
            way, _, keep = name.rpartition(" ")
            if way in ("element-mask", "times mask"):
                for own, ours in zip(call(self._x), self.calls[f"gathered {keep}"](self._x), strict=True):
                    torch.testing.assert_close(own, ours, rtol=1e-3, atol=1e-4)

    def _add(self, name: str, way: str, scope: Scope, keep: float) -> None:
        network = copy.copy(self._network)  # other options, the same weights
        network.options = AdaMTLOptions(scope=scope)
        budgets, encoder, policies = budgets_of(network, self._tasks), network.blocks, network.policies
        assert policies is not None  # noqa: S101  # build has made them
        rule = Asking(budgets.at(keep), budgets, network)
        runnable = AdaptiveRunnable(network, self._tasks, budgets, rule.counts, rule)
        trace = runnable.forced(self._x, self._seed)
        assert trace is not None  # noqa: S101  # there is a rule
        self.macs[name] = self._nominal(trace, [unit for unit in runnable.units() if unit.part == "policy"])
        for layer, kept in zip(_layers(network), chain.from_iterable(trace.decisions.layers), strict=True):
            if way == "policy only":
                kept.places = None
            elif way == "element-mask" and kept.places is not None:
                kept.places = kept_mask(layer, kept.places, scope)
        kind = ElementMasked if way == "element-mask" else Walk
        scores = PolicyScores(policies, self._tasks)
        walk = kind(encoder, scores, rule, way_of(network.options), masked=way == "times mask", once=False)
        self.calls[name] = Call(lambda x: walk(x, trace.decisions)[0], network)

    def _nominal(self, trace: Trace, policies: list[CostUnit]) -> dict[str, float]:
        sums = {
            part: float(np.mean(trace.nominal_macs([*units, *policies])))
            for part, units in self._units.items()
        }
        return sums | {"policy": float(total_macs(policies))}

    def _leave_out(self, scope: Scope) -> None:
        gated = sum(_gated_macs(layer, scope) for layer in _layers(self._network))
        name = left_out(scope)
        self.macs[name] = {part: macs - gated for part, macs in self.macs["static"].items()}
        self.calls[name] = Call(lambda x: self._without(x, scope), self._network)

    def _without(self, x: Tensor, scope: Scope) -> list[Tensor]:
        """The encoder's pass without what can be skipped; nothing is gathered, no policy asked."""
        encoder = self._network.blocks
        tokens, maps = encoder.embed(x), []
        for stage, layers in enumerate(encoder.layers_of):
            for layer in layers:
                if scope == "mlp":
                    tokens = tokens + layer.attend(tokens)
                elif isinstance(layer, ViTLayer):
                    _keys_and_values(layer, tokens)
            found, tokens = encoder.close(stage, tokens)
            maps.append(found)
        return maps


class Asking(TopK):
    """The best so many, where policies are asked even if everything is kept."""

    def __init__(self, counts: Counts, budgets: Budgets, network: AdaptiveNetwork) -> None:
        super().__init__(counts, budgets, network.blocks, pooled=network.options.scope == "block")
        self._always = counts == budgets.full

    def asks_tokens(self, stage: int, i: int) -> bool:
        """See `Rule`."""
        return self._always or super().asks_tokens(stage, i)


class ElementMasked(Walk):
    """Skips as the released code does, by single numbers, but leaves a skipped token as it is."""

    def _run(self, layer: Layer, x: Tensor, some: Tensor, kept: Kept) -> Tensor:
        if kept.places is None:
            return super()._run(layer, x, some, kept)
        x = x + layer.attend(x)
        always = kept.places.new_ones(len(x), layer.extra)
        mask = torch.cat((always, kept.places), dim=1).unsqueeze(-1)
        if not mask.any():
            return x
        normed, chosen = layer.norm2(x), mask.expand_as(x)
        branch = torch.zeros_like(x)
        branch[chosen] = layer.feed_forward(normed[chosen].view(-1, x.shape[-1])).flatten()
        return x + branch


def _layers(network: AdaptiveNetwork) -> list[Layer]:
    return [layer for stage in network.blocks.layers_of for layer in stage]


def _gated_macs(layer: Layer, scope: Scope) -> int:
    """MACs per image that can be skipped, those of the class token among them, although it never is."""
    if scope == "mlp":
        return layer.mlp_macs
    stays = linear_macs(layer.extra + layer.tokens, layer.dim, 2 * layer.dim)
    return layer.attention_macs + layer.mlp_macs - (stays if isinstance(layer, ViTLayer) else 0)


def _keys_and_values(layer: ViTLayer, x: Tensor) -> Tensor:
    """What a layer computes of all tokens [B, N, C], kept or not: [B, N, 2 * C]."""
    qkv = layer.block.attn.qkv
    return F.linear(layer.block.norm1(x), qkv.weight[layer.dim :], qkv.bias[layer.dim :])
