"""Bringing an image and its labels from any size into one size, and scaling labels without inventing values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.geometry import Placement

__all__ = ["Fit", "Fitting", "Scaling", "scale_highest", "scale_mean", "scale_nearest", "scale_vote"]

Fit = Literal["letterbox", "crop", "stretch"]

Scaling = Callable[[NDArray[Any], tuple[int, int]], NDArray[Any]]
"""From a label [H, W, ...] and a (height, width) in pixels to the label of that size."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """Which part of a picture is used, and where it lies in the frame.

    Args:
        top: first row that is used.
        left: first column that is used.
        height: number of rows that are used.
        width: number of columns that are used.
        placement: where that part lies in the frame, once scaled.
    """

    top: int
    left: int
    height: int
    width: int
    placement: Placement

    @classmethod
    def of(cls, fit: Fit, source: tuple[int, int], frame: tuple[int, int]) -> Fitting:
        """How a picture of (height, width) `source` comes into `frame`; both in pixels.

        `letterbox` keeps all of it and its aspect, and leaves a margin; `crop` keeps the aspect and the largest
        centred part that fills the frame; `stretch` keeps all of it and changes the aspect.
        """
        if fit == "letterbox":
            return cls(0, 0, *source, Placement.fit(source, frame))
        height, width = source
        if fit == "crop":
            scale = max(frame[0] / source[0], frame[1] / source[1])
            height, width = (min(source[i], max(1, round(frame[i] / scale))) for i in (0, 1))
        corner = (source[0] - height) // 2, (source[1] - width) // 2
        return cls(*corner, height, width, Placement(frame, frame, (0, 0)))

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture uint8 [H, W, 3] in the frame, antialiased; a margin repeats the picture's border."""
        return self.placement.image(np.ascontiguousarray(self._used(image)))

    def label(self, label: NDArray[Any], scaling: Scaling, empty: NDArray[Any]) -> NDArray[Any]:
        """A label [H, W, ...] in the frame; `empty` [frame height, frame width, ...] shows in a margin."""
        top, left = self.placement.corner
        height, width = self.placement.scaled
        placed = empty.copy()
        placed[top : top + height, left : left + width] = scaling(self._used(label), (height, width))
        return placed

    def _used(self, array: NDArray[Any]) -> NDArray[Any]:
        return array[self.top : self.top + self.height, self.left : self.left + self.width]


def scale_nearest(label: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """The source pixel under the centre of each target pixel: no value is mixed with another."""
    rows, columns = ((2 * np.arange(n) + 1) * label.shape[i] // (2 * n) for i, n in enumerate(size))
    nearest: NDArray[Any] = label[rows[:, None], columns]
    return nearest


def scale_vote(label: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The most frequent value in the area under each target pixel, the lowest of several; ignored is a value too."""
    winner = np.zeros(size, np.uint8)
    most = np.zeros(size)
    for value in np.unique(label):
        votes = _area_sums(label == value, size)
        winner = np.where(votes > most, value, winner)
        most = np.maximum(votes, most)
    return winner


def scale_highest(label: NDArray[np.uint8], size: tuple[int, int], ignored: int) -> NDArray[np.uint8]:
    """The highest class in the area under each target pixel, `ignored` where there is none: thin lines stay whole."""
    highest = np.full(size, ignored, np.uint8)
    for value in np.unique(label[label != ignored]):
        highest[_area_sums(label == value, size) > 0] = value
    return highest


def scale_mean(vectors: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """The mean direction of the unit vectors [H, W, C] in the area under each target pixel.

    Zero vectors are missing and have no part in it; where all are, or where they cancel out, the mean is missing.
    """
    sums = np.stack([_area_sums(vectors[..., i], size) for i in range(vectors.shape[-1])], axis=-1)
    length = np.linalg.norm(sums, axis=-1, keepdims=True)
    # what is left of vectors that cancel out is rounding, of no direction
    units = np.divide(sums, length, out=np.zeros_like(sums), where=length > 1e-6)
    return np.asarray(units, np.float32)


def _area_sums(values: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float64]:
    """Sums [size] of `values` [H, W] over the source pixels that each target pixel touches."""
    total = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    total[1:, 1:] = values.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    (top, bottom), (left, right) = (_touched(values.shape[i], size[i]) for i in (0, 1))
    sums: NDArray[np.float64] = (
        total[bottom[:, None], right]
        - total[top[:, None], right]
        - total[bottom[:, None], left]
        + total[top[:, None], left]
    )
    return sums


def _touched(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First, and one past the last, of `source` pixels that each of `target` pixels touches on one axis."""
    index = np.arange(target, dtype=np.int64)
    return index * source // target, -(-(index + 1) * source // target)
