"""Opening a cell in a worker: its data, its tasks, its runnable network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtlbench import data, encoders, tasks, variants
from mtlbench.data.base import Dataset, Sample
from mtlbench.data.batches import normalise
from mtlbench.errors import DataError
from mtlbench.tasks.base import Task
from mtlbench.training.artifact import Named, Problem, named_from, problem_from
from mtlbench.training.cache import StoredArtifact
from mtlbench.variants.base import Runnable, Variant

__all__ = ["OpenCell", "TestBatch", "make_tasks", "open_dataset"]


@dataclass(frozen=True)
class TestBatch:
    """Consecutive test samples that one call takes together."""

    samples: tuple[Sample, ...]

    @property
    def images(self) -> NDArray[np.uint8]:
        """uint8 [B, H, W, 3]."""
        return np.stack([sample.image for sample in self.samples])


class OpenCell:
    """A cell as its worker sees it.

    Args:
        job: `cell` is the cell's specification, `places` where its data is, `weights` the stored artifacts as
            (folder, hash) pairs, or None for untrained weights.
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        spec = job["cell"]
        self.seed: int = spec["seed"]
        self.batch: int = spec["hardware"]["batch"]
        self.device: str = spec["hardware"]["device"]
        self.inputs: int = spec["inputs"]
        self.point: Mapping[str, Any] = spec["point"]
        self.problem: Problem = problem_from(spec["problem"])
        self.dataset = open_dataset(named_from(spec["dataset"]), job["places"])
        self.tasks = make_tasks(self.problem)
        self._variant = named_from(spec["variant"])
        self._weights: list[list[str]] | None = job["weights"]

    def runnable(self) -> tuple[Variant, Runnable]:
        """The variant, built and configured at this cell's point on its device."""
        variant = variants.registry.get(self._variant.name)(self.problem, **self._variant.options)
        stored = self._weights
        states = None
        if stored is not None:
            states = [StoredArtifact("", Path(folder), digest).load() for folder, digest in stored]
        variant.build(self.point, self.seed, states)
        return variant, variant.configure(self.point, device=self.device)

    def normaliser(self) -> Callable[[NDArray[np.uint8]], Tensor]:
        """uint8 images [B, H, W, 3] to network input on this cell's device."""
        return normaliser(self.problem, self.device)

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


def make_tasks(problem: Problem) -> dict[str, Task]:
    """The problem's tasks by name."""
    return {spec.name: tasks.registry.get(spec.name)(**spec.options) for spec in problem.tasks}


def normaliser(problem: Problem, device: str = "cpu") -> Callable[[NDArray[np.uint8]], Tensor]:
    """What turns uint8 images [B, H, W, 3] into the input of the problem's encoder."""
    encoder = encoders.registry.get(problem.encoder.name)
    convert = partial(normalise, mean=encoder.mean, std=encoder.std)
    return lambda images: convert(images).to(device)
