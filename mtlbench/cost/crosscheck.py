"""Our count beside those of fvcore, ptflops and PyTorch's own counter, and the reasons why they differ.

They are compared on convolutions and linear layers, the operators all of them know. Their totals follow other
conventions, so the difference of every total is given in named pieces that add up.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mtlbench.cost.counter import count_call
from mtlbench.cost.tools.base import PRODUCT_MODULES, OurCount, ToolCount
from mtlbench.cost.tools.fvcore_tool import count_with_fvcore
from mtlbench.cost.tools.ptflops_tool import count_with_ptflops
from mtlbench.cost.tools.state import left_as_found
from mtlbench.cost.tools.torch_tool import count_with_torch
from mtlbench.measure.parts import OTHER

__all__ = ["CrossCheck", "crosscheck"]

_CALLS = (
    "aten.linear",
    "aten.conv1d",
    "aten.conv2d",
    "aten.conv3d",
    "aten.conv_transpose1d",
    "aten.conv_transpose2d",
    "aten.conv_transpose3d",
    "aten.convolution",
)


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """What other counters say about one image.

    Args:
        tools: fvcore, ptflops and torch.
        conv_linear_macs: of convolutions and linear layers, by counter: `ours` and the tools that tell them
            apart, as far as they ran.
        failure: why our own counter could not run; empty where it did.
    """

    tools: tuple[ToolCount, ...]
    conv_linear_macs: dict[str, int] = field(default_factory=dict)
    failure: str = ""

    @property
    def macs_fvcore(self) -> int | None:
        """Total of fvcore, None where it failed."""
        return self._macs("fvcore")

    @property
    def macs_ptflops(self) -> int | None:
        """Total of the default backend of ptflops, None where it failed."""
        return self._macs("ptflops")

    @property
    def macs_torch(self) -> int | None:
        """Half the FLOPs of PyTorch's FlopCounterMode, None where it failed."""
        return self._macs("torch")

    @property
    def notes(self) -> list[str]:
        """The reason and the size of each difference, and each failure, as sentences."""
        ours = [f"our counter failed: {self.failure}"] if self.failure else []
        return ours + [note for tool in self.tools for note in tool.notes]

    def _macs(self, name: str) -> int | None:
        return next((tool.macs for tool in self.tools if tool.tool == name), None)


def crosscheck(module: nn.Module, x: Tensor) -> CrossCheck:
    """Count one image with the other counters, and compare with our own count.

    All see copies of `module` in evaluation mode. What they print, log and warn is dropped, what they patch is put
    back, and what they raise becomes a note: this function does not fail.

    Args:
        module: a network that takes one tensor and returns tensors in any nesting.
        x: images [B, ...]; only the first is used.
    """
    x = x[:1]
    with left_as_found():
        by_torch = _attempt("torch", lambda: count_with_torch(_copy(module), x))
        torch.backends.mha.set_fastpath_enabled(False)  # the fused layers hide their linear layers
        try:
            ours = _count_ours(_copy(module), x)
        except Exception as error:
            return CrossCheck((by_torch,), failure=_said(error))
        by_fvcore = _attempt("fvcore", lambda: count_with_fvcore(_copy(module), x, ours))
        by_ptflops = _attempt("ptflops", lambda: count_with_ptflops(_copy(module), x, ours))
    tools = (by_fvcore, by_ptflops, by_torch)
    known = {tool.tool: tool.conv_linear for tool in tools if tool.conv_linear is not None}
    return CrossCheck(tools, {"ours": ours.conv_linear, **known})


def _attempt(tool: str, run: Callable[[], ToolCount]) -> ToolCount:
    try:
        return run()
    except Exception as error:
        return ToolCount(tool, failure=_said(error))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _copy(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).eval()


def _count_ours(module: nn.Module, x: Tensor) -> OurCount:
    seen = {str(i): m for i, m in enumerate(module.modules()) if type(m) in PRODUCT_MODULES}
    biases = 0

    def add_bias(layer: nn.Module, _args: Any, out: Tensor) -> None:
        nonlocal biases
        biases += out.numel() if layer.bias is not None else 0

    for layer in seen.values():
        layer.register_forward_hook(add_bias)
    with torch.inference_mode():  # there the dispatcher still shows linear layers as such
        _, count = count_call(module, x, parts=seen)
    return OurCount(
        count=count,
        conv_linear=sum(count.by_call.get(call, 0) for call in _CALLS),
        conv_linear_modules=sum(macs for part, macs in count.by_part.items() if part != OTHER),
        biases=biases,
    )
