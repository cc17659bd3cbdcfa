from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.encoders import registry
from mtlbench.encoders.vit import ViT
from mtlbench.encoders.vit_layers import DropPath
from mtlbench.errors import UsageError


def nano(size=(32, 48), **options):
    return ViT(size, **{"arch": "nano", "patch": 8, **options}).eval()


def test_it_is_registered():
    assert registry.get("vit") is ViT
    assert ViT.resolve({})["arch"] == "tiny"


@pytest.mark.parametrize(
    ("arch", "dim", "depth", "params"),
    [("nano", 96, 6, None), ("tiny", 192, 12, 5_524_416), ("small", 384, 12, 21_665_664)],
)
def test_published_sizes(arch, dim, depth, params):
    vit = ViT((224, 224), arch=arch, taps=1)
    assert vit.channels == (dim,)
    assert len(vit.blocks) == depth
    if params is not None:  # timm vit_{tiny,small}_patch16_224 with num_classes=0
        assert sum(p.numel() for p in vit.parameters()) == params


@pytest.mark.parametrize("batch", [1, 3])
def test_feature_maps_have_the_declared_shapes(batch):
    vit = nano((32, 48))
    maps = vit(torch.rand(batch, 3, 32, 48))
    shapes = [
        (batch, channels, 32 // stride, 48 // stride)
        for channels, stride in zip(vit.channels, vit.strides, strict=True)
    ]
    assert [tuple(x.shape) for x in maps] == shapes
    assert shapes == [(batch, 96, 4, 6)] * 4


@pytest.mark.parametrize(
    ("arch", "taps", "after"),
    [
        ("tiny", 4, (3, 6, 9, 12)),
        ("tiny", 1, (12,)),
        ("tiny", 3, (4, 8, 12)),
        ("nano", 4, (2, 3, 5, 6)),
        ("nano", 6, (1, 2, 3, 4, 5, 6)),
    ],
)
def test_taps_are_evenly_spaced_and_end_at_the_last_block(arch, taps, after):
    assert tuple(i + 1 for i in ViT((32, 32), arch=arch, taps=taps).tap_blocks) == after


def test_a_token_lands_on_the_cell_of_its_patch():
    vit = nano((32, 48))
    for row, column in [(0, 0), (0, 5), (3, 0), (2, 4)]:
        tokens = torch.zeros(2, 1 + 4 * 6, 96)
        tokens[1, 1 + row * 6 + column, 7] = 1
        found = vit.to_map(tokens, 0)
        hot = (found != 0).any(dim=1).nonzero().tolist()
        assert hot == [[1, row, column]]
        assert found[1, :, row, column].argmax() == 7


def test_a_patch_lands_on_its_token():
    vit = nano((32, 48))
    vit.pos_embed.data.zero_()
    blank = torch.zeros(1, 3, 32, 48)
    image = blank.clone()
    image[:, :, 16:24, 32:40] = 1
    changed = (vit.embed(image) != vit.embed(blank)).any(dim=-1)[0].nonzero().flatten().tolist()
    assert changed == [1 + 2 * 6 + 4]


def test_the_class_token_comes_first_and_is_on_no_map():
    vit = nano()
    tokens = vit.embed(torch.rand(2, 3, 32, 48))
    torch.testing.assert_close(tokens[:, 0], (vit.cls_token + vit.pos_embed[:, :1])[:, 0].expand(2, -1))
    changed = tokens.clone()
    changed[:, 0] += 1
    assert torch.equal(vit.to_map(tokens, 0), vit.to_map(changed, 0))


def test_steps_run_by_hand_equal_forward():
    vit, x = nano(), torch.rand(2, 3, 32, 48)
    tokens, maps = vit.embed(x), []
    for i, block in enumerate(vit.blocks):
        tokens = tokens + block.attention_part(tokens)
        tokens = tokens + block.mlp_part(tokens)
        if i in vit.tap_blocks:
            maps.append(vit.to_map(tokens, len(maps)))
    for by_hand, whole in zip(maps, vit(x), strict=True):
        assert torch.equal(by_hand, whole)


def test_the_mlp_works_token_by_token():
    block = nano().blocks[0]
    x = torch.rand(2, 5, 96)
    torch.testing.assert_close(block.mlp_part(x[:, 1:3]), block.mlp_part(x)[:, 1:3])


def test_samples_are_independent():
    vit, x = nano(), torch.rand(3, 3, 32, 48)
    for together, *apart in zip(vit(x), *(vit(x[i : i + 1]) for i in range(3)), strict=True):
        torch.testing.assert_close(together, torch.cat(apart), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(
    ("arch", "size", "patch"), [("nano", (96, 96), 8), ("nano", (32, 80), 16), ("tiny", (64, 32), 16)]
)
def test_units_equal_the_counter(arch, size, patch, batch, context):
    vit = ViT(size, arch=arch, patch=patch).eval()
    with context():
        count = count_call(vit, torch.rand(batch, 3, *size))[1]
    assert count.macs == batch * total_macs(vit.units())
    assert count.uncounted_ops == []


def test_each_unit_equals_the_counter():
    vit = nano()
    macs = {unit.id: unit.macs for unit in vit.units()}
    tokens, counted = count_call(vit.embed, torch.rand(1, 3, 32, 48))
    assert counted.macs == macs.pop("encoder.stem")
    for i, block in enumerate(vit.blocks):
        assert count_call(block.attention_part, tokens)[1].macs == macs.pop(f"encoder.block.{i}.attention")
        assert count_call(block.mlp_part, tokens)[1].macs == macs.pop(f"encoder.block.{i}.mlp")
    assert not macs
    assert {unit.part for unit in vit.units()} == {
        "encoder.stem",
        *(f"encoder.block.{i}" for i in range(6)),
    }


@pytest.mark.parametrize("size", [(224, 100), (100, 224), (0, 16), (8, 16)])
def test_sizes_that_the_patch_does_not_divide_are_refused(size):
    refusal = ViT.refuse_size(size, {"patch": 16})
    assert refusal is not None
    assert f"{size[0]}x{size[1]}" in refusal
    with pytest.raises(UsageError, match="multiples of its patch, 16"):
        ViT(size, patch=16)
    assert ViT.refuse_size((224, 96), {"patch": 16}) is None


@pytest.mark.parametrize(
    "options", [{"arch": "huge"}, {"patch": 0}, {"drop_path": 1}, {"taps": 0}, {"depth": 3}]
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        ViT((32, 32), **options)


def test_initial_weights():
    vit = ViT((64, 64))
    for weight in (vit.blocks[3].mlp.fc1.weight, vit.patch_embed.weight, vit.pos_embed):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert vit.cls_token.abs().max() > 0
    assert all((b == 0).all() for name, b in vit.named_parameters() if name.endswith("bias"))


def test_drop_path_drops_whole_samples_in_training_only():
    drop, x = DropPath(0.25), torch.ones(4000, 3, 2)
    torch.manual_seed(0)
    dropped = drop.train()(x)
    per_sample = dropped.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    assert sorted(set(per_sample[:, 0].tolist())) == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(x), x)


def test_drop_path_grows_with_depth():
    rates = [block.drop_path.rate for block in nano(drop_path=0.1).blocks]
    assert rates == pytest.approx([0, 0.02, 0.04, 0.06, 0.08, 0.1])


def test_gradients_reach_every_parameter():
    vit = nano().train()
    sum((x**2).sum() for x in vit(torch.rand(2, 3, 32, 48))).backward()
    assert [name for name, p in vit.named_parameters() if p.grad is None] == []
