"""Peak tensor memory of a call, against sums that can be done by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtlbench.measure.allocations import peak_allocated_mib


class Steps(nn.Module):
    """Holds its tensors in a known order."""

    def forward(self, x):
        first = x + 1  # 4 MiB
        second = first * 2  # 8 MiB held
        del first
        third = second[:512] + 1  # 6 MiB held
        del second
        return third


def test_the_peak_is_what_is_held_at_once():
    with torch.inference_mode():
        x, net = torch.rand(1024, 1024), Steps()
        assert peak_allocated_mib(net, x) == pytest.approx(8.0, rel=1e-4)  # scalars take a few bytes


def test_weights_and_inputs_are_not_in_it_and_outputs_are():
    net = nn.Linear(1024, 2048).eval()
    x = torch.rand(256, 1024)
    with torch.inference_mode():
        net(x)
        assert peak_allocated_mib(net, x) == pytest.approx(256 * 2048 * 4 / 2**20)


def test_two_runs_agree_to_the_byte():
    net = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.GELU(), nn.Conv2d(32, 8, 3)).eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        net(x)
        assert len({peak_allocated_mib(net, x) for _ in range(5)}) == 1


def test_a_longer_lived_tensor_is_found():
    class Keeps(Steps):
        def forward(self, x):
            kept = x + 1
            return super().forward(x) + kept[:512]

    with torch.inference_mode():
        x = torch.rand(1024, 1024)
        assert peak_allocated_mib(Keeps(), x) == peak_allocated_mib(Steps(), x) + 4.0
