from __future__ import annotations

import logging
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtlbench.cost.crosscheck import crosscheck


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
    assert check.notes == [
        f"fvcore adds {norm} for batch_norm",
        f"fvcore leaves out {ATTENTION} MACs of scaled_dot_product_attention",
        f"ptflops adds {BIASES} for biases of convolutions and linear layers",
        f"ptflops may leave out up to {ATTENTION + OTHER} MACs of attention, einsum and @",
    ]
    assert check.macs_ptflops < CONV + LINEAR + ATTENTION


def test_layers_that_are_no_modules_are_named():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(5, 4))

        def forward(self, x):
            return F.linear(x, self.weight)

    check = crosscheck(Functional(), torch.rand(1, 4))
    assert check.conv_linear_macs == {"ours": 20, "fvcore": 20, "ptflops": 0}
    assert check.notes == ["ptflops leaves out 20 MACs of convolutions and linear layers that are no modules"]


@pytest.mark.parametrize("training", [True, False])
def test_state_is_left_as_found_and_nothing_is_said(training, capfd):
    class Noisy(Net):
        def forward(self, x):
            return super().forward(x + torch.rand_like(x))

    net = Noisy().train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    functions = {name: getattr(F, name) for name in ("relu", "gelu", "softmax", "interpolate")}
    methods = dict(vars(torch.Tensor))
    torch.manual_seed(3)
    rng, level, filters = torch.get_rng_state(), logging.root.manager.disable, list(warnings.filters)
    crosscheck(net, torch.zeros(2, 3, 8, 8))
    assert all(module.training is training for module in net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    assert not any(hasattr(module, "__flops__") for module in net.modules())
    assert functions == {name: getattr(F, name) for name in functions}
    assert methods == dict(vars(torch.Tensor))
    assert "matmul" not in methods, "left behind by an earlier cross-check: it is inherited"
    assert torch.equal(torch.get_rng_state(), rng)
    assert logging.root.manager.disable == level
    assert warnings.filters == filters
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.is_grad_enabled()
    assert capfd.readouterr() == ("", "")


def test_a_network_that_fails_becomes_notes():
    check = crosscheck(nn.Linear(3, 4), torch.rand(1, 5))
    assert check.macs_fvcore is check.macs_ptflops is None
    assert check.conv_linear_macs == {}
    assert [note.split(" failed")[0] for note in check.notes] == ["our counter", "fvcore", "ptflops"]
    assert all("shapes cannot be multiplied" in note for note in check.notes)


def test_an_interrupt_leaves_nothing_patched():
    class Stopped(nn.Module):
        def forward(self, x):
            if type(F.relu).__name__ == "torch_function_wrapper":
                raise KeyboardInterrupt
            return F.relu(x)

    relu, matmul = F.relu, torch.Tensor.matmul
    with pytest.raises(KeyboardInterrupt):
        crosscheck(Stopped(), torch.rand(1, 5))
    assert F.relu is relu
    assert torch.Tensor.matmul is matmul
    assert logging.root.manager.disable == 0


def test_a_missing_tool_becomes_a_note(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fvcore.nn", None)
    check = crosscheck(nn.Linear(3, 4), torch.rand(1, 3))
    assert check.macs_fvcore is None
    assert check.macs_ptflops == 12 + 4
    assert check.notes[0].startswith("fvcore failed: ModuleNotFoundError")
