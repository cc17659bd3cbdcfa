from __future__ import annotations

import time

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from transformers import ViTConfig, ViTModel

from mtlbench.cost.counter import UNCOUNTED_LIMIT, CostCount, DispatchCounter, OperatorCount, count_call

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


def test_the_called_operator_is_known_under_inference_mode():
    linear, x = nn.Linear(64, 32), torch.rand(2, 10, 64)
    with torch.inference_mode():
        assert count_call(linear, x)[1].by_call == {"aten.linear": 2 * 10 * 64 * 32}
    assert count_call(linear, x)[1].by_call == {"aten.addmm": 2 * 10 * 64 * 32}


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
    count = count_call(lambda x: torch.cdist(x, x, p=1), torch.rand(5, 3))[1]
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


class Doubled(torch.Tensor):
    """A tensor made of another one, whose operators run on that."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        args = [arg.inner if isinstance(arg, Doubled) else arg for arg in args]
        return 2 * func(*args, **(kwargs or {}))


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_products_inside_a_tensor_subclass_are_seen(context):
    with context():
        result, count = count_call(lambda x, w: torch.mm(Doubled(x), w), torch.ones(2, 3), torch.ones(3, 4))
    assert count.by_op == {"aten.mm": 24}
    assert torch.equal(result, torch.full((2, 4), 6.0))


def test_shapes_alone_can_be_counted():
    net = nn.Linear(16, 5)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert count_call(net, torch.empty(3, 16))[1].macs == 3 * 16 * 5
    with torch.device("meta"):
        assert count_call(nn.Linear(16, 5), torch.empty(3, 16))[1].macs == 3 * 16 * 5


def test_a_compiled_network_is_counted_as_it_runs_without_the_compiler():
    net, x = nn.Linear(16, 5), torch.rand(3, 16)
    result, count = count_call(torch.compile(net, backend="eager"), x)
    assert count.macs == 3 * 16 * 5
    assert torch.equal(result, net(x))
