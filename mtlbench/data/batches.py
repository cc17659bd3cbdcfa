"""From a dataset to batches: a split held in memory, augmentation, and normalised images.

Splits are small at the sizes that mtlbench trains at: an image of 192 x 128 with four class maps takes
172 kB, a thousand of them 172 MB. So a split is read once and kept as uint8 and float32 arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mtlbench.component import Options
from mtlbench.data.base import Dataset, Sample
from mtlbench.errors import DataError, UnknownNameError, UsageError, did_you_mean
from mtlbench.tasks.base import Task

__all__ = [
    "Augmentation",
    "Batch",
    "LoadedSplit",
    "epoch_batches",
    "eval_batches",
    "load_split",
    "normalise",
]


@dataclass(frozen=True, slots=True)
class LoadedSplit:
    """A split in memory.

    Args:
        ids: of the N samples, in the order of the dataset.
        images: uint8 [N, H, W, 3], sRGB.
        labels: by task [N, H, W, ...] in the layout of `mtlbench.tasks.base`; where a sample has no label,
            the task's empty one.
        attributes: by name, float64 [N]; NaN where a sample lacks it.
    """

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Memory held by images and labels, in bytes."""
        return self.images.nbytes + sum(label.nbytes for label in self.labels.values())


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples of a split, ready for training.

    Args:
        indices: int64 [B], where they stand in the split.
        images: uint8 [B, H, W, 3], for `normalise`.
        labels: by task, tensors [B, H, W, ...] in the stored layout and type.
    """

    indices: NDArray[np.int64]
    images: NDArray[np.uint8]
    labels: Mapping[str, torch.Tensor]


class Augmentation(Options):
    """Random changes of a training sample. Each leaves the meaning of every label intact (ours).

    Scaling is absent on purpose: a zoomed picture asks for other depths, and nearest-neighbour scaling tears
    edges apart.
    """

    flip: float = Field(0.5, ge=0, le=1, description="probability of mirroring an image and its labels")
    shift: float = Field(
        0.0, ge=0, le=0.5, description="largest shift, as a share of the image side; what moves in is ignored"
    )
    jitter: float = Field(
        0.0, ge=0, lt=1, description="largest relative change of brightness and of contrast"
    )


def load_split(
    dataset: Dataset, split: str, tasks: Mapping[str, Task], limit: int | None = None
) -> LoadedSplit:
    """Read a split, or its first `limit` samples, into memory.

    Raises:
        UnknownNameError: the dataset has no such split, or does not label one of the tasks.
        DataError: a file is missing or corrupt, or a sample breaks the layouts of the contract.
    """
    _require(split, dataset.splits, f"split of dataset {dataset.name!r}")
    offered = dataset.labelled()
    for name in tasks:
        _require(name, offered, f"task of dataset {dataset.name!r}")
    count = dataset.length(split) if limit is None else min(limit, dataset.length(split))
    height, width = dataset.options.model_dump(mode="json")["size"]

    ids: list[str] = []
    attributes: list[Mapping[str, float]] = []
    images = np.empty((count, height, width, 3), np.uint8)
    empty = {name: task.empty_label(height, width) for name, task in tasks.items()}
    labels = {name: np.empty((count, *label.shape), label.dtype) for name, label in empty.items()}
    for i in range(count):
        sample = dataset.sample(split, i)
        ids.append(sample.id)
        attributes.append(sample.attributes)
        images[i] = _checked(sample, "image", sample.image, images[i])
        for name, stored in labels.items():
            stored[i] = _checked(sample, name, sample.labels.get(name, empty[name]), stored[i])
    return LoadedSplit(tuple(ids), images, labels, _columns(attributes))


def normalise(images: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Images as a network takes them: (x / 255 - mean) / std.

    Args:
        images: uint8 [B, H, W, 3].
        mean: of each RGB channel of an image in [0, 1].
        std: likewise.

    Returns:
        float32 [B, 3, H, W], contiguous.
    """
    planar = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    scale = torch.tensor([1 / (255 * s) for s in std]).view(3, 1, 1)
    offset = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]).view(3, 1, 1)
    return planar.to(torch.float32).mul_(scale).add_(offset)


def eval_batches(
    split: LoadedSplit, batch_size: int
) -> Iterator[tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]]:
    """All samples once, in order and unchanged; the last batch may be smaller.

    Yields:
        Images uint8 [B, H, W, 3] and labels by task [B, H, W, ...] as `Task.statistics` takes them: views of
        the split.
    """
    for start in range(0, len(split), batch_size):
        part = slice(start, start + batch_size)
        yield split.images[part], {name: label[part] for name, label in split.labels.items()}


def epoch_batches(
    split: LoadedSplit,
    batch_size: int,
    tasks: Mapping[str, Task],
    seed: int,
    epoch: int,
    augment: Augmentation,
) -> Iterator[Batch]:
    """One training epoch: shuffled, augmented, every batch full; the remainder sits out this epoch.

    All randomness comes from (seed, epoch), and the order does not depend on the augmentation.

    Raises:
        UsageError: the split is smaller than one batch.
    """
    if len(split) < batch_size:
        raise UsageError(
            f"a batch of {batch_size} images is larger than the training split of {len(split)}",
            fix="Lower the batch size, or train on more images",
        )
    order_seed, augment_seed = np.random.SeedSequence([seed, epoch]).spawn(2)
    order = np.random.default_rng(order_seed).permutation(len(split))
    rng = np.random.default_rng(augment_seed)
    chunks = (order[i : i + batch_size] for i in range(0, len(order) - batch_size + 1, batch_size))
    return (_augmented(split, chunk, tasks, rng, augment) for chunk in chunks)


def _augmented(
    split: LoadedSplit,
    indices: NDArray[np.int64],
    tasks: Mapping[str, Task],
    rng: np.random.Generator,
    augment: Augmentation,
) -> Batch:
    height, width = split.images.shape[1:3]
    changes = [_Change.draw(rng, augment, height, width) for _ in indices]
    images = split.images[indices]
    for i, change in enumerate(changes):
        images[i] = change.image(images[i])
    labels = {}
    for name, task in tasks.items():
        stored = split.labels[name][indices]
        empty = task.empty_label(height, width)
        for i, change in enumerate(changes):
            stored[i] = change.label(stored[i], task, empty)
        labels[name] = torch.from_numpy(stored)
    return Batch(indices, images, labels)


@dataclass(frozen=True, slots=True)
class _Change:
    """What happens to one training sample: first the mirror, then the shift, then the light."""

    flip: bool
    down: int
    right: int
    brightness: float
    contrast: float

    @classmethod
    def draw(cls, rng: np.random.Generator, augment: Augmentation, height: int, width: int) -> _Change:
        # Always five numbers, so that one setting does not change what another draws.
        flip, down, right, brightness, contrast = rng.random(5)
        reach_y, reach_x = int(augment.shift * height), int(augment.shift * width)
        return cls(
            flip=flip < augment.flip,
            down=int(down * (2 * reach_y + 1)) - reach_y,
            right=int(right * (2 * reach_x + 1)) - reach_x,
            brightness=1 + augment.jitter * (2 * brightness - 1),
            contrast=1 + augment.jitter * (2 * contrast - 1),
        )

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The changed image [H, W, 3]; what moves in repeats the border."""
        if self.flip:
            image = image[:, ::-1]
        if self.down or self.right:
            rows = (np.arange(image.shape[0]) - self.down).clip(0, image.shape[0] - 1)
            columns = (np.arange(image.shape[1]) - self.right).clip(0, image.shape[1] - 1)
            image = image.take(rows, axis=0).take(columns, axis=1)
        if self.brightness != 1 or self.contrast != 1:
            image = _relight(image, self.brightness, self.contrast)
        return image

    def label(self, label: NDArray[Any], task: Task, empty: NDArray[Any]) -> NDArray[Any]:
        """The changed label [H, W, ...]; what moves in is ignored."""
        if self.flip:
            label = task.flip(label)
        if self.down or self.right:
            to_y, from_y = _overlap(self.down, label.shape[0])
            to_x, from_x = _overlap(self.right, label.shape[1])
            moved = empty.copy()
            moved[to_y, to_x] = label[from_y, from_x]
            label = moved
        return label


def _overlap(by: int, side: int) -> tuple[slice, slice]:
    """Where pixels of an axis of length `side` land when moved `by`, and where they come from."""
    return slice(max(by, 0), side + min(by, 0)), slice(max(-by, 0), side + min(-by, 0))


def _relight(image: NDArray[np.uint8], brightness: float, contrast: float) -> NDArray[np.uint8]:
    """Brightness times `brightness`, then distance from the image's mean times `contrast`."""
    values = brightness * np.arange(256)
    mean = brightness * image.mean()
    table = np.rint(mean + contrast * (values - mean)).clip(0, 255).astype(np.uint8)
    relit: NDArray[np.uint8] = table.take(image)
    return relit


def _require(name: str, known: Iterable[str], kind: str) -> None:
    if name not in set(known):
        raise UnknownNameError(f"unknown {kind}: {name!r}", fix=did_you_mean(name, known))


def _checked(sample: Sample, what: str, value: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """`value`, if its shape and type are those of `like`."""
    if value.shape != like.shape or value.dtype != like.dtype:
        raise DataError(
            f"{what} is {value.dtype} {value.shape}, not {like.dtype} {like.shape}",
            where=f"sample {sample.id}",
            fix="Correct the dataset: all its samples have one size and the layouts of its tasks",
        )
    return value


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, NDArray[np.float64]]:
    """Attributes by name, NaN where a row lacks one."""
    names = sorted({name for row in rows for name in row})
    return {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}
