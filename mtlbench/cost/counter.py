"""Counting the MACs of one call while it happens, on PyTorch's dispatcher.

The dispatcher sees every operator that really runs, after data-dependent branches and whatever code called
it, so the count belongs to the very call that made the prediction. Each operator is counted by a formula,
known to carry no MACs, or uncounted; the share of time of the last kind says whether the total can be
trusted.

Limits: what other threads run is not seen, and neither is the inside of compiled or exported programs, nor
of custom operators (declare their MACs with `declare_macs`). Backward operators are uncounted: this is for
inference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cache
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.overrides import enable_reentrant_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from mtlbench.cost.operators import macs_formula
from mtlbench.cost.parts import PartTracker
from mtlbench.cost.zero_macs import zero_reason

__all__ = ["UNCOUNTED_LIMIT", "CostCount", "DispatchCounter", "OperatorCount", "count_call"]

T = TypeVar("T")

Kind = Literal["macs", "zero", "uncounted"]

UNCOUNTED_LIMIT = 0.02
"""Largest share of operator time that uncounted operators may take (DESIGN section 4)."""


@dataclass(frozen=True, slots=True)
class OperatorCount:
    """One operator over all its calls.

    Args:
        name: `aten.addmm`, without overload.
        kind: counted by a formula, reviewed as free of MACs, or uncounted.
        reason: why it is not counted; empty where it is.
        calls: how often it ran.
        macs: over all calls.
        time_share: of the time of all operators, while counting.
    """

    name: str
    kind: Kind
    reason: str
    calls: int
    macs: int
    time_share: float


@dataclass(frozen=True, slots=True)
class CostCount:
    """MACs of one call, over the whole batch.

    Args:
        macs: the sum of all that was counted.
        operators: in the order of their first call.
        by_part: MACs of each named part, and of `other`; empty where no parts were named.
        by_call: MACs by the operator that the network called (`aten.linear`), where the dispatcher still
            shows it: under `torch.inference_mode`. Elsewhere as `by_op`.
    """

    macs: int
    operators: tuple[OperatorCount, ...]
    by_part: Mapping[str, int]
    by_call: Mapping[str, int]

    @property
    def by_op(self) -> dict[str, int]:
        """MACs by operator."""
        return {op.name: op.macs for op in self.operators if op.kind == "macs"}

    @property
    def zero_ops(self) -> dict[str, float]:
        """Share of operator time by reviewed operator without MACs."""
        return {op.name: op.time_share for op in self.operators if op.kind == "zero"}

    @property
    def uncounted_ops(self) -> list[str]:
        """Operators that ran and were neither counted nor reviewed."""
        return [op.name for op in self.operators if op.kind == "uncounted"]

    @property
    def uncounted_time_share(self) -> float:
        """Share of operator time in `uncounted_ops`."""
        return sum(op.time_share for op in self.operators if op.kind == "uncounted")

    @property
    def refused(self) -> bool:
        """Whether uncounted operators took so much of the time that the total must not be used."""
        return self.uncounted_time_share > UNCOUNTED_LIMIT


class DispatchCounter(AbstractContextManager["DispatchCounter"]):
    """Counts what runs inside `with DispatchCounter() as counter`; then `counter.count()`.

    Results, training flags, hooks, gradients, random state and the fast-path flag stay as they are without
    it.

    Args:
        parts: module of each named part of the network (`encoder.block.3`, `head.depth`), to attribute MACs
            to.
    """

    def __init__(self, parts: Mapping[str, nn.Module] | None = None) -> None:
        self._parts = PartTracker(parts or {})
        self._recorder = _Recorder(self._parts)
        self._named = bool(parts)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._parts.stop)
            self._parts.start()
            stack.enter_context(self._recorder)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def count(self) -> CostCount:
        """What was counted so far."""
        tallies = self._recorder.tallies
        total_ns = sum(tally.ns for tally in tallies.values()) or 1
        operators = tuple(
            OperatorCount(
                name=name,
                kind=kind,
                reason=tally.reason,
                calls=tally.calls,
                macs=tally.macs,
                time_share=tally.ns / total_ns,
            )
            for (name, kind), tally in tallies.items()
        )
        return CostCount(
            macs=sum(op.macs for op in operators),
            operators=operators,
            by_part=dict(self._recorder.by_part) if self._named else {},
            by_call=dict(self._recorder.by_call),
        )


def count_call(
    fn: Callable[..., T], *args: Any, parts: Mapping[str, nn.Module] | None = None
) -> tuple[T, CostCount]:
    """Call `fn(*args)` and count it.

    Args:
        fn: a network or any function that runs one.
        args: its arguments.
        parts: as `DispatchCounter` takes them.

    Returns:
        What `fn` returned, unchanged, and the MACs of that call over the whole batch.
    """
    with DispatchCounter(parts) as counter:
        result = fn(*args)
    return result, counter.count()


@dataclass(slots=True)
class _Tally:
    reason: str = ""
    calls: int = 0
    macs: int = 0
    ns: int = 0


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves __init_subclass__ untyped
    """Runs each operator, times it, and books its MACs."""

    supports_higher_order_operators = True

    def __init__(self, parts: PartTracker) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self._parts = parts
        self._call: str | None = None
        self.tallies: dict[tuple[str, Kind], _Tally] = defaultdict(_Tally)
        self.by_part: dict[str, int] = defaultdict(int)
        self.by_call: dict[str, int] = defaultdict(int)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.higher_order.cond:
            return self._branch(*args)
        operator = func.name().partition(".")[0]
        device = _device_type(args, kwargs)
        if isinstance(func, OpOverload) and _is_composite(func, operator, device):
            return self._take_apart(operator, func, args, kwargs)
        start = perf_counter_ns()
        result = func(*args, **kwargs)
        if device not in {"cpu", "meta"}:
            torch.accelerator.synchronize()
        self._book(operator, perf_counter_ns() - start, result, args, kwargs)
        return result

    def _branch(
        self, predicate: Any, if_true: Callable[..., Any], if_false: Callable[..., Any], operands: Any
    ) -> Any:
        """`torch.cond`: count the branch that this input takes."""
        with self:
            return (if_true if predicate else if_false)(*operands)

    def _take_apart(self, operator: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the kernel that PyTorch itself would run, in sight of the recorder.

        Not `func.decompose`: it prefers Python decompositions, which compute other bits in other time.
        Reentrant, because views otherwise forget `requires_grad`, by which `matmul` chooses between its
        kernels.
        """
        outermost = self._call is None
        self._call = self._call or _display(operator)
        try:
            with enable_reentrant_dispatch(), self:
                return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
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


def _display(operator: str) -> str:
    return operator.replace("::", ".")


def _device_type(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    return next((leaf.device.type for leaf in tree_iter((args, kwargs)) if isinstance(leaf, Tensor)), "cpu")


def _is_composite(func: Any, operator: str, device: str) -> bool:
    """Whether the operator is made of others on this device, and its own MACs are not declared.

    Under `inference_mode` composite operators reach the recorder whole; elsewhere PyTorch took them apart
    before.
    """
    declared = func.namespace != "aten" and macs_formula(operator) is not None
    return not declared and _lacks_kernel(func, device)


@cache
def _lacks_kernel(func: Any, device: str) -> bool:
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    own = has_kernel(func.name(), torch._C._dispatch_key_for_device(device))
    return has_kernel(func.name(), "CompositeImplicitAutograd") and not own
