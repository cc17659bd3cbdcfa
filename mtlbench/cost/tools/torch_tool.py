"""PyTorch's own FlopCounterMode: counts on the dispatcher in FLOPs, and not at all what it has no formula for."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mtlbench.cost.counter import CostCount, count_call
from mtlbench.cost.tools.base import Difference, ToolCount

__all__ = ["count_with_torch"]


def count_with_torch(module: nn.Module, x: Tensor) -> ToolCount:
    """Count one image; FLOPs are halved.

    It is compared with our own count of a call under the same conditions, operator by operator.

    Args:
        module: in evaluation mode.
        x: [1, ...].
    """
    with torch.no_grad():
        _, ours = count_call(module, x)
        with FlopCounterMode(display=False) as counter:
            module(x)
    flops = counter.get_flop_counts().get("Global", {})
    found = {str(operator): count // 2 for operator, count in flops.items()}
    return ToolCount("torch", sum(found.values()), differences=tuple(_differences(found, ours)))


def _differences(found: dict[str, int], ours: CostCount) -> list[Difference]:
    expected = Counter(ours.by_op)
    missed = [
        Difference(-macs, name.removeprefix("aten."))
        for name, macs in ours.by_op.items()
        if name not in found
    ]
    otherwise = [
        Difference(macs - expected[name], f"of {name.removeprefix('aten.')}", known=False)
        for name, macs in found.items()
    ]
    return [difference for difference in (*missed, *otherwise) if difference.macs]
