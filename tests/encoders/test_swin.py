from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F
from transformers import AutoBackbone, SwinConfig, SwinModel
from transformers.models.swin.modeling_swin import SwinRelativePositionBias

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.encoders import registry
from mtlbench.encoders.swin import Swin
from mtlbench.encoders.swin_layers import WindowGrid, Windows
from mtlbench.errors import UsageError

ARCHS = {
    "nano": (32, [2, 2, 4, 2], [1, 2, 4, 8]),
    "tiny": (96, [2, 2, 6, 2], [3, 6, 12, 24]),
    "small": (96, [2, 2, 18, 2], [3, 6, 12, 24]),
    "base": (128, [2, 2, 18, 2], [4, 8, 16, 32]),
}


def nano(size=(96, 64), **options):
    """A nano whose norms and biases do something, so that a forgotten one shows."""
    torch.manual_seed(0)
    return randomised(Swin(size, **{"arch": "nano", **options}))


def randomised(model):
    """Move every parameter away from 0 and 1, so that a forgotten one shows."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.1)
    return model.eval()


def grids(size, patch=4):
    """(height, width) in tokens of the four stages."""
    found = [(size[0] // patch, size[1] // patch)]
    for _ in range(3):
        found.append(tuple((side + 1) // 2 for side in found[-1]))
    return found


# The same outputs as transformers


def config(arch, window, **more):
    dim, depths, heads = ARCHS[arch]
    return SwinConfig(
        image_size=224, embed_dim=dim, depths=depths, num_heads=heads, window_size=window, **more
    )


def renamed(state):
    """Weights of transformers' Swin under our names."""
    ours = {}
    for key, value in state.items():
        name = key.removeprefix("swin.").removeprefix("encoder.")
        name = name.replace("embeddings.patch_embeddings.projection", "patch_embed.proj")
        name = name.replace("embeddings.norm", "patch_embed.norm")
        name = name.replace("layernorm_before", "norm1").replace("layernorm_after", "norm2")
        name = name.replace("attention.relative_position_bias.", "attn.").replace(
            "attention.o_proj", "attn.proj"
        )
        name = re.sub(r"^layernorm\.", "tap_norms.3.", name)
        name = re.sub(r"^hidden_states_norms\.stage(\d)", lambda m: f"tap_norms.{int(m[1]) - 1}", name)
        if "q_proj" in name:
            parts = [value, *(state[key.replace("q_proj", other)] for other in ("k_proj", "v_proj"))]
            ours[name.replace("attention.q_proj", "attn.qkv")] = torch.cat(parts)
        elif "k_proj" not in name and "v_proj" not in name:
            ours[name] = value
    return ours


def cut_tables(theirs, size, window):
    """Give stages with less than a window the middle of the bias tables.

    transformers shrinks the window there, but keeps the table of the full one and fails.
    """
    for stage, grid in zip(theirs.encoder.layers, grids(size), strict=True):
        side = min(*grid, window)
        for block in stage.blocks if side < window else []:
            table = block.attention.relative_position_bias.relative_position_bias_table
            square = table.data.view(2 * window - 1, 2 * window - 1, -1)
            middle = square[window - side : side - window, window - side : side - window].flatten(0, 1)
            block.attention.relative_position_bias = SwinRelativePositionBias(table.shape[1], (side, side))
            block.attention.relative_position_bias.relative_position_bias_table.data.copy_(middle)


def assert_near(found, expected, share=1e-4):
    """Nowhere further apart than this share of the largest value."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= share * expected.abs().max()


def compare_with_swin_model(arch, size, window):
    theirs = randomised(SwinModel(config(arch, window)))
    ours = Swin(size, arch=arch, window=window).eval()
    missing, unexpected = ours.load_state_dict(renamed(theirs.state_dict()), strict=False)
    assert unexpected == []
    assert set(missing) == {f"tap_norms.{i}.{name}" for i in range(3) for name in ("weight", "bias")}
    cut_tables(theirs, size, window)
    for batch in (1, 3):
        x = torch.randn(batch, 3, *size)
        with torch.no_grad():
            expected = theirs(x, output_hidden_states=True, output_hidden_states_before_downsampling=True)
            maps = ours(x)
        states = expected.reshaped_hidden_states[1:]
        for found, state in zip(maps[:3], states[:3], strict=True):
            assert_near(found, F.layer_norm(state.movedim(1, -1), state.shape[1:2]).movedim(-1, 1))
        assert_near(maps[3].flatten(2).mT, expected.last_hidden_state)


@pytest.mark.parametrize(
    ("arch", "size", "window"),
    [
        ("nano", (96, 64), 7),
        ("nano", (100, 132), 7),
        ("nano", (224, 224), 7),
        ("nano", (96, 96), 4),
        ("nano", (64, 64), 2),
        ("nano", (4, 60), 7),
        ("tiny", (96, 128), 7),
    ],
)
def test_ours_equals_transformers(arch, size, window):
    compare_with_swin_model(arch, size, window)


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "size"), [("tiny", (224, 224)), ("small", (96, 160)), ("base", (224, 64))])
def test_published_archs_equal_transformers(arch, size):
    compare_with_swin_model(arch, size, 7)


@pytest.mark.parametrize(("size", "window"), [((100, 132), 3), ((256, 288), 7)])
def test_ours_equals_the_backbone_of_transformers_with_every_norm(size, window):
    """`SwinBackbone` never shrinks windows, so all grids here are larger than one."""
    assert min(min(grid) for grid in grids(size)) > window
    stages = [f"stage{i}" for i in range(1, 5)]
    theirs = randomised(AutoBackbone.from_config(config("nano", window, out_features=stages)))
    ours = Swin(size, arch="nano", window=window).eval()
    state = {key: value for key, value in theirs.state_dict().items() if "swin.layernorm." not in key}
    ours.load_state_dict(renamed(state))
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        for found, expected in zip(ours(x), theirs(x).feature_maps, strict=True):
            assert_near(found, expected)


# Names, sizes, options


def test_it_is_registered():
    assert registry.get("swin") is Swin
    published = {"arch": "tiny", "patch": 4, "window": 7, "drop_path": 0.0, "norm_eps": 1e-5}
    assert Swin.resolve({}).items() >= published.items()


def test_weights_have_the_official_names():
    names = set(Swin((64, 64), arch="nano").state_dict())
    parts = ["norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"]
    block = {f"{part}.{kind}" for part in parts for kind in ("weight", "bias")}
    block.add("attn.relative_position_bias_table")
    expected = {
        f"{part}.{kind}" for part in ("patch_embed.proj", "patch_embed.norm") for kind in ("weight", "bias")
    }
    for i, depth in enumerate(ARCHS["nano"][1]):
        expected |= {f"layers.{i}.blocks.{j}.{name}" for j in range(depth) for name in block}
        expected |= {f"tap_norms.{i}.weight", f"tap_norms.{i}.bias"}
        if i < 3:
            merging = ("reduction.weight", "norm.weight", "norm.bias")
            expected |= {f"layers.{i}.downsample.{name}" for name in merging}
    assert names == expected


@pytest.mark.parametrize(
    ("arch", "params", "gmacs"),
    [("tiny", 28_288_354, 4.5), ("small", 49_606_258, 8.7), ("base", 87_768_224, 15.4)],
)
def test_published_sizes(arch, params, gmacs):
    """Liu et al., table 1, and the parameters of the released classifiers.

    The paper also counts norms and the classifier, under 1 %; its "FLOPs" are MACs.
    """
    with torch.device("meta"):
        swin = Swin((224, 224), arch=arch)
    classifier = 1000 * swin.channels[-1] + 1000
    earlier_norms = sum(2 * channels for channels in swin.channels[:-1])
    assert sum(p.numel() for p in swin.parameters()) - earlier_norms + classifier == params
    assert total_macs(swin.units()) / 1e9 == pytest.approx(gmacs, rel=0.02)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("size", "patch"), [((96, 64), 4), ((100, 132), 4), ((64, 64), 2), ((4, 4), 4)])
def test_feature_maps_have_the_declared_shapes(size, patch, batch):
    swin = nano(size, patch=patch)
    assert swin.channels == (32, 64, 128, 256)
    assert swin.strides == tuple(patch * 2**i for i in range(4))
    shapes = [
        (batch, channels, *(-(-side // stride) for side in size))
        for channels, stride in zip(swin.channels, swin.strides, strict=True)
    ]
    assert [tuple(x.shape) for x in swin(torch.rand(batch, 3, *size))] == shapes
    assert [shape[2:] for shape in shapes] == grids(size, patch)


def test_weights_fit_every_size():
    state = Swin((224, 224), arch="nano").state_dict()
    for size in [(96, 64), (4, 4), (100, 132)]:
        Swin(size, arch="nano").load_state_dict(state)


@pytest.mark.parametrize(("size", "patch"), [((226, 100), 4), ((100, 226), 4), ((0, 16), 4), ((33, 64), 2)])
def test_sizes_that_the_patch_does_not_divide_are_refused(size, patch):
    refusal = Swin.refuse_size(size, {"patch": patch})
    assert refusal is not None
    assert f"{size[0]}x{size[1]}" in refusal
    with pytest.raises(UsageError, match=f"multiples of its patch, {patch}"):
        Swin(size, arch="nano", patch=patch)
    assert Swin.refuse_size((100, 132), {}) is None


@pytest.mark.parametrize(
    "options",
    [{"arch": "huge"}, {"patch": 0}, {"window": 0}, {"drop_path": 1}, {"norm_eps": 0}, {"depths": 3}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        Swin((32, 32), **options)


# Windows


sides = st.integers(1, 20)


@given(height=sides, width=sides, window=st.integers(1, 8), data=st.data())
def test_windows_equal_padding_rolling_and_cutting_and_merge_undoes_them(height, width, window, data):
    shift = data.draw(st.integers(0, window - 1))
    windows = Windows(height, width, window, shift, window)
    tokens = torch.randn(2, height * width, 3)
    below, right = -height % window, -width % window
    padded = F.pad(tokens.view(2, height, width, 3), (0, 0, 0, right, 0, below)).roll(
        (-shift, -shift), (1, 2)
    )
    rows, columns = padded.split(window, dim=1), padded.shape[2] // window
    cut = [part.flatten(1, 2) for row in rows for part in row.chunk(columns, dim=2)]
    found = windows.partition(tokens)
    assert torch.equal(found, torch.stack(cut, dim=1).flatten(0, 1))
    assert torch.equal(windows.merge(found), tokens)
    assert (windows.count, windows.area) == (len(cut), window**2)


@given(window=st.integers(1, 7), larger=st.integers(0, 6))
def test_a_smaller_window_uses_the_middle_of_the_table(window, larger):
    trained = window + larger
    offsets = torch.arange(1 - trained, trained, dtype=torch.float)
    table = torch.cartesian_prod(offsets, offsets)  # row of an offset: the offset itself, as two heads
    bias = Windows(window, window, window, 0, trained).bias(table, 3)
    place = torch.cartesian_prod(*[torch.arange(window, dtype=torch.float)] * 2)
    assert torch.equal(bias[0], (place[:, None] - place[None, :]).movedim(-1, 0))
    assert bias.shape[0] == 1


def test_windows_shrink_and_stop_shifting_as_published():
    def described(*grid):
        found = WindowGrid(*grid)
        return found.plain.area, found.shifted.area, found.shifted.mask is not None

    assert described(14, 14, 7) == (49, 49, True)
    assert described(8, 30, 7) == (49, 49, True)
    assert described(7, 30, 7) == (49, 49, False)
    assert described(30, 5, 7) == (25, 25, False)
    assert described(1, 9, 7) == (1, 1, False)
    assert described(6, 6, 1) == (1, 1, False)


def test_a_token_reaches_its_window_and_no_token_across_the_seam():
    swin = nano((64, 64), window=4)  # 16 x 16 tokens; shifted windows begin at 2, 6, 10 and 14
    stage, x = swin.stage(0), torch.rand(1, 256, 32)
    for shifted, (row, column), (rows, columns) in [
        (0, (5, 9), (range(4, 8), range(8, 12))),
        (1, (5, 9), (range(2, 6), range(6, 10))),
        (1, (0, 15), (range(2), range(14, 16))),
        (1, (15, 3), (range(14, 16), range(2, 6))),
    ]:
        changed = x.clone()
        changed[0, 16 * row + column] += 5 * torch.rand(32)
        block = stage.blocks[shifted]
        difference = block.attention_part(changed, stage.grid) - block.attention_part(x, stage.grid)
        moved = (difference[0].abs().amax(-1) > 1e-6).nonzero().flatten().tolist()
        assert moved == [16 * i + j for i in rows for j in columns]


# Steps


@pytest.mark.parametrize("size", [(96, 64), (100, 132)])
def test_steps_run_by_hand_equal_forward(size):
    swin, x = nano(size), torch.rand(2, 3, *size)
    tokens, maps = swin.embed(x), []
    for i in range(len(swin.layers)):
        stage = swin.stage(i)
        for block in stage.blocks:
            tokens = tokens + block.attention_part(tokens, stage.grid)
            tokens = tokens + block.mlp_part(tokens)
        maps.append(swin.to_map(tokens, i))
        if stage.downsample is not None:
            tokens = stage.downsample(tokens, stage.grid)
    for by_hand, whole in zip(maps, swin(x), strict=True):
        assert torch.equal(by_hand, whole)


def test_the_mlp_works_on_gathered_tokens():
    block, x = nano().stage(1).blocks[0], torch.randn(3, 96, 64)
    kept = torch.rand(3, 96) < 0.4
    torch.testing.assert_close(block.mlp_part(x[kept]), block.mlp_part(x)[kept])


def test_a_token_lands_on_the_cell_of_its_patch():
    swin, blank = nano((96, 64)), torch.zeros(1, 3, 96, 64)
    image = blank.clone()
    image[:, :, 8:12, 20:24] = 1
    changed = (swin.embed(image) != swin.embed(blank)).any(dim=-1)
    assert changed[0].nonzero().flatten().tolist() == [2 * 16 + 5]
    found = (swin.to_map(swin.embed(image), 0) != swin.to_map(swin.embed(blank), 0)).any(dim=1)
    assert found.nonzero().tolist() == [[0, 2, 5]]


@pytest.mark.parametrize("size", [(96, 64), (100, 132)])
def test_samples_are_independent(size):
    swin, x = nano(size), torch.rand(3, 3, *size)
    for together, *apart in zip(swin(x), *(swin(x[i : i + 1]) for i in range(3)), strict=True):
        assert_near(torch.cat(apart), together, share=1e-5)


def test_buffers_follow_the_type_of_the_weights():
    swin, x = nano((100, 132)), torch.rand(1, 3, 100, 132)
    expected = swin(x)
    for found, single in zip(swin.double()(x.double()), expected, strict=True):
        assert found.dtype == torch.float64
        assert_near(found.float(), single)


# Cost


@pytest.mark.parametrize(
    ("batch", "context"), [(1, torch.inference_mode), (4, torch.no_grad), (4, torch.enable_grad)]
)
@pytest.mark.parametrize(
    ("size", "options"),
    [((96, 96), {}), ((100, 132), {}), ((96, 64), {"window": 4}), ((36, 20), {"patch": 2, "window": 5})],
)
def test_units_equal_the_counter(size, options, batch, context):
    swin = nano(size, **options)
    with context():
        count = count_call(swin, torch.rand(batch, 3, *size), parts=dict(swin.stages()))[1]
    assert count.macs == batch * total_macs(swin.units())
    assert count.uncounted_ops == []
    by_part = {}
    for unit in swin.units():
        by_part[unit.part] = by_part.get(unit.part, 0) + batch * unit.macs
    assert count.by_part == by_part


def test_tiny_at_224_equals_the_counter():
    swin = Swin((224, 224)).eval()
    with torch.inference_mode():
        count = count_call(swin, torch.rand(1, 3, 224, 224))[1]
    assert count.macs == total_macs(swin.units())


def test_each_unit_equals_the_counter():
    swin = nano((100, 132))
    macs = {unit.id: unit.macs for unit in swin.units()}
    assert len(macs) == len(swin.units())

    def check(name, step, *args):
        result, count = count_call(step, *args)
        assert count.macs == macs.pop(name)
        return result

    tokens = check("encoder.stem", swin.embed, torch.rand(1, 3, 100, 132))
    for i in range(4):
        stage, name = swin.stage(i), f"encoder.stage.{i}"
        for j, block in enumerate(stage.blocks):
            check(f"{name}.block.{j}.attention", block.attention_part, tokens, stage.grid)
            check(f"{name}.block.{j}.mlp", block.mlp_part, tokens)
        if stage.downsample is not None:
            tokens = check(f"{name}.downsample", stage.downsample, tokens, stage.grid)
    assert not macs


# Training


def test_initial_weights():
    swin = Swin((64, 64))
    block = swin.stage(2).blocks[3]
    for weight in (block.mlp.fc1.weight, block.attn.relative_position_bias_table):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    linear = [
        module for module in swin.modules() if isinstance(module, nn.Linear) and module.bias is not None
    ]
    assert all((module.bias == 0).all() for module in linear)


def test_drop_path_grows_with_depth():
    swin = nano(drop_path=0.18)
    rates = [block.drop_path.rate for i in range(4) for block in swin.stage(i).blocks]
    assert rates == pytest.approx([0.02 * i for i in range(10)])


def test_gradients_reach_every_parameter():
    swin = nano((100, 132)).train()
    sum((x**2).sum() for x in swin(torch.rand(2, 3, 100, 132))).backward()
    assert [name for name, p in swin.named_parameters() if p.grad is None or not p.grad.any()] == []
