"""Every operator that a vision network may run: counted exactly, in every mode of gradients, and run unchanged."""

from __future__ import annotations

import pytest
import torch
from cost_cases import ALL, cases
from torch import Tensor
from torch.utils._pytree import tree_leaves
from witness import profiled_macs

from mtlbench.cost.counter import count_call

BATCHES = {batch: cases(batch) for batch in (1, 4)}
EVERY = [
    (batch, name, mode)
    for batch, found in BATCHES.items()
    for name, case in found.items()
    for mode in case.modes
]

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse"),  # torch says so of its sparse layouts
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
    pytest.mark.filterwarnings("ignore:LSTM with projections"),
]


def seeded(run):
    torch.manual_seed(1)
    return run()


def facts(value):
    """All that one can ask of a result."""
    leaves = []
    for leaf in tree_leaves(value):
        if isinstance(leaf, Tensor) and leaf.is_nested:
            leaves += [("nested", leaf.requires_grad), *leaf.unbind()]
        else:
            leaves.append(leaf)
    return leaves


def assert_same(expected, found):
    assert len(expected) == len(found)
    for a, b in zip(expected, found, strict=True):
        if not isinstance(a, Tensor):
            assert a == b
            continue
        assert (a.dtype, a.shape, a.layout) == (b.dtype, b.shape, b.layout)
        assert a.requires_grad is b.requires_grad
        assert type(a.grad_fn) is type(b.grad_fn)
        assert a.is_inference() is b.is_inference()
        dense = [t if t.layout == torch.strided else t.to_dense() for t in (a, b)]
        assert torch.equal(*dense)


@pytest.mark.parametrize(("batch", "name", "mode"), EVERY)
def test_counts_are_exact_and_results_are_the_same_bits(batch, name, mode):
    call, macs, _ = BATCHES[batch][name]
    with getattr(torch, mode)():
        expected = seeded(call)
        result, count = seeded(lambda: count_call(call))
        assert_same(facts(expected), facts(result))
    assert count.macs == macs
    assert count.uncounted_ops == []
    assert sum(count.by_op.values()) == sum(count.by_call.values()) == macs


# What the profiler cannot see: attention, convolutions, sparse and recurrent kernels multiply by themselves.
SEEN_INSIDE = [
    "mha",
    "encoder layer",
    "encoder key mask",
    "nested mha",
    "nested encoder layer",
    "nested sdpa",
]
SEEN_INSIDE += ["encoder that nests by its mask", "nested linear", "nested bmm", "jagged linear", "bilinear"]
SEEN_INSIDE += ["distances", "affine grid", "affine grid 3d", "gru", "decoder layer", "einsum of three"]


@pytest.mark.parametrize("name", SEEN_INSIDE)
def test_the_profiler_sees_the_same_products_inside_fused_kernels(name):
    call, macs, _ = BATCHES[4][name]
    with torch.no_grad():
        attention = count_call(call)[1].by_op.get("aten._scaled_dot_product_flash_attention_for_cpu", 0)
        assert profiled_macs(call) == macs - attention


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("name", ["fft", "ifft", "stft", "svd", "inverse", "sparse @ sparse"])
def test_what_has_no_formula_is_listed_and_the_total_refused(name, mode):
    x = torch.rand(2, 64, 64)
    calls = {
        "fft": lambda: torch.fft.fft2(x),
        "ifft": lambda: torch.fft.irfft(x),
        "stft": lambda: torch.stft(x[0], 8, return_complex=True, window=torch.ones(8)),
        "svd": lambda: torch.linalg.svd(x),
        "inverse": lambda: torch.linalg.inv(x + torch.eye(64)),
        "sparse @ sparse": lambda: x[0].to_sparse_csr() @ x[0].to_sparse_csr(),
    }
    with getattr(torch, mode)():
        count = count_call(calls[name])[1]
    assert len(count.uncounted_ops) == 1
    assert count.uncounted_time_share > 0.02
    assert count.refused
    assert count.macs == 0
