"""A rough estimate of how long a plan takes, before anything has run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mtlbench import variants
from mtlbench.cost.units import total_macs
from mtlbench.execute.jobs.cell import PROFILE_CALLS as _PROFILE_CALLS
from mtlbench.execute.jobs.cell import make_variant, open_dataset
from mtlbench.execute.left import Left
from mtlbench.execute.observer import JobKind
from mtlbench.extensions import find_fault
from mtlbench.measure.process import usable_cores
from mtlbench.suite.plan import Cell
from mtlbench.suite.schema import Measure
from mtlbench.training.artifact import Artifact, Named
from mtlbench.training.protocol import TrainingProtocol

__all__ = ["estimate_seconds"]

# One core of a current server runs fp32 inference at about this rate, small networks well below it (measured on a
# 2-core virtual machine); a training step costs about three forward passes. An estimate, never a result.
_MACS_PER_SECOND = 15e9
_TRAINING_FACTOR = 3.0
_LAUNCH_SECONDS = 2.5
_COUNTING_FACTOR = 3.0


def estimate_seconds(left: Left, measure: Measure) -> dict[JobKind, float] | None:
    """Seconds by kind of work; None where a network cannot be built without memory, and so not be sized up.

    Raises whatever the code of a variant or of its parts raises.
    """
    cores = usable_cores()
    try:
        train = sum(_training_seconds(a, left.places.get(a.key, {})) for a in left.trainings)
        evaluate = sum(_evaluation_seconds(cell) for cell in left.evaluations)
        profile = sum(_profile_seconds(cell, measure) for cell in left.profiles)
        time = sum(count * _launch_seconds(cell, measure) for cell, count in left.timings)
    except _NoSizeError:
        return None
    return {
        "train": train / min(cores, max(len(left.trainings), 1)),
        "evaluate": evaluate / min(cores, max(len(left.evaluations), 1)),
        "profile": profile,
        "time": time,
    }


def _evaluation_seconds(cell: Cell) -> float:
    return _LAUNCH_SECONDS + _COUNTING_FACTOR * _test_images(cell) * _call_seconds(cell)


def _training_seconds(artifact: Artifact, places: Mapping[str, Any]) -> float:
    dataset = open_dataset(artifact.source.dataset, artifact.source.dataset.places)
    variant = make_variant(Named(artifact.variant, artifact.options, places), artifact.problem)
    protocol = variant.recipe(artifact).protocol(TrainingProtocol.model_validate(artifact.source.training))
    if protocol is None:
        return _LAUNCH_SECONDS
    macs = _macs(variant, {axis.name: axis.grid[0] for axis in variant.axes} | dict(artifact.point))
    images = dataset.length("train") * protocol.epochs
    return _LAUNCH_SECONDS + float(images * macs) * _TRAINING_FACTOR / _MACS_PER_SECOND


def _test_images(cell: Cell) -> int:
    return (
        cell.inputs
        if cell.training is None
        else open_dataset(cell.dataset, cell.dataset.places).length("test")
    )


def _call_seconds(cell: Cell) -> float:
    variant = make_variant(cell.variant, cell.problem)
    return _macs(variant, cell.point) / _MACS_PER_SECOND


def _profile_seconds(cell: Cell, measure: Measure) -> float:
    call = _call_seconds(cell) * cell.hardware.batch / cell.hardware.threads
    return _LAUNCH_SECONDS + call * min(measure.inputs, _PROFILE_CALLS) * (3 + 2 * measure.rounds)


def _launch_seconds(cell: Cell, measure: Measure) -> float:
    call = _call_seconds(cell) * cell.hardware.batch / cell.hardware.threads
    open_loops = [measure.frame_rate_hz, measure.poisson_rate_hz]
    arrivals = measure.arrival_seconds * sum(rate is not None for rate in open_loops)
    timed = min(call * measure.inputs * measure.rounds, measure.max_seconds) + arrivals
    warm = min(call * measure.inputs * measure.rounds, measure.warmup_max_seconds)
    return _LAUNCH_SECONDS + warm + timed


class _NoSizeError(Exception):
    """A network needs the values of its weights to be built."""


def _macs(variant: variants.Variant, point: Mapping[str, int | float | str]) -> int:
    """Full compute per image, from shapes alone: no weight is allocated."""
    try:
        with torch.device("meta"):
            variant.build(point, 0, None)
            return total_macs(variant.configure(point, device="meta").units())
    except (NotImplementedError, RuntimeError) as error:  # what torch raises for values on the meta device
        if (
            find_fault(error) is not None
        ):  # or code of another package for reasons of its own, which is known here
            variant.build(point, 0, None)
        raise _NoSizeError from error
