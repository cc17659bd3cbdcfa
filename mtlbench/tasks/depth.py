"""Metric depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mtlbench.tasks._pooled import check_shapes, ratio, void_rows
from mtlbench.tasks.base import Direction, Task
from mtlbench.tasks.colours import depth_picture, hex_colour

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Depth"]

WORST_RELATIVE = 0.5


class Depth(Task):
    """Depth in metres. Labels are float32 [B, H, W]; what is not finite and above 0 is missing.

    Metrics pool pixels: `rmse_m` in metres, `abs_rel` the mean of |p - g| / g, and `delta1` the fraction of
    pixels with max(p / g, g / p) < 1.25 (Eigen et al., NeurIPS 2014); a prediction of 0 or less is never
    within.

    Pictures run from `limits_m[0]` to `limits_m[1]`, or over the range of each image where that is None.

    Statistics, S = 4: sum of squared errors (m^2), sum of relative errors, count within 1.25, valid pixels.
    Loss weight 1 as in the code of Vandenhende et al., TPAMI 2021.
    """

    name = "depth"
    primary = "rmse_m"
    directions: ClassVar[Mapping[str, Direction]] = {
        "rmse_m": "lower",
        "abs_rel": "lower",
        "delta1": "higher",
    }
    loss_weight = 1.0
    initial_output = 2.5  # metres, about the depth of a room
    worst = "50 % off or more"
    limits_m: tuple[float, float] | None = None

    @property
    def channels(self) -> int:
        """Metres."""
        return 1

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        """L1 in metres, mean over the valid pixels of the batch."""
        from mtlbench.tasks.losses import depth_l1

        return depth_l1(prediction, label)

    def statistics(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float64]:
        """Error sums and counts, [B, 4]."""
        check_shapes(prediction, label, 1)
        valid = np.isfinite(label) & (label > 0)
        broken = valid & ~np.isfinite(prediction[:, 0])
        truth = np.where(valid, label, 1).astype(np.float64)
        guess = np.where(valid & ~broken, prediction[:, 0], 1).astype(np.float64)
        error = guess - truth
        # for p > 0, max(p / g, g / p) < 1.25 says just this, and p <= 0 fails it
        within = (guess < 1.25 * truth) & (truth < 1.25 * guess)
        terms = [error**2, np.abs(error) / truth, within, valid]
        rows = np.stack([np.where(valid, term, 0.0).sum(axis=(1, 2)) for term in terms], axis=1)
        return void_rows(rows, broken)

    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Metres and fractions of pooled statistics [..., 4]."""
        means = ratio(sums[..., :-1], sums[..., -1:])
        return {"rmse_m": np.sqrt(means[..., 0]), "abs_rel": means[..., 1], "delta1": means[..., 2]}

    def decode(self, prediction: NDArray[np.float32]) -> NDArray[np.float32]:
        """Metres, float32 [H, W], as predicted: what is not above 0 will render as missing."""
        return np.array(prediction[0], dtype=np.float32)

    def render(self, label: NDArray[Any]) -> NDArray[np.uint8]:
        """Viridis, dark is near: over `limits_m`, or else the valid range of this very image."""
        return depth_picture(label, self.limits_m)

    def for_pictures(self, labels: Sequence[NDArray[Any]], sums: NDArray[np.float64]) -> Self:
        """One scale for all: the range of the labels without the outer 1 % at either end, where sensors err."""
        known = np.concatenate([label[np.isfinite(label) & (label > 0)] for label in labels] or [np.empty(0)])
        drawn = copy(self)
        if known.size:
            near, far = np.quantile(known, [0.01, 0.99])
            drawn.limits_m = (float(near), float(far))
        return drawn

    def legend(self) -> tuple[tuple[str, str], ...]:
        """Three depths on the scale; nothing where every image has its own."""
        if self.limits_m is None:
            return ()
        near, far = self.limits_m
        depths = (near, (near + far) / 2, far)
        colours = self.render(np.array([depths], dtype=np.float32))[0]
        return tuple((f"{d:.1f} m", hex_colour(colour)) for d, colour in zip(depths, colours, strict=True))

    def errors(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float32]:
        """|p - g| / g over 50 %, at most 1: good networks stay within a fifth, where a scale to 100 % shows nothing.

        1 where the prediction is undefined.
        """
        check_shapes(prediction[None], label[None], 1)
        valid = np.isfinite(label) & (label > 0)
        broken = ~np.isfinite(prediction[0])
        truth = np.where(valid, label, 1).astype(np.float64)
        relative = np.abs(np.where(broken, np.inf, prediction[0]).astype(np.float64) - truth) / truth
        return np.where(valid, np.minimum(relative / WORST_RELATIVE, 1.0), np.nan).astype(np.float32)

    def empty_label(self, height: int, width: int) -> NDArray[np.float32]:
        """All 0."""
        return np.zeros((height, width), dtype=np.float32)
