"""The most tensor memory that one call needs at once, exactly, from the allocator's own events.

The peak of the process (`peak_mib`) holds the interpreter, the libraries and whatever the allocator kept; it moves by
megabytes between identical runs. What a call asks its allocator for does not: it is the same in every run of the same
network on the same input, so two versions can be compared to the byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

# Not that of torch.profiler, which imports the compiler, and that takes a second.
from torch.autograd.profiler import profile

__all__ = ["peak_allocated_mib"]

T = TypeVar("T")

_MIB = 2**20


def peak_allocated_mib(call: Callable[[T], object], x: T, device: str = "cpu") -> float:
    """Largest sum of tensor memory that one warm call holds beyond what was there before it.

    Weights and the input are there before, so they are not in it; outputs are, since they live to the end. On the CPU
    these are the events of torch's allocator: scratch memory of libraries that allocate for themselves is not seen.

    Args:
        call: what is measured; the first call of anything may allocate what later ones reuse, so call it before.
        x: one input.
        device: a torch device name.
    """
    if device.startswith("cuda"):
        return _cuda_peak(call, x, device)
    with profile(profile_memory=True) as profiler:
        result = call(x)
    del result
    held = peak = 0
    assert profiler.kineto_results is not None  # noqa: S101  # it has just run
    for event in profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak / _MIB


def _cuda_peak(call: Callable[[T], object], x: T, device: str) -> float:
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call(x)
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / _MIB
