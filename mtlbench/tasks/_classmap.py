"""What semantic segmentation and human parts share: one class per pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mtlbench.component import Options
from mtlbench.tasks._confusion import class_metrics, confusion_rows
from mtlbench.tasks._pooled import IGNORE, check_shapes
from mtlbench.tasks.base import Direction, Task
from mtlbench.tasks.colours import class_palette, class_picture, hex_colour

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ClassMapOptions", "ClassMapTask"]


class ClassMapOptions(Options):
    """Options of a class map.

    Attributes:
        classes: names of the classes in the order of their labels; K of them, at most 255 because 255 =
            ignore.
    """

    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=2, max_length=IGNORE)]


class ClassMapTask(Task):
    """One of K classes per pixel.

    Labels are uint8 [B, H, W], 255 = ignore; predictions are logits [B, K, H, W].

    Statistics are the flattened confusion matrix, S = K * K (rows = label, columns = prediction). `miou` and
    `pixel_accuracy` are fractions of the pooled set. A class with neither label nor prediction pixels there
    is left out of `miou`; one that is predicted but never labelled counts 0.
    """

    Options = ClassMapOptions
    options: ClassMapOptions
    primary = "miou"
    directions: ClassVar[Mapping[str, Direction]] = {"miou": "higher", "pixel_accuracy": "higher"}
    worst = "wrong class"

    @property
    def channels(self) -> int:
        """K, the number of classes."""
        return len(self.options.classes)

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Cross entropy in nats, mean over the valid pixels of the batch."""
        from mtlbench.tasks.losses import cross_entropy

        return cross_entropy(prediction, label)

    def statistics(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float64]:
        """Confusion matrices [B, K * K] in pixels.

        Raises:
            DataError: a label is neither a class nor 255.
        """
        check_shapes(prediction, label, self.channels)
        return confusion_rows(prediction, label)

    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """`miou` and `pixel_accuracy` of pooled statistics, see the class for absent classes."""
        return class_metrics(sums, self.channels)

    def decode(self, prediction: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The most likely class of each pixel, uint8 [H, W]."""
        return np.asarray(prediction.argmax(axis=0), dtype=np.uint8)

    def render(self, label: NDArray[Any]) -> NDArray[np.uint8]:
        """Each class in its own colour, the same at every call."""
        return class_picture(label, self.channels)

    def legend(self) -> tuple[tuple[str, str], ...]:
        """Every class with its colour."""
        colours = class_palette(self.channels)
        return tuple((name, hex_colour(colours[k])) for k, name in enumerate(self.options.classes))

    def errors(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float32]:
        """1 where the most likely class is wrong, else 0, so that the mean is 1 - `pixel_accuracy`.

        Not the probability missing from the true class: the metrics see only which class is the likeliest.
        """
        check_shapes(prediction[None], label[None], self.channels)
        wrong = (prediction.argmax(axis=0) != label) | np.isnan(prediction).any(axis=0)
        return np.where(label == IGNORE, np.nan, wrong).astype(np.float32)

    def empty_label(self, height: int, width: int) -> NDArray[np.uint8]:
        """All 255."""
        return np.full((height, width), IGNORE, dtype=np.uint8)
