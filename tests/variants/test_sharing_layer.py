"""One block for several tasks at once: against dense products, against the masked reference, and its closed forms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mtlbench.cost.counter import count_call
from mtlbench.testing import Case
from mtlbench.training.artifact import Named
from mtlbench.variants.sharing.deltas import LayerDelta, LowRank
from mtlbench.variants.sharing.masked import masked_run
from mtlbench.variants.sharing.network import build_sharing, flat_layers
from mtlbench.variants.sharing.options import SharingOptions
from mtlbench.variants.sharing.shared_layer import Part, SharedLayer
from mtlbench.variants.sharing.variant import ComputationSharing

ENCODERS = {
    "vit": Named("vit", {"arch": "nano", "patch": 8}),
    # windows of 5 on grids of 16x24 and less: padded, shifted, and spanning the grid
    "swin": Named("swin", {"arch": "nano", "dim": 8, "heads": [1, 1, 2, 2], "patch": 2, "window": 5}),
}

OPTIONS = SharingOptions(rank=4)


def network_of(encoder: str, shared_blocks: int = 0):
    case = Case.small(ComputationSharing)
    problem = replace(case.problem, encoder=ENCODERS[encoder])
    return build_sharing(problem, "semseg", shared_blocks, OPTIONS, 0, None).double()


def tokens_for(layer, batch, seed=0):
    shape = (batch, layer.extra + layer.tokens, layer.dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_places(layer, batch, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, layer.places, generator=generator).argsort(dim=1)[:, :count]


def test_low_rank_is_the_dense_product_of_its_matrices():
    delta = LowRank(5, 7, 2, 3.0).double()
    torch.nn.init.normal_(delta.up)
    x, y = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 7, dtype=torch.float64)
    expected = y + x @ (3 * delta.up @ delta.down).T
    torch.testing.assert_close(delta(x, y), expected)
    with torch.inference_mode():
        assert torch.allclose(delta(x, y.clone()), expected)
    _, count = count_call(delta, x, y)
    assert count.macs == delta.macs(3) == 3 * 2 * (5 + 7)


def test_the_identity_of_differences_holds_exactly():
    """y_k = W_b X_b + dW X_b + W_k dX, the paper's decomposition, in float64."""
    layer = flat_layers(network_of("vit").encoder)[0]
    delta = LayerDelta(layer, 4, 2.0).double()
    torch.nn.init.normal_(delta.qkv.up, std=0.1)
    base, own = tokens_for(layer, 1)[0], tokens_for(layer, 1, seed=1)[0]
    weight, bias = layer.attention.qkv.weight, layer.attention.qkv.bias
    with torch.inference_mode():
        found = delta.qkv(own, F.linear(own, weight, bias))
        terms = F.linear(base, weight, bias) + base @ delta.qkv.dense().T
        terms += (own - base) @ (weight + delta.qkv.dense()).T
    assert float((found - terms).abs().max() / terms.abs().max()) < 1e-12


def test_the_group_norm_of_a_difference_needs_only_its_thin_side():
    layer = flat_layers(network_of("vit").encoder)[0]
    delta = LayerDelta(layer, 4, 2.0).double()
    torch.nn.init.normal_(delta.qkv.up)
    x = tokens_for(layer, 2)
    with torch.inference_mode():
        expected = (x @ delta.qkv.dense().T).norm(dim=-1)
        torch.testing.assert_close(delta.norms(x, delta.gram()), expected)
        _, count = count_call(delta.norms, x, delta.gram())
    assert count.macs == 2 * delta.norm_macs(layer.extra + layer.tokens)


@pytest.mark.parametrize("encoder", ENCODERS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_block_for_several_tasks_is_the_masked_reference_of_each(encoder, data):
    network = network_of(encoder)
    layers = flat_layers(network.encoder)
    i = data.draw(st.integers(0, len(layers) - 1))
    layer, batch = layers[i], data.draw(st.integers(1, 2))
    carried = data.draw(st.booleans())
    counts = [data.draw(st.one_of(st.none(), st.integers(1, layer.places))) for _ in range(2)]
    parts = [Part(tokens_for(layer, batch))]
    for seed, (name, count) in enumerate(zip(("depth", "normals"), counts, strict=True)):
        kept = None if count is None else some_places(layer, batch, count, seed)
        delta = network.branch(name).delta(i)
        parts.append(Part(tokens_for(layer, batch, seed + 1), kept, 0, delta, carried))
    with torch.inference_mode():
        runs = SharedLayer(layer)(parts)
        base = masked_run(layer, parts[0], None)
        expected = [base, *(masked_run(layer, part, base) for part in parts[1:])]
    for found, wanted in zip(runs, expected, strict=True):
        torch.testing.assert_close(found.after, wanted.after, rtol=1e-10, atol=1e-10)
        if wanted.held is not None:
            torch.testing.assert_close(found.held, wanted.held, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_donor_of_before_gives_what_one_of_the_same_call_does(encoder):
    network = network_of(encoder)
    layer = flat_layers(network.encoder)[1]
    shared, kept = SharedLayer(layer), some_places(layer, 2, max(layer.places // 2, 1))
    delta, own = network.branch("depth").delta(1), tokens_for(layer, 2, seed=3)
    with torch.inference_mode():
        base, together = shared([Part(tokens_for(layer, 2)), Part(own, kept, 0, delta)])
        alone = shared([Part(own, kept, base, delta)])[0]
    torch.testing.assert_close(alone.after, together.after, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_whole_blocks_equal_the_encoder(encoder):
    network = network_of(encoder)
    images = torch.randn(2, 3, 32, 48, dtype=torch.float64)
    with torch.inference_mode():
        x = network.encoder.embed(images)
        for stage, layers in enumerate(network.encoder.layers_of):
            for layer in layers:
                expected = layer.run(x)
                found = SharedLayer(layer)([Part(x)])[0].after
                torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
                x = expected
            _, x = network.encoder.close(stage, x)


def test_a_part_without_a_donor_is_refused():
    layer = flat_layers(network_of("vit").encoder)[0]
    with pytest.raises(ValueError, match="missing"):
        SharedLayer(layer)([Part(tokens_for(layer, 1), some_places(layer, 1, 2))])


def test_gradients_reach_the_difference_and_leave_the_shared_weights_alone():
    network = network_of("vit")
    network.base.requires_grad_(False)
    layer, delta = flat_layers(network.encoder)[0], network.branch("depth").delta(0)
    with torch.no_grad():
        base = SharedLayer(layer)([Part(tokens_for(layer, 1))])[0]
    before = layer.feed_forward.fc1.weight.clone()
    run = SharedLayer(layer)([Part(tokens_for(layer, 1, 1), some_places(layer, 1, 3), base, delta)])[0]
    run.after.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in delta.parameters())
    assert layer.feed_forward.fc1.weight.grad is None
    assert torch.equal(layer.feed_forward.fc1.weight, before)
