from __future__ import annotations

import sys
from math import prod
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mtlbench.encoders.weights import read_checkpoint
from mtlbench.errors import DataError, UsageError
from mtlbench.variants.adamtl.released import load_released, released_state, require_fit

TASKS = ("semseg", "sal")
DIM, HIDDEN, TOKENS = 4, 3, (16, 4)


def linear(name, outputs, inputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name, channels):
    moving = {f"{name}.{kind}": (channels,) for kind in ("weight", "bias", "running_mean", "running_var")}
    return {**moving, f"{name}.num_batches_tracked": ()}


def released_shapes(owners):
    """A network of two stages of one block, of 4 x 4 and 2 x 2 tokens, with the released names.

    Args:
        owners: tasks of the policies; None for one policy of all tasks, empty for no policy.
    """
    shapes = {"backbone.patch_embed.proj.weight": (DIM, 3, 4, 4)}
    for s, tokens in enumerate(TOKENS):
        block, dim = f"backbone.layers.{s}.blocks.0", DIM * 2**s
        side = 4 // 2**s
        shapes |= linear(f"{block}.attn.qkv", 3 * dim, dim) | linear(f"{block}.mlp.fc1", 4 * dim, dim)
        shapes[f"{block}.attn.relative_position_bias_table"] = ((2 * side - 1) ** 2, 2)
        shapes[f"{block}.attn.relative_position_index"] = (tokens, tokens)
        shapes[f"{block}.attn_mask"] = (1, tokens, tokens)
        for owner in (None,) if owners is None else owners:
            task = f"{owner}." if owner else ""
            shapes |= linear(f"backbone.layers.{s}.tokens_select.{task}mlp", HIDDEN, dim)
            shapes |= linear(f"backbone.layers.{s}.tokens_select.{task}fc", 1, HIDDEN)
            shapes |= linear(f"backbone.layers_controllers.{task}{s}.mlp", HIDDEN, dim)
            shapes |= linear(f"backbone.layers_controllers.{task}{s}.fc", 1, HIDDEN * tokens)
    shapes["backbone.layers.0.downsample.reduction.weight"] = (2 * DIM, 4 * DIM)
    for task in TASKS:
        first = f"decoders.{task}.fuse.0.2"
        shapes |= {f"{first}.conv1.weight": (2, 8, 3, 3), f"{first}.downsample.0.weight": (2, 8, 1, 1)}
        shapes |= norm(f"{first}.bn1", 2) | norm(f"{first}.downsample.1", 2)
        shapes |= {f"decoders.{task}.fuse.0.3.conv2.weight": (2, 2, 3, 3)} | norm(
            f"decoders.{task}.fuse.0.3.bn2", 2
        )
        shapes |= {f"decoders.{task}.segment.0.weight": (2, 2, 1, 1)} | norm(f"decoders.{task}.segment.1", 2)
        shapes |= {f"decoders.{task}.segment.3.bias": (1,)}
    return shapes


def released(owners=TASKS):
    """Every value is another one."""
    state, start = {}, 1
    for key, shape in released_shapes(owners).items():
        state[key] = torch.arange(start, start + prod(shape), dtype=torch.float).reshape(shape)
        start += prod(shape)
    return state


@pytest.mark.parametrize(
    ("owners", "theirs", "ours"),
    [
        (TASKS, "backbone.patch_embed.proj.weight", "encoder.patch_embed.proj.weight"),
        (TASKS, "backbone.layers.1.blocks.0.attn.qkv.bias", "encoder.layers.1.blocks.0.attn.qkv.bias"),
        (
            TASKS,
            "backbone.layers.0.downsample.reduction.weight",
            "encoder.layers.0.downsample.reduction.weight",
        ),
        (
            TASKS,
            "backbone.layers.1.tokens_select.sal.mlp.weight",
            "policies.token_policies.1.scorers.saliency.mlp.weight",
        ),
        (
            None,
            "backbone.layers.1.tokens_select.mlp.weight",
            "policies.token_policies.1.scorers.all.mlp.weight",
        ),
        (
            TASKS,
            "backbone.layers_controllers.semseg.1.fc.bias",
            "policies.block_policies.1.scorers.semseg.fc.bias",
        ),
        (None, "backbone.layers_controllers.1.fc.bias", "policies.block_policies.1.scorers.all.fc.bias"),
        (TASKS, "decoders.sal.fuse.0.2.conv1.weight", "heads.saliency.refine.0.0.conv1.weight"),
        (TASKS, "decoders.sal.fuse.0.2.downsample.0.weight", "heads.saliency.refine.0.0.shortcut.0.weight"),
        (
            TASKS,
            "decoders.sal.fuse.0.2.downsample.1.running_var",
            "heads.saliency.refine.0.0.shortcut.1.running_var",
        ),
        (TASKS, "decoders.semseg.fuse.0.3.bn2.running_mean", "heads.semseg.refine.0.1.bn2.running_mean"),
        (TASKS, "decoders.semseg.segment.0.weight", "heads.semseg.fuse.weight"),
        (TASKS, "decoders.semseg.segment.1.bias", "heads.semseg.norm.bias"),
        (TASKS, "decoders.semseg.segment.3.bias", "heads.semseg.predict.bias"),
    ],
)
def test_each_kind_of_key_gets_our_name(owners, theirs, ours):
    state = released(owners)
    assert torch.equal(released_state(state)[ours], state[theirs])


@pytest.mark.parametrize("owners", [TASKS, None, ()])
def test_nothing_is_lost_but_what_follows_from_the_configuration(owners):
    state = released(owners)
    derived = [key for key in state if key.endswith(("attn_mask", "relative_position_index"))]
    assert len(released_state(state)) == len(state) - len(derived)


def test_tasks_can_be_renamed():
    found = released_state(released(), {"semseg": "clothes"})
    assert {name.split(".")[1] for name in found if name.startswith("heads.")} == {"clothes", "saliency"}
    with pytest.raises(UsageError, match="two tasks of these weights get the name of one: saliency"):
        released_state(released(), {"semseg": "saliency"})


def test_smaller_tables_are_put_in_the_middle():
    state, name = released(), "layers.1.blocks.0.attn.relative_position_bias_table"
    for window, side in [(None, 7), (4, 7), (6, 11)]:
        table = released_state(state, window=window)[f"encoder.{name}"].view(side, side, 2)
        around = side // 2 - 1
        inside = table[around : side - around, around : side - around]
        assert torch.equal(inside.reshape(9, 2), state[f"backbone.{name}"])
        assert table.sum() == inside.sum()


def test_other_weights_are_refused():
    with pytest.raises(
        DataError, match=r"no weights of AdaMTL's released code: it has no 1 \(layers\.7\.weight\)"
    ):
        released_state(released() | {"layers.7.weight": torch.zeros(1)})
    with pytest.raises(DataError, match="no weights of AdaMTL"):
        released_state({})


# Files


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_files_of_every_kind_are_read(tmp_path, monkeypatch):
    state = released()
    torch.save(state, tmp_path / "bare.pth")
    torch.save({"model": state, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "whole.pth")
    save_file(state, tmp_path / "weights.safetensors")
    for name in ("bare.pth", "whole.pth", "weights.safetensors"):
        assert_equal(load_released(tmp_path / name), released_state(state))
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    assert_equal(
        load_released("bare.pth", {"semseg": "a"}, window=5), released_state(state, {"semseg": "a"}, window=5)
    )


class CfgNode(dict):
    """What a configuration of yacs is, as far as a pickle knows."""


@pytest.fixture
def yacs(monkeypatch):
    module = ModuleType("yacs.config")
    module.CfgNode = CfgNode
    monkeypatch.setitem(sys.modules, "yacs.config", module)
    monkeypatch.setattr(CfgNode, "__module__", "yacs.config")
    return CfgNode


def test_a_released_checkpoint_is_read_with_its_configuration(tmp_path, yacs):
    config = yacs(MODEL=yacs(NAME="ada_swin", DEPTHS=[2, 2]))
    config.__dict__ |= {"__immutable__": True, "__deprecated_keys__": set(), "__renamed_keys__": {}}
    torch.save({"model": released(), "config": config, "max_accuracy": 0.5}, tmp_path / "ckpt.pth")
    with pytest.raises(DataError, match=r"yacs\.config\.CfgNode"):
        read_checkpoint(tmp_path / "ckpt.pth")
    assert_equal(load_released(tmp_path / "ckpt.pth"), released_state(released()))


def test_files_that_need_code_or_are_none_are_refused(tmp_path):
    torch.save({"model": released(), "accuracy": np.poly1d([1])}, tmp_path / "code.pth")
    with pytest.raises(DataError, match=r"code\.pth.*running code \(numpy.*save the weights alone"):
        load_released(tmp_path / "code.pth")
    (tmp_path / "noise.pth").write_bytes(b"no weights at all")
    with pytest.raises(DataError, match=r"noise\.pth.*no weights file"):
        load_released(tmp_path / "noise.pth")
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"other\.pth: these are no weights of AdaMTL"):
        load_released(tmp_path / "other.pth")
    with pytest.raises(DataError, match="there is no file"):
        load_released(tmp_path / "absent.pth")


# Fitting a network


def test_equal_shapes_fit():
    found = released_state(released())
    require_fit(found, {name: value.to("meta") for name, value in found.items()})


def refusal(state, expected):
    with pytest.raises(UsageError) as caught:
        require_fit(state, expected, "ckpt.pth")
    assert str(caught.value).startswith("ckpt.pth: these weights do not fit the network: ")
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_another_task_set_is_refused():
    found = released_state(released())
    fewer = {name: value for name, value in found.items() if ".saliency." not in name}
    assert "for the tasks saliency, semseg, the network for semseg." in refusal(found, fewer)
    assert "for the tasks semseg, the network for saliency, semseg." in refusal(fewer, found)


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        (TASKS, None, "each of saliency, semseg, the network has a block policy for all tasks"),
        (None, (), "and a token policy for all tasks, the network has no policy"),
        ((), TASKS, "they have no policy, the network has a block policy for each of saliency, semseg"),
    ],
)
def test_other_policies_are_refused(theirs, ours, said):
    found = refusal(released_state(released(theirs)), released_state(released(ours)))
    assert said in found
    assert "`gates` and `policy`" in found


@pytest.mark.parametrize("owners", [TASKS, None])
def test_another_resolution_is_refused(owners):
    found = released_state(released(owners))
    expected = {
        name: value.repeat(1, 4)
        if name.startswith("policies.block") and name.endswith("fc.weight")
        else value
        for name, value in found.items()
    }
    said = refusal(found, expected)
    assert "their block policy looks at 16 tokens of stage 0, the network's at 64" in said
    assert "input size" in said


def test_anything_else_that_differs_is_listed():
    found = released_state(released())
    expected = dict(found)
    expected["encoder.patch_embed.proj.weight"] = torch.zeros(8, 3, 4, 4)
    expected["encoder.norm.weight"] = expected.pop("encoder.layers.0.downsample.reduction.weight")
    said = refusal(found, expected)
    assert "missing: 1 (encoder.norm.weight)" in said
    assert "without a place: 1 (encoder.layers.0.downsample.reduction.weight)" in said
    assert "of another shape: 1 (encoder.patch_embed.proj.weight is [4, 3, 4, 4], not [8, 3, 4, 4])" in said
