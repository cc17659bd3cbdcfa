"""Thresholds of blocks for densities of differences, solved on validation images."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlbench.errors import UsageError
from mtlbench.variants.sharing.element_network import DENSITIES, ElementBranch
from mtlbench.variants.sharing.element_walk import THRESHOLDED, SideBySide

__all__ = ["calibrate_elements", "element_levels"]

_ROUNDS = 3
_DROPPED_BITS = 14
"""Bits of a float's mantissa that bins of magnitudes do not tell apart: they are 0.2 % wide."""


@torch.inference_mode()
def calibrate_elements(
    side_by_side: SideBySide,
    branch: ElementBranch,
    validation: Callable[[], Iterator[Tensor]],
    rounds: int = _ROUNDS,
) -> None:
    """Fill a branch's `levels`: for each density and block the threshold that this share of differences reaches.

    The differences are those of the outputs that are thresholded, all together. What a threshold leaves of them changes
    those behind it, so from the highest density down, thresholds are solved again under those that were found.

    Args:
        side_by_side: the base task's encoder and that of one sub-task, in evaluation mode.
        branch: the sub-task's.
        validation: gives batches of normalised images [B, 3, H, W].
        rounds: how often thresholds are solved again.
    """
    blocks = branch.levels.shape[1]
    found = _measured(side_by_side, [0.0] * blocks, validation)
    for row, density in reversed(list(enumerate(DENSITIES))):
        levels = found.levels(density)
        for _ in range(rounds):
            found = _measured(side_by_side, levels, validation)
            levels = found.levels(density)
        branch.levels[row] = torch.tensor(levels)


def element_levels(branch: ElementBranch, name: str, density: float) -> list[float]:
    """Thresholds of a branch's blocks at a density.

    Args:
        branch: of the sub-task.
        name: the sub-task's, for the message.
        density: share of differences that is to stay.

    Raises:
        UsageError: it was not calibrated.
    """
    if branch.levels.is_meta:  # only shapes are asked for
        return [0.0] * branch.levels.shape[1]
    table = branch.levels.double().cpu().numpy()
    if np.isnan(table).any():
        raise UsageError(f"the branch of {name} was never calibrated", fix="Train it again with --fresh")
    densities = (*DENSITIES, 1.0)
    return [float(np.interp(density, densities, [*column, 0.0])) for column in table.T]


def _measured(
    side_by_side: SideBySide, levels: Sequence[float], validation: Callable[[], Iterator[Tensor]]
) -> _Magnitudes:
    found = _Magnitudes(levels)
    for images in validation():
        side_by_side(images, found)
    return found


class _Magnitudes:
    """Thresholds outputs, and counts how large their differences were before.

    Args:
        levels: threshold of each block.
    """

    names: Collection[str] = THRESHOLDED

    def __init__(self, levels: Sequence[float]) -> None:
        self._levels = levels
        self._counts = [torch.zeros(1 << (31 - _DROPPED_BITS), dtype=torch.long) for _ in levels]

    def __call__(self, task: str, block: int, name: str, output: Tensor, of_base: Tensor) -> Tensor:
        """See `Change`."""
        magnitude = (output - of_base).abs()
        # positive floats are in the order of their bits, so these are bins whose width is a share of their place
        bins = magnitude.float().cpu().view(torch.int32).flatten() >> _DROPPED_BITS
        self._counts[block] += torch.bincount(bins, minlength=len(self._counts[block]))
        return torch.where(magnitude < self._levels[block], of_base, output)

    def levels(self, density: float) -> list[float]:
        """By block, the threshold that at most this share of differences reaches; not a number without any image."""
        return [_edge(reaching, density) if reaching[0] else math.nan for reaching in self._reaching]

    @cached_property
    def _reaching(self) -> list[NDArray[np.int64]]:
        """By block, how many differences reach each bin."""
        return [counts.numpy()[::-1].cumsum()[::-1] for counts in self._counts]


def _edge(reaching: NDArray[np.int64], density: float) -> float:
    """The lower edge of the first bin that at most this share reaches."""
    first = np.count_nonzero(reaching > density * reaching[0])
    return float(np.array([first << _DROPPED_BITS], np.int32).view(np.float32)[0])
