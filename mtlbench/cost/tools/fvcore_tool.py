"""fvcore: counts on a `torch.jit` trace, says flops and means MACs, adds norms and resizing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtlbench.cost.tools.base import Difference, OurCount, TensorsOut, ToolCount

__all__ = ["count_with_fvcore"]

_PRODUCTS = {
    "aten.linear": "linear",
    "aten.conv1d": "conv",
    "aten.conv2d": "conv",
    "aten.conv3d": "conv",
    "aten.conv_transpose1d": "conv",
    "aten.conv_transpose2d": "conv",
    "aten.conv_transpose3d": "conv",
    "aten.convolution": "conv",
    "aten.addmm": "addmm",
    "aten.mm": "mm",
    "aten.bmm": "bmm",
    "aten.matmul": "matmul",
    "aten.einsum": "einsum",
}
"""fvcore's name of each product that it knows, by the operator that a network calls."""


def count_with_fvcore(module: nn.Module, x: Tensor, ours: OurCount) -> ToolCount:
    """Count one image.

    Args:
        module: in evaluation mode.
        x: [1, ...].
        ours: our own count of the same call.
    """
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(TensorsOut(module).eval(), x)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with torch.no_grad():
        found = {name: int(macs) for name, macs in analysis.by_operator().items()}
    return ToolCount(
        "fvcore",
        sum(found.values()),
        found.get("conv", 0) + found.get("linear", 0),
        tuple(_differences(found, ours.count.by_call)),
    )


def _differences(found: Mapping[str, int], by_call: Mapping[str, int]) -> list[Difference]:
    extra = {name: macs for name, macs in found.items() if macs and name not in _PRODUCTS.values()}
    missed = {call: macs for call, macs in by_call.items() if macs and call not in _PRODUCTS}
    expected: Counter[str] = Counter()
    for call, macs in by_call.items():
        if call in _PRODUCTS:
            expected[_PRODUCTS[call]] += macs
    otherwise = [
        Difference(found.get(name, 0) - expected[name], f"of {name}", known=False)
        for name in sorted(set(_PRODUCTS.values()))
    ]
    named = [
        Difference(sum(extra.values()), ", ".join(sorted(extra))),
        *(Difference(-macs, call.removeprefix("aten.")) for call, macs in sorted(missed.items())),
    ]
    return [difference for difference in (*named, *otherwise) if difference.macs]
