"""A rough estimate of how long a plan takes, before anything has run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from mtlbench import variants
from mtlbench.cost.units import total_macs
from mtlbench.execute.jobs.cell import open_dataset
from mtlbench.suite.plan import Cell
from mtlbench.suite.schema import Measure
from mtlbench.training.artifact import Artifact

__all__ = ["Estimate", "estimate_seconds"]

# One core of a current server runs fp32 inference at about this rate, small networks well below it (measured on a
# 2-core virtual machine); a training step costs about three forward passes. An estimate, never a result.
_MACS_PER_SECOND = 15e9
_TRAINING_FACTOR = 3.0
_LAUNCH_SECONDS = 2.5
_COUNTING_FACTOR = 3.0


@dataclass(frozen=True)
class Estimate:
    """Seconds by kind of work."""

    train: float
    evaluate: float
    time: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.train + self.evaluate + self.time


def estimate_seconds(
    trainings: list[Artifact],
    evaluations: list[Cell],
    timings: Mapping[str, int],
    cells: Mapping[str, Cell],
    measure: Measure,
) -> Estimate:
    """Estimate what is left.

    Args:
        trainings: artifacts that are missing.
        evaluations: cells to evaluate.
        timings: by cell id, launches that are left.
        cells: by id.
        measure: the suite's settings.
    """
    cores = len(os.sched_getaffinity(0))
    train = sum(_training_seconds(artifact) for artifact in trainings) / min(cores, max(len(trainings), 1))
    evaluate = (
        sum(_LAUNCH_SECONDS + _COUNTING_FACTOR * _test_images(c) * _call_seconds(c) for c in evaluations)
        / cores
    )
    time = sum(count * _launch_seconds(cells[cell_id], measure) for cell_id, count in timings.items())
    return Estimate(train, evaluate, time)


def _training_seconds(artifact: Artifact) -> float:
    protocol = artifact.source.training
    dataset = open_dataset(artifact.source.dataset, artifact.source.dataset.places)
    variant = variants.registry.get(artifact.variant)(artifact.problem, **artifact.options)
    macs = _macs(variant, {})
    images = dataset.length("train") * protocol["epochs"]
    return _LAUNCH_SECONDS + float(images * macs) * _TRAINING_FACTOR / _MACS_PER_SECOND


def _test_images(cell: Cell) -> int:
    return (
        cell.inputs
        if cell.training is None
        else open_dataset(cell.dataset, cell.dataset.places).length("test")
    )


def _call_seconds(cell: Cell) -> float:
    variant = variants.registry.get(cell.variant.name)(cell.problem, **cell.variant.options)
    return _macs(variant, cell.point) / _MACS_PER_SECOND


def _launch_seconds(cell: Cell, measure: Measure) -> float:
    call = _call_seconds(cell) * cell.hardware.batch / cell.hardware.threads
    timed = min(call * measure.inputs * measure.rounds, measure.max_seconds)
    warm = min(call * measure.inputs * measure.rounds, measure.warmup_max_seconds)
    return _LAUNCH_SECONDS + warm + timed


def _macs(variant: variants.Variant, point: Mapping[str, int | float | str]) -> int:
    """Full compute per image, from shapes alone: no weight is allocated."""
    with torch.device("meta"):
        variant.build(point, 0, None)
        return total_macs(variant.configure(point, device="meta").units())
