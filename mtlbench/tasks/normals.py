"""Surface normals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mtlbench.tasks._pooled import check_shapes, ratio, void_rows
from mtlbench.tasks.base import Direction, Task
from mtlbench.tasks.colours import hex_colour, normals_picture

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Normals"]

WITHIN_DEG = {"within_11_25": 11.25, "within_22_5": 22.5, "within_30": 30.0}


class Normals(Task):
    """Surface normals.

    Labels are float32 [B, H, W, 3], x right, y down, z into the scene; zero or non-finite = missing.

    Predictions [B, 3, H, W] are L2-normalised before they are used. Angles come from atan2(|p x n|, p . n),
    which is exact near 0 where acos loses half the digits, and no length matters to it. A predicted zero
    vector points nowhere and counts as 90 degrees off. Metrics pool pixels: `mean_angle_deg`, `rmse_deg` (the
    code inherited by AdaMTL returns the mean under that name), and the fractions of pixels that are less than
    11.25, 22.5 and 30 degrees off.

    Statistics, S = 6: sum of angles (degrees), sum of squared angles, counts within the three limits, valid
    pixels. Loss weight 10 as in the code of Vandenhende et al., TPAMI 2021, and of AdaMTL.
    """

    name = "normals"
    primary = "mean_angle_deg"
    directions: ClassVar[Mapping[str, Direction]] = {
        "mean_angle_deg": "lower",
        "rmse_deg": "lower",
        "within_11_25": "higher",
        "within_22_5": "higher",
        "within_30": "higher",
    }
    loss_weight = 10.0
    worst = "90° off or more"

    @property
    def channels(self) -> int:
        """x, y and z."""
        return 3

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        """L1 between unit vectors, mean over valid scalars (three per valid pixel of the batch)."""
        from mtlbench.tasks.losses import unit_vector_l1

        return unit_vector_l1(prediction, label)

    def statistics(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float64]:
        """Angle sums and counts, [B, 6]."""
        check_shapes(prediction, label, 3)
        valid = _valid(label)
        broken = valid & ~np.isfinite(prediction).all(axis=1)
        usable = (valid & ~broken)[..., None]
        guess, truth = np.where(usable, np.moveaxis(prediction, 1, -1), 0), np.where(usable, label, 0)
        angle = _angles_deg(guess, truth)
        terms = [angle, angle**2, *(angle < limit for limit in WITHIN_DEG.values()), valid]
        rows = np.stack([np.where(valid, term, 0.0).sum(axis=(1, 2)) for term in terms], axis=1)
        return void_rows(rows, broken)

    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Degrees and fractions of pooled statistics [..., 6]."""
        means = ratio(sums[..., :-1], sums[..., -1:])
        within = {name: means[..., 2 + i] for i, name in enumerate(WITHIN_DEG)}
        return {"mean_angle_deg": means[..., 0], "rmse_deg": np.sqrt(means[..., 1]), **within}

    def decode(self, prediction: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors float32 [H, W, 3]; zero where the prediction is zero."""
        vectors = np.moveaxis(prediction, 0, -1).astype(np.float64)
        length = np.linalg.norm(vectors, axis=-1, keepdims=True)
        units = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
        return np.asarray(units, dtype=np.float32)

    def render(self, label: NDArray[Any]) -> NDArray[np.uint8]:
        """Red = right, green = up, blue = towards the viewer: a wall that faces the camera is light blue."""
        return normals_picture(label)

    def legend(self) -> tuple[tuple[str, str], ...]:
        """Four directions; all others lie between their colours."""
        towards = {
            "right": (1, 0, 0),
            "left": (-1, 0, 0),
            "up": (0, -1, 0),
            "down": (0, 1, 0),
            "at you": (0, 0, -1),
        }
        colours = self.render(np.array([list(towards.values())], dtype=np.float32))[0]
        return tuple(
            (f"faces {name}", hex_colour(colour)) for name, colour in zip(towards, colours, strict=True)
        )

    def errors(self, prediction: NDArray[np.float32], label: NDArray[Any]) -> NDArray[np.float32]:
        """The angle between prediction and label over 90 degrees, at most 1; 1 where the prediction is undefined."""
        check_shapes(prediction[None], label[None], 3)
        valid, broken = _valid(label), ~np.isfinite(prediction).all(axis=0)
        usable = (valid & ~broken)[..., None]
        angle = _angles_deg(np.where(usable, np.moveaxis(prediction, 0, -1), 0), np.where(usable, label, 0))
        share = np.where(broken, 1.0, np.minimum(angle / 90, 1.0))
        return np.where(valid, share, np.nan).astype(np.float32)

    def empty_label(self, height: int, width: int) -> NDArray[np.float32]:
        """All zero vectors."""
        return np.zeros((height, width, 3), dtype=np.float32)

    def flip(self, label: NDArray[Any]) -> NDArray[Any]:
        """Mirrored left to right, which also turns the x of every vector round."""
        return np.ascontiguousarray(label[:, ::-1] * np.array([-1, 1, 1], dtype=label.dtype))


def _valid(label: NDArray[Any]) -> NDArray[np.bool_]:
    """Where there is a vector: [..., H, W] of labels [..., H, W, 3]."""
    valid: NDArray[np.bool_] = np.isfinite(label).all(axis=-1) & (label != 0).any(axis=-1)
    return valid


def _angles_deg(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Angles between vectors [..., 3] of any length; 90 where either is zero."""
    ax, ay, az = np.moveaxis(a.astype(np.float64), -1, 0)
    bx, by, bz = np.moveaxis(b.astype(np.float64), -1, 0)
    cross = np.sqrt((ay * bz - az * by) ** 2 + (az * bx - ax * bz) ** 2 + (ax * by - ay * bx) ** 2)
    dot = ax * bx + ay * by + az * bz
    return np.where((cross == 0) & (dot == 0), 90.0, np.degrees(np.arctan2(cross, dot)))
