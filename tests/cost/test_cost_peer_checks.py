"""The cheap checks that known tools fail (peers.md, section 6), as far as they are about cost."""

from __future__ import annotations

import pytest
import torch
from cost_state import left_alone
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mtlbench.cost.counter import count_call
from mtlbench.cost.crosscheck import crosscheck

MODES = [torch.enable_grad, torch.no_grad, torch.inference_mode]


class Gate(nn.Module):
    """One of two blocks for the whole batch, by the sign of its sum."""

    def __init__(self):
        super().__init__()
        self.stem, self.cheap, self.dear = nn.Linear(8, 8), nn.Linear(8, 2), nn.Linear(8, 100)

    def forward(self, x):
        y = self.stem(x)
        return self.dear(y) if x.sum() > 0 else self.cheap(y)


class PerSample(nn.Module):
    """A dear block for some samples: their rows are gathered, computed, and put back."""

    def __init__(self):
        super().__init__()
        self.stem, self.dear = nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))

    def forward(self, x):
        y = self.stem(x)
        chosen = (x.sum(dim=1) > 0).nonzero()[:, 0]
        return y.index_copy(0, chosen, self.dear(y[chosen]))


class PerToken(nn.Module):
    """Attention among the tokens that are kept, which differ by input."""

    def __init__(self):
        super().__init__()
        self.mix = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        kept = x[:, x[0, :, 0] > 0]
        return self.mix(kept, kept, kept, need_weights=False)[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [1, 4])
def test_peers_gate_costs_differ_by_sign_and_equal_the_hand_formula(batch, mode):
    x, net = torch.rand(batch, 8) + 0.1, Gate().eval()
    with mode():
        assert count_call(net, x)[1].macs == batch * (8 * 8 + 8 * 100)
        assert count_call(net, -x)[1].macs == batch * (8 * 8 + 8 * 2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("positive", range(5))
def test_peers_gate_per_sample_by_gathering_costs_what_the_chosen_samples_cost(positive, mode):
    x = torch.cat((torch.rand(positive, 8) + 0.1, -torch.rand(4 - positive, 8) - 0.1))
    net = PerSample().eval()
    with mode():
        together = count_call(net, x)[1].macs
        alone = [count_call(net, row[None])[1].macs for row in x]
    assert together == 4 * 64 + positive * 2 * 8 * 32
    assert sum(alone) == together
    assert set(alone) <= {64, 64 + 2 * 8 * 32}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kept", [1, 5, 10])
def test_peers_gate_per_token_is_quadratic_in_the_tokens_kept(kept, mode):
    x = torch.ones(3, 10, 16)
    x[:, kept:] = -1
    with mode():
        assert count_call(PerToken().eval(), x)[1].macs == 3 * (4 * kept * 16 * 16 + 2 * kept * kept * 16)


class Everything(nn.Module):
    """Each of the operators that some counter misses, and outputs in a dictionary."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 4, stride=4)
        self.heads = nn.MultiheadAttention(16, 2, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x):
        tokens = self.conv(x).flatten(2).mT
        tokens = self.layer(self.heads(tokens, tokens, tokens, need_weights=False)[0])
        mixed = F.scaled_dot_product_attention(tokens[:, None], tokens[:, None], tokens[:, None])[:, 0]
        pairs = mixed @ tokens.mT
        coarse = torch.einsum("bnm,bmc->bcn", pairs, tokens).unflatten(2, (4, 4))
        return {"fine": F.interpolate(coarse, scale_factor=4, mode="bilinear"), "pairs": (pairs, {"n": 16})}


def everything(batch, n=16, d=16):
    mixer = 4 * n * d * d + 2 * n * n * d
    return batch * (n * d * 3 * 16 + 2 * mixer + 2 * n * d * 32 + 2 * n * n * d + n * n * d + n * n * d)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [1, 4])
def test_peers_attention_matmul_fast_path_interpolate_and_dict_outputs_are_counted_or_listed(batch, mode):
    net, x = Everything().eval(), torch.rand(batch, 3, 16, 16)
    with mode():
        result, count = count_call(net, x)
    assert count.macs == everything(batch)
    assert count.uncounted_ops == []
    assert "aten.upsample_bilinear2d" in count.zero_ops
    assert result["fine"].shape == (batch, 16, 16, 16)


def test_peers_count_that_network_wrongly_and_the_reasons_are_given():
    net, x = Everything().eval(), torch.rand(1, 3, 16, 16)
    check = crosscheck(net, x)
    assert everything(1) not in {tool.macs for tool in check.tools}
    for tool in check.tools:
        assert tool.macs == everything(1) + sum(difference.macs for difference in tool.differences)
    with torch.no_grad(), FlopCounterMode(display=False) as torchs:
        net(x)
    assert torchs.get_total_flops() == 2 * check.macs_torch


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("training", [False, True])
def test_peers_leave_traces_counting_does_not(training, error):
    class Ending(Everything):
        def forward(self, x):
            result = super().forward(x)
            if error is not None:
                raise error
            return result

    net, x = Ending().train(training), torch.rand(1, 3, 16, 16)
    net.layer.dropout.p = net.layer.dropout1.p = net.layer.dropout2.p = net.layer.self_attn.dropout = 0.0
    net.conv.weight.grad = torch.ones_like(net.conv.weight)
    for count in (count_call, crosscheck):
        with left_alone(net):
            if error is None or (count is crosscheck and error is RuntimeError):
                count(net, x)
            else:
                with pytest.raises(error):
                    count(net, x)


def test_peers_count_flops_or_macs_under_one_name_ours_are_macs():
    assert count_call(nn.Linear(3, 5, bias=False), torch.rand(1, 3))[1].macs == 3 * 5


def test_peers_count_an_input_of_their_own_ours_is_the_one_that_is_given():
    """ptflops makes an input of uninitialised memory when it is not told otherwise; a gate then does anything."""
    net, x = Gate().eval(), torch.rand(1, 8) + 0.1
    for sign, macs in ((1, 8 * 8 + 8 * 100), (-1, 8 * 8 + 8 * 2)):
        check = crosscheck(net, sign * x)
        assert check.conv_linear_macs == {
            "ours": macs,
            "fvcore": macs,
            "ptflops": macs + (108 if sign > 0 else 10),
        }


def test_peers_count_frozen_parameters_as_nothing_ours_do_not_care():
    net, x = Gate().eval(), torch.rand(1, 8)
    before = count_call(net, x)[1].macs
    assert count_call(net.requires_grad_(False), x)[1].macs == before
