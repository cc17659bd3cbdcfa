"""What each subset of a cell's tasks costs: counted on a few test inputs, with the same weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from torch import Tensor

from mtlbench.cost.counter import count_call
from mtlbench.execute.jobs.cell import OpenCell
from mtlbench.variants.base import Runnable, Variant

__all__ = ["count_subsets", "subsets_of"]

_ALL_UP_TO = 5


def count_subsets(cell: OpenCell, variant: Variant, inputs: Sequence[Tensor]) -> dict[str, Any]:
    """MACs per image and parameters of every subset that `subsets_of` gives and the variant can run.

    Args:
        cell: asked for all of its tasks.
        variant: built.
        inputs: normalised batches; the numbers are means over their images.

    Returns:
        Flat keys `subset.<a+b>.macs_executed`, `.macs_nominal` and `.params_active`.
    """
    found: dict[str, Any] = {}
    for names in subsets_of(cell.asked):
        if variant.can_run(names):
            costs = _cost(cell, cell.configure(variant, names), inputs)
            found |= {f"subset.{'+'.join(names)}.{key}": value for key, value in costs.items()}
    return found


def subsets_of(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All subsets of up to five tasks; of more, the single tasks, all but one, and all."""
    sizes = range(1, len(names) + 1) if len(names) <= _ALL_UP_TO else (1, len(names) - 1, len(names))
    for size in sizes:
        yield from combinations(names, size)


def _cost(cell: OpenCell, runnable: Runnable, inputs: Sequence[Tensor]) -> dict[str, float]:
    executed, nominal = [], []
    units = runnable.units()
    for index, x in enumerate(inputs):
        if cell.starts_clip(index):
            runnable.reset()
        (_, trace), count = count_call(runnable, x, cell.decisions(runnable, x, index))
        executed += [count.macs / len(x)] * len(x)
        nominal += trace.nominal_macs(units)
    parameters = {id(p): p.numel() for _, module in runnable.parts() for p in module.parameters()}
    return {
        "macs_executed": float(np.mean(executed)),
        "macs_nominal": float(np.mean(nominal)),
        "params_active": sum(parameters.values()),
    }
