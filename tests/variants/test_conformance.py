"""Every registered variant keeps every promise, and each check catches a variant that breaks it."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from mtlbench import variants
from mtlbench.testing import CHECKS, Case, ConformanceError
from mtlbench.variants.base import Axis, Runnable, Trace, Variant
from mtlbench.variants.static_mtl import StaticMTL


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("name", variants.registry.names())
def test_registered_variant_conforms(name, check):
    check(Case.small(variants.registry.get(name)))


class _Wrapped(Runnable):
    """A runnable around another one, for toys to bend."""

    def __init__(self, inner: Runnable):
        self.inner = inner
        self.tasks = inner.tasks

    def __call__(self, x, decisions=None):
        return self.inner(x, decisions)

    def units(self):
        return self.inner.units()

    def networks(self):
        return self.inner.networks()

    def parts(self):
        return self.inner.parts()


class _Toy(StaticMTL):
    """A static network with two points that mean the same, and a second mode that does the same."""

    axes: ClassVar = (Axis("share", (1.0, 0.5), "call", "exact"),)
    modes: ClassVar = ("gathered", "compact")
    runnable: ClassVar[type[_Wrapped]] = _Wrapped

    def configure(self, point, tasks=None, mode=None, device="cpu"):
        runnable = self.runnable(super().configure(point, tasks, None, device))
        runnable.point, runnable.mode, runnable.asked = point, mode or self.modes[0], tasks
        runnable.variant = self
        return runnable

    def dense(self, device="cpu"):
        return StaticMTL.configure(self, {}, None, None, device)


def _shift(predictions, amount):
    return {name: prediction + amount for name, prediction in predictions.items()}


class _WrongAtFullCompute(_Wrapped):
    def __call__(self, x, decisions=None):
        predictions, trace = self.inner(x)
        return _shift(predictions, 0.1), trace


class _WrongMode(_Wrapped):
    def __call__(self, x, decisions=None):
        predictions, trace = self.inner(x)
        return _shift(predictions, 0.1 if self.mode == "compact" and decisions is not None else 0.0), trace


class _MixesTheBatch(_Wrapped):
    def __call__(self, x, decisions=None):
        return self.inner(x - x.mean(dim=0, keepdim=True))


class _WantsLabels(_Wrapped):
    def __call__(self, x, decisions=None):
        predictions, trace = self.inner(x)
        predictions.pop("depth")
        return predictions, trace


class _DependsOnSubset(_Wrapped):
    def __call__(self, x, decisions=None):
        predictions, trace = self.inner(x)
        return _shift(predictions, 0.1 * len(predictions)), trace


class _CostsMoreWithLess(_Wrapped):
    def __call__(self, x, decisions=None):
        if self.point["share"] < 1:
            torch.ones(64, 64) @ torch.ones(64, 64)
        return self.inner(x)


class _ForgetsItsPolicy(_Wrapped):
    def __call__(self, x, decisions=None):
        torch.ones(128, 128) @ torch.ones(128, 128)
        return self.inner(x)


class _CountsBatchMeans(_Wrapped):
    def __call__(self, x, decisions=None):
        predictions, _ = self.inner(x)
        share = torch.full((x.shape[0],), 1.0 / x.shape[0])
        return predictions, Trace(x.shape[0], {"encoder.stem": share})


class _DecidesTwice(_Wrapped):
    calls = 0

    def __call__(self, x, decisions=None):
        predictions, trace = self.inner(x)
        _DecidesTwice.calls += 1
        return _shift(predictions, 0.1 * (_DecidesTwice.calls % 2)), trace


class _ForcesAsItLikes(_Wrapped):
    calls = 0

    def forced(self, x, seed):
        _ForcesAsItLikes.calls += 1
        kept = 0.5 if _ForcesAsItLikes.calls % 3 else 1.0
        return Trace(len(x), {"encoder.stem": torch.full((len(x),), kept)})


class _Random(_Wrapped):
    def __call__(self, x, decisions=None):
        predictions, trace = self.inner(x)
        return _shift(predictions, float(torch.rand(()))), trace


class _SlicesForGood(_Wrapped):
    def __call__(self, x, decisions=None):
        if self.point["share"] < 1:
            with torch.no_grad():
                for parameter in self.inner.networks()[0].parameters():
                    parameter.mul_(0.5)
        return self.inner(x)


class _LeavesAHook(_Wrapped):
    def __call__(self, x, decisions=None):
        self.inner.networks()[0].register_forward_hook(lambda *_: None)
        return self.inner(x)


class _Trains(_Wrapped):
    def __init__(self, inner):
        super().__init__(inner)
        inner.networks()[0].train()


_BROKEN = {
    "full_compute_equals_reference": _WrongAtFullCompute,
    "modes_agree": _WrongMode,
    "samples_are_independent": _MixesTheBatch,
    "needs_no_labels": _WantsLabels,
    "tasks_are_independent": _DependsOnSubset,
    "executed_macs_are_monotone": _CostsMoreWithLess,
    "formulas_equal_the_counter": _ForgetsItsPolicy,
    "traces_sum_to_the_batch": _CountsBatchMeans,
    "counted_decisions_made_the_prediction": _DecidesTwice,
    "forced_decisions_follow_their_seed": _ForcesAsItLikes,
    "evaluation_is_deterministic": _Random,
    "configure_is_idempotent": _SlicesForGood,
    "measuring_leaves_no_trace": _LeavesAHook,
    "runs_in_evaluation_mode": _Trains,
}


def test_every_check_has_a_broken_toy():
    assert set(_BROKEN) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_the_sound_toy_passes(name):
    CHECKS[name](Case.small(_Toy))


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_fails_its_broken_toy(name):
    broken = type("Broken", (_Toy,), {"runnable": _BROKEN[name]})
    with pytest.raises(ConformanceError):
        CHECKS[name](Case.small(broken))


def test_a_waiver_lifts_the_check_it_is_about():
    waived = type("Waived", (_Toy,), {"runnable": _Random, "waivers": frozenset({"stochastic"})})
    CHECKS["evaluation_is_deterministic"](Case.small(waived))


def test_a_reference_without_a_dense_network_is_refused():
    hollow = type("Hollow", (StaticMTL,), {"reference": "static_mtl", "dense": Variant.dense})
    with pytest.raises(ConformanceError, match="dense"):
        CHECKS["full_compute_equals_reference"](Case.small(hollow))


def test_units_of_single_task_networks_are_distinct():
    variant = Case.small(variants.registry.get("single_task")).build()
    units = variant.configure({}).units()
    assert len({unit.id for unit in units}) == len(units)
