"""Binary maps judged at 256 thresholds of probability, by histogram and cumulative sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import DataError
from mtlbench.tasks._pooled import IGNORE, mean_defined, ratio, void_rows

__all__ = ["HALF", "LEVELS", "best_level", "binary_iou", "levels", "max_f", "threshold_rows"]

LEVELS = 256
HALF = LEVELS // 2


def threshold_rows(logits: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float64]:
    """Counts at the thresholds t = k / 256, k = 0 to 255: a pixel is predicted positive where sigmoid >= t.

    Args:
        logits: [B, H, W].
        label: [B, H, W] with 0 = negative, 1 = positive, 255 = ignore.

    Returns:
        Pixel counts [B, 514]: true positives at each threshold, predicted positives at each threshold,
        positives, valid pixels.

    Raises:
        DataError: a label is none of 0, 1 and 255.
    """
    images = len(label)
    valid = label != IGNORE
    if not np.isin(label, (0, 1, IGNORE)).all():
        raise DataError("a binary label holds other values than 0, 1 and 255", fix="Binarise the label")
    undefined = np.isnan(logits)
    level = levels(np.where(undefined, 0.0, logits))
    image = np.arange(images)[:, None, None]
    cell = (image * 2 + label) * LEVELS + level
    counts = np.bincount(cell[valid], minlength=images * 2 * LEVELS).reshape(images, 2, LEVELS)
    at_least = counts[:, :, ::-1].cumsum(axis=2)[:, :, ::-1].astype(np.float64)
    true, predicted = at_least[:, 1], at_least.sum(axis=1)
    # at threshold 0 every valid pixel is predicted positive
    rows = np.concatenate([true, predicted, true[:, :1], predicted[:, :1]], axis=1)
    return void_rows(rows, undefined & valid)


def binary_iou(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of foreground and background IoU at probability 0.5, of pooled counts [..., 514].

    A class with neither label nor prediction pixels is left out of the mean.
    """
    true, predicted, positives, valid = _split(sums)
    hits, claimed = true[..., HALF], predicted[..., HALF]
    either = positives + claimed - hits
    foreground = ratio(hits, either)
    background = ratio(valid - either, valid - hits)
    return mean_defined(np.stack([foreground, background], axis=-1))


def max_f(sums: NDArray[np.float64], beta2: float) -> NDArray[np.float64]:
    """F = (1 + beta2) P R / (beta2 P + R) at the threshold that is best for the whole pooled set [..., 514].

    P and R are the precision and recall of all pixels together, not means over images. NaN where the set has
    no positive pixel, because recall is then undefined.
    """
    return np.where(sums[..., -2] > 0, _f(sums, beta2).max(axis=-1), np.nan)


def best_level(sums: NDArray[np.float64], beta2: float) -> int:
    """The k of `max_f`'s threshold k / 256 for one pooled set [514], the lowest of equals; 128 where it has no F."""
    return int(_f(sums, beta2).argmax()) if sums[-2] > 0 else HALF


def _f(sums: NDArray[np.float64], beta2: float) -> NDArray[np.float64]:
    """F at each threshold, [..., 256]."""
    true, predicted, positives, _ = _split(sums)
    return ratio((1 + beta2) * true, beta2 * positives[..., None] + predicted)


def levels(logits: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """floor(256 * sigmoid), written so that it cannot overflow and that 0.5 splits exactly at logit 0.

    A pixel is predicted positive at threshold k / 256 where its level is at least k.
    """
    centred = np.floor(HALF * np.tanh(logits.astype(np.float64) / 2))
    clipped: NDArray[np.int64] = np.clip(centred.astype(np.int64) + HALF, 0, LEVELS - 1)
    return clipped


def _split(
    sums: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    return sums[..., :LEVELS], sums[..., LEVELS : 2 * LEVELS], sums[..., -2], sums[..., -1]
