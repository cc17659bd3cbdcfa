"""Validation during training, and which epoch is the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlbench.data.batches import LoadedSplit, eval_batches
from mtlbench.tasks.base import Task

__all__ = ["primary_values", "score", "validate"]

Predict = Callable[[Tensor], Mapping[str, Tensor]]


def validate(
    predict: Predict,
    split: LoadedSplit,
    tasks: Mapping[str, Task],
    batch: int,
    normalise: Callable[..., Tensor],
) -> dict[str, dict[str, float]]:
    """Pooled metrics of every task over a split: by task, by metric."""
    sums: dict[str, NDArray[np.float64]] = {}
    for images, labels in eval_batches(split, batch):
        with torch.inference_mode():
            predictions = predict(normalise(images))
        for name, task in tasks.items():
            rows = task.statistics(predictions[name].numpy(), labels[name])
            sums[name] = sums.get(name, np.zeros(rows.shape[1])) + rows.sum(axis=0)
    return {
        name: {metric: float(value) for metric, value in task.metrics(sums[name]).items()}
        for name, task in tasks.items()
    }


def primary_values(metrics: Mapping[str, Mapping[str, float]], tasks: Mapping[str, Task]) -> dict[str, float]:
    """The primary metric of each task."""
    return {name: metrics[name][task.primary] for name, task in tasks.items()}


def score(values: Mapping[str, float], first: Mapping[str, float], tasks: Mapping[str, Task]) -> float:
    """How good an epoch is, higher is better.

    The mean over tasks of the signed change against the first validated epoch, as a share of the larger of the two
    values (ours). So no task dominates by its unit, nor by having started at nothing; for one task it orders epochs
    exactly as its primary metric does. A task that the validation split cannot judge has no say; a metric that was
    defined and is no more makes the epoch the worst.
    """
    changes = []
    for name, task in tasks.items():
        before, now = first[name], values[name]
        if not math.isfinite(before):
            continue
        if not math.isfinite(now):
            return -math.inf
        sign = 1.0 if task.directions[task.primary] == "higher" else -1.0
        scale = max(abs(before), abs(now))
        changes.append(sign * (now - before) / scale if scale > 0 else 0.0)
    return sum(changes) / len(changes) if changes else 0.0
