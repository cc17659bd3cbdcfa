"""The slimmed static network: its MACs, which channels it keeps, and what it starts from."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.errors import MtlbenchError, UsageError
from mtlbench.testing import Case
from mtlbench.training.artifact import Named, Source
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.variants.adamtl.variant import AdaMTL
from mtlbench.variants.network import build_dense
from mtlbench.variants.slim_network import importance, slim, widths_for
from mtlbench.variants.static_mtl import StaticMTL
from mtlbench.variants.static_slim import StaticSlim

ENCODERS = {
    "vit": Named("vit", {"arch": "nano", "patch": 8}),
    "swin": Named("swin", {"arch": "nano", "dim": 8, "heads": [1, 1, 2, 2], "patch": 2, "window": 5}),
}
SOURCE = Source(Named("scenes"), "data", {"epochs": 20}, seed=0)


def case_of(encoder: Named) -> Case:
    case = Case.small(StaticSlim)
    return replace(case, problem=replace(case.problem, encoder=encoder))


def dense_of(encoder: str):
    return build_dense(case_of(ENCODERS[encoder]).problem, 0, None)


def layers_in(network):
    return [layer for stage in network.encoder.layers_of for layer in stage]


def mlps(network):
    return [layer.feed_forward for layer in layers_in(network)]


def channel_macs(layer):
    """Two products with every token."""
    return 2 * layer.dim * (layer.extra + layer.grid[0] * layer.grid[1])


@cache
def dispatched(encoder: str, budget: float) -> int:
    """MACs of one image, counted while it runs; of the static network at a budget of 1."""
    case = case_of(ENCODERS[encoder])
    case = case if budget < 1 else replace(case, variant=StaticMTL)
    point = {"budget": budget}
    with torch.inference_mode():
        _, count = count_call(case.build(point).configure(point), case.images[:1])
    return count.macs


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("budget", [0.95, 0.7])
def test_budget_is_met_to_within_one_channel(encoder, budget):
    limit, spent = budget * dispatched(encoder, 1.0), dispatched(encoder, budget)
    assert limit - min(map(channel_macs, layers_in(dense_of(encoder)))) < spent <= limit


@pytest.mark.parametrize("encoder", ENCODERS)
def test_formulas_follow_the_width(encoder):
    case, point = case_of(ENCODERS[encoder]), {"budget": 0.7}
    runnable = case.build(point).configure(point)
    assert total_macs(runnable.units()) == dispatched(encoder, 0.7)


@pytest.fixture(scope="module")
def networks():
    return {name: dense_of(name) for name in ENCODERS}


@settings(max_examples=30, deadline=None)
@given(budget=st.floats(0.6, 0.999), encoder=st.sampled_from(sorted(ENCODERS)))
def test_every_layer_keeps_the_same_share(networks, budget, encoder):
    network = networks[encoder]
    full = [mlp.fc1.out_features for mlp in mlps(network)]
    costs = [channel_macs(layer) for layer in layers_in(network)]
    reference = total_macs(network.units(network.problem.task_names))
    found = widths_for(network, budget)

    left = sum(cost * (hidden - width) for cost, hidden, width in zip(costs, full, found, strict=True))
    assert budget * reference - min(costs) < reference - left <= budget * reference
    # One share from which no width is more than a channel away.
    lowest = max((width - 1) / hidden for width, hidden in zip(found, full, strict=True) if width > 1)
    highest = min((width + 1) / hidden for width, hidden in zip(found, full, strict=True))
    assert lowest < highest


def test_important_channels_are_kept_in_their_order():
    network = dense_of("vit")
    widths = widths_for(network, 0.7)
    generator = torch.Generator().manual_seed(3)
    planted = []
    for mlp, width in zip(mlps(network), widths, strict=True):
        order = torch.randperm(mlp.fc1.out_features, generator=generator)
        large, one_sided = order[:width].sort().values, order[width]
        with torch.no_grad():
            mlp.fc1.weight[large] += 0.2
            mlp.fc2.weight[:, large] += 0.2
            mlp.fc1.weight[one_sided] += 50  # strong in, but nothing out
            mlp.fc2.weight[:, one_sided] = 0
        planted.append((mlp.fc1.weight[large], mlp.fc1.bias[large], mlp.fc2.weight[:, large]))
    slim(network, 0.7)
    for mlp, (weight_in, bias, weight_out) in zip(mlps(network), planted, strict=True):
        assert torch.equal(mlp.fc1.weight, weight_in)
        assert torch.equal(mlp.fc1.bias, bias)
        assert torch.equal(mlp.fc2.weight, weight_out)


def test_importance_is_the_product_of_both_norms():
    mlp = mlps(dense_of("vit"))[0]
    weight_in, weight_out = mlp.fc1.weight.detach().numpy(), mlp.fc2.weight.detach().numpy()
    norms_in, norms_out = np.linalg.norm(weight_in, 1, axis=1), np.linalg.norm(weight_out, 1, axis=0)
    assert importance(mlp).tolist() == pytest.approx(norms_in * norms_out, rel=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_channels_without_effect_leave_without_effect(encoder):
    network, images = dense_of(encoder), case_of(ENCODERS[encoder]).images
    generator = torch.Generator().manual_seed(4)
    for mlp, width in zip(mlps(network), widths_for(network, 0.8), strict=True):
        idle = torch.randperm(mlp.fc1.out_features, generator=generator)[width:]
        with torch.no_grad():
            mlp.fc2.weight[:, idle] = 0
    with torch.inference_mode():
        expected = network(images)
        found = slim(network, 0.8)(images)
    for name, prediction in expected.items():
        torch.testing.assert_close(found[name], prediction, rtol=1e-4, atol=1e-5)


def test_a_share_of_one_changes_nothing():
    network = dense_of("swin")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    after = slim(network, 1.0).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_fewer_tasks_run_the_same_encoder():
    case, point = case_of(ENCODERS["vit"]), {"budget": 0.7}
    variant = case.build(point)
    every, one = variant.configure(point).units(), variant.configure(point, tasks=["depth"]).units()
    assert one == [unit for unit in every if unit.part.startswith("encoder") or unit.part == "head.depth"]


def test_too_small_a_budget_is_refused():
    problem = case_of(ENCODERS["vit"]).problem
    refusal = StaticSlim(problem).refuse({"budget": 0.05})
    assert refusal is not None
    assert refusal.startswith("a budget of 0.05 cannot be met")
    network = dense_of("vit")
    reference = total_macs(network.units(problem.task_names))
    smallest = (
        1
        - sum(
            channel_macs(layer) * (mlp.fc1.out_features - 1)
            for layer, mlp in zip(layers_in(network), mlps(network), strict=True)
        )
        / reference
    )
    assert f"{smallest:.3f}" in refusal
    assert StaticSlim(problem).refuse({"budget": smallest + 1e-6}) is None
    assert StaticSlim(problem).refuse({"budget": smallest - 1e-6}) is not None
    assert set(widths_for(network, smallest + 1e-6)) == {1}


def test_an_encoder_without_blocks_is_refused():
    problem = case_of(Named("resnet", {"arch": "nano"})).problem
    assert "resnet does not have" in (StaticSlim(problem).refuse({"budget": 0.7}) or "")
    with pytest.raises(UsageError, match="Use vit or swin"):
        slim(build_dense(problem, 0, None), 0.7)


def test_full_compute_is_the_artifact_of_the_static_network():
    problem = case_of(ENCODERS["vit"]).problem
    (dense,) = StaticMTL(problem).artifacts({}, SOURCE)
    assert StaticSlim(problem).artifacts({"budget": 1.0}, SOURCE) == (dense,)
    slims = [StaticSlim(problem).artifacts({"budget": budget}, SOURCE)[0] for budget in (0.9, 0.8)]
    assert [artifact.parents for artifact in slims] == [{"dense": dense}] * 2
    assert len({artifact.key for artifact in (dense, *slims)}) == 3


@pytest.mark.parametrize("epochs", [1, 5, 12, 20, 37])
def test_as_many_epochs_as_adamtl(epochs):
    problem = case_of(ENCODERS["vit"]).problem
    suite = TrainingProtocol(epochs=epochs)

    def trained(variant):
        (last,) = variant.artifacts({"budget": 0.8}, SOURCE)
        stages = [stage for stage in (last, *last.parents.values()) if stage.stage != "dense"]
        return sum(variant.recipe(stage).protocol(suite).epochs for stage in stages)

    assert trained(StaticSlim(problem)) == trained(AdaMTL(problem))


def test_recipe_starts_from_the_static_network_and_its_state_is_what_is_built():
    case, point = case_of(ENCODERS["swin"]), {"budget": 0.7}
    variant = StaticSlim(case.problem)
    (artifact,) = variant.artifacts(point, SOURCE)
    dense = dense_of("swin")
    network = variant.recipe(artifact).network({"dense": dense.state_dict()}, seed=5)
    variant.build(point, seed=9, weights=[network.state_dict()])
    with torch.inference_mode():
        found, _ = variant.configure(point)(case.images)
        expected = slim(dense, 0.7)(case.images)
    assert all(torch.equal(found[name], prediction) for name, prediction in expected.items())


def test_weights_of_another_budget_do_not_fit():
    problem = case_of(ENCODERS["vit"]).problem
    state = slim(dense_of("vit"), 0.7).state_dict()
    with pytest.raises(MtlbenchError, match="do not fit"):
        StaticSlim(problem).build({"budget": 0.8}, 0, [state])


def test_what_is_kept_learns():
    network = slim(dense_of("vit"), 0.7)
    sum(
        prediction.square().mean() for prediction in network(case_of(ENCODERS["vit"]).images).values()
    ).backward()
    for mlp in mlps(network):
        for linear in (mlp.fc1, mlp.fc2):
            assert linear.weight.shape == (linear.out_features, linear.in_features)
            assert linear.weight.grad is not None
            assert linear.weight.grad.abs().sum() > 0
