"""From an operator as PyTorch dispatched it to its MACs: which arguments are the shapes of which formula.

A formula gets the result and the arguments in the order of the operator's schema. It answers None where these
arguments have no closed form (nested tensors, packed sequences, sparse times sparse): then the call is
uncounted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from mtlbench.cost import formulas
from mtlbench.errors import UsageError

__all__ = ["MacsFormula", "declare_macs", "macs_formula"]

MacsFormula = Callable[..., "int | None"]
"""`formula(result, *args, **kwargs) -> MACs of this call`, or None."""

_SPARSE = {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}


def declare_macs(operator: str, formula: MacsFormula) -> None:
    """Tell the counter what a custom operator costs, such as a fused gather-and-multiply kernel.

    Args:
        operator: qualified name without overload, `mylib::gather_linear`.
        formula: called as `formula(result, *args, **kwargs)` with what the operator returned and was given.

    Raises:
        UsageError: the name is not qualified, is PyTorch's own, or is declared already.
    """
    namespace, separator, name = operator.partition("::")
    if not (namespace and separator and name):
        raise UsageError(f"{operator!r} is no operator name", fix="Write it as 'namespace::name'")
    if namespace == "aten" or _FORMULAS.get(operator, formula) is not formula:
        raise UsageError(
            f"the MACs of {operator!r} are defined already",
            fix="Declare only operators of your own, and once",
        )
    _FORMULAS[operator] = formula


def macs_formula(operator: str) -> MacsFormula | None:
    """The formula of `operator` (`aten::addmm`), or None where there is none."""
    return _FORMULAS.get(operator)


def _product(a: Tensor, b: Tensor) -> int | None:
    """A matrix product whose operands may be sparse: then only stored elements are multiplied."""
    a_sparse, b_sparse = a.layout in _SPARSE, b.layout in _SPARSE
    if a_sparse and b_sparse:
        return None
    if a_sparse:
        return formulas.sparse_matmul_macs(_stored(a), b.shape[-1] if b.dim() > 1 else 1)
    if b_sparse:
        return formulas.sparse_matmul_macs(_stored(b), prod(a.shape[:-1]))
    return formulas.matmul_macs(a.shape, b.shape)


def _stored(x: Tensor) -> int:
    values = x._values() if x.layout == torch.sparse_coo else x.values()
    return values.numel()


def _added_product(_out: Tensor, _bias: Tensor, a: Tensor, b: Tensor, **_: Any) -> int | None:
    return _product(a, b)


def _plain_product(_out: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> int | None:
    return _product(a, b)


def _linear(_out: Tensor, x: Tensor, weight: Tensor, *_: Any) -> int | None:
    return _product(x, weight.t())


def _outer(_out: Tensor, _bias: Tensor, a: Tensor, b: Tensor, **_: Any) -> int:
    return formulas.outer_macs(a.shape, b.shape)


def _int8_weight_product(_out: Tensor, a: Tensor, weight: Tensor, *_: Any) -> int:
    return formulas.linear_macs(prod(a.shape[:-1]), a.shape[-1], weight.shape[0])


def _quantized_linear(out: Tensor, x: Tensor, *_: Any) -> int:
    return formulas.linear_macs(prod(x.shape[:-1]), x.shape[-1], out.shape[-1])


def _sampled_product(_out: Tensor, pattern: Tensor, a: Tensor, _b: Tensor, **_: Any) -> int:
    return formulas.sampled_matmul_macs(_stored(pattern), a.shape[-1])


def _convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    transposed: bool = rest[4]  # bias, stride, padding, dilation, transposed, ...
    return formulas.conv_macs(x.shape, weight.shape, out.shape, transposed=transposed)


def _attention(_out: Any, q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> int | None:
    if q.is_nested or k.is_nested:
        return None
    return formulas.attention_macs(q.shape, k.shape, v.shape)


def _multi_head_attention(_out: Any, query: Tensor, key: Tensor, *_: Any, **__: Any) -> int | None:
    if query.is_nested or key.is_nested:
        return None
    return formulas.multi_head_attention_macs(query.shape, key.shape)


def _encoder_layer(_out: Tensor, x: Tensor, *rest: Any, **_: Any) -> int | None:
    if x.is_nested:
        return None
    hidden = rest[13].shape[0]  # ffn_weight_1
    return formulas.encoder_layer_macs(x.shape, hidden)


def _lstm_layer(_out: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, *_: Any) -> int:
    return formulas.lstm_macs(prod(x.shape[:-1]), weight_ih.shape, weight_hh.shape)


_FORMULAS: dict[str, MacsFormula] = {
    "aten::linear": _linear,  # a kernel of its own on some devices only; elsewhere composite
    "aten::mm": _plain_product,
    "aten::bmm": _plain_product,
    "aten::mv": _plain_product,
    "aten::dot": _plain_product,
    "aten::vdot": _plain_product,
    "aten::_int_mm": _plain_product,
    "aten::_scaled_mm": _plain_product,
    "aten::_sparse_mm_reduce_impl": _plain_product,
    "aten::addmm": _added_product,
    "aten::addmm_": _added_product,
    "aten::_addmm_activation": _added_product,
    "aten::addmv": _added_product,
    "aten::addmv_": _added_product,
    "aten::addbmm": _added_product,
    "aten::addbmm_": _added_product,
    "aten::baddbmm": _added_product,
    "aten::baddbmm_": _added_product,
    "aten::_sparse_addmm": _added_product,
    "aten::sparse_sampled_addmm": _sampled_product,
    "aten::addr": _outer,
    "aten::addr_": _outer,
    "aten::_weight_int8pack_mm": _int8_weight_product,
    "quantized::linear": _quantized_linear,
    "quantized::linear_dynamic": _quantized_linear,
    "aten::convolution": _convolution,
    "aten::_convolution": _convolution,
    "aten::convolution_overrideable": _convolution,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten::_scaled_dot_product_flash_attention": _attention,
    "aten::_scaled_dot_product_efficient_attention": _attention,
    "aten::_scaled_dot_product_cudnn_attention": _attention,
    "aten::_scaled_dot_product_fused_attention_overrideable": _attention,
    "aten::_native_multi_head_attention": _multi_head_attention,
    "aten::_transformer_encoder_layer_fwd": _encoder_layer,
    "aten::mkldnn_rnn_layer": _lstm_layer,
}
