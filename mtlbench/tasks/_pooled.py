"""Arithmetic of pooled statistics, shared by all tasks: what is undefined is NaN, and stays visible."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import MtlbenchError

__all__ = ["IGNORE", "check_shapes", "mean_defined", "ratio", "void_rows"]

IGNORE = 255


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """`part / whole`, NaN where `whole` is zero."""
    quotient = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient


def mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is not NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1, dtype=np.float64))


def void_rows(rows: NDArray[np.float64], undefined: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Statistics [B, S] with NaN rows for images that have an undefined valid pixel ([B, ...] mask).

    A network that has diverged must not score: one NaN row makes every metric of its set NaN.
    """
    rows[undefined.reshape(len(rows), -1).any(axis=1)] = np.nan
    return rows


def check_shapes(prediction: NDArray[Any], label: NDArray[Any], channels: int) -> None:
    """Refuse a batch that numpy would broadcast into plausible nonsense.

    Raises:
        MtlbenchError: `prediction` is not [B, channels, H, W] for the [B, H, W, ...] of `label`.
    """
    expected = (len(label), channels, *label.shape[1:3])
    if prediction.shape != expected:
        raise MtlbenchError(
            f"a prediction of shape {prediction.shape} does not fit a label of shape {label.shape}",
            fix=f"The head must produce {expected}",
        )
