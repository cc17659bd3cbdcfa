from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification

from mtlbench.encoders.resnet import ResNet
from mtlbench.encoders.weights import Checkpoint, fit_weights
from mtlbench.errors import DataError

CONFIGS = {
    "nano": {
        "layer_type": "basic",
        "depths": [2, 2, 2, 2],
        "hidden_sizes": [16, 32, 64, 128],
        "embedding_size": 16,
    },
    18: {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]},
    50: {"layer_type": "bottleneck", "depths": [3, 4, 6, 3]},
}


def randomised(model):
    """Weights, and running statistics, away from 0 and 1, so that a forgotten one shows."""
    torch.manual_seed(0)
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if value.ndim > 1:
            nn.init.kaiming_normal_(value)
        elif value.ndim == 1:
            nn.init.uniform_(value, *((0.5, 1.5) if name.endswith(("weight", "var")) else (-0.2, 0.2)))
    return model.eval()


def load(encoder, state):
    return fit_weights(encoder, Checkpoint(Path("file"), state), "0" * 64, "resnet", encoder.layouts())


@pytest.mark.parametrize("arch", ["nano", 18, pytest.param(50, marks=pytest.mark.slow)])
def test_ours_equals_transformers(arch):
    theirs = randomised(ResNetForImageClassification(ResNetConfig(**CONFIGS[arch])))
    ours = ResNet((64, 96), arch=arch).eval()
    account = load(ours, theirs.state_dict())
    assert account.layout == "Hugging Face ResNet under 'resnet.'"
    assert account.missing == ()
    assert set(account.left_out) == {"classifier.1.weight", "classifier.1.bias"}
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = theirs.resnet(x, output_hidden_states=True).hidden_states[1:]
        for found, right in zip(ours(x), expected, strict=True):
            torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-4)


def torchvision_names(net):
    return net.state_dict() | {"fc.weight": torch.zeros(10, 128), "fc.bias": torch.zeros(10)}


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
@pytest.mark.parametrize("counters", [True, False])
def test_torchvision_names(prefix, counters):
    source, ours = randomised(ResNet((64, 64), arch="nano")), ResNet((64, 64), arch="nano").eval()
    named = torchvision_names(source)
    state = {f"{prefix}{key}": value for key, value in named.items() if counters or "num_batches" not in key}
    account = load(ours, state)
    assert set(account.left_out) == {f"{prefix}fc.weight", f"{prefix}fc.bias"}
    assert all(name.endswith("num_batches_tracked") for name in account.missing)
    assert bool(account.missing) is not counters
    with torch.no_grad():
        x = torch.randn(1, 3, 64, 64)
        assert all(torch.equal(a, b) for a, b in zip(ours(x), source(x), strict=True))


def test_another_depth_is_refused():
    with pytest.raises(DataError, match="do not fit resnet"):
        load(ResNet((64, 64), arch=50), ResNet((64, 64), arch=18).state_dict())


def test_variants_with_another_stem_are_refused():
    state = torchvision_names(ResNet((64, 64), arch="nano"))
    state["conv1.0.weight"] = state.pop("conv1.weight")
    with pytest.raises(DataError, match=r"conv1\.0\.weight, like conv1\.weight"):
        load(ResNet((64, 64), arch="nano"), state)
