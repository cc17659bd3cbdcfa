from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.encoders.swin import Swin
from mtlbench.encoders.weights import Checkpoint, fit_weights

SMALL = {"dim": 12, "depths": (1, 2, 3, 1), "heads": (1, 2, 4, 3), "window": 4}
OTHER_WAYS = [
    {"maps": "after_merging"},
    {"maps": "after_merging", "tap_norms": False},
    {"tap_norms": False},
]
SIZES = [(64, 64), (36, 52)]


def small(size=(64, 64), **options):
    """A network whose norms and biases do something, so that a forgotten one shows."""
    torch.manual_seed(0)
    swin = Swin(size, **{**SMALL, **options})
    for parameter in swin.parameters():
        nn.init.trunc_normal_(parameter, mean=parameter.mean().item(), std=0.1)
    return swin.eval()


# Sizes


@pytest.mark.parametrize(
    ("given", "dim", "depths", "heads"),
    [
        ({}, 32, (2, 2, 4, 2), (1, 2, 4, 8)),
        ({"dim": 48}, 48, (2, 2, 4, 2), (1, 2, 4, 8)),
        ({"depths": [1, 1, 1, 3]}, 32, (1, 1, 1, 3), (1, 2, 4, 8)),
        ({"dim": 24, "heads": [3, 3, 6, 1]}, 24, (2, 2, 4, 2), (3, 3, 6, 1)),
        ({"dim": 12, "depths": [1, 2, 1, 2], "heads": [1, 2, 4, 8]}, 12, (1, 2, 1, 2), (1, 2, 4, 8)),
    ],
)
def test_what_is_given_stands_in_place_of_the_arch(given, dim, depths, heads):
    swin = Swin((32, 32), arch="nano", **given)
    assert swin.dims == swin.channels == tuple(dim * 2**i for i in range(4))
    stages = [swin.stage(i) for i in range(4)]
    assert tuple(len(stage.blocks) for stage in stages) == depths
    assert tuple(stage.blocks[0].attn.heads for stage in stages) == heads
    assert swin.patch_embed.proj.out_channels == dim


def test_a_spelled_out_arch_is_the_arch():
    spelled = Swin((64, 64), arch="base", dim=32, depths=[2, 2, 4, 2], heads=[1, 2, 4, 8])
    nano = Swin((64, 64), arch="nano")
    assert spelled.units() == nano.units()
    spelled.load_state_dict(nano.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "dim"),
        ({"depths": [2, 2, 2]}, "depths"),
        ({"depths": [2, 2, 2, 0]}, r"depths\.3"),
        ({"heads": [1, 2, 4, 8, 16]}, "heads"),
        ({"dim": 50}, "stage 0 has 50 channels, which its 3 heads do not divide"),
        ({"dim": 48, "heads": [3, 5, 6, 6]}, "stage 1 has 96 channels, which its 5 heads do not divide"),
        ({"maps": "between"}, "maps"),
        ({"tap_norms": 1}, "tap_norms"),
    ],
)
def test_sizes_that_fit_no_network_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        Swin.resolve(options)


# Maps


def test_maps_after_merging_are_those_that_the_next_stage_starts_from():
    swin, x = small(maps="after_merging", tap_norms=False), torch.rand(2, 3, 64, 64)
    assert swin.channels == (24, 48, 96, 96)
    assert swin.strides == (8, 16, 32, 32)
    entered = []
    for i in range(1, 4):
        swin.stage(i).blocks[0].register_forward_pre_hook(lambda _, args: entered.append(args[0].clone()))
    maps = swin(x)
    plain = small(tap_norms=False)
    plain.load_state_dict(swin.state_dict())
    for found, tokens in zip(maps[:3], entered, strict=True):
        assert torch.equal(found.flatten(2).mT, tokens)
    assert torch.equal(maps[3], plain(x)[3])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", OTHER_WAYS)
def test_maps_have_the_declared_shapes(size, options):
    swin = small(size, **options)
    shapes = [
        (2, channels, *(math.ceil(side / stride) for side in size))
        for channels, stride in zip(swin.channels, swin.strides, strict=True)
    ]
    assert [x.shape for x in swin(torch.rand(2, 3, *size))] == shapes


def test_norms_are_those_of_the_maps():
    bare, normed = small(maps="after_merging", tap_norms=False), small(maps="after_merging")
    normed.load_state_dict(bare.state_dict(), strict=False)
    assert not any(name.startswith("tap_norms") for name in bare.state_dict())
    x = torch.rand(2, 3, 64, 64)
    for found, raw, norm in zip(normed(x), bare(x), normed.tap_norms, strict=True):
        assert norm.weight.shape == raw.shape[1:2]
        torch.testing.assert_close(found, norm(raw.movedim(1, -1)).movedim(-1, 1))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", OTHER_WAYS)
def test_the_pieces_of_all_layers_make_the_forward_pass(size, options):
    swin, x = small(size, **options), torch.rand(2, 3, *size)
    tokens, maps = swin.embed(x), []
    for stage, layers in enumerate(swin.layers_of):
        for layer in layers:
            assert tokens.shape == (2, layer.tokens, layer.dim)
            tokens = tokens + layer.attend(tokens)
            tokens = tokens + layer.mlp(tokens)
        found, tokens = swin.close(stage, tokens)
        maps.append(found)
    for by_hand, whole in zip(maps, swin(x), strict=True):
        assert torch.equal(by_hand, whole)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", OTHER_WAYS)
def test_units_equal_the_counter(size, options):
    swin = small(size, **options)
    with torch.inference_mode():
        count = count_call(swin, torch.rand(2, 3, *size), parts=dict(swin.stages()))[1]
    assert count.macs == 2 * total_macs(swin.units())
    by_part = {}
    for unit in swin.units():
        by_part[unit.part] = by_part.get(unit.part, 0) + 2 * unit.macs
    assert count.by_part == by_part


# Weights of files


def detection_file(swin, final_norm=False):
    """The state of an encoder as detection code names it, with a norm for every stage and a classifier's norm."""
    state = {key: value for key, value in swin.state_dict().items() if not key.startswith("tap_norms.")}
    for i, dim in enumerate(swin.dims):
        state |= {f"norm{i}.{kind}": torch.full((dim,), 2.0 + i) for kind in ("weight", "bias")}
    if final_norm:
        state |= {f"norm.{kind}": state.pop(f"norm3.{kind}") for kind in ("weight", "bias")}
    return {**state, "layers.0.blocks.1.attn_mask": torch.zeros(1)}


@pytest.mark.parametrize("final_norm", [False, True])
@pytest.mark.parametrize("options", OTHER_WAYS)
def test_norms_of_other_maps_are_left_out(options, final_norm):
    swin = small(**options)
    file = detection_file(swin, final_norm)
    account = fit_weights(swin, Checkpoint(Path("file"), file), "0" * 64, "swin", swin.layouts())
    assert account.layout == "official Swin"
    normed = options.get("tap_norms", True)
    assert set(account.missing) == {
        f"tap_norms.{i}.{kind}" for i in (range(3) if normed else ()) for kind in ("weight", "bias")
    }
    norms = [key for key in file if key.startswith("norm")]
    used = norms[-2:] if normed else []
    assert [key for key in norms if key not in account.left_out] == used
    if normed:
        assert swin.tap_norms[3].weight.unique().tolist() == [5.0]
