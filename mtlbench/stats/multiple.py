"""Many tests at once: what is left of each when all are taken together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["holm"]


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjustment (Scandinavian Journal of Statistics 1979).

    Refusing every hypothesis whose adjusted value is at most alpha refuses a true one with at most alpha, however the
    tests depend on each other.

    Args:
        p: [n], each between 0 and 1.

    Returns:
        [n], in the same order, at most 1.

    Raises:
        ValueError: a value is not between 0 and 1.
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p must be a list of numbers between 0 and 1")
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted
