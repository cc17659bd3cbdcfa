"""Autocast acts inside a counted call where it acts without it, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtlbench.cost.counter import count_call


@torch.library.custom_op("mtlbench_autocast::gather_linear", mutates_args=())
def gather_linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x[:2] @ weight


def calls():
    torch.manual_seed(0)
    x, w, image = torch.rand(2, 30, 64), torch.rand(64, 64), torch.rand(2, 6, 8, 8)
    q = x.view(2, 30, 4, 16).transpose(1, 2)
    linear, conv, norm = nn.Linear(64, 64), nn.Conv2d(6, 8, 3), nn.LayerNorm(64)
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).eval()
    third = torch.rand(3, 64, 64)
    return {
        "linear": lambda: linear(x),
        "convolution": lambda: conv(image),
        "einsum": lambda: torch.einsum("bnc,cd->bnd", x, w),
        "tensordot": lambda: torch.tensordot(x, w, dims=1),
        "attention": lambda: F.scaled_dot_product_attention(q, q, q),
        "fused layer": lambda: layer(x),
        "norm of a product": lambda: norm(linear(x)),
        "distances, which are cast to float": lambda: torch.cdist(x, x),
        "bilinear, whose kernel multiplies inside": lambda: F.bilinear(x[0], x[1], third),
        "custom operator": lambda: gather_linear(x[0], w),
        "off again": lambda: _without(lambda: linear(x)),
        "resized": lambda: F.interpolate(conv(image), scale_factor=2, mode="bilinear"),
    }


def _without(run):
    with torch.autocast("cpu", enabled=False):
        return run()


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("name", calls())
def test_results_under_autocast_are_the_same_bits(name, on, mode):
    call = calls()[name]
    with mode(), torch.autocast("cpu", torch.bfloat16, enabled=on):
        expected = call()
        found, _ = count_call(call)
        assert torch.is_autocast_enabled("cpu") is on
    assert found.dtype is expected.dtype
    assert torch.equal(found, expected)


def test_these_calls_are_such_that_autocast_matters():
    changed = set()
    for name, call in calls().items():
        with torch.no_grad():
            plain = call()
            with torch.autocast("cpu", torch.bfloat16):
                cast = call()
        if plain.dtype is not cast.dtype or not torch.equal(plain, cast):
            changed.add(name)
    assert changed == set(calls()) - {"off again", "distances, which are cast to float"}
