"""The released form of AdaMTL in configurations of which there is no golden file, and what its authors would count."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtlbench import variants
from mtlbench.cost.counter import count_call
from mtlbench.errors import UsageError
from mtlbench.testing import CHECKS, Case
from mtlbench.training.artifact import Named, Problem
from mtlbench.variants.adamtl.claimed import ReleasedCounter

COMPAT = variants.registry.get("adamtl_compat")
HALF = {"budget": 0.7}
NAMES = ("depth", "normals")


def case(size=(32, 64), images=3, **options):
    """Grids that windows and merging divide, decoders and maps as released."""
    swin = {"dim": 8, "depths": [1, 2, 2, 1], "heads": [1, 1, 2, 2], "patch": 4, "window": 2}
    problem = Problem(
        size,
        Named("swin", {**swin, "maps": "after_merging", "tap_norms": False}),
        Named("adamtl", {"width": 8, "layout": "released"}),
        tuple(map(Named, NAMES)),
    )
    drawn = torch.randn(images, 3, *size, generator=torch.Generator().manual_seed(1))
    return Case(COMPAT, problem, drawn, {"hidden": 4, **options})


@pytest.mark.parametrize("check", ["modes_agree", "samples_are_independent", "formulas_equal_the_counter"])
@pytest.mark.parametrize("options", [{"policy": "tag", "decision": "certain"}, {"policy": "taw"}], ids=str)
def test_the_released_form_conforms(options, check):
    CHECKS[check](case(**options))


@pytest.mark.parametrize("scope", ["mlp", "block"])
def test_maps_without_norms_are_not_overwritten(scope):
    """They are views of tokens, which the layers of the next stage change in place."""
    check = case(images=1, scope=scope, gates="tokens", skip="identity")
    for name in ("modes_agree", "samples_are_independent"):
        CHECKS[name](check)


def normed_and_policy(variant):
    """Elements that each norm sees, and MACs of the token policies, added up while the network runs."""
    network, total = variant._network, [0]

    def norm(_, __, output):
        total[0] += output.numel()

    def linear(module, inputs, output):
        total[0] += output.numel() * module.in_features

    for module in network.encoder.modules():
        if isinstance(module, nn.LayerNorm):
            module.register_forward_hook(norm)
    for module in network.policies.token_policies.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(linear)
    return total


@pytest.mark.parametrize("policy", ["tag", "taw"])
@pytest.mark.parametrize(("gates", "point"), [("both", HALF), ("blocks", HALF), ("both", {"budget": 1.0})])
def test_claimed_macs_are_what_runs_by_the_released_formula(policy, gates, point):
    """MACs that the dispatcher sees in the encoder, elements that norms see, token policies, and one norm more."""
    one = case(images=1, policy=policy, gates=gates)
    variant = one.build(point)
    runnable = variant.configure(point)
    total = normed_and_policy(variant)
    final = 64 * (8 * 16) // 2**4
    for seed in range(4):
        x = torch.randn(one.images.shape, generator=torch.Generator().manual_seed(seed))
        total[0] = 0
        with torch.inference_mode():
            (_, trace), count = count_call(runnable, x, parts=dict(runnable.parts()))
        ran = sum(macs for part, macs in count.by_part.items() if part.startswith("encoder"))
        assert list(trace.claimed_macs) == [ran + total[0] + final]


def test_claimed_macs_of_a_batch_are_those_of_its_samples():
    both = case(images=3)
    runnable = both.build(HALF).configure(HALF)
    with torch.inference_mode():
        together = runnable(both.images)[1].claimed_macs
        alone = [runnable(both.images[i : i + 1])[1].claimed_macs[0] for i in range(3)]
    assert list(together) == alone
    assert len(together) == 3
    assert len(set(alone)) > 1


@pytest.mark.parametrize("gates", ["both", "blocks"])
def test_full_compute_claims_the_same_at_every_budget(gates):
    one = case(images=1, gates=gates)
    told = []
    for budget in (1.0, 0.7):
        with torch.inference_mode():
            told.append(one.build({"budget": budget}).configure({"budget": budget})(one.images)[1])
    assert told[0].claimed_full_macs == told[1].claimed_full_macs == told[0].claimed_macs[0]


def test_nothing_is_claimed_before_somebody_looks(monkeypatch):
    looked = []
    monkeypatch.setattr(ReleasedCounter, "macs", lambda self, told: looked.append(told) or [1.0])
    one = case(images=1)
    with torch.inference_mode():
        trace = one.build(HALF).configure(HALF)(one.images)[1]
    assert looked == []
    assert (trace.claimed_macs[0], trace.claimed_macs[0]) == (1.0, 1.0)
    assert len(looked) == 1


@pytest.mark.parametrize(
    "options", [{"gates": "tokens"}, {"scope": "block"}, {"decide": "stage"}, {"empty_block": False}], ids=str
)
def test_nothing_is_claimed_of_what_the_released_code_lacks(options):
    one = case(images=1, **options)
    with torch.inference_mode():
        assert one.build(HALF).configure(HALF)(one.images)[1].claimed_macs is None
    small = Case.small(COMPAT)
    with torch.inference_mode():
        assert small.build(HALF).configure(HALF)(small.images)[1].claimed_macs is None


def test_a_flattened_policy_of_one_token_decides_for_each_layer():
    """The last stage of 16 x 16 pixels in patches of 2 is one token."""
    swin = Named("swin", {"dim": 8, "depths": [1, 1, 2, 3], "heads": [1, 1, 1, 1], "patch": 2, "window": 2})
    alone = Case(COMPAT, Problem((16, 16), swin, Named("multiscale", {"width": 8}), (Named("depth"),)), None)
    variant = alone.build()
    policy = variant._network.policies.block(3)
    tokens = torch.randn(2, 1, 64)
    scorer = policy.scorers["depth"]
    expected = scorer.fc(torch.relu(scorer.mlp(tokens[:, 0])))
    assert torch.equal(policy(tokens, ("depth",)), expected.unsqueeze(-1))
    assert policy.macs(1, ("depth",)) == 64 * 64 + 64 * 3


@pytest.mark.parametrize("name", ["adamtl", "adamtl_compat", "adamtl_random"])
def test_tasks_that_the_network_lacks_are_refused(name):
    variant = Case.small(variants.registry.get(name)).build()
    said = f"{name} has no policy and no head for edge, only for semseg, depth, normals. Ask for tasks"
    with pytest.raises(UsageError, match=said) as caught:
        variant.configure({"budget": 1.0}, tasks=["depth", "edge"])
    assert caught.value.exit_code == 2
