"""The dispatch mode behind the counter: runs every operator as it would run without it, times it, books its MACs."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import perf_counter_ns
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from mtlbench.cost.operators import macs_formula
from mtlbench.cost.zero_macs import zero_reason
from mtlbench.measure.parts import PartTracker

__all__ = ["Kind", "Recorder", "Tally", "modes", "pop_modes", "recorder"]

T = TypeVar("T")

Kind = Literal["macs", "zero", "uncounted"]
"""Counted by a formula, reviewed as free of MACs, or neither."""

_has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key

# What `torch.overrides.enable_reentrant_dispatch` wraps into Python, where an interrupt can leave it half open,
# which ends the process.
_reentrant = torch._C._RestorePythonTLSSnapshot  # type: ignore[attr-defined]  # missing in torch's stubs


@dataclass(slots=True)
class Tally:
    """One operator over all its calls; `reason` says why it is not counted."""

    reason: str = ""
    calls: int = 0
    macs: int = 0
    ns: int = 0


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves __init_subclass__ untyped
    """Books what runs while it is on the stack of dispatch modes.

    Args:
        parts: says which part of the network is running.

    Attributes:
        tallies: by operator and kind, in the order of their first call.
        by_part: MACs by part.
        by_call: MACs by the operator that the network called.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to hide from the compiler, torch imports it, which takes seconds; see `recorder`."""
        return False

    def __init__(self, parts: PartTracker) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self._parts = parts
        self._call: str | None = None
        self.tallies: dict[tuple[str, Kind], Tally] = defaultdict(Tally)
        self.by_part: dict[str, int] = defaultdict(int)
        self.by_call: dict[str, int] = defaultdict(int)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.higher_order.cond:
            return self._branch(*args)
        if any(_is_made_of_tensors(kind) for kind in types):
            return NotImplemented  # then its own operators come here, one by one
        if getattr(func, "namespace", "") == "prim":
            return func(*args, **kwargs)  # asks a tensor for its device or layout, runs nothing
        operator = func.name().partition(".")[0]
        where = _where(args, kwargs)
        if isinstance(func, OpOverload) and _is_composite(func, operator, where):
            return self._take_apart(operator, func, where.device, args, kwargs)
        with _Autocast(where.device, _autocast_inside(func, operator, where.device)):
            start = perf_counter_ns()
            result = func(*args, **kwargs)
            if where.device not in {"cpu", "meta"}:
                torch.accelerator.synchronize()
            ns = perf_counter_ns() - start
        self._book(operator, ns, result, args, kwargs)
        return result

    def _watch(self, run: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """`run(*args, **kwargs)` inside an operator, where torch took the recorder off the stack."""
        depth = modes()
        try:
            torch._C._push_on_torch_dispatch_stack(self)
            return run(*args, **kwargs)
        finally:
            pop_modes(depth)

    def _branch(
        self, predicate: Any, if_true: Callable[..., Any], if_false: Callable[..., Any], operands: Any
    ) -> Any:
        """`torch.cond`: count the branch that this input takes."""
        return self._watch(if_true if predicate else if_false, *operands)

    def _take_apart(
        self, operator: str, func: OpOverload, device: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run the kernel that PyTorch itself would run, in sight of the recorder.

        Not `func.decompose`: it prefers Python decompositions, which compute other bits in other time.
        Reentrant, because views otherwise forget `requires_grad`, by which `matmul` chooses between its
        kernels.
        """
        outermost = self._call is None
        self._call = self._call or _display(operator)
        autocast = _autocast_inside(func, operator, device)
        try:
            with _reentrant(), _Autocast(device, autocast):
                return self._watch(
                    func._op_dk, torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs
                )
        finally:
            if outermost:
                self._call = None

    def _book(
        self, operator: str, ns: int, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        name = _display(operator)
        formula = macs_formula(operator)
        macs = formula(result, *args, **kwargs) if formula else None
        zero = zero_reason(operator)
        kind: Kind = "macs" if macs is not None else "zero" if zero else "uncounted"
        tally = self.tallies[name, kind]
        tally.calls += 1
        tally.ns += ns
        if macs is not None:
            tally.macs += macs
            self.by_part[self._parts.current] += macs
            self.by_call[self._call or name] += macs
        else:
            tally.reason = zero or ("no closed form for these arguments" if formula else "no formula")


class _HiddenRecorder(Recorder):  # type: ignore[no-untyped-call]  # the same
    """Its own frames are never compiled."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return super().__torch_dispatch__(func, types, args, kwargs)


def recorder(parts: PartTracker) -> Recorder:
    """A recorder that hides from the compiler, where somebody has imported it."""
    return (_HiddenRecorder if "torch._dynamo" in sys.modules else Recorder)(parts)


def modes() -> int:
    """Number of dispatch modes on the stack."""
    return torch._C._len_torch_dispatch_stack()


def pop_modes(depth: int) -> None:
    """Take modes off the stack until `depth` are left."""
    while modes() > depth:
        torch._C._pop_torch_dispatch_stack(None)


def _display(operator: str) -> str:
    return operator.replace("::", ".")


@cache
def _is_made_of_tensors(kind: type) -> bool:
    """Whether these tensors run operators by running others (jagged tensors, quantised weights)."""
    own = getattr(kind, "__torch_dispatch__", None) != Tensor.__torch_dispatch__
    return own and not issubclass(kind, FakeTensor)


class _Where(NamedTuple):
    """What the dispatcher chooses a kernel by."""

    device: str
    nested: bool


def _where(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Where:
    tensors = [leaf for leaf in tree_iter((args, kwargs)) if isinstance(leaf, Tensor)]
    device = tensors[0].device.type if tensors else "cpu"
    return _Where(device, any(tensor.is_nested for tensor in tensors))


def _is_composite(func: OpOverload, operator: str, where: _Where) -> bool:
    """Whether the operator is made of others here, and its own MACs are not declared.

    Under `inference_mode` composite operators reach the recorder whole; elsewhere PyTorch took them apart
    before.
    """
    declared = func.namespace != "aten" and macs_formula(operator) is not None
    return not declared and _lacks_kernel(func, where)


@cache
def _lacks_kernel(func: Any, where: _Where) -> bool:
    own = _has_kernel(func.name(), torch._C._dispatch_key_for_device(where.device))
    if where.nested:
        own = own or _has_kernel(func.name(), f"NestedTensor{where.device.upper()}")
    if func._overloadpacket in _MARKED_AS_VIEWS:
        own = True
    return _has_kernel(func.name(), "CompositeImplicitAutograd") and not own


_MARKED_AS_VIEWS = {torch.ops.aten.chunk, torch.ops.aten.narrow}
"""Composites whose result the dispatcher itself marks as a view, which fails where they were taken apart."""


def _autocast_inside(func: Any, operator: str, device: str) -> bool:
    """Whether autocast would act inside this operator if nobody watched.

    PyTorch hides autocast from dispatch modes, and switches it off inside operators that autocast casts for.
    """
    if not (isinstance(func, OpOverload) and _can_autocast(device)):
        return False  # operators of a higher order hide nothing
    with _reentrant():
        on = torch.is_autocast_enabled(device)
    return on and operator != _CALLED_BY_CDIST and not _is_cast_for(func, device)


@cache
def _is_cast_for(func: Any, device: str) -> bool:
    return _has_kernel(func.name(), f"Autocast{device.upper()}")


@cache
def _can_autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device)


_CALLED_BY_CDIST = "aten::_euclidean_dist"
"""The one kernel with products inside that is called by an operator that autocast casts for."""


class _Autocast:
    """Autocast as wanted, put back afterwards."""

    def __init__(self, device: str, on: bool) -> None:
        self._device = device
        self._changes = _can_autocast(device) and torch.is_autocast_enabled(device) != on
        self._on = on

    def __enter__(self) -> None:
        if self._changes:
            torch.set_autocast_enabled(self._device, self._on)

    def __exit__(self, *_: object) -> None:
        if self._changes:
            torch.set_autocast_enabled(self._device, not self._on)
