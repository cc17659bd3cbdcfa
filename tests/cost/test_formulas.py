from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mtlbench.cost import formulas

sizes = st.integers(1, 5)


@settings(deadline=None)  # the first call imports much of torch
@given(
    batch=st.lists(sizes, max_size=2),
    dropped=st.integers(0, 2),
    ones=st.lists(st.booleans(), min_size=2, max_size=2),
    mkn=st.tuples(sizes, sizes, sizes),
)
def test_matmul_is_result_size_times_inner_size(batch, dropped, ones, mkn):
    m, k, n = mkn
    a = torch.empty(*batch, m, k, device="meta")
    b_batch = [1 if one else size for size, one in zip(batch, ones, strict=False)][dropped:]
    b = torch.empty(*b_batch, k, n, device="meta")
    assert formulas.matmul_macs(a.shape, b.shape) == (a @ b).numel() * k
    assert formulas.matmul_macs(b.mT.shape, a.mT.shape) == (b.mT @ a.mT).numel() * k


def test_matmul_with_vectors():
    assert formulas.matmul_macs((7,), (7,)) == 7
    assert formulas.matmul_macs((3, 7), (7,)) == 21
    assert formulas.matmul_macs((7,), (7, 2)) == 14
    assert formulas.matmul_macs((4, 3, 7), (7,)) == 84


def test_linear_outer_and_sparse():
    assert formulas.linear_macs(5, 3, 2) == formulas.matmul_macs((5, 3), (3, 2))
    assert formulas.outer_macs((3,), (4,)) == 12
    assert formulas.sparse_matmul_macs(6, 4) == 24
    assert formulas.sampled_matmul_macs(6, 8) == 48
    assert formulas.recurrent_macs(10, [(12, 4), (12, 3)]) == 10 * 12 * (4 + 3)


def count_products_by_hand(result, channels_per_group, kernel):
    """One multiplication for each output element, kernel cell and channel of that element's group."""
    macs = 0
    for _ in itertools.product(*map(range, result)):
        for _ in itertools.product(range(channels_per_group), range(kernel), range(kernel)):
            macs += 1
    return macs


@pytest.mark.parametrize(
    ("groups", "stride", "dilation", "padding"), [(1, 1, 1, 0), (2, 2, 1, 1), (4, 1, 2, 2)]
)
def test_convolution_against_loops(groups, stride, dilation, padding):
    x = torch.zeros(2, 4, 7, 7)
    weight = torch.zeros(8, 4 // groups, 3, 3)
    y = F.conv2d(x, weight, stride=stride, dilation=dilation, padding=padding, groups=groups)
    expected = count_products_by_hand(y.shape, 4 // groups, 3)
    assert formulas.conv_macs(x.shape, weight.shape, y.shape) == expected


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolution_against_torch(dims, transposed):
    functions = {
        False: (F.conv1d, F.conv2d, F.conv3d),
        True: (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
    }
    x = torch.zeros(2, 6, *[5] * dims, device="meta")
    weight = torch.zeros(6, 6, *[3] * dims, device="meta")
    with FlopCounterMode(display=False) as torchs:
        y = functions[transposed][dims - 1](x, weight, stride=2)
    assert 2 * formulas.conv_macs(x.shape, weight.shape, y.shape, transposed=transposed) == (
        torchs.get_total_flops()
    )


@settings(deadline=None)
@given(st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.tuples(sizes, sizes))
def test_attention_is_its_two_products(head_counts, lengths, widths):
    (heads, groups), (queries, keys), (dim, value_dim) = head_counts, lengths, widths
    q = (2, heads * groups, queries, dim)
    k, v = (2, heads, keys, dim), (2, heads, keys, value_dim)
    scores = formulas.matmul_macs(q, (2, heads * groups, dim, keys))
    mixed = formulas.matmul_macs((2, heads * groups, queries, keys), (2, heads * groups, keys, value_dim))
    assert formulas.attention_macs(q, k, v) == scores + mixed
    kept = int(torch.ones(queries, keys).tril().sum())
    assert formulas.attention_macs(q, k, v, causal=True) == 2 * heads * groups * kept * (dim + value_dim)


def test_multi_head_attention_and_encoder_layer():
    dim, tokens = 8, 5
    projected = 4 * formulas.linear_macs(2 * tokens, dim, dim)
    mixed = formulas.attention_macs(*[(2, 2, tokens, dim // 2)] * 3)
    assert formulas.multi_head_attention_macs((2, tokens, dim), (2, tokens, dim)) == projected + mixed
    mlp = 2 * formulas.linear_macs(2 * tokens, dim, 32)
    assert formulas.encoder_layer_macs((2, tokens, dim), 32) == projected + mixed + mlp
