"""Boundary detection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mtlbench.tasks._binarymap import BinaryMapTask
from mtlbench.tasks._thresholds import best_level, max_f
from mtlbench.tasks.base import Direction

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Edge"]

POSITIVE_WEIGHT = 0.95


class Edge(BinaryMapTask):
    """Boundaries.

    `ods_pixel_f` is the pixel F (beta = 1) at the one of 256 thresholds that is best for the whole pooled
    set. Pixels match only themselves: there is no matching tolerance and no thinning, so it is far stricter
    than the odsF of BSDS (Martin et al., TPAMI 2004; the Matlab tool `seism`) and not comparable with it.

    Loss weight 50 as in the code of Vandenhende et al., TPAMI 2021, and of AdaMTL.
    """

    name = "edge"
    primary = "ods_pixel_f"
    directions: ClassVar[Mapping[str, Direction]] = {"ods_pixel_f": "higher"}
    loss_weight = 50.0

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        """BCE, positives weighted 0.95, negatives 0.05 (code of Vandenhende et al.); mean over pixels."""
        from mtlbench.tasks.losses import weighted_bce

        return weighted_bce(prediction, label, POSITIVE_WEIGHT)

    def for_pictures(self, labels: Sequence[NDArray[Any]], sums: NDArray[np.float64]) -> Self:
        """Drawn at the threshold of `ods_pixel_f`: at 0.5, the weighted loss makes every edge look fat."""
        drawn = copy(self)
        drawn.level = best_level(sums, beta2=1.0)
        return drawn

    def legend(self) -> tuple[tuple[str, str], ...]:
        """At which threshold edges are drawn."""
        return (("edge, at the network's best threshold", "#ffffff"),)

    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """`ods_pixel_f` of pooled statistics [..., 514]; NaN where the set has no edge pixel."""
        return {"ods_pixel_f": max_f(sums, beta2=1.0)}
