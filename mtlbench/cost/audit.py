"""The audit of a network's cost: our count, the closed form, what other tools say, and where the MACs go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mtlbench.cost.counter import UNCOUNTED_LIMIT, CostCount, OperatorCount, count_call
from mtlbench.cost.crosscheck import CrossCheck, crosscheck
from mtlbench.cost.recorder import Kind
from mtlbench.cost.units import CostUnit, total_macs

__all__ = [
    "FORMULA_LIMIT",
    "CostAudit",
    "Countable",
    "OperatorCost",
    "PartCost",
    "audit_cost",
    "unique_parts",
]

FORMULA_LIMIT = 0.01
"""Largest relative difference between count and closed form of a static network."""


class Decided(Protocol):
    """What a call decided."""

    def nominal_macs(self, units: Sequence[CostUnit]) -> list[float]:
        """MACs that each image's decisions needed."""


class Countable(Protocol):
    """A configured network that says what it is made of."""

    def __call__(self, x: Tensor) -> tuple[Mapping[str, Tensor], Decided]:
        """Predictions for normalised images [B, 3, H, W], and what was decided on the way."""

    def reset(self) -> None:
        """Forget the state of a stream."""

    def units(self) -> list[CostUnit]:
        """Cost units at full compute."""

    def networks(self) -> list[nn.Module]:
        """All modules."""

    def parts(self) -> list[tuple[str, nn.Module]]:
        """(part, module) pairs; a part may have several modules."""


@dataclass(frozen=True, slots=True)
class PartCost:
    """One part of a network.

    Args:
        part: as cost units name it, or `other`.
        macs_executed: per image, mean over images.
        macs_formula: per image at full compute, by the closed form.
    """

    part: str
    macs_executed: float
    macs_formula: int


@dataclass(frozen=True, slots=True)
class OperatorCost:
    """One operator.

    Args:
        name: `aten.addmm`, without overload.
        kind: counted by a formula, reviewed as free of MACs, or uncounted.
        reason: why it is not counted; empty where it is.
        calls: per image, mean over images.
        macs: per image, mean over images.
        time_share: of the time of all operators while counting: the median over images, which a disturbance of
            one of them does not move.
    """

    name: str
    kind: Kind
    reason: str
    calls: float
    macs: float
    time_share: float


@dataclass(frozen=True, slots=True)
class CostAudit:
    """What a network costs, counted one image at a time.

    Args:
        static: every image takes one path, so count and closed form must agree.
        executed: MACs of each image, as the dispatcher saw them.
        nominal: MACs that each image's decisions needed, by the closed form.
        macs_formula: of full compute, by the closed form.
        parts: in the order of the closed form, then those that it does not know.
        operators: in the order of their first call.
        tools: what other counters say about the first image.
    """

    static: bool
    executed: tuple[int, ...]
    nominal: tuple[float, ...]
    macs_formula: int
    parts: tuple[PartCost, ...]
    operators: tuple[OperatorCost, ...]
    tools: CrossCheck

    @property
    def macs_executed(self) -> float:
        """Mean over images."""
        return float(np.mean(self.executed))

    @property
    def macs_nominal(self) -> float:
        """Mean over images."""
        return float(np.mean(self.nominal))

    @property
    def uncounted_time_share(self) -> float:
        """Share of operator time in operators that are neither counted nor reviewed."""
        return sum(op.time_share for op in self.operators if op.kind == "uncounted")

    @property
    def refused(self) -> bool:
        """Whether uncounted operators took so much of the time that the total must not be used."""
        return self.uncounted_time_share > UNCOUNTED_LIMIT

    @property
    def disagrees(self) -> bool:
        """Whether this is a static network whose count is not what its closed form says."""
        difference = abs(self.macs_executed - self.macs_formula)
        return self.static and difference > FORMULA_LIMIT * max(self.macs_formula, 1)


def audit_cost(network: Countable, inputs: Sequence[Tensor], *, static: bool) -> CostAudit:
    """Count every image, and let the other tools count the first one.

    Args:
        network: in evaluation mode; left as found.
        inputs: normalised images, each [1, 3, H, W].
        static: whether every image takes one path.
    """
    units = network.units()
    parts = unique_parts(network.parts())
    counts: list[CostCount] = []
    nominal: list[float] = []
    with torch.inference_mode():
        network.reset()
        network(inputs[0])  # kernels are prepared in a first call, whose shares of time mean nothing
        for x in inputs:
            network.reset()
            (_, decided), count = count_call(network, x, parts=parts)
            counts.append(count)
            nominal += decided.nominal_macs(units)
        network.reset()
    return CostAudit(
        static=static,
        executed=tuple(count.macs for count in counts),
        nominal=tuple(nominal),
        macs_formula=total_macs(units),
        parts=tuple(_parts(counts, units)),
        operators=tuple(_operators(counts)),
        tools=crosscheck(_Module(network), inputs[0]),
    )


def unique_parts(parts: Sequence[tuple[str, nn.Module]]) -> dict[str, nn.Module]:
    """Parts with distinct names: those of several networks become `encoder`, `encoder#2`, ..."""
    seen: Counter[str] = Counter()
    unique = {}
    for part, module in parts:
        seen[part] += 1
        unique[part if seen[part] == 1 else f"{part}#{seen[part]}"] = module
    return unique


def _parts(counts: Sequence[CostCount], units: Sequence[CostUnit]) -> list[PartCost]:
    formula: Counter[str] = Counter()
    for unit in units:
        formula[unit.part] += unit.macs
    executed: Counter[str] = Counter()
    for count in counts:
        for part, macs in count.by_part.items():
            executed[part.partition("#")[0]] += macs
    names = dict.fromkeys([*formula, *executed])
    return [
        PartCost(name, executed[name] / len(counts), formula[name])
        for name in names
        if executed[name] or formula[name]
    ]


def _operators(counts: Sequence[CostCount]) -> list[OperatorCost]:
    found: dict[tuple[str, Kind, str], list[OperatorCount]] = {}
    for count in counts:
        for op in count.operators:
            found.setdefault((op.name, op.kind, op.reason), []).append(op)
    images = len(counts)
    shares = [
        np.median([op.time_share for op in ops] + [0.0] * (images - len(ops))) for ops in found.values()
    ]
    whole = float(np.sum(shares)) or 1.0
    return [
        OperatorCost(
            name=name,
            kind=kind,
            reason=reason,
            calls=sum(op.calls for op in ops) / images,
            macs=sum(op.macs for op in ops) / images,
            time_share=float(share) / whole,
        )
        for ((name, kind, reason), ops), share in zip(found.items(), shares, strict=True)
    ]


class _Module(nn.Module):
    """A network as the other tools want it: one module from tensor to predictions, which they can copy."""

    def __init__(self, network: Countable) -> None:
        super().__init__()
        self.networks = nn.ModuleList(network.networks())
        self._network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self._network.reset()
        predictions, _ = self._network(x)
        return tuple(predictions.values())
