"""Gates in training: hard forward, soft backward, reaching every task."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench import variants
from mtlbench.testing import Case
from mtlbench.variants.adamtl.decide import EVEN, Noise
from mtlbench.variants.adamtl.gates import OpenGates, ProbableGates, RandomGates, RankedGates, union_logits
from mtlbench.variants.adamtl.options import AdaMTLOptions, CompatOptions
from mtlbench.variants.adamtl.runnable import budgets_of

NETWORK = Case.small(variants.registry.get("adamtl")).build()._network
TOKENS = NETWORK.blocks.layers_of[0][0].tokens


def logits(tasks=3, seed=0):
    return torch.randn(2, TOKENS, tasks, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=1, max_size=5))
def test_union_logit_is_that_of_the_product_of_misses(values):
    p = torch.sigmoid(torch.tensor(values, dtype=torch.float64))
    any_keeps = 1 - torch.prod(1 - p)
    found = union_logits(torch.tensor(values, dtype=torch.float64)[None])
    assert torch.sigmoid(found).item() == pytest.approx(any_keeps.item(), rel=1e-9)


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("made", [RankedGates, RandomGates])
def test_ranked_gates_open_as_many_as_the_budget_counts(made, ratio):
    counts = budgets_of(NETWORK, NETWORK.problem.task_names).at(ratio)
    gates = made(NETWORK.blocks, counts, AdaMTLOptions()).tokens(0, 0, logits())
    assert set(gates.unique().tolist()) <= {0.0, 1.0}
    assert gates.sum(dim=1).tolist() == [counts.places[0][0]] * 2


def test_without_noise_ranked_gates_open_for_the_highest_scores():
    counts = budgets_of(NETWORK, NETWORK.problem.task_names).at(0.5)
    found = logits()
    gates = RankedGates(NETWORK.blocks, counts, AdaMTLOptions(explore=0.0)).tokens(0, 0, found)
    kept = torch.stack([row[gate.bool()].min() for row, gate in zip(union_logits(found), gates, strict=True)])
    left = torch.stack(
        [row[~gate.bool()].max() for row, gate in zip(union_logits(found), gates, strict=True)]
    )
    assert (kept >= left).all()


@pytest.mark.parametrize("gates", [RankedGates, ProbableGates])
def test_every_task_gets_a_gradient_at_every_token(gates):
    counts = budgets_of(NETWORK, NETWORK.problem.task_names).at(0.5)
    options = AdaMTLOptions()
    made = (
        RankedGates(NETWORK.blocks, counts, options)
        if gates is RankedGates
        else ProbableGates(NETWORK.blocks, options)
    )
    found = logits()
    made.tokens(0, 0, found).sum().backward()
    assert (found.grad > 0).all()


def test_a_clamped_sum_starves_tokens_that_two_tasks_keep():
    """What `soft_or` is there for: the released union gives such tokens no gradient."""
    found = torch.full((1, TOKENS, 2), 3.0).requires_grad_()
    ProbableGates(NETWORK.blocks, CompatOptions(decision="certain")).tokens(0, 0, found).sum().backward()
    assert (found.grad == 0).all()


def test_sampled_gates_open_with_the_policys_probability():
    torch.manual_seed(0)
    found = torch.full((400, TOKENS, 1), 1.0)
    gates = ProbableGates(NETWORK.blocks, CompatOptions()).tokens(0, 0, found)
    share, count = gates.mean().item(), gates.numel()
    expected = torch.sigmoid(torch.tensor(1.0)).item()
    assert abs(share - expected) < 4 * (expected * (1 - expected) / count) ** 0.5


def test_one_task_alone_decides_where_it_is_its_turn():
    found = logits()
    gates = ProbableGates(NETWORK.blocks, AdaMTLOptions(), only=1).tokens(0, 0, found)
    assert torch.equal(gates.detach().bool(), found[..., 1] > 0)


def test_open_gates_are_open_and_tell_how_far_the_policy_is_from_open():
    gates = OpenGates(tau=1.0)
    assert gates.tokens(0, 0, torch.zeros(1, TOKENS, 1)) is None
    assert gates.closed[0].item() == pytest.approx(0.5)


def test_even_is_the_score_of_probability_one_half():
    score = torch.nn.functional.softplus(torch.tensor(0.0)).item()
    assert score == pytest.approx(EVEN)


def test_draws_depend_on_seed_and_image_alone():
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    noise, other = Noise(NETWORK.blocks, 2, 7), Noise(NETWORK.blocks, 2, 8)
    noise.begin(images)
    drawn = noise.tokens(1, 0).clone()
    noise.begin(images[1:2])
    assert torch.equal(noise.tokens(1, 0), drawn[1:2])
    other.begin(images)
    assert not torch.equal(other.tokens(1, 0), drawn)
    assert drawn.min() >= 0
    assert drawn.max() < 1
