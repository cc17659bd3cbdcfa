"""A few predictions beside their labels, kept for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.base import Sample
from mtlbench.tasks.base import Task

__all__ = ["Pictures"]

_COUNT = 4


class Pictures:
    """The first test samples as RGB pictures.

    Args:
        tasks: by name.
        wanted: False for untrained networks, whose predictions mean nothing.
    """

    def __init__(self, tasks: Mapping[str, Task], wanted: bool) -> None:
        self._tasks = tasks
        self._left = _COUNT if wanted else 0
        self._arrays: dict[str, Any] = {}

    def add(self, samples: Sequence[Sample], predictions: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep what is still wanted of one batch; predictions are [B, C, H, W] by task."""
        for i, sample in enumerate(samples[: self._left]):
            k = _COUNT - self._left
            self._arrays |= {f"id.{k}": np.array(sample.id), f"image.{k}": sample.image}
            for name, task in self._tasks.items():
                label = sample.labels.get(name)
                self._arrays[f"prediction.{name}.{k}"] = task.render(task.decode(predictions[name][i]))
                if label is not None:
                    self._arrays[f"label.{name}.{k}"] = task.render(label)
            self._left -= 1

    def write(self, path: Path) -> None:
        """One compressed NumPy archive; none where there is nothing to show."""
        if self._arrays:
            partial = path.with_suffix(".partial.npz")
            np.savez_compressed(partial, **self._arrays)
            partial.replace(path)
