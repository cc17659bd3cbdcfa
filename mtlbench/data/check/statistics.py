"""Label histograms, and the statistics of images, gathered one sample at a time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.check.report import QUANTILES, ClassShares, ImageFacts, Numbers
from mtlbench.data.folder.class_map import class_count, class_names
from mtlbench.data.folder.files import Photo
from mtlbench.tasks.base import Task

__all__ = ["ClassTally", "ImageTally", "NumberTally", "is_class_map"]

_PIXELS_PER_LABEL = 500


def is_class_map(task: Task) -> bool:
    """Whether the labels of a task are classes (uint8 [H, W])."""
    layout = task.empty_label(2, 5)
    return layout.shape == (2, 5) and layout.dtype == np.uint8


class ClassTally:
    """Pixels and images of each class."""

    def __init__(self, task: Task) -> None:
        self._ignored = int(task.empty_label(1, 1)[0, 0])
        self._names = tuple(class_names(task)) or tuple(str(value) for value in range(class_count(task)))
        self._pixels = np.zeros(256, np.int64)
        self._images = np.zeros(256, np.int64)

    def add(self, label: NDArray[Any]) -> bool:
        """Count a label; False where all of it is ignored."""
        counts = np.bincount(label.ravel(), minlength=256)
        self._pixels += counts
        self._images += counts > 0
        return bool(counts.sum() > counts[self._ignored])

    def result(self) -> ClassShares:
        """The histogram."""
        known = self._pixels[: len(self._names)]
        total = self._pixels.sum()
        return ClassShares(
            self._names,
            tuple((known / max(1, known.sum())).tolist()),
            tuple(self._images[: len(self._names)].tolist()),
            float(self._pixels[self._ignored] / max(1, total)),
        )


class NumberTally:
    """Values of some pixels of each label, the extremes of all, and how many pixels lack a value."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._drawn: list[NDArray[Any]] = []
        self._extremes: list[NDArray[Any]] = []
        self._known = self._total = 0

    def add(self, label: NDArray[Any]) -> bool:
        """Count a label; False where no pixel has a value."""
        empty = self._task.empty_label(*label.shape[:2])
        values, blank = (array.reshape(*array.shape[:2], -1) for array in (label, empty))
        present = values[np.isfinite(values).all(axis=-1) & (values != blank).any(axis=-1)]
        self._known += len(present)
        self._total += values.shape[0] * values.shape[1]
        if not len(present):
            return False
        self._extremes += [present.min(axis=0), present.max(axis=0)]
        if len(present) > _PIXELS_PER_LABEL:
            # at random, because every n-th pixel can mean always the same columns
            present = present[np.random.default_rng(0).integers(len(present), size=_PIXELS_PER_LABEL)]
        self._drawn.append(present)
        return True

    def result(self) -> Numbers:
        """The quantiles."""
        missing = 1 - self._known / max(1, self._total)
        if not self._drawn:
            return Numbers((), missing)
        quantiles = np.quantile(np.concatenate(self._drawn), QUANTILES, axis=0).T.astype(float)
        quantiles[:, 0], quantiles[:, -1] = np.min(self._extremes, axis=0), np.max(self._extremes, axis=0)
        return Numbers(tuple(tuple(row) for row in quantiles.tolist()), missing)


class ImageTally:
    """Sizes, modes and colours of images."""

    def __init__(self) -> None:
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._modes: Counter[str] = Counter()
        self._turned = 0
        self._levels = np.zeros((3, 256), np.int64)

    def add(self, photo: Photo) -> None:
        """Count an image."""
        self._sizes[photo.size] += 1
        self._modes[photo.mode] += 1
        self._turned += photo.turned
        for channel in range(3):
            self._levels[channel] += np.bincount(photo.pixels[..., channel].ravel(), minlength=256)

    def result(self) -> ImageFacts:
        """What the images are like."""
        if not self._sizes:
            return ImageFacts()
        shares = self._levels / self._levels.sum(axis=1, keepdims=True)
        level = np.arange(256) / 255
        mean = shares @ level
        std = np.sqrt((shares * (level - mean[:, None]) ** 2).sum(axis=1))
        return ImageFacts(
            dict(self._sizes.most_common()),
            dict(self._modes.most_common()),
            self._turned,
            tuple(mean.tolist()),
            tuple(std.tolist()),
        )
