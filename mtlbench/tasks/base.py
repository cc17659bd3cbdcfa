"""The contract of a task: what is predicted, how it is learned, how it is judged.

Layouts (B images of H x W pixels; C = `channels`):

- a prediction is the raw head output, float32 [B, C, H, W];
- a label is stored and batched in one layout, the task's own: class maps, saliency and edge are uint8 [B, H, W]
  with 255 = ignore; depth is float32 [B, H, W] in metres with 0 = missing; normals are float32 [B, H, W, 3], unit
  vectors in the camera frame (x right, y down, z into the scene), with the zero vector = missing.

A label that a sample lacks is `empty_label`, all ignored, so no code has a special case for it.

Metrics come from *sufficient statistics*: one float64 row of fixed length per image, whose sum over any set of images
is all that the metrics of that set need. A paired bootstrap is then one matrix product, and no number depends on
the batch size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mtlbench.component import Component
from mtlbench.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Direction", "Task", "registry"]

Direction = Literal["higher", "lower"]


class Task(Component, ABC):
    """One task. Options (such as the class names) come from the dataset, see `Dataset.tasks`.

    Class attributes:
        primary: the metric that enters delta-m.
        directions: for each metric, whether higher or lower is better.
        loss_weight: the default weight of the task's loss in multi-task training.
        initial_output: what an untrained head should predict everywhere, so that training need not first find the
            scale of the labels (metres are far from zero).
        worst: what an error of 1 means, for the legend of error maps.
    """

    primary: ClassVar[str]
    directions: ClassVar[Mapping[str, Direction]]
    loss_weight: ClassVar[float] = 1.0
    initial_output: ClassVar[float] = 0.0
    worst: ClassVar[str] = "wrong"

    def __init__(self, **options: Any) -> None:
        self.options = self.Options.model_validate(options)

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels that a head must produce."""

    @abstractmethod
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Mean loss over valid pixels, a scalar; zero (with a gradient) where no pixel is valid."""

    @abstractmethod
    def statistics(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float64]:
        """Sufficient statistics, one row per image: [B, S]. Sums of rows are meaningful, means are not."""

    @abstractmethod
    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Metrics of pooled statistics.

        Args:
            sums: [..., S], each row a sum over some set of images.

        Returns:
            For each name in `directions`, an array of shape [...]; NaN where nothing was valid.
        """

    @abstractmethod
    def decode(self, prediction: NDArray[np.float32]) -> NDArray[Any]:
        """A prediction [C, H, W] in the layout of a single label (for pictures)."""

    @abstractmethod
    def render(self, label: NDArray[Any]) -> NDArray[np.uint8]:
        """A single label as an RGB picture, uint8 [H, W, 3]; ignored pixels are grey."""

    @abstractmethod
    def errors(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float32]:
        """How wrong a prediction [C, H, W] is at each pixel: float32 [H, W] in [0, 1], NaN where the label is ignored.

        0 is right; 1 is as wrong as the task's pictures tell apart. For pictures alone: no metric reads it.
        """

    def for_pictures(self, labels: Sequence[NDArray[Any]], sums: NDArray[np.float64]) -> Self:
        """This task as it draws the pictures of one set of images, so that they can be compared with each other.

        `decode`, `render` and `legend` of the result may depend on the set (one colour scale for all of it, the
        threshold that is best for it); nothing that is measured may.

        Args:
            labels: the labels of some of the images, each [H, W, ...]; may be empty.
            sums: the set's pooled statistics, [S].
        """
        return self

    def legend(self) -> tuple[tuple[str, str], ...]:
        """What the colours of `render` mean: (name, `#rrggbb`) pairs; empty where they explain themselves."""
        return ()

    @abstractmethod
    def empty_label(self, height: int, width: int) -> NDArray[Any]:
        """A label of which every pixel is ignored."""

    def flip(self, label: NDArray[Any]) -> NDArray[Any]:
        """The label [H, W, ...] of the image mirrored left to right."""
        return np.ascontiguousarray(label[:, ::-1])


registry: Registry[type[Task]] = Registry("task", "mtlbench.tasks")
