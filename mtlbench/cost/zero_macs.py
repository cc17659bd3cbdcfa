"""The reviewed list of PyTorch operators that carry no multiply-accumulates, with one word of reason each.

Reviewed means: somebody decided that leaving the operator out of a MAC total is right, which is the
convention of the literature for everything but products of matrices and convolutions. The time such
operators take is reported beside the total, so leaving them out never hides them. What is neither here nor
in `operators.py` is uncounted.

Names are without overload and without the trailing underscore of the in-place form. Only operators with a
kernel of their own belong here, and the two composite views that the counter leaves whole: any other composite
(`einsum`, `layer_norm`, ...) is taken apart first, so that no matrix product can hide behind a name.
"""

from __future__ import annotations

__all__ = ["ZERO_MACS", "zero_reason"]

_BY_REASON = {
    "view": """
        _conj _neg_view _nested_get_values _nested_view_from_buffer _nested_view_from_jagged _reshape_alias
        _sparse_broadcast_to _unsafe_view _values _indices alias as_strided ccol_indices chunk col_indices
        crow_indices detach diagonal expand indices lift lift_fresh narrow permute row_indices select slice split
        split_with_sizes squeeze t transpose unbind unfold unsafe_split unsafe_split_with_sizes unsqueeze
        values view view_as_complex view_as_real
    """,
    "copy": """
        _chunk_cat _conj_copy _copy_from _copy_from_and_resize _indices_copy _jagged_to_padded_dense_forward
        _lazy_clone _mkldnn_reshape _mkldnn_transpose _neg_view_copy _nested_from_padded
        _nested_from_padded_tensor _nested_get_values_copy _nested_tensor_from_mask
        _nested_tensor_from_tensor_list _nested_view_from_buffer_copy _nested_view_from_jagged_copy
        _pack_padded_sequence _padded_dense_to_jagged_forward _pin_memory _reshape_alias_copy _reshape_copy
        _sparse_broadcast_to_copy _stack _to_copy _to_dense _to_sparse _to_sparse_bsc _to_sparse_bsr
        _to_sparse_csc _to_sparse_csr _values_copy alias_copy as_strided_copy block_diag cat ccol_indices_copy
        channel_shuffle clone col2im col_indices_copy constant_pad_nd copy copy_sparse_to_sparse
        crow_indices_copy detach_copy diag_embed diagonal_copy expand_copy flip im2col indices_copy
        lift_fresh_copy mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight narrow_copy
        native_channel_shuffle permute_copy pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d
        reflection_pad3d repeat replication_pad1d replication_pad2d replication_pad3d resize resize_as roll
        rot90 row_indices_copy select_copy set slice_copy slice_inverse split_copy split_with_sizes_copy
        squeeze_copy stack t_copy to_mkldnn to_padded_tensor transpose_copy tril triu unbind_copy unfold_copy
        unsqueeze_copy values_copy view_as_complex_copy view_as_real_copy view_copy
    """,
    "quantisation": """
        _empty_affine_quantized _empty_per_channel_affine_quantized
        _fake_quantize_per_tensor_affine_cachemask_tensor_qparams _make_per_channel_quantized_tensor
        _make_per_tensor_quantized_tensor dequantize fake_quantize_per_channel_affine_cachemask
        fake_quantize_per_tensor_affine_cachemask int_repr q_per_channel_axis q_per_channel_scales
        q_per_channel_zero_points q_scale q_zero_point quantize_per_channel quantize_per_tensor
        quantize_per_tensor_dynamic
    """,
    "factory": """
        _efficientzerotensor _new_zeros_with_same_feature_meta arange bartlett_window blackman_window empty
        empty_like empty_permuted empty_quantized empty_strided eye fft_fftfreq fft_rfftfreq fill full
        full_like hamming_window hann_window kaiser_window linspace logspace new_empty new_empty_strided
        new_full new_ones new_zeros ones ones_like range scalar_tensor tril_indices triu_indices zero zeros
        zeros_like
    """,
    "random": """
        _philox_key_fold_in _philox_key_split _philox_normal _philox_uniform _sample_dirichlet
        _standard_gamma bernoulli binomial cauchy exponential geometric log_normal multinomial native_dropout
        normal normal_functional poisson rand rand_like randint randint_like randn randn_like random randperm
        uniform
    """,
    "arithmetic": """
        _add_relu _conj_physical _masked_scale _thnn_fused_gru_cell _thnn_fused_lstm_cell
        _transform_bias_rescale_qkv abs add addcdiv addcmul angle bitwise_and bitwise_left_shift bitwise_not
        bitwise_or bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min complex conj_physical
        copysign deg2rad div floor floor_divide fmax fmin fmod frac frexp gcd heaviside hypot lcm ldexp lerp
        linalg_cross maximum minimum mul nan_to_num neg nextafter polar rad2deg reciprocal remainder round
        rsub sgn sign signbit sub trunc __lshift__ __rshift__
    """,
    "transcendental": """
        acos acosh asin asinh atan atan2 atanh cos cosh digamma erf erfc erfinv exp exp2 expm1 i0 igamma
        igammac lgamma log log10 log1p log2 logaddexp logaddexp2 logit mvlgamma polygamma pow rsqrt sin sinc
        sinh special_bessel_j0 special_bessel_j1 special_entr special_erfcx special_i0e special_i1 special_i1e
        special_log_ndtr special_modified_bessel_i0 special_modified_bessel_i1 special_ndtri special_xlog1py
        special_zeta sqrt tan tanh xlogy
    """,
    "activation": """
        _prelu_kernel celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu
        log_sigmoid_forward mish relu rrelu_with_noise sigmoid silu softplus softshrink threshold
    """,
    "softmax": """
        _log_softmax _masked_softmax _nested_tensor_softmax_with_shape _safe_softmax _softmax
        _sparse_log_softmax _sparse_softmax logsumexp
    """,
    "norm": """
        _batch_norm_no_update _batch_norm_with_update _fused_rms_norm _native_batch_norm_legit
        _native_batch_norm_legit_no_training _weight_norm_interface batch_norm_elemt cudnn_batch_norm
        miopen_batch_norm native_batch_norm native_group_norm native_layer_norm native_norm
        quantized_batch_norm renorm
    """,
    "pooling": """
        _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_max_pool2d adaptive_max_pool3d
        avg_pool1d avg_pool2d avg_pool3d fractional_max_pool2d fractional_max_pool3d max_pool2d_with_indices
        max_pool3d_with_indices max_unpool2d max_unpool3d mkldnn_adaptive_avg_pool2d mkldnn_max_pool2d
        mkldnn_max_pool3d quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d
    """,
    "interpolation": """
        _grid_sampler_2d_cpu_fallback _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_lanczos2d_aa
        _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d cudnn_grid_sampler
        grid_sampler_2d grid_sampler_3d upsample_bicubic2d upsample_bilinear2d upsample_linear1d
        upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d
    """,
    "indexing": """
        _index_put_impl _unsafe_index _unsafe_index_put _unsafe_masked_index
        _unsafe_masked_index_put_accumulate as_strided_scatter bucketize diagonal_scatter embedding gather
        index index_add index_copy index_fill index_put index_reduce index_select masked_fill masked_scatter
        masked_select nonzero nonzero_static put repeat_interleave scatter scatter_add scatter_reduce
        searchsorted select_scatter slice_scatter sparse_mask take where
    """,
    "selection": """
        _unique _unique2 argmax argmin bincount histc kthvalue median mode nanmedian sort topk
        unique_consecutive unique_dim unique_dim_consecutive
    """,
    "reduction": """
        _aminmax _cummax_helper _cummin_helper _logcumsumexp _sparse_csr_prod _sparse_csr_sum _sparse_sum all
        amax amin aminmax any count_nonzero cummax cummin cumprod cumsum dist linalg_vector_norm logcumsumexp
        max mean min nansum norm prod segment_reduce std std_mean sum trace var var_mean
    """,
    "comparison": """
        _is_all_true _is_any_true allclose equal eq ge gt is_same_size is_set_to isin isinf isnan isneginf
        isposinf le logical_and logical_not logical_or logical_xor lt ne
    """,
    "bookkeeping": """
        _assert_async _assert_scalar _assert_tensor_metadata _coalesce _coalesced
        _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo _dimI _dimV _functional_assert_async
        _functional_assert_scalar _has_same_storage_numel _linalg_check_errors _local_scalar_dense
        _nested_compute_contiguous_strides_offsets _nested_get_jagged_dummy _nested_get_lengths
        _nested_get_max_seqlen _nested_get_min_seqlen _nested_get_offsets _nested_get_ragged_idx
        _nested_tensor_from_mask_left_aligned _nested_tensor_size _nested_tensor_storage_offsets
        _nested_tensor_strides _nnz _resize_output _sparse_compressed_tensor_with_dims
        _sparse_coo_tensor_with_dims _sparse_coo_tensor_with_dims_and_tensors
        _validate_compressed_sparse_indices dense_dim is_coalesced is_pinned record_stream
        sparse_compressed_tensor sparse_coo_tensor sparse_dim sparse_resize sparse_resize_and_clear
        sym_constrain_range sym_constrain_range_for_size
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
