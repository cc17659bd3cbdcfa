"""Saliency: which pixels draw the eye."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from mtlbench.tasks._binarymap import BinaryMapTask
from mtlbench.tasks._thresholds import binary_iou, max_f
from mtlbench.tasks.base import Direction

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Saliency"]


class Saliency(BinaryMapTask):
    """Salient foreground.

    `miou` is the mean of foreground and background IoU at probability 0.5. `max_f` is F with beta^2 = 0.3
    (Achanta et al., CVPR 2009) from pooled precision and recall, at the best of 256 thresholds. Both pool
    pixels over the set. The code released with AdaMTL instead averages the foreground IoU, precision and
    recall over images at 15 thresholds and takes the best: its numbers are not comparable with these.

    Loss weight 5 as in the code of Vandenhende et al., TPAMI 2021, and of AdaMTL.
    """

    name = "saliency"
    primary = "miou"
    directions: ClassVar[Mapping[str, Direction]] = {"miou": "higher", "max_f": "higher"}
    loss_weight = 5.0

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Class-balanced BCE (HED: Xie and Tu, ICCV 2015, eq. 2), balanced over the whole *batch*."""
        from mtlbench.tasks.losses import batch_balanced_bce

        return batch_balanced_bce(prediction, label)

    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """`miou`, and `max_f` (NaN where the set has no salient pixel), of pooled statistics [..., 514]."""
        return {"miou": binary_iou(sums), "max_f": max_f(sums, beta2=0.3)}
