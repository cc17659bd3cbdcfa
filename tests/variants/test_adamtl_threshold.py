"""Thresholds: calibrated on some images, they spend what was asked on others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from mtlbench import variants
from mtlbench.errors import UsageError
from mtlbench.testing import Case
from mtlbench.variants.adamtl.calibrate import calibrate, smallest_budget, threshold_for

CASE = Case.small(variants.registry.get("adamtl_threshold"))


def images(count, seed):
    contrast = torch.rand(count, 1, 1, 1, generator=torch.Generator().manual_seed(seed + 1)) * 2
    return contrast * torch.randn(count, 3, *CASE.problem.size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def calibrated():
    variant = CASE.build()
    calibrate(variant._network, lambda: iter([images(24, 0)]))
    return variant


def test_other_images_spend_what_was_asked_within_two_points(calibrated):
    reference = sum(unit.macs for unit in calibrated.dense().units())
    shares = []
    for budget in (0.9, 0.8, 0.7, 0.6):
        runnable = calibrated.configure({"budget": budget})
        with torch.inference_mode():
            _, trace = runnable(images(64, 5))
        shares.append(np.mean(trace.nominal_macs(runnable.units())) / reference)
        assert shares[-1] == pytest.approx(budget, abs=0.02)
    assert all(after < before for before, after in pairwise(shares))


def test_images_differ_in_what_they_cost(calibrated):
    runnable = calibrated.configure({"budget": 0.75})
    with torch.inference_mode():
        _, trace = runnable(images(16, 7))
    assert len(set(trace.nominal_macs(runnable.units()))) > 1


def test_a_budget_below_all_thresholds_is_refused_with_the_least_one(calibrated):
    names = CASE.problem.task_names
    with pytest.raises(UsageError, match=f"{smallest_budget(calibrated._network, names):.3f}"):
        threshold_for(calibrated._network, names, 0.2)


def test_only_calibrated_subsets_can_be_run(calibrated):
    first, second, *_ = CASE.problem.task_names
    assert calibrated.can_run([first])
    assert calibrated.can_run(CASE.problem.task_names)
    assert not calibrated.can_run([first, second])
