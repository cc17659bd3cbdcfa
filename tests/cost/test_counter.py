from __future__ import annotations

import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module
from torch.utils._python_dispatch import _get_current_dispatch_mode
from transformers import ViTConfig, ViTModel

from mtlbench.cost.counter import UNCOUNTED_LIMIT, CostCount, DispatchCounter, OperatorCount, count_call
from mtlbench.encoders.vit import ViT

CONTEXTS = [torch.enable_grad, torch.no_grad, torch.inference_mode]

VIT_224_16 = {"tiny": (192, 3), "small": (384, 6)}


@torch.library.custom_op("mtlbench_test::slow_identity", mutates_args=())
def slow_identity(x: torch.Tensor) -> torch.Tensor:
    time.sleep(0.02)
    return x.clone()


def vit_closed_form(dim, depth=12, tokens=197):
    """Patches, then per block four square projections, two products of attention, and a 4x wide MLP."""
    block = tokens * dim * dim * 4 + 2 * tokens * tokens * dim + 2 * tokens * dim * 4 * dim
    return (tokens - 1) * dim * 16 * 16 * 3 + depth * block


def test_the_closed_form_of_vit_tiny_is_the_known_figure():
    assert vit_closed_form(192) == 1_253_491_200  # without pooler and classifier


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("size", VIT_224_16)
def test_transformers_vit_equals_the_closed_form(size, attention):
    dim, heads = VIT_224_16[size]
    config = ViTConfig(
        hidden_size=dim,
        num_attention_heads=heads,
        intermediate_size=4 * dim,
        attn_implementation=attention,
    )
    model = ViTModel(config, add_pooling_layer=False).eval()
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            _, count = count_call(model, torch.rand(1, 3, 224, 224))
        assert count.macs == vit_closed_form(dim)
        assert count.uncounted_ops == []
        assert not count.refused


@pytest.mark.parametrize("size", VIT_224_16)
def test_our_vit_equals_the_closed_form(size):
    model = ViT((224, 224), arch=size).eval()
    with torch.inference_mode():
        _, count = count_call(model, torch.rand(1, 3, 224, 224))
    assert count.macs == vit_closed_form(VIT_224_16[size][0])
    assert count.uncounted_ops == []


def networks():
    x = torch.rand(2, 10, 64)
    image = torch.rand(2, 3, 8, 8)
    q = torch.rand(2, 4, 10, 16)
    heads = nn.MultiheadAttention(64, 4, batch_first=True).eval()
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).eval()
    mixer = 2 * (4 * 10 * 64 * 64 + 2 * 10 * 10 * 64)
    return {
        "linear": (nn.Linear(64, 32), x, 2 * 10 * 64 * 32),
        "linear of a transposed input": (nn.Linear(64, 32), x.transpose(0, 1), 2 * 10 * 64 * 32),
        "conv": (nn.Conv2d(3, 8, 3), image, 2 * 36 * 8 * 27),
        "grouped conv": (nn.Conv2d(3, 6, 3, groups=3), image, 2 * 36 * 6 * 9),
        "transposed conv": (nn.ConvTranspose2d(3, 4, 2, stride=2), image, 2 * 64 * 3 * 4 * 4),
        "attention": (lambda q: F.scaled_dot_product_attention(q, q, q), q, 2 * 2 * 4 * 100 * 16),
        "causal": (
            lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True),
            q,
            2 * 2 * 4 * 100 * 16,
        ),
        "grouped queries": (
            lambda q: F.scaled_dot_product_attention(q, q[:, :2], q[:, :2], enable_gqa=True),
            q,
            2 * 2 * 4 * 100 * 16,
        ),
        "multi-head attention": (lambda x: heads(x, x, x, need_weights=False), x, mixer),
        "multi-head attention with weights": (lambda x: heads(x, x, x), x, mixer),
        "encoder layer": (layer, x, mixer + 2 * 2 * 10 * 64 * 128),
        "einsum": (lambda x: torch.einsum("bnc,bmc->bnm", x, x), x, 2 * 100 * 64),
        "matrix @ matrix": (lambda x: x @ x.mT, x, 2 * 100 * 64),
        "matrix @ vector": (lambda x: x @ x[0, 0], x, 2 * 10 * 64),
        "vector @ vector": (lambda x: x[0, 0] @ x[0, 1], x, 64),
        "tensordot": (lambda x: torch.tensordot(x, x, dims=([2], [2])), x, 20 * 20 * 64),
        "gru": (nn.GRU(64, 32, batch_first=True), x, 2 * 10 * 96 * (64 + 32)),
        "norm": (nn.Sequential(nn.LayerNorm(64), nn.GELU(), nn.Softmax(dim=-1)), x, 0),
        "resize": (lambda x: F.interpolate(x, size=(5, 7), mode="bilinear"), image, 0),
        "dict": (lambda x: {"a": x[0] @ x[0].mT, "b": (x, [x + 1])}, x, 100 * 64),
    }


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", networks())
def test_counts_equal_by_hand_and_results_are_the_same_bits(name, context):
    net, x, macs = networks()[name]
    with context():
        expected = net(x)
        result, count = count_call(net, x)
    assert count.macs == macs
    assert count.uncounted_ops == []
    assert sum(count.by_op.values()) == sum(count.by_call.values()) == macs
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_the_called_operator_is_known_under_inference_mode():
    linear, x = nn.Linear(64, 32), torch.rand(2, 10, 64)
    with torch.inference_mode():
        assert count_call(linear, x)[1].by_call == {"aten.linear": 2 * 10 * 64 * 32}
    assert count_call(linear, x)[1].by_call == {"aten.addmm": 2 * 10 * 64 * 32}


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.always, self.sometimes = nn.Linear(8, 8), nn.Linear(8, 100)

    def forward(self, x):
        y = self.always(x)
        return self.sometimes(y) if x.sum() > 0 else y


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("context", CONTEXTS)
def test_data_dependent_branches_are_followed(batch, context):
    with context():
        x = torch.rand(batch, 8) + 0.1
        assert count_call(Gated(), x)[1].macs == batch * (64 + 800)
        assert count_call(Gated(), -x)[1].macs == batch * 64


@pytest.mark.parametrize("sign", [1, -1])
def test_torch_cond_counts_the_branch_taken(sign):
    x = sign * torch.rand(4, 8)
    with torch.no_grad():
        count = count_call(
            lambda x: torch.cond(x.sum() > 0, lambda x: x @ x.mT, lambda x: x.sum(1, keepdim=True) * x, (x,)),
            x,
        )[1]
    assert count.macs == (4 * 4 * 8 if sign > 0 else 0)
    assert count.uncounted_ops == []


@pytest.mark.parametrize("context", CONTEXTS)
def test_an_unknown_operator_is_listed_and_the_total_refused(context):
    with context():
        result, count = count_call(lambda x: slow_identity(x) @ x.mT, torch.rand(4, 4))
    assert result.shape == (4, 4)
    assert count.macs == 64
    assert count.uncounted_ops == ["mtlbench_test.slow_identity"]
    assert 0.5 < count.uncounted_time_share <= 1
    assert count.refused


def test_known_operators_of_atens_without_formula_are_uncounted():
    count = count_call(lambda x: torch.cdist(x, x), torch.rand(5, 3))[1]
    assert count.uncounted_ops == ["aten._cdist_forward"]


@pytest.mark.parametrize(("share", "refused"), [(UNCOUNTED_LIMIT, False), (UNCOUNTED_LIMIT + 1e-6, True)])
def test_two_percent_of_time_may_be_uncounted(share, refused):
    ops = (
        OperatorCount("lib.known", "macs", "", 1, 10, 1 - share),
        OperatorCount("lib.unknown", "uncounted", "no formula", 1, 0, share),
    )
    assert CostCount(10, ops, {}, {}).refused is refused


def test_time_shares_add_up_and_reasons_are_given():
    count = count_call(nn.Sequential(nn.Linear(8, 8), nn.GELU()), torch.rand(2, 8))[1]
    assert sum(op.time_share for op in count.operators) == pytest.approx(1)
    assert {op.name: op.reason for op in count.operators}["aten.gelu"] == "activation"
    assert 0 < count.zero_ops["aten.gelu"] < 1
    assert all(op.calls == 1 for op in count.operators)


def test_nothing_ran_nothing_counted():
    with DispatchCounter() as counter:
        pass
    count = counter.count()
    assert (count.macs, count.operators, count.refused) == (0, (), False)


def test_backward_is_uncounted_rather_than_forgotten():
    attention = torch.rand(1, 2, 5, 8, requires_grad=True)
    with DispatchCounter() as counter:
        F.scaled_dot_product_attention(attention, attention, attention).sum().backward()
    assert "aten._scaled_dot_product_flash_attention_for_cpu_backward" in counter.count().uncounted_ops
    assert attention.grad is not None


class Interrupted(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.linear, self.error = nn.Linear(4, 4), error

    def forward(self, x):
        y = self.linear(F.dropout(x, training=False))
        if self.error is not None:
            raise self.error
        return y


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("training", [False, True])
def test_everything_is_left_as_found(error, training):
    net = Interrupted(error).train(training)
    net.linear.weight.grad = torch.ones(4, 4)
    calls = []
    handle = net.register_forward_hook(lambda *_: calls.append(1))
    rng, fastpath = torch.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
    if error is None:
        count_call(net, torch.rand(2, 4).mul_(0), parts={"linear": net.linear})
        assert calls == [1]
        torch.set_rng_state(rng)
    else:
        x = torch.ones(2, 4)
        with pytest.raises(error):
            count_call(net, x, parts={"linear": net.linear})
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.backends.mha.get_fastpath_enabled() is fastpath
    assert torch.is_grad_enabled()
    assert net.training is net.linear.training is training
    assert len(net._forward_hooks) == 1
    assert not net.linear._forward_hooks
    assert torch.equal(net.linear.weight.grad, torch.ones(4, 4))
    assert _get_current_dispatch_mode() is None
    assert not torch_module._global_forward_hooks
    assert not torch_module._global_forward_pre_hooks
    handle.remove()


def test_random_numbers_and_gradients_are_those_of_an_uncounted_call():
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    x = torch.rand(8, 4)
    torch.manual_seed(1)
    expected = net(x)
    after = torch.get_rng_state()
    torch.manual_seed(1)
    result, _ = count_call(net, x)
    assert torch.equal(result, expected)
    assert torch.equal(torch.get_rng_state(), after)
    result.sum().backward()
    counted = net[0].weight.grad.clone()
    net.zero_grad()
    expected.sum().backward()
    assert torch.equal(net[0].weight.grad, counted)


def test_counters_nest():
    with DispatchCounter() as outer:
        _, inner = count_call(nn.Linear(4, 4), torch.rand(2, 4))
    assert outer.count().macs == inner.macs == 32


def test_two_calls_in_one_block_add_up():
    linear = nn.Linear(4, 4)
    with DispatchCounter() as counter:
        linear(torch.rand(2, 4))
        linear(torch.rand(3, 4))
    assert counter.count().macs == 5 * 16
