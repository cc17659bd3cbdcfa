"""Closed forms of whole encoders by hand, against the counter, the cost units, and published figures."""

from __future__ import annotations

from math import ceil

import pytest
import torch

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.encoders.resnet import ResNet
from mtlbench.encoders.swin import Swin
from mtlbench.encoders.vit import ViT


def vit(size, patch, dim, depth):
    tokens = (size // patch) ** 2 + 1
    block = 4 * tokens * dim * dim + 2 * tokens * tokens * dim + 2 * tokens * dim * 4 * dim
    return (tokens - 1) * dim * 3 * patch * patch + depth * block


def swin(size, dim, depths, window=7):
    side = size // 4
    macs = side * side * dim * 3 * 16
    for i, depth in enumerate(depths):
        w = min(window, side)
        padded = ceil(side / w) * w
        attention = padded * padded * (4 * dim * dim + 2 * w * w * dim)
        macs += depth * (attention + side * side * 8 * dim * dim)
        if i + 1 < len(depths):
            side = ceil(side / 2)
            macs += side * side * 4 * dim * 2 * dim
            dim *= 2
    return macs


def resnet(size, depths, bottleneck):
    side = ceil(size / 2)
    macs = side * side * 64 * 3 * 49
    side, inputs = ceil(side / 2), 64
    for i, depth in enumerate(depths):
        width = 64 * 2**i
        outputs = 4 * width if bottleneck else width
        for j in range(depth):
            before, side = side, ceil(side / 2) if i > 0 and j == 0 else side
            if bottleneck:
                macs += before**2 * inputs * width + side**2 * (9 * width * width + width * outputs)
            else:
                macs += side**2 * (9 * inputs * width + 9 * width * width)
            if inputs != outputs or before != side:
                macs += side**2 * inputs * outputs
            inputs = outputs
    return macs


ENCODERS = {
    "vit nano": (lambda: ViT((32, 32), arch="nano", patch=8), 32, vit(32, 8, 96, 6)),
    "vit tiny": (lambda: ViT((224, 224), arch="tiny"), 224, 1_253_491_200),
    "swin nano": (lambda: Swin((56, 56), arch="nano"), 56, swin(56, 32, (2, 2, 4, 2))),
    "swin nano padded": (lambda: Swin((100, 100), arch="nano"), 100, swin(100, 32, (2, 2, 4, 2))),
    "swin tiny": (lambda: Swin((224, 224), arch="tiny"), 224, 4_489_798_656),
    "resnet 18": (lambda: ResNet((65, 65), arch=18), 65, resnet(65, (2, 2, 2, 2), False)),
    "resnet 50": (lambda: ResNet((224, 224), arch=50), 224, 4_087_136_256),
}


def test_the_formulas_by_hand_give_the_published_figures():
    assert vit(224, 16, 192, 12) == 1_253_491_200
    assert swin(224, 96, (2, 2, 6, 2)) == 4_489_798_656
    assert resnet(224, (3, 4, 6, 3), True) == 4_087_136_256
    assert resnet(224, (2, 2, 2, 2), False) == 1_813_561_344


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_cost_what_is_computed_by_hand(name, batch, mode):
    build, size, macs = ENCODERS[name]
    if batch == 4 and size == 224:
        batch = 2  # as good, and half as slow
    encoder, x = build().eval(), torch.rand(batch, 3, size, size)
    with mode():
        expected = encoder(x)
        found, count = count_call(encoder, x, parts=dict(encoder.stages()))
    assert count.macs == batch * macs
    assert total_macs(encoder.units()) == macs
    assert count.uncounted_ops == []
    assert sum(count.by_part.values()) == count.macs
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
