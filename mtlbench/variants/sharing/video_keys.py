"""When a frame of a stream is a key frame, and up to which block sub-tasks take from the base task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.variants.sharing.video_state import Frame, Splits, Stream

__all__ = ["PICTURE", "Keys", "Timing", "best_split", "change", "picture_of"]

PICTURE = (3, 8, 8)
"""Shape of the picture in which cuts are looked for: so coarse that a moving camera changes it little."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What is shared between frames.

    Args:
        interval: a key frame every so many frames.
        density: share of places that are computed where the rest is taken from the frame before.
        cut: change of the picture above which a key frame follows by itself, see `change`.
        split: blocks, from the first on, in which sub-tasks take from the base task; None to measure it.
    """

    interval: int
    density: float
    cut: float
    split: int | None


class Keys:
    """What each frame of a stream is.

    Args:
        interval: a key frame every so many frames.
        cut: see `Timing`.
        split: of every shot; None where it is measured.
        unmeasured: of frames before it is.
    """

    def __init__(self, interval: int, cut: float, split: Splits | None, unmeasured: Splits) -> None:
        self.interval, self.split, self.unmeasured = interval, split, unmeasured
        self._cut = cut

    def begin(self, x: Tensor, stream: Stream, planned: Frame | None) -> Frame:
        """What a frame is, by its place in the stream and by what it shows; the stream goes on to it.

        Args:
            x: the frame, [1, 3, H, W].
            stream: of the frame before; changed.
            planned: what to decide whatever is seen. Of a forced frame its place in the stream decides.
        """
        if self.interval == 1:
            return Frame(0)
        picture, before = picture_of(x), stream.picture
        cut = before is not None and change(before, picture) > self._cut
        forced = planned is not None and planned.forced
        if planned is not None:
            cut = planned.cut
        if before is None or cut:
            stream.split = self.split
        age = 0 if before is None or cut else (stream.age + 1) % self.interval
        if planned is not None:
            age = age if forced else planned.age
            stream.split = planned.split if forced else stream.split
        stream.picture, stream.age = picture, age
        if age == 0:
            stream.runs.clear()
            return Frame(0, cut)
        known = stream.split if planned is None else planned.split
        return Frame(age, split=self.unmeasured if known is None else known)


def picture_of(x: Tensor) -> Tensor:
    """Normalised images [B, 3, H, W] as `PICTURE`, [B, 3, 8, 8]."""
    return F.adaptive_avg_pool2d(x, PICTURE[1:])


def change(before: Tensor, now: Tensor) -> float:
    """How far two pictures differ, as a share of the contrast of the one that has more; unrelated ones by about 1.2.

    Frames of `scenes` that follow each other, and those of 7-Scenes two apart, differ by 0.3 at most; the frames before
    and behind 79 cuts from room to room by at least 0.77. The patch embedding tells them less well apart (0.66, 0.94),
    because fine texture changes with every motion, and depends on the weights.
    """
    moved = torch.linalg.vector_norm(now - before)
    contrasts = [torch.linalg.vector_norm(p - p.mean(dim=(2, 3), keepdim=True)) for p in (before, now)]
    return float(moved / torch.maximum(*contrasts))


def best_split(farther: Sequence[float]) -> int:
    """In how many blocks, from the first on, to take from the base task, so that the sum of differences is the least.

    Args:
        farther: by block, the difference from the base task less that from the frame before.
    """
    sums = list(accumulate(farther, initial=0.0))
    return sums.index(min(sums))
