"""Counting, and comparing with other counters, leaves everything as found, also when the call is broken off."""

from __future__ import annotations

import _thread
import logging
import random
import signal
import threading
import warnings

import numpy as np
import pytest
import torch
import torch._dynamo  # torch imports it when a custom operator is first called, which would look like a leak here
from cost_state import changed, left_alone, state
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook

from mtlbench.cost.counter import DispatchCounter, count_call
from mtlbench.cost.crosscheck import crosscheck
from mtlbench.cost.interrupts import HeldInterrupt
from mtlbench.encoders.vit import ViT


class Net(nn.Module):
    """Fused layers, a buffer, and a moment at which something happens."""

    def __init__(self, happens=lambda: None):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.linear = nn.Linear(16, 16)
        self.happens = happens
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        y = F.relu(self.linear(self.layer(x)))
        self.happens()
        return y @ y.mT


def prepared(happens=lambda: None, training=False):
    net = Net(happens).train(training)
    net.linear.weight.grad = torch.ones(16, 16)
    net.linear.register_forward_hook(lambda *_: None)
    return net


LEAKS = {
    "training": lambda net: net.layer.train(not net.layer.training),
    "hooks": lambda net: net.linear.register_forward_hook(lambda *_: None),
    "attributes": lambda net: setattr(net.linear, "__flops__", 0),
    "gradients": lambda net: setattr(net.linear.weight, "grad", None),
    "weights": lambda net: net.seen.add_(1),
    "global hooks": lambda net: register_module_forward_hook(lambda *_: None),
    "random": lambda net: torch.rand(1),
    "random of numpy": lambda net: np.random.rand(),
    "random of python": lambda net: random.random(),
    "grad mode": lambda net: torch.set_grad_enabled(False),
    "autocast": lambda net: torch.set_autocast_enabled("cpu", True),
    "fast path": lambda net: torch.backends.mha.set_fastpath_enabled(False),
    "dispatch modes": lambda net: DispatchCounter().__enter__(),
    "functions": lambda net: setattr(F, "relu", lambda x: x),
    "interrupts": lambda net: signal.signal(signal.SIGINT, lambda *_: None),
    "logging": lambda net: logging.disable(logging.CRITICAL),
    "warnings": lambda net: warnings.simplefilter("ignore"),
    "dtype": lambda net: torch.set_default_dtype(torch.float64),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_noticed(leak):
    """So that the tests below can fail."""
    net = prepared()
    relu, interrupts, filters = F.relu, signal.getsignal(signal.SIGINT), list(warnings.filters)
    before = state(net)
    with torch.random.fork_rng():
        handle = LEAKS[leak](net)
        try:
            assert leak in changed(before, state(net))
        finally:
            if leak == "global hooks":
                handle.remove()
            if leak == "dispatch modes":
                handle.__exit__(None, None, None)
            torch.set_grad_enabled(True)
            torch.set_autocast_enabled("cpu", False)
            torch.backends.mha.set_fastpath_enabled(True)
            torch.set_default_dtype(torch.float32)
            F.relu = relu
            signal.signal(signal.SIGINT, interrupts)
            logging.disable(logging.NOTSET)
            warnings.filters[:] = filters


def interrupted():
    signal.raise_signal(signal.SIGINT)


def failed():
    raise RuntimeError("planted")


ENDINGS = {
    "well": (lambda: None, None),
    "error": (failed, RuntimeError),
    "ctrl-c": (interrupted, KeyboardInterrupt),
}


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_counting_leaves_everything_as_found(ending, training, mode):
    happens, error = ENDINGS[ending]
    net, x = prepared(happens, training), torch.rand(2, 5, 16)
    with mode(), left_alone(net):
        if error is None:
            count_call(net, x, parts={"linear": net.linear})
        else:
            with pytest.raises(error):
                count_call(net, x, parts={"linear": net.linear})


@torch.library.custom_op("mtlbench_trace::fails", mutates_args=())
def fails(x: torch.Tensor) -> torch.Tensor:
    raise KeyboardInterrupt


LIBRARY = torch.library.Library("mtlbench_trace_composite", "FRAGMENT")
LIBRARY.define("f(Tensor x) -> Tensor")
LIBRARY.impl("f", lambda x: fails(x @ x.mT), "CompositeImplicitAutograd")


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_an_operator_that_is_interrupted_leaves_everything_as_found(mode):
    net, x = prepared(), torch.rand(2, 5, 16)
    with mode(), left_alone(net), pytest.raises(KeyboardInterrupt):
        count_call(lambda: torch.ops.mtlbench_trace_composite.f(net(x)))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("ending", ["well", "error"])
def test_comparing_leaves_everything_as_found(ending, training, capfd):
    def happens():
        torch.rand(1), np.random.rand(), random.random()
        ENDINGS[ending][0]()

    net, x = prepared(happens, training), torch.rand(2, 5, 16)
    with left_alone(net):
        check = crosscheck(net, x)
    assert (check.macs_fvcore is None) is (ending == "error")
    assert capfd.readouterr() == ("", "")


class InterruptedIn(nn.Module):
    """Breaks off the nth call of a copy: the calls of each tool come one after another."""

    calls = 0

    def __init__(self, nth):
        super().__init__()
        self.linear, self.nth = nn.Linear(4, 4), nth

    def forward(self, x):
        type(self).calls += 1
        y = F.relu(self.linear(x))
        if type(self).calls == self.nth:
            raise KeyboardInterrupt
        return y.matmul(y.mT)


@pytest.mark.parametrize("nth", range(1, 8))
def test_an_interrupt_inside_any_tool_leaves_everything_as_found(nth, capfd):
    InterruptedIn.calls = 0
    net, x = InterruptedIn(nth), torch.rand(1, 4)
    with left_alone(net), pytest.raises(KeyboardInterrupt):
        crosscheck(net, x)
    assert InterruptedIn.calls == nth
    assert capfd.readouterr() == ("", "")


def test_the_number_of_calls_in_a_comparison_is_known_to_the_test_above():
    InterruptedIn.calls = 0
    crosscheck(InterruptedIn(0), torch.rand(1, 4))
    assert InterruptedIn.calls == 7


@pytest.mark.slow
def test_ctrl_c_at_any_moment_leaves_everything_as_found():
    net, x = ViT((32, 32), arch="nano", patch=8).eval(), torch.rand(1, 3, 32, 32)
    parts = dict(net.stages())
    draw = random.Random(0)
    found = state(net)
    arrived = 0
    for _ in range(300):
        mode = draw.choice((torch.inference_mode, torch.no_grad, torch.enable_grad))
        timer = threading.Timer(
            draw.choice((draw.uniform(0, 0.03), draw.uniform(0, 4e-4))), _thread.interrupt_main
        )
        # Entered out of reach: an interrupt while torch enters a mode leaves it in that mode.
        with mode():
            try:
                timer.start()
                try:
                    count_call(net, x, parts=parts)
                finally:
                    timer.cancel()
                    timer.join()
            except KeyboardInterrupt:
                arrived += 1
        after = state(nn.Identity())
        names = ("global hooks", "dispatch modes", "grad mode", "interrupts", "functions")
        assert [name for name in names if found[name] != after[name]] == []
    assert arrived > 30
    assert count_call(net, x)[1].macs == 11_908_224
    assert changed(found, state(net)) == []


def test_an_interrupt_is_held_to_the_end_of_the_block_and_then_raised():
    done = []

    def held():
        with HeldInterrupt():
            signal.raise_signal(signal.SIGINT)
            done.append("after the signal")
        done.append("never")

    with pytest.raises(KeyboardInterrupt):
        held()
    assert done == ["after the signal"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_count_too():
    counts = []
    net = nn.Linear(4, 4)
    thread = threading.Thread(target=lambda: counts.append(count_call(net, torch.rand(2, 4))[1].macs))
    thread.start()
    thread.join()
    assert counts == [32]
