"""Labels beside points, placed so that they cover neither each other nor the marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

__all__ = ["Boxes", "place_labels"]

FONT_POINTS = 8.0
LETTER, LINE = 0.6, 1.2
"""Size of a letter in units of the font's."""
MARK_POINTS = 6.0
SPOTS = (
    (8, 5, "left"),
    (8, -11, "left"),
    (-8, 5, "right"),
    (-8, -11, "right"),
    (0, 10, "center"),
    (0, -17, "center"),
    (16, -3, "left"),
    (-16, -3, "right"),
)
"""Offsets in points, the preferred first."""
SHIFT = {"left": 0.0, "center": 0.5, "right": 1.0}

Boxes: TypeAlias = NDArray[np.float64]


def place_labels(axes: Axes, points: Boxes, labels: Sequence[str]) -> None:
    """Write each label at the spot around its point that covers least of marks and earlier labels.

    Greedy, in the order of the points. A label for which every spot is mostly taken is left out.

    Args:
        axes: with final limits, in a figure with a final layout.
        points: x and y, [n, 2]; every one is a mark to keep clear of.
        labels: n of them; an empty one is not written.
    """
    scale = 72 / axes.figure.dpi
    centres = axes.transData.transform(points) * scale
    taken = np.column_stack([centres - MARK_POINTS, centres + MARK_POINTS])
    frame = np.array([[*axes.bbox.min, *axes.bbox.max]]) * scale
    for point, centre, label in zip(points, centres, labels, strict=True):
        if not label:
            continue
        boxes = np.array([_box(centre, spot, label) for spot in SPOTS])
        area = (boxes[0, 2] - boxes[0, 0]) * (boxes[0, 3] - boxes[0, 1])
        outside = area - _shared(boxes, frame)[:, 0]
        covered = _shared(boxes, taken).sum(axis=1) + 2 * outside
        best = int(np.argmin(covered))
        if covered[best] > 0.5 * area:
            continue
        dx, dy, align = SPOTS[best]
        axes.annotate(
            label,
            (float(point[0]), float(point[1])),
            (dx, dy),
            textcoords="offset points",
            ha=align,
            va="baseline",
            fontsize=FONT_POINTS,
            zorder=5,
        )
        taken = np.vstack([taken, boxes[best]])


def _box(centre: NDArray[np.float64], spot: tuple[int, int, str], label: str) -> list[float]:
    """Left, bottom, right and top of a label at a spot, in points."""
    dx, dy, align = spot
    width = LETTER * FONT_POINTS * len(label)
    left, bottom = float(centre[0]) + dx - SHIFT[align] * width, float(centre[1]) + dy
    return [left, bottom, left + width, bottom + LINE * FONT_POINTS]


def _shared(boxes: Boxes, others: Boxes) -> Boxes:
    """The area that each of `boxes` [n, 4] shares with each of `others` [m, 4], [n, m]."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    area: Boxes = np.clip(high - low, 0, None).prod(axis=2)
    return area
