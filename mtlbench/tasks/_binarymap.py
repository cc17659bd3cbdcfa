"""What saliency and edges share: one logit per pixel, judged over thresholds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.tasks._pooled import IGNORE, check_shapes
from mtlbench.tasks._thresholds import HALF, LEVELS, levels, threshold_rows
from mtlbench.tasks.base import Task
from mtlbench.tasks.colours import binary_picture

__all__ = ["BinaryMapTask"]


class BinaryMapTask(Task):
    """A yes or no per pixel.

    Labels are uint8 [B, H, W] in {0, 1, 255 = ignore}; predictions are logits [B, 1, H, W].

    Statistics, S = 514, are pixel counts: true and predicted positives at the 256 thresholds k / 256 of the
    sigmoid probability, then positives and valid pixels.

    Pictures are drawn at the threshold `level` / 256: at 0.5, or at what `for_pictures` found.
    """

    worst = "sure of the wrong answer"
    level = HALF

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
        """1 where the probability is at least `level` / 256, else 0: uint8 [H, W]."""
        logits = np.where(np.isnan(prediction[0]), -np.inf, prediction[0])
        return (levels(logits) >= self.level).astype(np.uint8)

    def render(self, label: NDArray[Any]) -> NDArray[np.uint8]:
        """White on black."""
        return binary_picture(label)

    def errors(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float32]:
        """|p - y|, the probability given to the wrong answer; 1 where the prediction is undefined.

        Logits are shifted so that p is 0.5 at the threshold of the pictures: a pixel is drawn wrong above 0.5.
        """
        check_shapes(prediction[None], label[None], 1)
        middle = math.log(self.level / (LEVELS - self.level)) if self.level else -math.inf
        logits = prediction[0].astype(np.float64) - middle
        missed = np.abs(0.5 + 0.5 * np.tanh(logits / 2) - (label == 1))
        return np.where(label == IGNORE, np.nan, np.where(np.isnan(missed), 1, missed)).astype(np.float32)

    def empty_label(self, height: int, width: int) -> NDArray[np.uint8]:
        """All 255."""
        return np.full((height, width), IGNORE, dtype=np.uint8)
