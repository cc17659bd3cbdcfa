"""A witness that is independent of the dispatch counter: the matrix products that PyTorch's profiler saw.

The profiler hooks every call of an operator from C++ too, so it looks inside fused kernels.
"""

from __future__ import annotations

from math import prod

from torch.profiler import ProfilerActivity, profile

_OPERANDS = {
    "aten::mm": 0,
    "aten::bmm": 0,
    "aten::addmm": 1,
    "aten::_addmm_activation": 1,
    "aten::baddbmm": 1,
}


def profiled_macs(run):
    """MACs of all dense matrix products inside `run()`."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        run()
    total = 0
    for event in profiler.events():
        first = _OPERANDS.get(event.name)
        if first is not None:
            a, b = event.input_shapes[first : first + 2]
            total += (
                prod(a) * b[-1] if a else 0
            )  # nested tensors have no shape, and a product for each sample
    return total
