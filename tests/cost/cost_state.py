"""Everything that counting could leave behind, looked at before and after."""

from __future__ import annotations

import logging
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module
from torch.utils._python_dispatch import _len_torch_dispatch_stack


def _hooks(names: dict[str, Any], prefix: str) -> list[list[Any]]:
    return [
        list(table)
        for name, table in names.items()
        if isinstance(table, dict) and prefix in name and "hook" in name
    ]


def state(net: nn.Module) -> dict[str, Any]:
    """What there is, by name; values compare by `==`."""
    modules = dict(net.named_modules())
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    return {
        "training": {name: module.training for name, module in modules.items()},
        "hooks": {name: _hooks(vars(module), "") for name, module in modules.items()},
        "attributes": {name: sorted(vars(module)) for name, module in modules.items()},
        "gradients": {n: None if t.grad is None else t.grad.tolist() for n, t in tensors.items()},
        "weights": {n: (t.tolist(), t.requires_grad, id(t)) for n, t in tensors.items()},
        "global hooks": _hooks(vars(torch_module), "_global"),
        "random": torch.get_rng_state().tolist(),
        "random of numpy": np.random.get_state()[1].tolist(),
        "random of python": random.getstate(),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "dispatch modes": (_len_torch_dispatch_stack(), torch._C._len_torch_function_stack()),
        "tracing": torch.jit.is_tracing(),
        "dtype": torch.get_default_dtype(),
        "functions": {
            (owner.__name__, name): id(value)
            for owner in (F, torch, torch.Tensor)
            for name, value in vars(owner).items()
            if callable(value)
        },
        "interrupts": signal.getsignal(signal.SIGINT),
        "logging": logging.root.manager.disable,
        "warnings": list(warnings.filters),
        "output": (id(sys.stdout), id(sys.stderr)),
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of what is not as it was."""
    return [name for name in before if before[name] != after[name]]


@contextmanager
def left_alone(net: nn.Module) -> Iterator[None]:
    """Fail if anything changed inside."""
    before = state(net)
    try:
        yield
    finally:
        found = changed(before, state(net))
        assert not found, f"not as found: {found}"
