"""The contract of a dataset: numbered samples in named splits, with the labels that each of them carries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mtlbench.component import Component
from mtlbench.registry import Registry

__all__ = ["Dataset", "Sample", "registry"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its labels.

    Args:
        id: stable name of the sample, unique in its dataset.
        image: uint8 [H, W, 3], sRGB.
        labels: by task, in the layout of `mtlbench.tasks.base`; a task that the sample does not label is left out.
        attributes: numbers known about the sample (`complexity`, `frame`, `clip`), for analyses by difficulty.
    """

    id: str
    image: NDArray[np.uint8]
    labels: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, float] = field(default_factory=dict)


class Dataset(Component, ABC):
    """A dataset at one image size. Reading is deterministic, and safe in several processes.

    The options of every dataset hold `size: [height, width]`, the size in pixels of every sample that it yields.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(self, **options: Any) -> None:
        self.options = self.Options.model_validate(options)

    @classmethod
    @abstractmethod
    def tasks(cls, options: dict[str, Any]) -> Mapping[str, dict[str, Any]]:
        """The tasks that this dataset labels, in a fixed order, each with the options of its `Task`.

        Needs no data on disk, so that a suite can be planned on another machine.

        Args:
            options: as `resolve` gave them, without places.
        """

    def labelled(self) -> Mapping[str, dict[str, Any]]:
        """`tasks` of this dataset."""
        return self.tasks(self.options.model_dump(mode="json"))

    def clips(self, split: str) -> list[range]:
        """Indices of `split` that are consecutive frames of one video, in order; a still image is a clip of one."""
        return [range(index, index + 1) for index in range(self.length(split))]

    @abstractmethod
    def length(self, split: str) -> int:
        """Number of samples in `split`."""

    @abstractmethod
    def sample(self, split: str, index: int) -> Sample:
        """Sample `index` of `split`.

        Raises:
            DataError: a file is missing or corrupt; the error names it.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of all that fixes the samples: equal fingerprints, equal bytes. Part of every cell's identity.

        Raises:
            DataError: the data is not there; the error says where it was looked for and how to get it.
        """


registry: Registry[type[Dataset]] = Registry("dataset", "mtlbench.datasets")
