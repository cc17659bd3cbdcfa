"""The element-wise form at inference: the identity of differences, thresholds, and what is claimed of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.testing import Case
from mtlbench.training.artifact import Named
from mtlbench.variants.sharing.element_macs import linear_layers
from mtlbench.variants.sharing.element_variant import ComputationSharingElement
from mtlbench.variants.sharing.element_walk import HOOKED, INPUT_OF, SideBySide, Thresholding
from mtlbench.variants.sharing.network import flat_layers

ENCODERS = {
    "vit": Named("vit", {"arch": "nano", "patch": 8}),
    "swin, padded": Named("swin", {"arch": "nano", "patch": 2, "window": 5}),
}
CASE = Case.small(ComputationSharingElement)
TASK = "depth"


@cache
def built(encoder="vit"):
    return replace(CASE, problem=replace(CASE.problem, encoder=ENCODERS[encoder])).build()


def side_by_side(network, names=(TASK,)):
    return SideBySide(network.encoder("semseg"), {name: network.encoder(name) for name in names})


class Kept:
    """Keeps every output of both."""

    names = (*HOOKED, *INPUT_OF.values())

    def __init__(self, change=None):
        self.change, self.seen = change, {}

    def __call__(self, task, block, name, output, of_base):
        changes = self.change is not None and name in self.change.names
        found = self.change(task, block, name, output, of_base) if changes else output
        self.seen[block, name] = (output, found, of_base)
        return found


@pytest.mark.parametrize("encoder", ENCODERS)
def test_side_by_side_is_what_each_encoder_does_alone(encoder):
    network = built(encoder)._network
    with torch.inference_mode():
        base, own = side_by_side(network)(CASE.images, Kept())
        for found, name in ((base, "semseg"), (own[TASK], TASK)):
            for one, expected in zip(found, network.encoder(name)(CASE.images), strict=True):
                torch.testing.assert_close(one, expected)


@pytest.mark.parametrize("encoder", ["vit", "swin, padded"])
def test_outputs_are_the_base_tasks_and_two_differences(encoder):
    """y_k = W_b x_b + dW x_b + W_k dx, of every linear layer, in float64."""
    network = (
        replace(CASE, problem=replace(CASE.problem, encoder=ENCODERS[encoder])).build()._network.double()
    )
    kept = Kept()
    with torch.inference_mode():
        side_by_side(network)(CASE.images.double(), kept)
        pairs = zip(flat_layers(network.encoder("semseg")), flat_layers(network.encoder(TASK)), strict=True)
        for i, (base_layer, layer) in enumerate(pairs):
            of_base = linear_layers(base_layer)
            for name, (linear, _) in linear_layers(layer).items():
                before = of_base[name][0]
                x_k, _, x_b = kept.seen[i, INPUT_OF[name]]
                y_k, _, y_b = kept.seen[i, name]
                difference = linear.weight - before.weight
                assert (difference != 0).any()
                found = y_b - before.bias + x_b @ difference.T + (x_k - x_b) @ linear.weight.T + linear.bias
                torch.testing.assert_close(found, y_k, rtol=1e-12, atol=1e-12)


def test_what_differs_by_less_than_the_threshold_is_the_base_tasks():
    network = built()._network
    levels = [0.02 * (1 + i) for i in range(6)]
    kept = Kept(Thresholding({TASK: levels}))
    with torch.inference_mode():
        side_by_side(network)(CASE.images, kept)
    for (block, name), (output, found, of_base) in kept.seen.items():
        if name not in INPUT_OF:
            assert torch.equal(found, output)
            continue
        below = (output - of_base).abs() < levels[block]
        assert below.any()
        assert torch.equal(found[below], of_base[below])
        assert torch.equal(found[~below], output[~below])


def test_a_difference_as_large_as_the_threshold_stays():
    change = Thresholding({TASK: [0.25]})
    found = change(TASK, 0, "fc1", torch.tensor([1.25, 1.125, 0.75]), torch.ones(3))
    assert found.tolist() == [1.25, 1.0, 0.75]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_linear_layers_and_products_of_attention_are_all_of_a_block(encoder):
    for layer in flat_layers(built(encoder)._network.encoder(TASK)):
        linear = sum(macs for _, macs in linear_layers(layer).values())
        assert linear + layer.mix_macs(layer.places) == layer.attention_macs + layer.mlp_macs


def seen_inputs(network, runnable, name, x):
    """What came into every linear layer of both encoders, watched from outside, and the weights of both."""
    seen = {}
    handles = []
    for who in ("semseg", name):
        for i, layer in enumerate(flat_layers(network.encoder(who))):
            for which, (linear, _) in linear_layers(layer).items():
                handles.append(
                    linear.register_forward_pre_hook(
                        lambda module, args, key=(who, i, which): seen.__setitem__(
                            key, (args[0], module.weight)
                        )
                    )
                )
    with torch.inference_mode():
        (_, trace), count = count_call(runnable, x)
    for handle in handles:
        handle.remove()
    return seen, trace, count.macs


@pytest.mark.parametrize("encoder", ENCODERS)
def test_claimed_macs_are_those_of_the_densities_counted_by_hand(encoder):
    variant = built(encoder)
    network, x = variant._network, CASE.images[:1]
    runnable = variant.configure({"density": 0.3}, tasks=["semseg", TASK])
    seen, trace, executed = seen_inputs(network, runnable, TASK, x)

    expected = float(total_macs(runnable.units()))
    shares = {"qkv": [], "proj": [], "fc1": [], "fc2": []}
    for i, layer in enumerate(flat_layers(network.encoder(TASK))):
        for which, (_, macs) in linear_layers(layer).items():
            (x_b, w_b), (x_k, w_k) = seen["semseg", i, which], seen[TASK, i, which]
            rho_w = float((w_k != w_b).double().mean())
            rho_x = float((x_k != x_b).double().mean())
            shares[which].append(rho_x)
            expected -= macs * (1 - min(1, rho_w + rho_x))
    assert list(trace.claimed_macs) == pytest.approx([expected], rel=1e-9)
    assert trace.claimed_full_macs == sum(
        total_macs(network.network(n).units((n,))) for n in ("semseg", TASK)
    )
    assert trace.nominal_macs(runnable.units()) == [trace.claimed_full_macs]
    assert executed == trace.claimed_full_macs
    # a token's norm spreads any difference over all its channels; what the activation takes over stays sparse
    assert all(behind < 0.7 * normed for behind, normed in zip(shares["fc2"], shares["fc1"], strict=True))


def test_the_base_task_is_charged_where_it_is_only_compared_with():
    variant = built()
    network, alone = variant._network, variant.configure({"density": 0.5}, tasks=[TASK])
    with torch.inference_mode():
        predictions, trace = alone(CASE.images)
    assert set(predictions) == {TASK}
    own, base = network.network(TASK).units((TASK,)), network.encoder("semseg").units()
    assert total_macs(alone.units()) == total_macs(own) + total_macs(base)
    assert trace.claimed_full_macs == total_macs(own)
    assert network.encoder("semseg") in alone.networks()
    # of one block 25 tokens, 3 + 1 + 4 + 1 times 96 wide, in 4 bytes
    assert alone.cache_bytes() == 25 * 9 * 96 * 4


def test_claims_are_computed_when_somebody_looks():
    variant = built()
    runnable, calls = variant.configure({"density": 0.5}), []
    handle = variant._network.encoder(TASK).patch_embed.register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        _, trace = runnable(CASE.images)
    assert len(calls) == 3
    first, second = list(trace.claimed_macs), list(trace.claimed_macs)
    handle.remove()
    assert len(calls) == 6
    assert first == second


def test_at_full_density_dense_networks_run_and_claim_nothing():
    variant = built()
    with torch.inference_mode():
        expected, _ = variant.dense()(CASE.images)
        found, trace = variant.configure({"density": 1.0})(CASE.images)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert list(trace.claimed_macs) == [trace.claimed_full_macs] * 3
