"""Opening a cell in a worker: its data, its tasks, its runnable network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtlbench import data, encoders, tasks, variants
from mtlbench.data.base import Dataset, Sample
from mtlbench.data.batches import normalise
from mtlbench.errors import DataError, UsageError
from mtlbench.tasks.base import Task
from mtlbench.training.artifact import Named, Problem, named_from, problem_from
from mtlbench.training.cache import load_weights
from mtlbench.variants.base import Runnable, Trace, Variant

__all__ = [
    "PROFILE_CALLS",
    "FixedInputs",
    "OpenCell",
    "PlannedCall",
    "TestBatch",
    "make_tasks",
    "make_variant",
    "open_dataset",
]


@dataclass(frozen=True)
class TestBatch:
    """Consecutive test samples that one call takes together."""

    samples: tuple[Sample, ...]

    @property
    def images(self) -> NDArray[np.uint8]:
        """uint8 [B, H, W, 3]."""
        return np.stack([sample.image for sample in self.samples])


PROFILE_CALLS = 4
"""Inputs of the profiling launch: it looks at shares, which a few inputs tell."""


class PlannedCall(NamedTuple):
    """What one call is given.

    Attributes:
        x: normalised images [B, 3, H, W] on the device.
        decisions: forced on the call, or None where the network decides.
    """

    x: Tensor
    decisions: Trace | None


class FixedInputs(NamedTuple):
    """The fixed list of calls that is measured.

    Attributes:
        calls: in order.
        clips: which of them follow each other in a stream.
    """

    calls: list[PlannedCall]
    clips: list[range]


class OpenCell:
    """A cell as its worker sees it.

    Args:
        job: `cell` is the cell's specification, `places` where its `dataset`, its `encoder` and its `variant` find
            their files, `weights` the stored artifacts (`StoredArtifact.told`), or None for untrained weights.
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        spec = job["cell"]
        self.seed: int = spec["seed"]
        self.batch: int = spec["hardware"]["batch"]
        self.device: str = spec["hardware"]["device"]
        self.inputs: int = spec["inputs"]
        self.point: Mapping[str, Any] = spec["point"]
        self.problem: Problem = problem_from(spec["problem"]).placed(job["places"]["encoder"])
        self.dataset = open_dataset(named_from(spec["dataset"]), job["places"]["dataset"])
        self.asked: tuple[str, ...] = tuple(spec.get("asked", self.problem.task_names))
        self.tasks = make_tasks(self.problem.only(*self.asked))
        self._variant = replace(named_from(spec["variant"]), places=job["places"]["variant"])
        self._weights: list[dict[str, str]] | None = job["weights"]
        self.trained: bool = self._weights is not None

    def runnable(self) -> tuple[Variant, Runnable]:
        """The variant, built and configured at this cell's point on its device."""
        variant = make_variant(self._variant, self.problem)
        stored = self._weights
        states = (
            None if stored is None else [load_weights(Path(w["file"]), w["weights_hash"]) for w in stored]
        )
        variant.build(self.point, self.seed, states)
        return variant, self.configure(variant, self.asked)

    def configure(self, variant: Variant, tasks: tuple[str, ...]) -> Runnable:
        """The built variant at this cell's point on its device, for some of its tasks.

        Raises:
            UsageError: it remembers the frames of a stream, and batches would hold frames of two.
        """
        runnable = variant.configure(self.point, tasks=tasks, device=self.device)
        if runnable.has_state and any(start % self.batch for start in self._clip_starts):
            raise UsageError(
                f"batches of {self.batch} frames hold frames of two streams",
                fix="Set hardware.batch to 1, or to a number that divides the length of the clips",
            )
        return runnable

    def normaliser(self) -> Callable[[NDArray[np.uint8]], Tensor]:
        """uint8 images [B, H, W, 3] to network input on this cell's device."""
        return normaliser(self.problem, self.device)

    def fixed_inputs(self, runnable: Runnable, limit: int | None = None) -> FixedInputs:
        """The first test batches as every launch of this cell plays them, ready on the device.

        Args:
            runnable: decides for untrained networks (see `Runnable.forced`).
            limit: at most so many calls; by default as the suite says.
        """
        count = min(self.inputs, limit or self.inputs)
        normalise = self.normaliser()
        items = []
        for index, batch in enumerate(self.batches(count)):
            x = normalise(batch.images)
            items.append(PlannedCall(x, self.decisions(runnable, x, index)))
        return FixedInputs(items, self._clips(count))

    def decisions(self, runnable: Runnable, x: Tensor, index: int) -> Trace | None:
        """What call `index` is told to decide: nothing where weights are trained."""
        return None if self.trained else runnable.forced(x, index)

    def starts_clip(self, index: int) -> bool:
        """Whether batch `index` begins a clip; a batch that holds frames of several clips always does."""
        samples = range(index * self.batch, (index + 1) * self.batch)
        return any(sample in self._clip_starts for sample in samples)

    def calls_of_first_clip(self) -> int:
        """How many batches the first test clip is."""
        return -(-len(self.dataset.clips("test")[0]) // self.batch)

    @cached_property
    def _clip_starts(self) -> frozenset[int]:
        return frozenset(clip.start for clip in self.dataset.clips("test"))

    def _clips(self, count: int) -> list[range]:
        starts = [index for index in range(count) if index == 0 or self.starts_clip(index)]
        return [range(start, stop) for start, stop in zip(starts, [*starts[1:], count], strict=True)]

    def batches(self, limit: int | None = None) -> Iterator[TestBatch]:
        """Test samples in order, `batch` at a time; the last batch may be smaller unless `limit` is given.

        Raises:
            DataError: fewer full batches than `limit` asks for.
        """
        count = self.dataset.length("test")
        if limit is not None and count < limit * self.batch:
            raise DataError(
                f"{limit} calls of {self.batch} images need {limit * self.batch} test images, there are {count}",
                fix="Lower measure.inputs or hardware.batch, or use more test images",
            )
        stop = count if limit is None else limit * self.batch
        for start in range(0, stop, self.batch):
            indices = range(start, min(start + self.batch, stop))
            yield TestBatch(tuple(self.dataset.sample("test", index) for index in indices))


def open_dataset(named: Named, places: Mapping[str, Any]) -> Dataset:
    """The dataset, finding its files where this machine has them."""
    return data.registry.get(named.name)(**named.options, **places)


def make_variant(named: Named, problem: Problem) -> Variant:
    """The variant, finding its files where this machine has them."""
    return variants.registry.get(named.name)(problem, **named.options, **named.places)


def make_tasks(problem: Problem) -> dict[str, Task]:
    """The problem's tasks by name."""
    return {spec.name: tasks.registry.get(spec.name)(**spec.options) for spec in problem.tasks}


def normaliser(problem: Problem, device: str = "cpu") -> Callable[[NDArray[np.uint8]], Tensor]:
    """What turns uint8 images [B, H, W, 3] into the input of the problem's encoder."""
    mean, std = encoders.registry.get(problem.encoder.name).normalisation(problem.encoder.options)
    convert = partial(normalise, mean=mean, std=std)
    return lambda images: convert(images).to(device)
