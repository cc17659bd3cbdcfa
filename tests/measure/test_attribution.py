"""Time by part: exact on a clock that the test moves, and close on the real one."""

from __future__ import annotations

from time import perf_counter

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module

from mtlbench.errors import UsageError
from mtlbench.measure.attribution import attribute_time
from mtlbench.measure.clock import CpuClock
from mtlbench.testing.fakes import FakeClock


class Takes(nn.Module):
    """Lets a fixed time pass on a clock."""

    def __init__(self, clock: FakeClock, ms: float) -> None:
        super().__init__()
        self.clock, self.ms = clock, ms

    def forward(self, x):
        self.clock.advance_ms(self.ms * float(x))
        return x


class Net(nn.Module):
    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.encoder = nn.Sequential(Takes(clock, 3), nn.Sequential(Takes(clock, 4), Takes(clock, 5)))
        self.head = Takes(clock, 2)

    def forward(self, x):
        self.clock.advance_ms(1)
        return self.head(self.encoder(x))

    def parts(self):
        return {"encoder": self.encoder, "encoder.last": self.encoder[1], "head": self.head}


def test_parts_get_their_own_time_and_add_up():
    clock = FakeClock()
    net = Net(clock)
    found = attribute_time(net, [torch.tensor(1.0), torch.tensor(3.0)], clock, net.parts(), rounds=3)
    # Means over the two inputs, whose times are 1 and 3 times the base.
    assert found.part_ms == pytest.approx({"other": 1, "encoder": 6, "encoder.last": 18, "head": 4})
    assert found.watched_ms == pytest.approx(sum(found.part_ms.values()))
    assert found.plain_ms == pytest.approx(found.watched_ms)
    assert found.distortion == pytest.approx(0)
    assert sum(found.shares().values()) == pytest.approx(1)


def test_what_looking_costs_is_stated():
    clock = FakeClock(overhead_ns=100_000)
    net = Net(clock)
    found = attribute_time(net, [torch.tensor(1.0)], clock, net.parts())
    # A plain call reads the clock twice, once inside; a watched one at all of its boundaries.
    assert found.distortion > 0.03
    assert found.plain_ms == pytest.approx(15.1)


def test_the_shortest_round_of_an_input_is_reported_whole():
    clock = FakeClock()
    net = Net(clock)
    calls = iter(range(100))

    def disturbed(x):
        if next(calls) == 1:
            clock.advance_ms(50)
        return net(x)

    found = attribute_time(disturbed, [torch.tensor(1.0)], clock, net.parts(), rounds=2)
    assert found.watched_ms == pytest.approx(15)


def test_no_round_begins_after_the_time_limit():
    clock = FakeClock()
    net, calls = Net(clock), []
    for seconds, rounds in ((0.0, 1), (0.045, 2), (60.0, 3)):
        calls.clear()
        # A round is a plain and a watched call of 15 ms each.
        attribute_time(
            lambda x: calls.append(net(x)),
            [torch.tensor(1.0)],
            clock,
            net.parts(),
            rounds=3,
            max_seconds=seconds,
        )
        assert len(calls) == 2 * rounds


def test_nothing_is_left_behind_also_after_an_interrupt():
    net = Net(FakeClock())

    def interrupted(x):
        net(x)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attribute_time(interrupted, [torch.tensor(1.0)], FakeClock(), net.parts())
    assert not torch_module._global_forward_hooks
    assert not torch_module._global_forward_pre_hooks


def test_a_planted_wait_is_found_where_it_was_planted():
    class Busy(nn.Module):
        def forward(self, x):
            end = perf_counter() + 0.004
            while perf_counter() < end:
                pass
            return x

    net = nn.Sequential(nn.Linear(64, 64), Busy(), nn.Linear(64, 64))
    with torch.inference_mode():
        parts = {"first": net[0], "busy": net[1], "last": net[2]}
        found = attribute_time(net, [torch.rand(8, 64)], CpuClock(), parts, rounds=5)
    assert found.shares()["busy"] > 0.8
    assert found.part_ms["busy"] >= 4.0


def test_nothing_to_attribute_is_refused():
    with pytest.raises(UsageError):
        attribute_time(print, [], FakeClock(), {})
