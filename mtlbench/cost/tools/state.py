"""Everything that the other counters change behind one's back, put back when they are done."""

from __future__ import annotations

import io
import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.modules import module as hooks

from mtlbench.cost.recorder import modes, pop_modes

__all__ = ["left_as_found"]

_HOOKS = (
    hooks._global_forward_hooks,
    hooks._global_forward_pre_hooks,
    hooks._global_forward_hooks_always_called,
    hooks._global_forward_hooks_with_kwargs,
)


@contextmanager
def left_as_found() -> Iterator[None]:
    """Silence what runs inside, and put back what it may change, whatever happens.

    That is: random states, log level, warnings, grad mode, the fast path of attention, dispatch modes, hooks on all
    modules, and patched functions of torch. Modules themselves are not looked after: give copies.
    """
    owners = (F, torch, torch.Tensor)
    before = [dict(vars(owner)) for owner in owners]
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))  # in which copies of parameters would lack gradients
        stack.enter_context(torch.random.fork_rng())
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())  # the one that others draw from
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        stack.callback(torch.set_grad_enabled, torch.is_grad_enabled())
        stack.callback(pop_modes, modes())
        for table in _HOOKS:
            stack.callback(_put_back_hooks, table, dict(table))
        for owner, names in zip(owners, before, strict=True):
            stack.callback(_put_back_names, owner, names)
        yield


def _put_back_hooks(table: dict[int, Any], before: dict[int, Any]) -> None:
    table.clear()
    table.update(before)


def _put_back_names(owner: Any, before: dict[str, Any]) -> None:
    for name, value in list(vars(owner).items()):
        if name in before and before[name] is not value:
            setattr(owner, name, before[name])
        elif name not in before and owner is torch.Tensor:
            delattr(owner, name)  # ptflops unpatches inherited methods by setting them on the class itself
