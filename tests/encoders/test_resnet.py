from __future__ import annotations

import re

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from transformers import AutoBackbone, ResNetConfig

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.encoders import registry
from mtlbench.encoders.resnet import ResNet
from mtlbench.errors import UsageError

ARCHS = {
    "nano": ("basic", 16, [16, 32, 64, 128], [2, 2, 2, 2]),
    18: ("basic", 64, [64, 128, 256, 512], [2, 2, 2, 2]),
    50: ("bottleneck", 64, [256, 512, 1024, 2048], [3, 4, 6, 3]),
}
SIZES = [(96, 64), (100, 132), (33, 1), (97, 71)]


def randomised(model):
    """Give every batch norm statistics and scales of its own, so that a forgotten one shows."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(std=0.1)
    return model.eval()


def assert_near(found, expected, share=1e-4):
    """Nowhere further apart than this share of the largest value."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= share * expected.abs().max()


def nano(size=(96, 64)):
    torch.manual_seed(0)
    return randomised(ResNet(size, arch="nano"))


# The same outputs as transformers


def config(arch):
    kind, stem, channels, depths = ARCHS[arch]
    return ResNetConfig(
        embedding_size=stem,
        hidden_sizes=channels,
        depths=depths,
        layer_type=kind,
        out_features=[f"stage{i}" for i in range(1, 5)],
    )


def renamed(state):
    """Weights of transformers' ResNet under the names of torchvision."""
    ours = {}
    for key, value in state.items():
        name = key.replace("embedder.embedder.convolution", "conv1")
        name = name.replace("embedder.embedder.normalization", "bn1")
        name = re.sub(r"^encoder\.stages\.(\d)\.layers", lambda m: f"layer{int(m[1]) + 1}", name)
        name = re.sub(r"layer\.(\d)\.convolution", lambda m: f"conv{int(m[1]) + 1}", name)
        name = re.sub(r"layer\.(\d)\.normalization", lambda m: f"bn{int(m[1]) + 1}", name)
        name = name.replace("shortcut.convolution", "downsample.0")
        ours[name.replace("shortcut.normalization", "downsample.1")] = value
    return ours


@pytest.mark.parametrize(
    ("arch", "size"),
    [*(("nano", size) for size in SIZES), (18, (96, 64)), (18, (100, 132)), (50, (224, 224)), (50, (97, 71))],
)
def test_ours_equals_transformers(arch, size):
    theirs = randomised(AutoBackbone.from_config(config(arch)))
    ours = ResNet(size, arch=arch).eval()
    ours.load_state_dict(renamed(theirs.state_dict()))
    for batch in (1, 3):
        x = torch.randn(batch, 3, *size)
        with torch.no_grad():
            for found, expected in zip(ours(x), theirs(x).feature_maps, strict=True):
                assert_near(found, expected)


# Names, sizes, options


def test_it_is_registered():
    assert registry.get("resnet") is ResNet
    assert ResNet.resolve({})["arch"] == 18


def test_weights_have_the_names_of_torchvision():
    names = {name.rsplit(".", 1)[0] for name in ResNet((64, 64), arch=50).state_dict()}
    block = {f"{kind}{i}" for kind in ("conv", "bn") for i in (1, 2, 3)}
    expected = {"conv1", "bn1"}
    for i, depth in enumerate(ARCHS[50][3], start=1):
        expected |= {f"layer{i}.{j}.{name}" for j in range(depth) for name in block}
        expected |= {f"layer{i}.0.downsample.0", f"layer{i}.0.downsample.1"}
    assert names == expected


@pytest.mark.parametrize(("arch", "params", "gmacs"), [(18, 11_689_512, 1.814), (50, 25_557_032, 4.089)])
def test_published_sizes(arch, params, gmacs):
    """torchvision's resnet18 and resnet50: parameters and GFLOPS (MACs), which include the classifier."""
    resnet = ResNet((224, 224), arch=arch)
    last = resnet.channels[-1]
    assert sum(p.numel() for p in resnet.parameters()) + 1000 * last + 1000 == params
    assert (total_macs(resnet.units()) + 1000 * last) / 1e9 == pytest.approx(gmacs, rel=1e-3)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("arch", ["nano", 50])
def test_feature_maps_have_the_declared_shapes(arch, size, batch):
    resnet = ResNet(size, arch=arch).eval()
    assert resnet.channels == tuple(ARCHS[arch][2])
    shapes = [
        (batch, channels, *(-(-side // stride) for side in size))
        for channels, stride in zip(resnet.channels, resnet.strides, strict=True)
    ]
    assert [tuple(x.shape) for x in resnet(torch.rand(batch, 3, *size))] == shapes


@pytest.mark.parametrize("size", [(32, 32), (1, 32), (0, 64)])
def test_sizes_whose_last_map_is_one_cell_are_refused(size):
    refusal = ResNet.refuse_size(size, {})
    assert refusal is not None
    assert f"{size[0]}x{size[1]}" in refusal
    with pytest.raises(UsageError, match="more than 32 pixels"):
        ResNet(size, arch="nano")
    assert ResNet.refuse_size((32, 33), {}) is None


@pytest.mark.parametrize("options", [{"arch": 34}, {"arch": "18"}, {"arch": "tiny"}, {"patch": 4}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        ResNet((64, 64), **options)


# Running


def test_steps_run_by_hand_equal_forward():
    resnet, x = nano(), torch.rand(2, 3, 96, 64)
    y, maps = resnet.stem(x), []
    for layer in (resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4):
        for block in layer:
            y = block(y.clone())
        maps.append(y.clone())
    for by_hand, whole in zip(maps, resnet(x), strict=True):
        assert torch.equal(by_hand, whole)


def test_samples_are_independent_in_evaluation():
    resnet, x = nano(), torch.rand(3, 3, 96, 64)
    for together, *apart in zip(resnet(x), *(resnet(x[i : i + 1]) for i in range(3)), strict=True):
        assert_near(torch.cat(apart), together, share=1e-5)


def test_evaluation_leaves_the_statistics_alone():
    resnet = nano()
    before = {name: buffer.clone() for name, buffer in resnet.named_buffers()}
    resnet(torch.rand(2, 3, 96, 64))
    assert all(torch.equal(buffer, before[name]) for name, buffer in resnet.named_buffers())


# Cost


@pytest.mark.parametrize(("batch", "context"), [(1, torch.inference_mode), (4, torch.no_grad)])
@pytest.mark.parametrize(
    ("arch", "size"), [*(("nano", size) for size in SIZES), (18, (64, 96)), (50, (97, 71))]
)
def test_units_equal_the_counter(arch, size, batch, context):
    resnet = ResNet(size, arch=arch).eval()
    with context():
        count = count_call(resnet, torch.rand(batch, 3, *size), parts=dict(resnet.stages()))[1]
    assert count.uncounted_ops == []
    assert count.macs == batch * total_macs(resnet.units())
    assert count.by_part == {unit.part: batch * unit.macs for unit in resnet.units()}
    assert all(unit.id == unit.part for unit in resnet.units())


# Training


def test_initial_weights():
    resnet = ResNet((64, 64), arch=18)
    for conv in (resnet.conv1, resnet.layer3[0].conv1, resnet.layer4[1].conv2):
        fan_out = conv.out_channels * conv.kernel_size[0] ** 2
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


@pytest.mark.parametrize(("batch", "size"), [(1, (33, 32)), (1, (96, 64)), (2, (96, 64))])
def test_small_batches_train(batch, size):
    resnet = nano(size).train()
    sum((x**2).sum() for x in resnet(torch.rand(batch, 3, *size))).backward()
    assert [name for name, p in resnet.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert all(x.isfinite().all() for x in resnet.eval()(torch.rand(1, 3, *size)))
