"""ptflops: hooks modules and patches functions, so it misses `@`, einsum and attention; adds biases and norms."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn

from mtlbench.cost.tools.base import PRODUCT_MODULES, Difference, OurCount, ToolCount

__all__ = ["count_with_ptflops"]

_OTHER_PRODUCT_MODULES = (
    nn.MultiheadAttention,
    nn.RNN,
    nn.LSTM,
    nn.GRU,
    nn.RNNCell,
    nn.LSTMCell,
    nn.GRUCell,
)
_PRODUCT_FUNCTIONS = {"matmul", "mm", "bmm", "addmm", "baddbmm"}


def count_with_ptflops(module: nn.Module, x: Tensor, ours: OurCount) -> ToolCount:
    """Count one image with the default backend, `pytorch`.

    Args:
        module: in evaluation mode; ptflops leaves attributes on it.
        x: [1, ...].
        ours: our own count of the same call.
    """
    total = _run(module, x)
    products = _run(module, x, only=PRODUCT_MODULES, functions=False)
    with _elementwise_functions_are_free():
        others = _run(module, x, only=_OTHER_PRODUCT_MODULES)
    missed = ours.count.macs - ours.conv_linear
    others_reason = (
        "attention, einsum and @"
        if others <= missed
        else "attention, recurrent layers and matmul, which it counts its own way"
    )
    differences = (
        Difference(ours.biases, "biases of convolutions and linear layers"),
        Difference(
            ours.conv_linear_modules - ours.conv_linear, "convolutions and linear layers that are no modules"
        ),
        Difference(others - missed, others_reason),
        Difference(total - products - others, "norms, activations, resizing, + and *"),
        Difference(products - ours.conv_linear_modules - ours.biases, "on modules", known=False),
    )
    return ToolCount("ptflops", total, products, tuple(d for d in differences if d.macs))


def _run(
    module: nn.Module, x: Tensor, only: Collection[type[nn.Module]] | None = None, *, functions: bool = True
) -> int:
    """The total, or what some kinds of modules and the patched functions add to it."""
    from ptflops import get_model_complexity_info
    from ptflops.pytorch_ops import MODULES_MAPPING

    ignored = [] if only is None else [kind for kind in MODULES_MAPPING if kind not in only]
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
            ignore_modules=ignored,
            backend_specific_config={"count_functional": functions},
        )
    if macs is None:
        raise RuntimeError(" ".join(said.getvalue().split())[:200])
    return int(macs)


@contextmanager
def _elementwise_functions_are_free() -> Iterator[None]:
    """Of the functions that ptflops patches, let only products count."""
    from ptflops.pytorch_ops import FUNCTIONAL_MAPPING, TENSOR_OPS_MAPPING

    def free(*_: Any, **__: Any) -> int:
        return 0

    tables: tuple[dict[Any, Callable[..., int]], ...] = (FUNCTIONAL_MAPPING, TENSOR_OPS_MAPPING)
    before = [dict(table) for table in tables]
    try:
        for table in tables:
            table.update({f: free for f in table if f.__name__ not in _PRODUCT_FUNCTIONS})
        yield
    finally:
        for table, entries in zip(tables, before, strict=True):
            table.update(entries)
