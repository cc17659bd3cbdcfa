"""Our count beside those of fvcore and ptflops, and the reasons why they differ.

Both are compared on convolutions and linear layers, the operators all three know. Their totals follow other
conventions: fvcore (which says flops and means MACs) adds norms and resizing and has no handle for fused
attention; ptflops' default backend hooks modules, so that it misses attention, einsum and `@`, and adds
biases and activations.
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from mtlbench.cost.counter import CostCount, count_call
from mtlbench.cost.parts import OTHER

__all__ = ["CrossCheck", "crosscheck"]

T = TypeVar("T")

_MODULES = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
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
_FVCORE_PRODUCTS = ("conv", "linear", "addmm", "mm", "bmm", "matmul", "einsum")


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """What three counters say about one image.

    Args:
        macs_fvcore: fvcore's total, None where it failed.
        macs_ptflops: total of the default backend of ptflops, None where it failed.
        conv_linear_macs: of convolutions and linear layers, by counter: `ours`, `fvcore`, `ptflops`, as far
            as they ran.
        notes: the reason and the size of each difference, and each failure.
    """

    macs_fvcore: int | None = None
    macs_ptflops: int | None = None
    conv_linear_macs: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ours:
    count: CostCount
    conv_linear: int
    conv_linear_modules: int
    biases: int


def crosscheck(module: nn.Module, x: Tensor) -> CrossCheck:
    """Count one image with fvcore and ptflops, and compare with our own count.

    The tools see copies of `module` in evaluation mode. What they print, log and warn is dropped, what they
    patch is put back, and what they raise becomes a note: this function does not fail.

    Args:
        module: a network that takes one tensor and returns tensors in any nesting.
        x: images [B, ...]; only the first is used.
    """
    notes: list[str] = []
    found: dict[str, int] = {}
    with _left_as_found():
        ours = _attempt("our counter", notes, lambda: _count_ours(_copy(module), x[:1]))
        if ours is not None:
            found["ours"] = ours.conv_linear
        by_operator = _attempt("fvcore", notes, lambda: _run_fvcore(_copy(module), x[:1]))
        if by_operator is not None:
            found["fvcore"] = by_operator.get("conv", 0) + by_operator.get("linear", 0)
        total = _attempt("ptflops", notes, lambda: _run_ptflops(_copy(module), x[:1]))
        products = None
        if total is not None:
            products = _attempt(
                "ptflops", notes, lambda: _run_ptflops(_copy(module), x[:1], products_only=True)
            )
        if products is not None:
            found["ptflops"] = products
    if ours is not None and by_operator is not None:
        notes += _explain_fvcore(ours, by_operator)
    if ours is not None and products is not None:
        notes += _explain_ptflops(ours, products)
    fvcore_total = sum(by_operator.values()) if by_operator is not None else None
    return CrossCheck(fvcore_total, total, found, notes)


def _attempt(who: str, notes: list[str], run: Callable[[], T]) -> T | None:
    try:
        return run()
    except Exception as error:
        notes.append(f"{who} failed: {type(error).__name__}: {error}")
        return None


def _copy(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).eval()


def _count_ours(module: nn.Module, x: Tensor) -> _Ours:
    seen = {str(i): m for i, m in enumerate(module.modules()) if type(m) in _MODULES}
    biases = 0

    def add_bias(layer: nn.Module, _args: Any, out: Tensor) -> None:
        nonlocal biases
        biases += out.numel() if layer.bias is not None else 0

    for layer in seen.values():
        layer.register_forward_hook(add_bias)
    with torch.inference_mode():  # there the dispatcher still shows linear layers as such
        _, count = count_call(module, x, parts=seen)
    return _Ours(
        count=count,
        conv_linear=sum(count.by_call.get(call, 0) for call in _CALLS),
        conv_linear_modules=sum(macs for part, macs in count.by_part.items() if part != OTHER),
        biases=biases,
    )


class _TupleOutput(nn.Module):
    """A network whose result is a flat tuple, since fvcore traces nothing else."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(leaf for leaf in tree_leaves(self.module(x)) if isinstance(leaf, Tensor))


def _run_fvcore(module: nn.Module, x: Tensor) -> dict[str, int]:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(_TupleOutput(module).eval(), x)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with torch.no_grad():
        return {name: int(macs) for name, macs in analysis.by_operator().items()}


def _run_ptflops(module: nn.Module, x: Tensor, *, products_only: bool = False) -> int:
    from ptflops import get_model_complexity_info
    from ptflops.pytorch_ops import MODULES_MAPPING

    said = io.StringIO()
    with torch.no_grad(), redirect_stdout(said), redirect_stderr(said):
        macs, _ = get_model_complexity_info(
            module,
            tuple(x.shape[1:]),
            as_strings=False,
            print_per_layer_stat=False,
            input_constructor=lambda _: x,
            ost=said,
            backend="pytorch",
            ignore_modules=[kind for kind in MODULES_MAPPING if kind not in _MODULES]
            if products_only
            else [],
            backend_specific_config={"count_functional": not products_only},
        )
    if macs is None:
        raise RuntimeError(" ".join(said.getvalue().split())[:200])
    return int(macs)


def _explain_fvcore(ours: _Ours, by_operator: dict[str, int]) -> list[str]:
    extra = {name: macs for name, macs in by_operator.items() if macs and name not in _FVCORE_PRODUCTS}
    attention = ours.count.by_call.get("aten.scaled_dot_product_attention", 0)
    notes = []
    if extra:
        notes.append(f"fvcore adds {sum(extra.values())} for {', '.join(sorted(extra))}")
    if attention:
        notes.append(f"fvcore leaves out {attention} MACs of scaled_dot_product_attention")
    rest = sum(by_operator.values()) - sum(extra.values()) + attention - ours.count.macs
    if rest:
        notes.append(f"fvcore differs by another {rest:+d} that nothing known explains")
    return notes


def _explain_ptflops(ours: _Ours, products: int) -> list[str]:
    notes = []
    if ours.biases:
        notes.append(f"ptflops adds {ours.biases} for biases of convolutions and linear layers")
    if unseen := ours.conv_linear - ours.conv_linear_modules:
        notes.append(
            f"ptflops leaves out {unseen} MACs of convolutions and linear layers that are no modules"
        )
    if other := ours.count.macs - ours.conv_linear:
        notes.append(f"ptflops may leave out up to {other} MACs of attention, einsum and @")
    if rest := products - ours.conv_linear_modules - ours.biases:
        notes.append(f"ptflops differs by another {rest:+d} on modules that nothing known explains")
    return notes


@contextmanager
def _left_as_found() -> Iterator[None]:
    """Silence what runs inside; put back random state, log level, fast path and patched functions."""
    owners = (F, torch, torch.Tensor)
    before = [dict(vars(owner)) for owner in owners]
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)  # the fused layers hide their linear layers
        for owner, names in zip(owners, before, strict=True):
            stack.callback(_put_back, owner, names)
        yield


def _put_back(owner: Any, before: dict[str, Any]) -> None:
    for name, value in list(vars(owner).items()):
        if name in before and before[name] is not value:
            setattr(owner, name, before[name])
        elif name not in before and owner is torch.Tensor:
            delattr(owner, name)  # ptflops unpatches inherited methods by setting them on the class itself
