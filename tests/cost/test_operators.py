from __future__ import annotations

import pytest
import torch

from mtlbench.cost.counter import count_call
from mtlbench.cost.operators import declare_macs, macs_formula
from mtlbench.errors import UsageError

beta = pytest.mark.filterwarnings("ignore:Sparse")  # torch says so of its CSR and CSC tensors

ATTENTION = {
    "_scaled_dot_product_flash_attention": (),
    "_scaled_dot_product_efficient_attention": (None, False),
    "_scaled_dot_product_cudnn_attention": (None, False),
    "_scaled_dot_product_fused_attention_overrideable": (),
    "_scaled_dot_product_flash_attention_for_cpu": (),
}


@pytest.mark.parametrize("kernel", ATTENTION)
def test_every_attention_kernel(kernel):
    q = torch.empty(2, 3, 5, 8, device="meta", dtype=torch.float16)
    k = torch.empty(2, 3, 7, 8, device="meta", dtype=torch.float16)
    formula = macs_formula(f"aten::{kernel}")
    assert formula is not None
    assert formula(None, q, k, k, *ATTENTION[kernel]) == 2 * 2 * 3 * 5 * 7 * 8
    operator = getattr(torch.ops.aten, kernel)
    if torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{kernel}", "Meta"):
        _, count = count_call(operator, q, k, k, *ATTENTION[kernel])
        assert count.by_op == {f"aten.{kernel}": 2 * 2 * 3 * 5 * 7 * 8}


def test_every_formula_belongs_to_an_operator():
    for name in ("addmm_", "addmv_", "baddbmm_", "addbmm_", "addr_", "_addmm_activation", "_scaled_mm"):
        assert macs_formula(f"aten::{name}") is not None
        assert hasattr(torch.ops.aten, name)


@pytest.mark.parametrize("out_place", ["addmm", "addmv", "baddbmm", "addbmm", "addr"])
def test_added_products_in_and_out_of_place(out_place):
    shapes = {
        "addmm": ((3, 5), (3, 4), (4, 5), 60),
        "addmv": ((3,), (3, 4), (4,), 12),
        "baddbmm": ((2, 3, 5), (2, 3, 4), (2, 4, 5), 120),
        "addbmm": ((3, 5), (2, 3, 4), (2, 4, 5), 120),
        "addr": ((3, 4), (3,), (4,), 12),
    }
    bias, a, b, macs = shapes[out_place]
    operands = torch.zeros(bias), torch.ones(a), torch.ones(b)
    assert count_call(getattr(torch, out_place), *operands)[1].macs == macs
    assert count_call(getattr(torch.Tensor, f"{out_place}_"), *operands)[1].macs == macs


@beta
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo, torch.sparse_csc])
def test_sparse_operands_count_what_they_store(layout, context):
    dense = torch.tensor([[1.0, 0, 2, 0], [0, 0, 0, 3], [0, 0, 0, 0]])
    sparse = dense.to_sparse(layout=layout)
    right, vector = torch.rand(4, 5), torch.rand(4)
    with context():
        product, count = count_call(lambda: sparse @ right)
        torch.testing.assert_close(product, dense @ right)
        assert count.macs == 3 * 5
        assert count_call(lambda: torch.sparse.mm(sparse, right))[1].macs == 3 * 5
        assert count_call(lambda: sparse @ vector)[1].macs == 3


@beta
def test_dense_times_sparse_and_sampled_product():
    dense = torch.tensor([[1.0, 0, 2], [0, 0, 3]])
    left = torch.rand(4, 2)
    product, count = count_call(lambda: left @ dense.to_sparse_csr())
    torch.testing.assert_close(product, left @ dense)
    assert count.macs == 3 * 4
    pattern = torch.eye(3).to_sparse_csr()
    count = count_call(torch.sparse.sampled_addmm, pattern, torch.rand(3, 6), torch.rand(6, 3))[1]
    assert count.macs == 3 * 6


@beta
def test_sparse_times_sparse_is_uncounted():
    sparse = torch.eye(4).to_sparse_csr()
    count = count_call(lambda: sparse @ sparse)[1]
    assert "aten.mm" in count.uncounted_ops
    assert count.macs == 0


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantised_weights():
    x, weight = torch.rand(2, 3, 8), torch.rand(5, 8)
    packed = torch.ops.quantized.linear_prepack(
        torch.quantize_per_tensor(weight, 0.01, 0, torch.qint8), torch.zeros(5)
    )
    assert count_call(torch.ops.quantized.linear_dynamic, x, packed)[1].macs == 2 * 3 * 8 * 5
    integers = torch.ones(17, 8, dtype=torch.int8), torch.ones(8, 16, dtype=torch.int8)
    assert count_call(torch._int_mm, *integers)[1].macs == 17 * 8 * 16


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lstm(bidirectional):
    lstm = torch.nn.LSTM(6, 4, num_layers=1, bidirectional=bidirectional)
    directions = 1 + bidirectional
    with torch.no_grad():
        count = count_call(lstm, torch.rand(7, 2, 6))[1]
    assert count.macs == directions * 7 * 2 * 16 * (6 + 4)
    assert count.uncounted_ops == []


def test_declaring():
    @torch.library.custom_op("mtlbench_declared::gather_linear", mutates_args=())
    def gather_linear(x: torch.Tensor, weight: torch.Tensor, kept: int) -> torch.Tensor:
        return x[:kept] @ weight.t()

    x, weight = torch.rand(6, 4), torch.rand(3, 4)
    assert count_call(gather_linear, x, weight, 2)[1].uncounted_ops == ["mtlbench_declared.gather_linear"]

    def macs(out, x, weight, kept):
        return out.numel() * weight.shape[1]

    declare_macs("mtlbench_declared::gather_linear", macs)
    declare_macs("mtlbench_declared::gather_linear", macs)
    result, count = count_call(gather_linear, x, weight, 2)
    torch.testing.assert_close(result, x[:2] @ weight.t())
    assert count.by_op == {"mtlbench_declared.gather_linear": 2 * 3 * 4}
    assert not count.refused


def test_a_composite_operator_is_taken_apart_until_its_macs_are_declared():
    library = torch.library.Library("mtlbench_composite", "DEF")
    library.define("half(Tensor x, Tensor weight) -> Tensor")
    library.impl("half", lambda x, weight: x @ weight, "CompositeImplicitAutograd")
    operator, x = torch.ops.mtlbench_composite.half, torch.rand(4, 4)
    with torch.inference_mode():
        before = count_call(operator, x, x)[1]
        declare_macs("mtlbench_composite::half", lambda out, x, weight: 32)
        after = count_call(operator, x, x)[1]
    assert (before.by_op, before.by_call) == ({"aten.mm": 64}, {"mtlbench_composite.half": 64})
    assert after.by_op == {"mtlbench_composite.half": 32}


@pytest.mark.parametrize("name", ["gather", "::gather", "lib::", "aten::mm", "quantized::linear"])
def test_declaring_what_is_not_yours_is_refused(name):
    with pytest.raises(UsageError):
        declare_macs(name, lambda *_: 0)
