from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.heads import registry
from mtlbench.heads.released_adamtl import AdaMTLHead

MERGED = ((64, 64), (24, 48, 96, 96), (8, 16, 32, 32))
PYRAMID = ((64, 128), (16, 32, 64, 128), (4, 8, 16, 32))
VIT = ((64, 96), (48, 48), (16, 16))
ROUNDED = ((60, 100), (8, 16, 24), (8, 16, 32))
SWIN_T = ((224, 224), (192, 384, 768, 768), (8, 16, 32, 32))
LAYOUTS = ["correct", "released"]


def head(kind, out_channels=5, **options):
    """A head whose norms do something."""
    torch.manual_seed(0)
    built = AdaMTLHead(*kind, out_channels, **{"width": 16, **options}).eval()
    for name, value in built.state_dict().items():
        if "running" in name:
            value.uniform_(0.5, 1.5)
    return built


def maps(kind, batch=2):
    (height, width), channels, strides = kind
    return [
        torch.rand(batch, c, -(-height // stride), -(-width // stride))
        for c, stride in zip(channels, strides, strict=True)
    ]


def test_it_is_registered():
    assert registry.get("adamtl") is AdaMTLHead
    assert AdaMTLHead.resolve({}) == {"width": 128, "layout": "correct"}


@pytest.mark.parametrize("kind", [MERGED, PYRAMID, VIT, ROUNDED])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_prediction_is_as_large_as_the_image(kind, layout):
    assert head(kind, layout=layout)(maps(kind)).shape == (2, 5, *kind[0])


@pytest.mark.parametrize("kind", [MERGED, PYRAMID, VIT, ROUNDED])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_units_equal_the_counter(kind, layout):
    built = head(kind, layout=layout)
    parts = {
        **{f"head.refine.{i}": layer for i, layer in enumerate(built.refine)},
        "head.fuse": built.fuse,
        "head.predict": built.predict,
    }
    with torch.inference_mode():
        count = count_call(built, maps(kind), parts=parts)[1]
    assert count.macs == 2 * total_macs(built.units())
    assert count.uncounted_ops == []
    assert count.by_part == {unit.id: 2 * unit.macs for unit in built.units()}
    assert {unit.part for unit in built.units()} == {"head"}


def test_sizes_of_the_released_configuration():
    """What the released code's own counters say of Swin-T with four decoders; 27.518 M parameters are Swin-T's.

    Its MACs also count norms and resizing, about a percent.
    """
    with torch.device("meta"):
        built = [AdaMTLHead(*SWIN_T, channels) for channels in (21, 7, 1, 3)]
    assert sum(p.numel() for one in built for p in one.parameters()) / 1e6 == pytest.approx(
        34.77 - 27.518, abs=0.005
    )
    assert sum(total_macs(one.units()) for one in built) / 1e9 == pytest.approx(1.306, rel=0.015)


def one_token(channels, grid, row, column):
    """A map that is 1 in all channels of one token."""
    x = torch.zeros(1, channels, *grid)
    x[:, :, row, column] = 1
    return x


def what_the_blocks_see(built, inputs):
    seen = []
    for refine in built.refine:
        refine.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    built(inputs)
    return seen


def test_one_token_stays_one_place_in_the_correct_layout():
    x = one_token(24, (8, 8), 5, 2)
    seen = what_the_blocks_see(head(MERGED), [x, *maps(MERGED, 1)[1:]])
    assert torch.equal(seen[0], x)


def test_one_token_becomes_a_row_of_places_in_the_released_layout():
    """As the released code's own check showed: 1 channel and 192 places at 28 x 28 with 192 channels."""
    kind = ((224, 224), (192, 12), (8, 16))
    x = one_token(192, (28, 28), 5, 9)
    seen = what_the_blocks_see(head(kind, layout="released"), [x, maps(kind, 1)[1]])[0]
    hit = seen[0].nonzero()
    assert len(hit) == 192
    assert hit[:, 0].unique().numel() == 1
    assert hit[:, 1:].unique(dim=0).shape[0] == 192
    first = (5 * 28 + 9) * 192  # in the memory of the tokens
    assert hit[0].tolist() == [first // 784, first % 784 // 28, first % 28]


@pytest.mark.parametrize("batch", [1, 3])
def test_the_released_layout_is_a_view_of_the_tokens(batch):
    inputs = maps(ROUNDED, batch)
    seen = what_the_blocks_see(head(ROUNDED, layout="released"), inputs)
    for found, x in zip(seen, inputs, strict=True):
        tokens = x.permute(0, 2, 3, 1).contiguous()  # [B, h, w, C], as the released encoder gives them
        assert torch.equal(found, tokens.view(x.shape))


def test_the_formula_written_out():
    built, inputs = head(PYRAMID), maps(PYRAMID)

    def norm(x, layer):
        return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)

    def block(x, layer, shortcut):
        y = F.relu(norm(F.conv2d(x, layer.conv1.weight, padding=1), layer.bn1))
        return F.relu(norm(F.conv2d(y, layer.conv2.weight, padding=1), layer.bn2) + shortcut)

    refined = []
    for i, x in enumerate(inputs):
        first, second = built.refine[i]
        y = block(x, first, norm(F.conv2d(x, first.shortcut[0].weight), first.shortcut[1]))
        y = block(y, second, y)
        times = 2**i  # the finest map is the first
        refined.append(y.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3))
    fused = F.relu(norm(built.fuse(torch.cat(refined, dim=1)), built.norm))
    expected = F.interpolate(built.predict(fused), (64, 128), mode="bilinear")
    torch.testing.assert_close(built(inputs), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_samples_are_independent_in_evaluation(layout):
    built, inputs = head(MERGED, layout=layout), maps(MERGED, 3)
    apart = torch.cat([built([x[i : i + 1] for x in inputs]) for i in range(3)])
    torch.testing.assert_close(built(inputs), apart, rtol=1e-5, atol=1e-5)


def test_every_map_and_every_parameter_matters():
    built, inputs = head(MERGED).train(), [x.requires_grad_() for x in maps(MERGED)]
    (built(inputs) ** 2).sum().backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in inputs)
    assert [name for name, p in built.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_it_starts_from_a_value():
    built, inputs = head(MERGED, out_channels=1), maps(MERGED)
    before = built(inputs) - built.predict.bias
    built.start_from(2.5)
    torch.testing.assert_close(built(inputs), before + 2.5)


@pytest.mark.parametrize("options", [{"width": 0}, {"width": 15}, {"layout": "other"}, {"depth": 2}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        head(MERGED, **options)
