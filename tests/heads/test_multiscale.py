from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.heads import registry
from mtlbench.heads.multiscale import MultiScaleHead

VIT_8 = ((96, 96), (96, 96, 96, 96), (8, 8, 8, 8))
VIT_16 = ((64, 96), (192,) * 4, (16,) * 4)
PYRAMID = ((64, 128), (16, 32, 64, 128), (4, 8, 16, 32))
MIXED = ((64, 64), (24, 48), (32, 8))


def head(kind, out_channels=5, **options):
    return MultiScaleHead(*kind, out_channels, **options).eval()


def maps(kind, batch=2):
    (height, width), channels, strides = kind
    return [
        torch.rand(batch, c, height // stride, width // stride)
        for c, stride in zip(channels, strides, strict=True)
    ]


def test_it_is_registered():
    assert registry.get("multiscale") is MultiScaleHead
    assert MultiScaleHead.resolve({}) == {"width": 64}


@pytest.mark.parametrize("kind", [VIT_8, VIT_16, PYRAMID, MIXED])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_prediction_is_as_large_as_the_image(kind, batch):
    assert head(kind)(maps(kind, batch)).shape == (batch, 5, *kind[0])


@pytest.mark.parametrize(
    ("kind", "steps"), [(VIT_8, 1), (VIT_16, 2), (PYRAMID, 0), (MIXED, 1), (((70, 70), (8,), (14,)), 2)]
)
def test_steps_bring_the_stride_down_to_four(kind, steps):
    built = head(kind)
    assert len(built.refine) == steps
    finest = kind[0][0] // min(kind[2])
    assert built.grids[-1][0] == finest * 2**steps
    assert kind[0][0] / built.grids[-1][0] <= 4


@pytest.mark.parametrize("kind", [VIT_8, VIT_16, PYRAMID, MIXED])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_units_equal_the_counter(kind, batch, context):
    built = head(kind, width=24)
    with context():
        count = count_call(built, maps(kind, batch))[1]
    assert count.macs == batch * total_macs(built.units())
    assert count.uncounted_ops == []
    ids = [unit.id for unit in built.units()]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("head.") for name in ids)
    assert {unit.part for unit in built.units()} == {"head"}


def test_each_unit_equals_its_layer():
    built = head(VIT_16)
    layers = {
        **{f"head.project.{i}": layer for i, layer in enumerate(built.project)},
        **{f"head.refine.{i}": step[0] for i, step in enumerate(built.refine)},
        "head.predict": built.predict,
    }
    count = count_call(built, maps(VIT_16, 1), parts=layers)[1]
    assert count.by_part == {unit.id: unit.macs for unit in built.units()}


def test_summing_projections_is_a_convolution_over_the_concatenation():
    built, inputs = head(PYRAMID), maps(PYRAMID)
    grid = inputs[0].shape[-2:]
    resized = [F.interpolate(x, size=grid, mode="bilinear", align_corners=False) for x in inputs]
    weight = torch.cat([layer.weight for layer in built.project], dim=1)
    fused = F.gelu(built.norm(F.conv2d(torch.cat(resized, dim=1), weight)))
    expected = F.interpolate(built.predict(fused), size=(64, 128), mode="bilinear", align_corners=False)
    torch.testing.assert_close(built(inputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [VIT_8, PYRAMID])
def test_samples_are_independent_in_evaluation(kind):
    built, inputs = head(kind).train(), maps(kind, 3)
    built(inputs)
    built.eval()
    apart = torch.cat([built([x[i : i + 1] for x in inputs]) for i in range(3)])
    torch.testing.assert_close(built(inputs), apart, rtol=1e-5, atol=1e-5)


def test_evaluation_normalises_with_running_statistics():
    built, inputs = head(VIT_8).train(), maps(VIT_8)
    built(inputs)
    learnt = built.norm.running_mean.clone()
    assert learnt.abs().sum() > 0
    built.eval()([x + 1 for x in inputs])
    assert torch.equal(built.norm.running_mean, learnt)


def test_every_map_and_every_parameter_matters():
    built, inputs = head(VIT_8).train(), [x.requires_grad_() for x in maps(VIT_8)]
    (built(inputs) ** 2).sum().backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in inputs)
    assert [name for name, p in built.named_parameters() if p.grad is None] == []


def test_a_wrong_number_of_maps_fails():
    with pytest.raises(ValueError, match="zip"):
        head(VIT_8)(maps(VIT_8)[:3])


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": 2}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        head(VIT_8, **options)
