"""What every encoding of labels shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from mtlbench.component import Options
from mtlbench.data.folder.files import read_stored
from mtlbench.data.folder.fitting import Scaling, scale_nearest
from mtlbench.tasks.base import Task

__all__ = ["Complaint", "Encoding", "described"]

Complaint = tuple[str, str | None]
"""What is wrong, and what to do about it: sentences without a full stop."""


class Encoding(Options, ABC):
    """What `dataset.yaml` says about the labels of one task.

    Attributes:
        folder: where they lie, relative to `dataset.yaml`.
        encoding: which of `ENCODINGS` this is.
    """

    name: ClassVar[str]

    folder: str
    encoding: str | None = None

    def complaints(self, task: Task) -> list[Complaint]:
        """What of this makes no sense for the task."""
        return []

    def read(self, file: Path, task: Task) -> NDArray[Any]:
        """A label of the task at the size it is stored in: [H, W, ...] in the task's layout.

        Raises:
            DataError: the file is missing, corrupt or not what this encoding expects.
        """
        return self._decoded(read_stored(file), file, task)

    def scaling(self, task: Task) -> Scaling:
        """How the task's labels are scaled."""
        return scale_nearest

    @abstractmethod
    def _decoded(self, stored: NDArray[Any], file: Path, task: Task) -> NDArray[Any]: ...


def described(stored: NDArray[Any]) -> str:
    """Type and shape, for messages."""
    return f"{stored.dtype} {list(stored.shape)}"
