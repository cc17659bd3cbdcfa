"""MACs of PyTorch's attention kernels, and of the fused layers around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from mtlbench.cost import formulas
from mtlbench.cost.products import nested_shapes

__all__ = ["ATTENTION"]


def _heads_first(_out: Any, q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> int | None:
    """Queries [..., H, L, E]; the whole square also where a mask hides part of it."""
    if q.is_nested or k.is_nested:
        return None
    return formulas.attention_macs(q.shape, k.shape, v.shape)


def _flash(
    out: Any,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    starts_q: Tensor | None,
    starts_k: Tensor | None,
    *_: Any,
    **__: Any,
) -> int:
    return _heads_second(q, k, v, starts_q, starts_k)


def _with_bias(
    out: Any,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    _bias: Tensor | None,
    starts_q: Tensor | None,
    starts_k: Tensor | None,
    *_: Any,
    **__: Any,
) -> int:
    return _heads_second(q, k, v, starts_q, starts_k)


def _heads_second(q: Tensor, k: Tensor, v: Tensor, starts_q: Tensor | None, starts_k: Tensor | None) -> int:
    """Queries [..., L, H, E]; or all samples in one row, each beginning where `starts_q` says."""
    if starts_q is None or starts_k is None:
        return formulas.attention_macs(*(x.transpose(-3, -2).shape for x in (q, k, v)))
    heads, width = q.shape[-2], q.shape[-1] + v.shape[-1]
    pairs = (starts_q.diff() * starts_k.diff()).sum()
    return heads * width * int(pairs)


def _multi_head_attention(_out: Any, query: Tensor, key: Tensor, *_: Any, **__: Any) -> int | None:
    if query.is_nested and query is key:
        return _nested_self_attention(nested_shapes(query))
    if query.is_nested or key.is_nested:
        return None
    return formulas.multi_head_attention_macs(query.shape, key.shape)


def _encoder_layer(_out: Tensor, x: Tensor, *rest: Any, **_: Any) -> int:
    hidden = rest[13].shape[0]  # ffn_weight_1
    if not x.is_nested:
        return formulas.encoder_layer_macs(x.shape, hidden)
    shapes = nested_shapes(x)
    mlp = sum(2 * formulas.linear_macs(tokens, dim, hidden) for tokens, dim in shapes)
    return _nested_self_attention(shapes) + mlp


def _nested_self_attention(shapes: list[list[int]]) -> int:
    """The fused kernel projects real tokens only, but pads them to the longest sample for attention."""
    longest, dim = max(tokens for tokens, _ in shapes), shapes[0][1]
    padded = (len(shapes), longest, dim)
    return sum(4 * formulas.linear_macs(tokens, dim, dim) for tokens, _ in shapes) + formulas.attention_macs(
        padded, padded, padded
    )


ATTENTION: dict[str, Callable[..., int | None]] = {
    "aten::_scaled_dot_product_flash_attention_for_cpu": _heads_first,
    "aten::_scaled_dot_product_flash_attention": _heads_first,
    "aten::_scaled_dot_product_efficient_attention": _heads_first,
    "aten::_scaled_dot_product_cudnn_attention": _heads_first,
    "aten::_scaled_dot_product_fused_attention_overrideable": _heads_first,
    "aten::_scaled_dot_product_attention_math_for_mps": _heads_first,
    "aten::_triton_scaled_dot_attention": _heads_first,
    "aten::_flash_attention_forward": _flash,
    "aten::_efficient_attention_forward": _with_bias,
    "aten::_cudnn_attention_forward": _with_bias,
    "aten::_native_multi_head_attention": _multi_head_attention,
    "aten::_transformer_encoder_layer_fwd": _encoder_layer,
}
"""Formula by qualified operator name."""
