"""What saliency and edges share: one logit per pixel, judged over thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.tasks._pooled import IGNORE, check_shapes
from mtlbench.tasks._thresholds import threshold_rows
from mtlbench.tasks.base import Task
from mtlbench.tasks.colours import binary_picture

__all__ = ["BinaryMapTask"]


class BinaryMapTask(Task):
    """A yes or no per pixel.

    Labels are uint8 [B, H, W] in {0, 1, 255 = ignore}; predictions are logits [B, 1, H, W].

    Statistics, S = 514, are pixel counts: true and predicted positives at the 256 thresholds k / 256 of the
    sigmoid probability, then positives and valid pixels.
    """

    @property
    def channels(self) -> int:
        """One logit."""
        return 1

    def statistics(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float64]:
        """Threshold counts [B, 514] in pixels.

        Raises:
            DataError: a label is none of 0, 1 and 255.
        """
        check_shapes(prediction, label, 1)
        return threshold_rows(prediction[:, 0], label)

    def decode(self, prediction: NDArray[np.float32]) -> NDArray[np.uint8]:
        """1 where the probability is at least 0.5, else 0: uint8 [H, W]."""
        return np.where(prediction[0] >= 0, 1, 0).astype(np.uint8)

    def render(self, label: NDArray[Any]) -> NDArray[np.uint8]:
        """White on black."""
        return binary_picture(label)

    def empty_label(self, height: int, width: int) -> NDArray[np.uint8]:
        """All 255."""
        return np.full((height, width), IGNORE, dtype=np.uint8)
