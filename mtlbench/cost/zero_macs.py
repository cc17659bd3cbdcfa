"""The reviewed list of PyTorch operators that carry no multiply-accumulates, with one word of reason each.

Reviewed means: somebody decided that leaving the operator out of a MAC total is right, which is the
convention of the literature for everything but products of matrices and convolutions. The time such
operators take is reported beside the total, so leaving them out never hides them. What is neither here nor
in `operators.py` is uncounted.

Names are without overload and without the trailing underscore of the in-place form. Only operators with a
kernel of their own belong here: a composite one (`einsum`, `layer_norm`, ...) is taken apart by the counter
first, so that no matrix product can hide behind a name.
"""

from __future__ import annotations

__all__ = ["ZERO_MACS", "zero_reason"]

_BY_REASON = {
    "view": """
        _conj _neg_view _reshape_alias _unsafe_view _values _indices alias as_strided ccol_indices col_indices
        crow_indices detach diagonal expand indices lift lift_fresh permute row_indices select slice split
        split_with_sizes squeeze t transpose unbind unfold unsafe_split unsafe_split_with_sizes unsqueeze
        values view view_as_complex view_as_real
    """,
    "copy": """
        _copy_from _pin_memory _stack _to_copy _to_dense _to_sparse _to_sparse_bsc _to_sparse_bsr
        _to_sparse_csc _to_sparse_csr block_diag cat channel_shuffle native_channel_shuffle clone col2im
        constant_pad_nd copy diag_embed flip im2col pixel_shuffle pixel_unshuffle reflection_pad1d
        reflection_pad2d reflection_pad3d dequantize quantize_per_channel quantize_per_tensor repeat
        replication_pad1d replication_pad2d replication_pad3d resize resize_as roll rot90 set stack tril
        triu
    """,
    "factory": """
        _efficientzerotensor arange bartlett_window blackman_window empty empty_like empty_permuted
        empty_strided eye fill full full_like hamming_window hann_window kaiser_window linspace logspace
        new_empty new_empty_strided new_full new_ones new_zeros ones ones_like scalar_tensor tril_indices
        triu_indices zero zeros zeros_like
    """,
    "random": """
        bernoulli binomial cauchy exponential geometric log_normal multinomial native_dropout normal
        normal_functional poisson rand rand_like randint randint_like randn randn_like random randperm
        uniform
    """,
    "arithmetic": """
        _conj_physical _thnn_fused_gru_cell _thnn_fused_lstm_cell abs add addcdiv addcmul angle bitwise_and
        bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil clamp clamp_max
        clamp_min complex conj_physical copysign deg2rad div floor floor_divide fmax fmin fmod frac gcd
        heaviside hypot lcm ldexp lerp maximum minimum mul nan_to_num neg nextafter polar rad2deg reciprocal
        remainder round rsub sgn sign signbit sub trunc __lshift__ __rshift__
    """,
    "transcendental": """
        acos acosh asin asinh atan atan2 atanh cos cosh digamma erf erfc erfinv exp exp2 expm1 i0 igamma
        igammac lgamma log log10 log1p log2 logaddexp logaddexp2 logit mvlgamma polygamma pow rsqrt sin sinc
        sinh sqrt tan tanh xlogy
    """,
    "activation": """
        _prelu_kernel celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu
        log_sigmoid_forward mish relu rrelu_with_noise sigmoid silu softplus softshrink threshold
    """,
    "softmax": """
        _log_softmax _masked_softmax _safe_softmax _softmax logsumexp
    """,
    "norm": """
        _batch_norm_no_update _batch_norm_with_update _fused_rms_norm _native_batch_norm_legit
        _native_batch_norm_legit_no_training _weight_norm_interface cudnn_batch_norm miopen_batch_norm
        native_batch_norm native_group_norm native_layer_norm renorm
    """,
    "pooling": """
        _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_max_pool2d adaptive_max_pool3d
        avg_pool1d avg_pool2d avg_pool3d fractional_max_pool2d fractional_max_pool3d max_pool2d_with_indices
        max_pool3d_with_indices max_unpool2d max_unpool3d
    """,
    "interpolation": """
        _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d
        _upsample_nearest_exact3d cudnn_grid_sampler grid_sampler_2d grid_sampler_3d
        upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d
        upsample_nearest3d upsample_trilinear3d
    """,
    "indexing": """
        _index_put_impl _unsafe_index _unsafe_index_put _unsafe_masked_index as_strided_scatter bucketize
        diagonal_scatter embedding gather index index_add index_fill index_put index_reduce index_select
        masked_fill masked_scatter masked_select nonzero nonzero_static put repeat_interleave scatter
        scatter_add scatter_reduce searchsorted select_scatter slice_scatter take where
    """,
    "selection": """
        _unique _unique2 argmax argmin bincount histc kthvalue median mode nanmedian sort topk
        unique_consecutive unique_dim unique_dim_consecutive
    """,
    "reduction": """
        _aminmax _logcumsumexp all amax amin aminmax any count_nonzero cummax cummin cumprod cumsum dist
        linalg_vector_norm logcumsumexp max mean min nansum norm prod segment_reduce std std_mean sum trace
        var var_mean
    """,
    "comparison": """
        equal eq ge gt is_same_size isin isinf isnan isneginf isposinf le logical_and logical_not logical_or
        logical_xor lt ne
    """,
    "bookkeeping": """
        _assert_async _assert_scalar _assert_tensor_metadata _coalesced _convert_indices_from_coo_to_csr
        _convert_indices_from_csr_to_coo _dimI _dimV _has_same_storage_numel _local_scalar_dense _nnz
        dense_dim is_coalesced is_pinned record_stream sparse_dim
    """,
}

ZERO_MACS: dict[str, str] = {name: reason for reason, names in _BY_REASON.items() for name in names.split()}
"""Reason by operator name."""


def zero_reason(operator: str) -> str | None:
    """Why `operator` (`aten::add_`) carries no MACs, in one word; None where that was not reviewed."""
    namespace, _, name = operator.partition("::")
    if namespace != "aten":
        return None
    inplace = name.endswith("_") and not name.endswith("__")
    return ZERO_MACS.get(name[:-1] if inplace else name)
