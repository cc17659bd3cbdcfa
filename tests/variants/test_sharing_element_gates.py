"""Hard-concrete gates against closed forms, and differences of weights that are sparse."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.integrate import quad
from torch import nn

from mtlbench.variants.sharing.element_gates import (
    GatedDifference,
    SparseDifference,
    flat_weights,
    in_shape,
    open_probability,
    sampled_gate,
    settled_gate,
)

DRAWS = 200_000


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("alpha", [-2.0, 0.0, 1.0, 5.0])
def test_gates_are_as_often_open_and_as_wide_as_the_closed_form_says(alpha):
    uniform = torch.rand(DRAWS, generator=torch.Generator().manual_seed(3))
    z = sampled_gate(torch.full((DRAWS,), alpha), uniform)
    assert float(z.min()) >= 0
    assert float(z.max()) <= 1

    # |l| = r, so the gate is open where the noise is above -alpha; it is 1 where s is above 5 / 6
    found = {"open": float((z > 0).float().mean()), "whole": float((z == 1).float().mean())}
    expected = {"open": sigmoid(alpha), "whole": sigmoid(alpha - math.log(5))}
    assert found == pytest.approx(expected, abs=0.005)
    assert float(open_probability(torch.tensor(alpha))) == pytest.approx(expected["open"], abs=1e-6)

    mean, _ = quad(
        lambda u: min(1, max(0, 3 * sigmoid(math.log(u) - math.log(1 - u) + alpha) - 1.5)), 1e-9, 1 - 1e-9
    )
    assert float(z.mean()) == pytest.approx(mean, abs=0.005)


def test_a_settled_gate_is_closed_below_even_odds_and_whole_from_five_to_one_on():
    alpha = torch.tensor([-1.0, 0.0, 1e-3, math.log(5) - 1e-3, math.log(5) + 1e-3, 9.0])
    z = settled_gate(alpha)
    assert z[:2].tolist() == [0, 0]
    assert 0 < z[2] < z[3] < 1
    assert z[4:].tolist() == [1, 1]


def test_a_new_difference_is_zero_and_nearly_all_open():
    difference = GatedDifference([6, 4], alpha_scale=100.0)
    assert torch.equal(difference(), torch.zeros(10))
    assert difference.expected_open().item() == pytest.approx(12 * sigmoid(5), rel=1e-6)
    with torch.no_grad():
        difference.values.fill_(1)
    assert torch.equal(difference.eval()(), torch.ones(10))
    difference.train()
    assert 0 < sum(float((difference() < 1).float().mean()) for _ in range(200)) / 200 < 0.2


def test_a_tensor_gate_closes_its_tensor_alone():
    difference = GatedDifference([6, 4], alpha_scale=10.0).eval()
    with torch.no_grad():
        difference.values.fill_(2)
        difference.tensor_gates[1] = -1
        difference.gates[0] = -1
    assert difference().tolist() == [0] + [2] * 5 + [0] * 4


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_step_moves_the_logits_so_many_times_faster(scale):
    difference = GatedDifference([5], alpha_scale=scale)
    optimizer = torch.optim.AdamW(difference.parameters(), lr=1e-3, weight_decay=0.0)
    before = scale * difference.gates.detach().clone()
    (difference.expected_open() + difference.values.sum()).backward()
    optimizer.step()
    moved = before - scale * difference.gates.detach()
    assert moved.tolist() == pytest.approx([scale * 1e-3] * 5, rel=1e-3)
    assert difference.values.tolist() == pytest.approx([-1e-3] * 5, rel=1e-3)


def test_decay_draws_logits_to_even_odds_and_leaves_values():
    difference = GatedDifference([5], alpha_scale=100.0)
    for _ in range(1000):
        difference.decay(0.001)
    logits = 100 * torch.cat((difference.gates, difference.tensor_gates))
    assert logits.tolist() == pytest.approx([5 * 0.999**1000] * 6, rel=1e-4)
    assert torch.equal(difference.values, torch.zeros(5))


def test_a_sparse_difference_has_gradients_at_its_places_alone():
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)), torch.randn(5, 4)
    base = flat_weights(network)
    difference = SparseDifference(4, len(base))
    with torch.no_grad():
        difference.indices.copy_(torch.tensor([0, 7, 13, 20]))
        difference.values.copy_(torch.tensor([0.5, -1.0, 2.0, 0.25]))

    moved = base + difference()
    assert (moved != base).nonzero().squeeze(1).tolist() == [0, 7, 13, 20]
    assert difference.stored().nonzero().squeeze(1).tolist() == [0, 7, 13, 20]
    torch.func.functional_call(network, dict(in_shape(network, moved)), (x,)).square().sum().backward()

    with torch.no_grad():
        for name, weight in in_shape(network, moved.detach()).items():
            network.get_parameter(name).copy_(weight)
    network(x).square().sum().backward()
    dense = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    torch.testing.assert_close(difference.values.grad, dense[[0, 7, 13, 20]])
    assert all(
        torch.equal(parameter, part)
        for parameter, part in zip(
            network.parameters(), in_shape(network, flat_weights(network)).values(), strict=True
        )
    )
