from __future__ import annotations

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtlbench.cost.counter import count_call
from mtlbench.cost.crosscheck import crosscheck
from mtlbench.encoders.resnet import ResNet
from mtlbench.encoders.swin import Swin
from mtlbench.encoders.vit import ViT


class Net(nn.Module):
    """Convolution, attention, einsum, `@` and a dictionary of outputs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        tokens = self.norm(self.conv(x)).flatten(2).mT
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return {"map": torch.einsum("bnc,bnd->bcd", mixed, tokens), "pairs": [mixed @ tokens.mT]}


CONV = 16 * 16 * 8 * 27
LINEAR = 256 * 8 * 24
ATTENTION = 2 * 256 * 256 * 8
OTHER = 256 * 8 * 8 + 256 * 256 * 8
BIASES = 256 * 8 + 256 * 24
TOTAL = CONV + LINEAR + ATTENTION + OTHER


def test_conv_and_linear_agree_and_each_difference_has_its_reason_and_size():
    check = crosscheck(Net().eval(), torch.rand(3, 3, 16, 16))
    assert check.conv_linear_macs == {
        "ours": CONV + LINEAR,
        "fvcore": CONV + LINEAR,
        "ptflops": CONV + LINEAR + BIASES,
    }
    assert check.macs_fvcore is not None
    assert check.macs_ptflops is not None
    norm = check.macs_fvcore - CONV - LINEAR - OTHER
    elementwise = check.macs_ptflops - CONV - LINEAR - BIASES
    assert check.macs_torch == CONV + LINEAR + OTHER
    assert check.notes == [
        f"fvcore adds {norm} for batch_norm",
        f"fvcore leaves out {ATTENTION} MACs of scaled_dot_product_attention",
        f"ptflops adds {BIASES} for biases of convolutions and linear layers",
        f"ptflops leaves out {ATTENTION + OTHER} MACs of attention, einsum and @",
        f"ptflops adds {elementwise} for norms, activations, resizing, + and *",
        f"torch leaves out {ATTENTION} MACs of _scaled_dot_product_flash_attention_for_cpu",
    ]
    assert elementwise == 2 * 8 * 256  # scale and shift of the batch norm


class Mixed(nn.Module):
    """What the tools count each in its own way, or not at all."""

    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(16, 2, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.lstm = nn.LSTM(16, 8, batch_first=True)
        self.up = nn.ConvTranspose1d(5, 3, 2, bias=False)

    def forward(self, x):
        y = self.layer(self.heads(x, x, x)[0])
        products = y.matmul(y.mT), torch.mm(y[0], y[0].T), torch.baddbmm(torch.zeros(1, 1, 1), y, y.mT)
        return {
            "lstm": self.lstm(y)[0],
            "products": [*products, torch.einsum("bnc,bmc->bnm", y, y), y[0] @ torch.ones(16, 2)],
            "functions": F.linear(F.gelu(F.softmax(y, -1)), torch.ones(3, 16), torch.ones(3)),
            "resized": F.interpolate(self.up(y)[None], scale_factor=2) + 1,
        }


@pytest.mark.parametrize("inside", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    ("net", "size"),
    [
        (Net(), (3, 16, 16)),
        (Mixed(), (5, 16)),
        (ViT((32, 32), arch="nano", patch=8), (3, 32, 32)),
        (Swin((56, 56), arch="nano"), (3, 56, 56)),
        (ResNet((64, 64), arch=18), (3, 64, 64)),
    ],
)
def test_differences_add_up_to_the_difference_of_the_totals(net, size, inside):
    x = torch.rand(1, *size)
    with inside():
        ours = count_call(net.eval(), x)[1].macs
        check = crosscheck(net, x)
    for tool in check.tools:
        assert tool.failure == ""
        assert tool.macs == ours + sum(difference.macs for difference in tool.differences)
        assert all(difference.known for difference in tool.differences), tool.differences


def test_torchs_own_counter_misses_what_runs_in_fused_kernels():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    x = torch.rand(1, 5, 16)
    with torch.no_grad():
        whole = count_call(layer, x)[1].macs
    torchs = crosscheck(layer, x).tools[-1]
    assert torchs.macs == 0
    assert torchs.notes == [f"torch leaves out {whole} MACs of _transformer_encoder_layer_fwd"]


class SparseNet(nn.Module):
    """A product whose MACs depend on what is stored, which torch's counter does not look at."""

    def forward(self, x):
        return torch.eye(8).to_sparse_csr() @ x[0]


@pytest.mark.filterwarnings("ignore:Sparse")
def test_a_difference_that_nothing_known_explains_is_called_so():
    check = crosscheck(SparseNet(), torch.rand(1, 8, 3))
    assert check.macs_torch == 8 * 8 * 3
    assert f"torch differs by another +{8 * 7 * 3} of mm that nothing known explains" in check.notes


def test_layers_that_are_no_modules_are_named():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(5, 4))

        def forward(self, x):
            return F.linear(x, self.weight)

    check = crosscheck(Functional(), torch.rand(1, 4))
    assert check.conv_linear_macs == {"ours": 20, "fvcore": 20, "ptflops": 0}
    assert check.macs_torch == 20
    assert check.notes == ["ptflops leaves out 20 MACs of convolutions and linear layers that are no modules"]


def test_a_network_that_fails_becomes_notes():
    check = crosscheck(nn.Linear(3, 4), torch.rand(1, 5))
    assert check.macs_fvcore is check.macs_ptflops is check.macs_torch is None
    assert check.conv_linear_macs == {}
    assert [note.split(" failed")[0] for note in check.notes] == ["our counter", "torch"]
    assert all("shapes cannot be multiplied" in note for note in check.notes)


def test_a_missing_tool_becomes_a_note(monkeypatch):
    monkeypatch.setitem(sys.modules, "fvcore.nn", None)
    check = crosscheck(nn.Linear(3, 4), torch.rand(1, 3))
    assert check.macs_fvcore is None
    assert check.macs_ptflops == 12 + 4
    assert check.notes[0].startswith("fvcore failed: ModuleNotFoundError")
    assert len(check.tools) == 3
