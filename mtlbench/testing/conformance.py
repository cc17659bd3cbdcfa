"""What every variant must keep, whatever it is: cheap checks with random weights on a small problem.

Each check takes a `Case` and raises `ConformanceError` where the variant breaks the promise that the check is named
after. A declared waiver lifts the one check that it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mtlbench.cost.counter import count_call
from mtlbench.measure.clock import CpuClock
from mtlbench.measure.latency import time_calls
from mtlbench.testing.case import Case, ConformanceError
from mtlbench.variants.base import Axis, Mode, Point, Runnable, Trace, Variant

__all__ = ["CHECKS"]

_TOLERANCE = 1e-4


def full_compute_equals_reference(case: Case) -> None:
    """At full compute every mode gives what the variant's own dense network gives."""
    if case.variant.reference is not None and case.variant.dense is Variant.dense:
        raise ConformanceError(
            "a variant that names a reference must override `dense`, or nothing is compared"
        )
    variant = case.build()
    expected, _ = _call(variant.dense(), case.images)
    for mode in variant.modes:
        found, _ = _call(variant.configure(case.full(), mode=mode), case.images)
        _require_equal(found, expected, f"full compute in mode {mode!r} differs from the dense network")


def modes_agree(case: Case) -> None:
    """Under replayed decisions, all modes predict the same at every point."""
    for point, first, runnable in _configured(case):
        expected, trace = _call(runnable, case.images)
        for mode in case.variant.modes[1:]:
            found, _ = _call(first.configure(point, mode=mode), case.images, trace)
            _require_equal(
                found, expected, f"mode {mode!r} differs from {case.variant.modes[0]!r} at {dict(point)}"
            )


def samples_are_independent(case: Case) -> None:
    """f([a; b]) = [f(a); f(b)]."""
    if "batch_coupled" in case.variant.waivers:
        return
    for point, _, runnable in _configured(case):
        together, _ = _call(runnable, case.images)
        for i in range(len(case.images)):
            alone, _ = _call(runnable, case.images[i : i + 1])
            expected = {name: prediction[i : i + 1] for name, prediction in together.items()}
            _require_equal(alone, expected, f"sample {i} depends on its batch at {dict(point)}")


def needs_no_labels(case: Case) -> None:
    """Images alone give a prediction of every task, of the right size."""
    height, width = case.problem.size
    for point, _, runnable in _configured(case):
        predictions, _ = _call(runnable, case.images)
        if set(predictions) != set(case.problem.task_names):
            raise ConformanceError(f"predictions {sorted(predictions)} are not the tasks at {dict(point)}")
        for name, prediction in predictions.items():
            if prediction.shape[0] != len(case.images) or prediction.shape[2:] != (height, width):
                raise ConformanceError(f"{name} has shape {tuple(prediction.shape)} at {dict(point)}")


def tasks_are_independent(case: Case) -> None:
    """A task's output does not depend on which other tasks are asked for."""
    if "subset_dependent" in case.variant.waivers or case.variant.task_subset == "all_only":
        return
    for point, variant, runnable in _configured(case):
        expected, _ = _call(runnable, case.images)
        for name in case.problem.task_names:
            alone, _ = _call(variant.configure(point, tasks=[name]), case.images)
            if set(alone) != {name}:
                raise ConformanceError(f"asked for {name}, got {sorted(alone)}")
            _require_equal(alone, {name: expected[name]}, f"{name} alone differs from {name} with the others")


def executed_macs_are_monotone(case: Case) -> None:
    """Along each axis, from full compute on, no point executes more than the one before it.

    A target is what training draws to; untrained networks tell nothing about it.
    """
    for axis in (axis for axis in case.variant.axes if axis.meaning != "target"):
        totals = [(value, _executed_per_sample(case, axis, value)) for value in axis.grid]
        for (value, macs), (next_value, next_macs) in pairwise(totals):
            if axis.meaning == "exact":
                grows = any(after > before for before, after in zip(macs, next_macs, strict=True))
            else:
                grows = sum(next_macs) > sum(macs)
            if grows:
                raise ConformanceError(f"axis {axis.name}: {next_value} executes more than {value}")


def formulas_equal_the_counter(case: Case) -> None:
    """What the units say was needed is what the dispatcher saw, wherever nothing is masked."""
    for point in case.points():
        variant = case.build(point)
        for mode in variant.modes:
            if mode in {"masked", "exported"}:
                continue
            runnable = variant.configure(point, mode=mode)
            (_, trace), count = _counted(runnable, case.images)
            nominal = sum(trace.nominal_macs(runnable.units()))
            if abs(count.macs - nominal) > _TOLERANCE * max(count.macs, nominal):
                raise ConformanceError(
                    f"mode {mode!r} at {dict(point)}: formulas say {nominal:.0f} MACs, the dispatcher {count.macs}"
                )


def traces_sum_to_the_batch(case: Case) -> None:
    """The per-sample costs of a batch are the costs of its samples alone."""
    if case.variant.waivers & {"batch_coupled", "stochastic"}:
        return
    for point, _, runnable in _configured(case):
        units = runnable.units()
        _, together = _call(runnable, case.images)
        for i, expected in enumerate(together.nominal_macs(units)):
            _, alone = _call(runnable, case.images[i : i + 1])
            found = alone.nominal_macs(units)[0]
            if abs(found - expected) > _TOLERANCE * expected:
                raise ConformanceError(
                    f"sample {i} at {dict(point)}: {expected:.0f} MACs in the batch, {found:.0f} alone"
                )


def counted_decisions_made_the_prediction(case: Case) -> None:
    """Replaying the decisions of a call gives its prediction and its cost again, that of deciding included."""
    for point, _, runnable in _configured(case):
        (expected, trace), count = _counted(runnable, case.images)
        (found, replayed), again = _counted(runnable, case.images, trace)
        if again.macs != count.macs:
            raise ConformanceError(
                f"replaying a trace executes {again.macs} MACs at {dict(point)}, deciding and running {count.macs}: "
                "what decides must run in both"
            )
        _require_equal(found, expected, f"replaying a trace changes the prediction at {dict(point)}")
        units = runnable.units()
        if replayed.nominal_macs(units) != trace.nominal_macs(units):
            raise ConformanceError(f"replaying a trace changes its cost at {dict(point)}")


def forced_decisions_follow_their_seed(case: Case) -> None:
    """Forced decisions come from their seed alone, are those that run, and cost the same whatever the seed."""
    for point, _, runnable in _configured(case):
        told = [runnable.forced(case.images, seed) for seed in (0, 0, 1)]
        if told[0] is None:
            continue
        calls = [_call(runnable, case.images, trace) for trace in told]
        _require_equal(calls[1][0], calls[0][0], f"one seed forces two predictions at {dict(point)}")
        units = runnable.units()
        costs = [trace.nominal_macs(units) for trace in (*(trace for _, trace in calls), *filter(None, told))]
        if any(cost != costs[0] for cost in costs):
            raise ConformanceError(f"the cost of forced decisions at {dict(point)} is not always the same")


def evaluation_is_deterministic(case: Case) -> None:
    """The same input gives the same prediction again, whatever the global random state."""
    if "stochastic" in case.variant.waivers:
        return
    for point, _, runnable in _configured(case):
        torch.manual_seed(1)
        expected, _ = _call(runnable, case.images)
        torch.manual_seed(2)
        found, _ = _call(runnable, case.images)
        _require_equal(found, expected, f"two calls differ at {dict(point)}")


def configure_is_idempotent(case: Case) -> None:
    """Configuring again, with every other point and task subset in between, changes nothing."""
    variant = case.build()
    expected, _ = _call(variant.configure(case.full()), case.images)
    for point in case.points():
        if _needs_no_rebuild(case, point):
            _call(variant.configure(point), case.images)
    if variant.task_subset != "all_only":
        _call(variant.configure(case.full(), tasks=[case.problem.task_names[0]]), case.images)
    found, _ = _call(variant.configure(case.full()), case.images)
    _require_equal(found, expected, "configure leaves something behind")


def measuring_leaves_no_trace(case: Case) -> None:
    """Counting and timing leave modes, hooks, gradients and random state as found."""
    _, _, runnable = next(_configured(case))
    before = _state(runnable)
    _counted(runnable, case.images)
    with torch.inference_mode():
        time_calls(runnable, [case.images], CpuClock(), rounds=5, max_seconds=60.0, seed=0)
    after = _state(runnable)
    changed = [name for name, value in before.items() if value != after[name]]
    if changed:
        raise ConformanceError(f"measuring changes {', '.join(changed)}")


def runs_in_evaluation_mode(case: Case) -> None:
    """Every network of a configured runnable is in evaluation mode, and needs no gradient to run."""
    for point, _, runnable in _configured(case):
        if any(module.training for network in runnable.networks() for module in network.modules()):
            raise ConformanceError(f"a module is in training mode at {dict(point)}")


_ALL: tuple[Callable[[Case], None], ...] = (
    full_compute_equals_reference,
    modes_agree,
    samples_are_independent,
    needs_no_labels,
    tasks_are_independent,
    executed_macs_are_monotone,
    formulas_equal_the_counter,
    traces_sum_to_the_batch,
    counted_decisions_made_the_prediction,
    forced_decisions_follow_their_seed,
    evaluation_is_deterministic,
    configure_is_idempotent,
    measuring_leaves_no_trace,
    runs_in_evaluation_mode,
)
CHECKS: dict[str, Callable[[Case], None]] = {check.__name__: check for check in _ALL}
"""All checks by name."""


def _configured(case: Case, mode: Mode | None = None) -> Iterator[tuple[Point, Variant, Runnable]]:
    """Every point with the variant and its runnable."""
    for point in case.points():
        variant = case.build(point)
        yield point, variant, variant.configure(point, mode=mode)


def _needs_no_rebuild(case: Case, point: Point) -> bool:
    """Whether a variant built for full compute can be configured at this point."""
    full = case.full()
    moved = [axis for axis in case.variant.axes if point[axis.name] != full[axis.name]]
    return all(axis.when in {"configure", "call"} for axis in moved)


def _call(runnable: Runnable, x: Tensor, decisions: Trace | None = None) -> tuple[dict[str, Tensor], Trace]:
    runnable.reset()
    with torch.inference_mode():
        return runnable(x, decisions)


def _counted(runnable: Runnable, x: Tensor, decisions: Trace | None = None) -> Any:
    runnable.reset()
    with torch.inference_mode():
        return count_call(runnable, x, decisions)


def _executed_per_sample(case: Case, axis: Axis, value: Any) -> list[int]:
    point = {**case.full(), axis.name: value}
    runnable = case.build(point).configure(point)
    return [_counted(runnable, case.images[i : i + 1])[1].macs for i in range(len(case.images))]


def _require_equal(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    for name, tensor in expected.items():
        scale = max(float(tensor.abs().max()), 1e-6)
        difference = float((found[name] - tensor).abs().max()) / scale
        if not difference <= _TOLERANCE:
            raise ConformanceError(f"{what}: {name} by {difference:.2g} of its largest value")


def _state(runnable: Runnable) -> dict[str, Any]:
    modules: list[nn.Module] = [module for network in runnable.networks() for module in network.modules()]
    parameters = [p for network in runnable.networks() for p in network.parameters()]
    return {
        "modes": [module.training for module in modules],
        "hooks": [
            len(getattr(module, name))
            for module in modules
            for name in ("_forward_hooks", "_forward_pre_hooks")
        ],
        "gradients": [(p.requires_grad, p.grad is None) for p in parameters],
        "weights": [float(p.detach().double().sum()) for p in parameters],
        "random state": torch.get_rng_state().tolist(),
    }
