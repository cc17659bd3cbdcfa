from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mtlbench.cost.attention import ATTENTION as ATTENTION_FORMULAS
from mtlbench.cost.counter import count_call
from mtlbench.cost.operators import declare_macs, macs_formula
from mtlbench.cost.products import PRODUCTS
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


@pytest.mark.parametrize("name", [*PRODUCTS, *ATTENTION_FORMULAS])
def test_every_formula_belongs_to_an_operator(name):
    namespace, operator = name.split("::")
    assert hasattr(getattr(torch.ops, namespace), operator)


def on_meta(*shape):
    return torch.empty(shape, device="meta", dtype=torch.float16)


def test_attention_kernels_count_the_dense_square_whatever_masks_it():
    q, k = on_meta(2, 3, 5, 8), on_meta(2, 3, 7, 8)
    flash = torch.ops.aten._scaled_dot_product_flash_attention
    efficient = torch.ops.aten._scaled_dot_product_efficient_attention
    square = 2 * 2 * 3 * 5 * 7 * 8
    assert count_call(lambda: flash(q, k, k, 0.0, True))[1].macs == square
    bias = on_meta(2, 3, 5, 7)
    assert count_call(lambda: efficient(q, k, k, bias, False))[1].macs == square
    assert count_call(lambda: efficient(q, k, k, None, False, 0.0, True))[1].macs == square


def test_attention_kernels_with_fewer_heads_of_keys():
    q, k = on_meta(2, 6, 5, 8), on_meta(2, 3, 7, 8)
    for name in ATTENTION:
        formula = macs_formula(f"aten::{name}")
        assert formula is not None
        assert formula(None, q, k, k) == 2 * 2 * 6 * 5 * 7 * 8


def test_attention_kernels_over_a_batch_of_equal_samples_or_over_samples_in_one_row():
    formula = macs_formula("aten::_flash_attention_forward")
    with_bias = macs_formula("aten::_efficient_attention_forward")
    assert formula is not None
    assert with_bias is not None
    q, k = on_meta(2, 5, 3, 8), on_meta(2, 7, 3, 8)
    assert formula(None, q, k, k, None, None, 5, 7) == 2 * 2 * 3 * 5 * 7 * 8
    assert with_bias(None, q, k, k, None, None, None, 5, 7) == 2 * 2 * 3 * 5 * 7 * 8
    row, keys = on_meta(8, 3, 8), on_meta(9, 3, 8)
    starts, key_starts = torch.tensor([0, 3, 8]), torch.tensor([0, 2, 9])
    by_sample = 2 * 3 * 8 * (3 * 2 + 5 * 7)
    assert formula(None, row, keys, keys, starts, key_starts, 5, 7) == by_sample
    assert with_bias(None, row[None], keys[None], keys[None], None, starts, key_starts, 5, 7) == by_sample


def test_fused_attention_on_fake_cuda_tensors():
    with FakeTensorMode():
        q = torch.empty(2, 3, 5, 8, dtype=torch.float16, device="cuda")
        macs = 2 * 2 * 3 * 5 * 5 * 8
        for operator, rest in (
            (torch.ops.aten._scaled_dot_product_flash_attention, ()),
            (torch.ops.aten._scaled_dot_product_efficient_attention, (None, False)),
            (torch.ops.aten._scaled_dot_product_cudnn_attention, (None, False)),
        ):
            formula = macs_formula(f"aten::{operator.__name__}")
            assert formula is not None
            assert formula(operator(q, q, q, *rest), q, q, q, *rest) == macs


def test_recurrent_kernels_of_cuda_by_their_weights():
    weights = [on_meta(16, 6), on_meta(16, 4), on_meta(16), on_meta(16)]
    for name in ("_cudnn_rnn", "miopen_rnn"):
        formula = macs_formula(f"aten::{name}")
        assert formula is not None
        assert formula(None, on_meta(7, 2, 6), weights, 4) == 7 * 2 * 16 * (6 + 4)


@pytest.mark.parametrize("library", ["cudnn", "miopen"])
def test_convolution_kernels_of_cuda(library):
    plain = macs_formula(f"aten::{library}_convolution")
    transposed = macs_formula(f"aten::{library}_convolution_transpose")
    fused = macs_formula(f"aten::{library}_convolution_relu")
    x, weight = on_meta(2, 6, 8, 8), on_meta(4, 3, 3, 3)
    for formula in (plain, fused):
        assert formula is not None
        assert formula(on_meta(2, 4, 6, 6), x, weight, [0, 0]) == 2 * 4 * 36 * 3 * 9
    assert transposed is not None
    assert transposed(on_meta(2, 4, 9, 9), x, on_meta(6, 4, 2, 2), [0, 0]) == 2 * 6 * 64 * 4 * 4


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


def quantised(x, zero=0, kind=torch.qint8):
    return torch.quantize_per_tensor(x, 0.1, zero, kind)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("name", ["linear_dynamic", "linear_relu_dynamic", "linear", "linear_relu"])
def test_quantised_linear_layers(name):
    x, weight = torch.rand(2, 3, 8), torch.rand(5, 8)
    packed = torch.ops.quantized.linear_prepack(quantised(weight), torch.zeros(5))
    operator = getattr(torch.ops.quantized, name)
    arguments = (x, packed) if "dynamic" in name else (quantised(x, 0, torch.quint8), packed, 0.1, 0)
    count = count_call(operator, *arguments)[1]
    assert count.macs == 2 * 3 * 8 * 5
    assert count.uncounted_ops == []


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", ["conv", "conv_relu", "conv_transpose"])
def test_quantised_convolutions(dims, kind):
    transposed = kind == "conv_transpose"
    name = f"{kind}{dims}d" if kind != "conv_relu" else f"conv{dims}d_relu"
    if name == "conv_transpose3d" and "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("this build has no kernel for it")
    x = torch.rand(2, 4, *[6] * dims)
    weight = quantised(torch.rand(*((4, 8) if transposed else (8, 4)), *[3] * dims))
    geometry = [1] * dims, [0] * dims
    prepack = getattr(torch.ops.quantized, f"{kind.removesuffix('_relu')}{dims}d_prepack")
    if transposed:
        packed = prepack(weight, torch.zeros(8), *geometry, [0] * dims, [1] * dims, 1)
    else:
        packed = prepack(weight, torch.zeros(8), *geometry, [1] * dims, 1)
    out, count = count_call(getattr(torch.ops.quantized, name), quantised(x, 0, torch.quint8), packed, 0.1, 0)
    places = 6**dims if transposed else 4**dims
    assert out.shape == (2, 8, *[8 if transposed else 4] * dims)
    assert count.macs == 2 * places * 8 * 4 * 3**dims


def test_integer_products():
    integers = torch.ones(17, 8, dtype=torch.int8), torch.ones(8, 16, dtype=torch.int8)
    assert count_call(torch._int_mm, *integers)[1].macs == 17 * 8 * 16
    weight, scales = torch.ones(16, 8, dtype=torch.int8), torch.ones(16).bfloat16()
    count = count_call(torch._weight_int8pack_mm, torch.ones(3, 8).bfloat16(), weight, scales)[1]
    assert count.macs == 3 * 8 * 16


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
