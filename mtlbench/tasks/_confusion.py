"""Confusion matrices of class maps: counted per image, pooled by summing, judged once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import DataError
from mtlbench.tasks._pooled import IGNORE, mean_defined, ratio, void_rows

__all__ = ["class_metrics", "confusion_rows"]


def confusion_rows(prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float64]:
    """One confusion matrix per image, flattened.

    Args:
        prediction: logits [B, K, H, W]; the class is the argmax.
        label: classes [B, H, W], 255 = ignore.

    Returns:
        Pixel counts [B, K * K]; entry `i * K + j` counts pixels labelled i and predicted j.

    Raises:
        DataError: a label is neither a class nor 255.
    """
    images, classes = prediction.shape[:2]
    valid = label != IGNORE
    _check_classes(label[valid], classes)
    chosen = prediction.argmax(axis=1)
    image = np.arange(images)[:, None, None]
    cell = (image * classes + label) * classes + chosen
    counts = np.bincount(cell[valid], minlength=images * classes**2)
    rows = counts.reshape(images, classes**2).astype(np.float64)
    # argmax picks a NaN wherever there is one, so only the winners need a look
    winner = np.take_along_axis(prediction, chosen[:, None], axis=1)[:, 0]
    return void_rows(rows, np.isnan(winner) & valid)


def class_metrics(sums: NDArray[np.float64], classes: int) -> dict[str, NDArray[np.float64]]:
    """`miou` and `pixel_accuracy`, fractions, of pooled confusion matrices [..., K * K].

    A class with neither label nor prediction pixels in the pooled set is left out of the mean; one that is
    predicted but never labelled counts 0. (The code released with AdaMTL scores an absent class 0.)
    """
    matrix = sums.reshape(*sums.shape[:-1], classes, classes)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    union = matrix.sum(axis=-1) + matrix.sum(axis=-2) - hits
    return {
        "miou": mean_defined(ratio(hits, union)),
        "pixel_accuracy": ratio(hits.sum(axis=-1), matrix.sum(axis=(-2, -1))),
    }


def _check_classes(labels: NDArray[Any], classes: int) -> None:
    if labels.size and (labels.max() >= classes or labels.min() < 0):
        raise DataError(
            f"a label holds class {labels.max()}, but the task has {classes} classes",
            fix=f"Labels are 0 to {classes - 1}, or {IGNORE} for ignored pixels",
        )
