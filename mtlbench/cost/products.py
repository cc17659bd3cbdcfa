"""MACs of PyTorch's products: matrices (dense, sparse, nested, quantised), convolutions, recurrent layers.

A formula gets the result and the arguments in the order of the operator's schema. It answers None where these
arguments have no closed form; then the call is uncounted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from mtlbench.cost import formulas

__all__ = ["PRODUCTS", "nested_shapes"]

_SPARSE = {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}


def nested_shapes(x: Tensor) -> list[list[int]]:
    """The shape of each sample of a strided nested tensor."""
    shapes: list[list[int]] = x._nested_tensor_size().tolist()
    return shapes


def _product(a: Tensor, b: Tensor) -> int | None:
    """A matrix product of operands of any layout and type."""
    macs = _nested_product(a, b) if a.is_nested or b.is_nested else _flat_product(a, b)
    return macs if macs is None else macs * formulas.real_macs(a.is_complex())


def _flat_product(a: Tensor, b: Tensor) -> int | None:
    """Of a sparse operand only the stored elements are multiplied."""
    a_sparse, b_sparse = a.layout in _SPARSE, b.layout in _SPARSE
    if a_sparse and b_sparse:
        return None
    if a_sparse:
        return formulas.sparse_matmul_macs(_stored(a), b.shape[-1] if b.dim() > 1 else 1)
    if b_sparse:
        return formulas.sparse_matmul_macs(_stored(b), prod(a.shape[:-1]))
    return formulas.matmul_macs(a.shape, b.shape)


def _nested_product(a: Tensor, b: Tensor) -> int | None:
    """Sample by sample, as `bmm` does it; a right operand of two dimensions is shared by all samples."""
    if not a.is_nested:
        return None
    left = nested_shapes(a)
    right = nested_shapes(b) if b.is_nested else [list(b.shape[-2:])] * len(left)
    return sum(formulas.matmul_macs(*pair) for pair in zip(left, right, strict=True))


def _nested_matmul(_out: Tensor, a: Tensor, b: Tensor, **_: Any) -> int | None:
    """`@` of nested tensors pads all samples to the largest on the CPU; elsewhere that is not known.

    Every other `@` is taken apart before it comes here.
    """
    if not (a.is_nested and b.is_nested and a.device.type == "cpu"):
        return None
    left, right = nested_shapes(a), nested_shapes(b)
    return len(left) * formulas.matmul_macs(_largest(left), _largest(right))


def _largest(shapes: list[list[int]]) -> list[int]:
    return [max(sizes) for sizes in zip(*shapes, strict=True)]


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
    return formulas.outer_macs(a.shape, b.shape) * formulas.real_macs(a.is_complex())


def _packed_linear(out: Tensor, x: Tensor, *_: Any, **__: Any) -> int:
    """A linear layer whose packed weight hides its shape: only result and input tell it."""
    return out.numel() * x.shape[-1]


def _sampled_product(_out: Tensor, pattern: Tensor, a: Tensor, _b: Tensor, **_: Any) -> int:
    return formulas.sampled_matmul_macs(_stored(pattern), a.shape[-1]) * formulas.real_macs(a.is_complex())


def _grouped_product(out: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """Groups of rows, of columns or of the inner dimension, each with a matrix of its own."""
    inner_is_grouped = a.dim() == b.dim() == 2
    return prod(out.shape[1:] if inner_is_grouped else out.shape) * a.shape[-1]


def _distances(_out: Tensor, a: Tensor, b: Tensor) -> int:
    """Of all pairs, by one product of vectors that carry two more numbers: 1 and the squared length."""
    inner = a.shape[-1] + 2
    return formulas.matmul_macs((*a.shape[:-1], inner), (*b.shape[:-2], inner, b.shape[-2]))


def _bilinear(
    _out: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    expand_a: Sequence[int],
    expand_b: Sequence[int],
    expand_c: Sequence[int],
    summed: Sequence[int],
    *_: Any,
) -> int:
    """`sum(a * b * c)` in the order of the kernel: `a` with `b`, then the result with `c`."""
    dims = range(a.dim() + len(expand_a))
    sizes = [_expanded(x, expand) for x, expand in ((a, expand_a), (b, expand_b), (c, expand_c))]
    left = [max(sizes[0][d], sizes[1][d]) for d in dims]
    summed_first = [d for d in summed if d in expand_c]
    rest = [1 if d in summed_first else max(left[d], sizes[2][d]) for d in dims]
    first = prod(left) if summed_first else 0  # without a sum it is no MAC
    return first + (prod(rest) if len(summed) > len(summed_first) else 0)


def _expanded(x: Tensor, expand: Sequence[int]) -> list[int]:
    sizes = list(x.shape)
    for d in sorted(expand):
        sizes.insert(d, 1)
    return sizes


def _affine_grid(_out: Tensor, theta: Tensor, size: Sequence[int], *_: Any) -> int:
    batch, _channels, *places = size
    return formulas.linear_macs(batch * prod(places), theta.shape[2], theta.shape[1])


def _cudnn_affine_grid(_out: Tensor, _theta: Tensor, n: int, _c: int, h: int, w: int) -> int:
    return formulas.linear_macs(n * h * w, 3, 2)


def _convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    transposed: bool = rest[4]  # bias, stride, padding, dilation, transposed, ...
    return formulas.conv_macs(x.shape, weight.shape, out.shape, transposed=transposed)


def _plain_convolution(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    return formulas.conv_macs(x.shape, weight.shape, out.shape)


def _transposed_convolution(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    return formulas.conv_macs(x.shape, weight.shape, out.shape, transposed=True)


def _packed_convolution(out: Tensor, x: Tensor, packed: Any, *_: Any) -> int:
    """A quantised convolution; its packed weight can be asked for the weight and for its kind."""
    weight, _bias = packed.unpack()
    return formulas.conv_macs(x.shape, weight.shape, out.shape, transposed=bool(packed.transpose()))


def _time_convolution(out: Tensor, _x: Tensor, weight: Tensor, *_: Any) -> int:
    """Time first, channels last; the weight is [kernel, C_in, C_out]."""
    return out.numel() * prod(weight.shape[:2])


def _lstm_layer(_out: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, *_: Any) -> int:
    return formulas.recurrent_macs(prod(x.shape[:-1]), [weight_ih.shape, weight_hh.shape])


def _recurrent_layers(_out: Any, x: Tensor, weights: Sequence[Tensor], *_: Any) -> int:
    matrices = [weight.shape for weight in weights if weight.dim() == 2]
    return formulas.recurrent_macs(prod(x.shape[:-1]), matrices)


def _named(names: str, formula: Callable[..., int | None]) -> dict[str, Callable[..., int | None]]:
    return dict.fromkeys(names.split(), formula)


PRODUCTS: dict[str, Callable[..., int | None]] = {
    **_named(
        """
        aten::mm aten::bmm aten::mv aten::dot aten::vdot aten::hspmm aten::_int_mm aten::_scaled_mm
        aten::_scaled_mm_v2 aten::_sparse_mm_reduce_impl quantized::matmul
        """,
        _plain_product,
    ),
    "aten::matmul": _nested_matmul,
    **_named(
        """
        aten::addmm aten::addmm_ aten::_addmm_activation aten::addmv aten::addmv_ aten::addbmm aten::addbmm_
        aten::baddbmm aten::baddbmm_ aten::_sparse_addmm aten::sspaddmm
        """,
        _added_product,
    ),
    **_named("aten::linear aten::mkldnn_linear", _linear),  # composite but for some devices and layouts
    **_named("aten::addr aten::addr_", _outer),
    **_named(
        """
        aten::_weight_int8pack_mm aten::_weight_int4pack_mm aten::_weight_int4pack_mm_for_cpu
        aten::_weight_int4pack_mm_with_scales_and_zeros aten::_dyn_quant_matmul_4bit aten::_mixed_dtypes_linear
        quantized::linear quantized::linear_relu quantized::linear_leaky_relu quantized::linear_tanh
        quantized::linear_dynamic quantized::linear_relu_dynamic quantized::linear_dynamic_fp16
        quantized::linear_relu_dynamic_fp16
        """,
        _packed_linear,
    ),
    "aten::sparse_sampled_addmm": _sampled_product,
    **_named("aten::_grouped_mm aten::_scaled_grouped_mm aten::_scaled_grouped_mm_v2", _grouped_product),
    "aten::_euclidean_dist": _distances,
    "aten::_trilinear": _bilinear,
    "aten::affine_grid_generator": _affine_grid,
    "aten::cudnn_affine_grid_generator": _cudnn_affine_grid,
    **_named("aten::convolution aten::_convolution aten::convolution_overrideable", _convolution),
    **_named(
        """
        aten::_slow_conv2d_forward aten::slow_conv3d_forward aten::slow_conv_dilated2d
        aten::slow_conv_dilated3d aten::_conv_depthwise2d aten::conv_depthwise3d aten::mkldnn_convolution
        aten::cudnn_convolution aten::cudnn_convolution_relu aten::cudnn_convolution_add_relu
        aten::miopen_convolution aten::miopen_convolution_relu aten::miopen_convolution_add_relu
        aten::miopen_depthwise_convolution
        """,
        _plain_convolution,
    ),
    **_named(
        """
        aten::slow_conv_transpose2d aten::slow_conv_transpose3d aten::cudnn_convolution_transpose
        aten::miopen_convolution_transpose
        """,
        _transposed_convolution,
    ),
    **_named(
        """
        quantized::conv1d quantized::conv1d_relu quantized::conv1d_dynamic quantized::conv2d
        quantized::conv2d_relu quantized::conv2d_add quantized::conv2d_add_relu quantized::conv2d_dynamic
        quantized::conv3d quantized::conv3d_relu quantized::conv3d_dynamic quantized::conv_transpose1d
        quantized::conv_transpose1d_dynamic quantized::conv_transpose2d quantized::conv_transpose2d_dynamic
        quantized::conv_transpose3d quantized::conv_transpose3d_dynamic
        """,
        _packed_convolution,
    ),
    "aten::conv_tbc": _time_convolution,
    "aten::mkldnn_rnn_layer": _lstm_layer,
    **_named("aten::_cudnn_rnn aten::miopen_rnn", _recurrent_layers),
}
"""Formula by qualified operator name."""
