"""Fitting a picture and its label maps into one size, and boundaries of a part map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Placement", "part_boundaries"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies after it was scaled, keeping its aspect, to fit centred into a frame.

    Args:
        frame: (height, width) of the result in pixels.
        scaled: (height, width) of the picture inside it.
        corner: (top, left) of the picture inside it.
    """

    frame: tuple[int, int]
    scaled: tuple[int, int]
    corner: tuple[int, int]

    @classmethod
    def fit(cls, source: tuple[int, int], frame: tuple[int, int]) -> Placement:
        """The largest placement of a picture of (height, width) `source` in `frame`; both in pixels."""
        scale = min(frame[0] / source[0], frame[1] / source[1])
        height, width = (
            min(frame[i], max(1, round(source[i] * scale))) for i in (0, 1)
        )  # rounding must not leave the frame or nothing of a very flat picture
        return cls(frame, (height, width), ((frame[0] - height) // 2, (frame[1] - width) // 2))

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture uint8 [H, W, 3] in its frame, antialiased.

        The margin repeats the picture's border: a margin of one colour would put a contour beside labelled
        pixels that no label names.
        """
        height, width = self.scaled
        picture = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        return np.pad(np.asarray(picture), (*self._margins(), (0, 0)), mode="edge")

    def scale_labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A class map uint8 [H, W] at the size of the picture, without the margin, by nearest neighbour."""
        height, width = self.scaled
        return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))

    def pad_labels(self, labels: NDArray[Any], fill: int) -> NDArray[Any]:
        """A map [scaled height, scaled width] in its frame, the margin filled with `fill`."""
        return np.pad(labels, self._margins(), constant_values=fill)

    def _margins(self) -> tuple[tuple[int, int], tuple[int, int]]:
        top, left = self.corner
        height, width = self.scaled
        return (top, self.frame[0] - height - top), (left, self.frame[1] - width - left)


def part_boundaries(parts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels with a 4-neighbour of a lower class: 1 on a boundary, 0 elsewhere, uint8 [H, W] as `parts`.

    Marking one side of each change keeps boundaries one pixel thin; choosing the side by class and not by
    direction makes them the same for the mirrored picture. With background as class 0 the outline lies on the
    object.
    """
    edge = np.zeros(parts.shape, bool)
    down = parts[1:] > parts[:-1]
    up = parts[:-1] > parts[1:]
    right = parts[:, 1:] > parts[:, :-1]
    left = parts[:, :-1] > parts[:, 1:]
    edge[1:] |= down
    edge[:-1] |= up
    edge[:, 1:] |= right
    edge[:, :-1] |= left
    return edge.astype(np.uint8)
