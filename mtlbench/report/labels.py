"""Labels beside points, placed so that they do not cover each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

__all__ = ["place_labels"]

FONT_POINTS = 8.0
MARKER_PIXELS = 8.0
SPOTS = (
    (9, 6, "left"),
    (9, -12, "left"),
    (-9, 6, "right"),
    (-9, -12, "right"),
    (0, 11, "center"),
    (0, -18, "center"),
)


def place_labels(axes: Axes, x: NDArray[Any], y: NDArray[Any], labels: list[str]) -> None:
    """Write each label at the spot around its point that covers the least of markers and earlier labels.

    Greedy, in the order of the points: figures have tens of points, not thousands. The figure must have been
    laid out (`Figure.draw_without_rendering`); empty labels are not drawn.
    """
    pixel = axes.figure.dpi / 72
    centres = axes.transData.transform(np.column_stack([x, y]))
    taken = [
        Bbox.from_bounds(cx - MARKER_PIXELS, cy - MARKER_PIXELS, 2 * MARKER_PIXELS, 2 * MARKER_PIXELS)
        for cx, cy in centres
    ]
    frame = axes.get_window_extent()
    for point, centre, label in zip(zip(x, y, strict=True), centres, labels, strict=True):
        if not label:
            continue
        size = (0.58 * FONT_POINTS * len(label) * pixel, 1.2 * FONT_POINTS * pixel)
        boxes = [_box(centre, spot, size, pixel) for spot in SPOTS]
        costs = [sum(_overlap(box, other) for other in taken) + _outside(box, frame) for box in boxes]
        best = int(np.argmin(costs))
        dx, dy, align = SPOTS[best]
        axes.annotate(
            label,
            point,
            (dx, dy),
            textcoords="offset points",
            ha=align,
            va="baseline",
            fontsize=FONT_POINTS,
            zorder=5,
        )
        taken.append(boxes[best])


def _box(
    centre: NDArray[np.float64], spot: tuple[int, int, str], size: tuple[float, float], pixel: float
) -> Bbox:
    dx, dy, align = spot
    left = centre[0] + dx * pixel - {"left": 0.0, "right": size[0], "center": size[0] / 2}[align]
    return Bbox.from_bounds(left, centre[1] + dy * pixel, *size)


def _overlap(first: Bbox, second: Bbox) -> float:
    shared = Bbox.intersection(first, second)
    return 0.0 if shared is None else float(shared.width * shared.height)


def _outside(box: Bbox, frame: Bbox) -> float:
    """The area of `box` that leaves the axes, doubly bad: it may be clipped."""
    return 2 * (float(box.width * box.height) - _overlap(box, frame))
