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

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from torch import nn

from mtlbench.cost.interrupts import HeldInterrupt
from mtlbench.cost.recorder import Kind, modes, pop_modes, recorder
from mtlbench.measure.parts import PartTracker

__all__ = ["UNCOUNTED_LIMIT", "CostCount", "DispatchCounter", "OperatorCount", "count_call"]

T = TypeVar("T")

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
        self._recorder = recorder(self._parts)
        self._named = bool(parts)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            with HeldInterrupt(), ExitStack() as stack:
                stack.callback(pop_modes, modes())  # what an interrupted operator left on the stack
                stack.callback(self._parts.stop)
                self._parts.start()
                stack.enter_context(self._recorder)
                self._open = stack.pop_all()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with HeldInterrupt():
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
