from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module

from mtlbench.cost.counter import count_call
from mtlbench.errors import UsageError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 8), nn.ReLU()))
        self.heads = nn.ModuleDict({"a": nn.Linear(8, 1), "b": nn.Linear(8, 2)})

    def forward(self, x):
        y = self.encoder(x)
        return {name: head(y) for name, head in self.heads.items()}


def test_innermost_part_wins_and_the_rest_is_other():
    net = Net()
    parts = {"encoder": net.encoder, "encoder.last": net.encoder[1], "head.a": net.heads["a"]}
    count = count_call(net, torch.rand(3, 4), parts=parts)[1]
    assert count.by_part == {
        "encoder": 3 * 16,
        "encoder.last": 3 * 32,
        "head.a": 3 * 8,
        "other": 3 * 16,
    }
    assert sum(count.by_part.values()) == count.macs


def test_a_child_called_without_its_part_still_belongs_to_it():
    net = Net()
    count = count_call(net.encoder[1][0], torch.rand(3, 4), parts={"encoder": net.encoder})[1]
    assert count.by_part == {"encoder": 3 * 32}


def test_a_shared_child_belongs_to_its_caller():
    shared = nn.Linear(4, 4)
    one, two = nn.Sequential(shared), nn.Sequential(shared, nn.Linear(4, 1))
    count = count_call(lambda x: two(one(x)), torch.rand(1, 4), parts={"one": one, "two": two})[1]
    assert count.by_part == {"one": 16, "two": 16 + 4}
    separate = nn.Sequential(shared), nn.Sequential(shared)
    with pytest.raises(UsageError, match="one module"):
        count_call(one, torch.rand(1, 4), parts={"one": one, "again": one})
    parts = dict(zip("ab", separate, strict=True))
    assert count_call(separate[1], torch.rand(1, 4), parts=parts)[1].by_part == {"b": 16}


def test_exceptions_caught_inside_the_network_do_not_shift_parts():
    class Failing(nn.Module):
        def forward(self, x):
            raise ValueError

    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.failing, self.linear = Failing(), nn.Linear(4, 4)

        def forward(self, x):
            try:
                self.failing(x)
            except ValueError:
                return self.linear(x)

    net = Careful()
    count = count_call(net, torch.rand(1, 4), parts={"failing": net.failing})[1]
    assert count.by_part == {"other": 16}


def test_the_fast_path_is_counted_as_it_runs():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with torch.no_grad():
        count = count_call(layer, torch.rand(1, 5, 8), parts={"layer": layer})[1]
    assert set(count.by_op) == {"aten._transformer_encoder_layer_fwd"}
    assert count.by_part == {"layer": count.macs}


def test_no_hook_is_left():
    net = Net()
    with pytest.raises(RuntimeError):
        count_call(net, torch.rand(3, 5), parts={"encoder": net.encoder})
    count_call(net, torch.rand(3, 4), parts={"encoder": net.encoder})
    assert not torch_module._global_forward_hooks
    assert not torch_module._global_forward_pre_hooks
    assert not torch_module._global_forward_hooks_always_called
