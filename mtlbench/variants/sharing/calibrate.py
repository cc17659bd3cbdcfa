"""Thresholds for densities: measured once on validation images, looked up at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mtlbench.encoders.blocks import Layer
from mtlbench.errors import UsageError
from mtlbench.variants.sharing.choose import Ranked
from mtlbench.variants.sharing.network import DENSITIES, SharingNetwork, flat_layers
from mtlbench.variants.sharing.walk import Walk

__all__ = ["calibrate", "levels_for"]


@torch.inference_mode()
def calibrate(network: SharingNetwork, validation: Callable[[], Iterator[Tensor]], *, carried: bool) -> None:
    """Fill every branch's `levels`: for each density and block the threshold that this share of places is above.

    A block's differences depend on what the blocks before it left out, so each density has its own pass, in which
    every image computes as many places as that density says.

    Args:
        network: in evaluation mode.
        validation: gives batches of normalised images [B, 3, H, W].
        carried: see the option `below`.
    """
    own = flat_layers(network.encoder)[network.shared_blocks :]
    for name in network.branches:
        for row, density in enumerate(DENSITIES):
            rule = _Watched(own, density)
            walk = Walk(network, (name,), rule, carried=carried)
            for images in validation():
                walk(images)
            for i, seen in enumerate(rule.seen):
                level = float(np.quantile(torch.cat(seen).numpy(), 1 - density)) if seen else float("nan")
                network.branch(name).levels[row, i] = level


def levels_for(network: SharingNetwork, name: str, density: float) -> list[float]:
    """Thresholds of a branch's blocks at a density.

    Raises:
        UsageError: it was not calibrated.
    """
    table = network.branch(name).levels.double().cpu().numpy()
    if np.isnan(table).any():
        raise UsageError(
            f"the branch of {name} has no thresholds: it was trained without validation images",
            fix="Give the dataset a validation split and train again with --fresh, or use computation_sharing",
        )
    # at full density everything differs by more than nothing
    densities = (*DENSITIES, 1.0)
    return [float(np.interp(density, densities, (*column, 0.0))) for column in table.T]


class _Watched(Ranked):
    """Notes all differences; asks also where rounding leaves nothing to choose."""

    def __init__(self, layers: Sequence[Layer], density: float) -> None:
        super().__init__(layers, density)
        self.seen: list[list[Tensor]] = [[] for _ in layers]

    def asks(self, i: int) -> bool:
        """See `Rule`."""
        return True

    def places(self, i: int, task: str, differences: Tensor) -> Tensor:
        """See `Rule`."""
        self.seen[i].append(differences.flatten().cpu())
        return super().places(i, task, differences)
