"""Theoretical MACs of sparse differences: of a machine that skips every zero. Nothing here skips any."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import torch
from torch import Tensor, nn

from mtlbench.cost.formulas import linear_macs
from mtlbench.cost.units import CostUnit, total_macs
from mtlbench.encoders.blocks import Layer
from mtlbench.variants.sharing.element_gates import in_shape
from mtlbench.variants.sharing.element_network import ElementNetwork
from mtlbench.variants.sharing.element_walk import INPUT_OF, Change, SideBySide
from mtlbench.variants.sharing.network import flat_layers

__all__ = ["Claimed", "Density", "ElementCosts", "linear_layers"]


@dataclass(frozen=True, slots=True)
class Density:
    """How sparse the differences of a linear layer of a sub-task are.

    Args:
        task: the sub-task.
        unit: beginning of the ids of its block's cost units.
        layer: qkv, proj, fc1 or fc2.
        macs: of the dense layer, per image.
        weights: share of its weights (biases left out) that differ from the base task's.
        inputs: share of the elements that come in and differ from the base task's, by image, float64 [B].
        outputs: share of the elements that go out and differ, by image, float64 [B].
    """

    task: str
    unit: str
    layer: str
    macs: int
    weights: float
    inputs: Tensor
    outputs: Tensor

    @property
    def claimed(self) -> Tensor:
        """MACs of dW x_b + W_k dx by image, float64 [B]; those of W_k x_k where that is less."""
        return self.macs * (self.weights + self.inputs).clamp(max=1)


class ElementCosts:
    """What some tasks cost together: executed and theoretical.

    Theoretical is each linear layer of a sub-task's blocks by the zeros of its weights' difference and of its *input's*
    difference. Behind a norm the latter has none unless a whole token is unchanged, and hardly any behind attention;
    behind the activation it has those of the thresholded output before. The base task, stems, steps between stages,
    products of attention and heads are charged whole.

    Args:
        network: of all tasks.
        names: the asked ones, in order.
    """

    def __init__(self, network: ElementNetwork, names: Sequence[str]) -> None:
        self._network, self._names = network, tuple(names)
        self.sub_tasks = tuple(name for name in names if name != network.base_task)
        self._executed = total_macs(self.units())

    @property
    def running(self) -> tuple[str, ...]:
        """The tasks whose encoders run: the base task's in any case."""
        return (self._network.base_task, *self.sub_tasks)

    def units(self) -> list[CostUnit]:
        """All encoders that run, whole, and the asked heads."""
        return [
            unit.prefixed(name)
            for name in self.running
            for unit in self._network.network(name).units((name,) if name in self._names else ())
        ]

    def full_macs(self) -> float:
        """Of the asked tasks' dense networks, which need no base task."""
        dense = (self._network.network(name).units((name,)) for name in self._names)
        return float(sum(total_macs(units) for units in dense))

    def claimed_macs(self, side_by_side: SideBySide, change: Change, image: Tensor) -> float:
        """Theoretical MACs of one image [1, 3, H, W]; the other arguments as those of `densities`."""
        found = self.densities(side_by_side, change, image)
        return self._executed + sum(density.claimed.item() - density.macs for density in found)

    @torch.inference_mode()
    def densities(self, side_by_side: SideBySide, change: Change, x: Tensor) -> list[Density]:
        """How sparse each linear layer of each asked sub-task is on some images.

        Args:
            side_by_side: of the asked sub-tasks.
            change: what becomes of their outputs.
            x: normalised images [B, 3, H, W].
        """
        noted = _Noted(change, len(x))
        side_by_side(x, noted)
        return [density for name in self.sub_tasks for density in self._of_task(name, noted)]

    def _of_task(self, name: str, noted: _Noted) -> Iterator[Density]:
        encoder, shares = self._network.encoder(name), self._weight_shares[name]
        for i, layer in enumerate(flat_layers(encoder)):
            for which, (linear, macs) in linear_layers(layer).items():
                inputs, outputs = noted.shares[name, i, INPUT_OF[which]], noted.shares[name, i, which]
                yield Density(name, layer.unit, which, macs, shares[id(linear.weight)], inputs, outputs)

    @cached_property
    def _weight_shares(self) -> dict[str, dict[int, float]]:
        """By sub-task and identity of a weight, the share of its elements that differ."""
        found = {}
        for name in self.sub_tasks:
            encoder = self._network.encoder(name)
            stored = in_shape(encoder, self._network.branch(name).difference.stored())
            shares = {key: float(part.double().mean()) for key, part in stored.items()}
            found[name] = {id(weight): shares[key] for key, weight in encoder.named_parameters()}
        return found


def linear_layers(layer: Layer) -> dict[str, tuple[nn.Linear, int]]:
    """A block's linear layers with their MACs per image; padding that attention computes counts."""
    attention, mlp = layer.attention, layer.feed_forward
    seats, rows = layer.seats(layer.places), layer.extra + layer.tokens
    found = {
        "qkv": (attention.qkv, seats),
        "proj": (attention.proj, seats),
        "fc1": (mlp.fc1, rows),
        "fc2": (mlp.fc2, rows),
    }
    return {
        name: (linear, linear_macs(count, linear.in_features, linear.out_features))
        for name, (linear, count) in found.items()
    }


class Claimed(Sequence[float]):
    """MACs by image that are computed when they are first looked at, so that no clock runs.

    Args:
        batch: images.
        make: computes them.
    """

    def __init__(self, batch: int, make: Callable[[], list[float]]) -> None:
        self._batch, self._make = batch, make

    @cached_property
    def _macs(self) -> list[float]:
        return self._make()

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> list[float]: ...

    def __getitem__(self, index: int | slice) -> float | list[float]:
        return self._macs[index]

    def __len__(self) -> int:
        return self._batch


class _Noted:
    """Makes a change, and notes how much still differs.

    Args:
        change: the change.
        batch: images.
    """

    names: Collection[str] = (*INPUT_OF, *INPUT_OF.values())

    def __init__(self, change: Change, batch: int) -> None:
        self._change, self._batch = change, batch
        self.shares: dict[tuple[str, int, str], Tensor] = {}

    def __call__(self, task: str, block: int, name: str, output: Tensor, of_base: Tensor) -> Tensor:
        """See `Change`."""
        changes = name in self._change.names
        found = self._change(task, block, name, output, of_base) if changes else output
        differing = (found != of_base).view(self._batch, -1)
        self.shares[task, block, name] = differing.double().mean(dim=1).cpu()
        return found
