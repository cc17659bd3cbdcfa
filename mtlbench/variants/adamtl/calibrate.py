"""Thresholds for budgets: measured once on validation images, looked up at run time (ours)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mtlbench.cost.units import total_macs
from mtlbench.errors import UsageError
from mtlbench.variants.adamtl.decide import Threshold
from mtlbench.variants.adamtl.network import CALIBRATED, AdaptiveNetwork
from mtlbench.variants.adamtl.runnable import AdaptiveRunnable, budgets_of
from mtlbench.variants.adamtl.walk import Decisions

__all__ = ["calibrate", "smallest_budget", "threshold_for", "threshold_rule"]

_BELOW_ALL = -1.0
"""Under every score: -log(1 - p) is never negative."""


@torch.inference_mode()
def calibrate(network: AdaptiveNetwork, validation: Callable[[], Iterator[Tensor]]) -> None:
    """Fill the network's `calibration`: for all tasks and for each alone, MACs at thresholds from none to all.

    Args:
        network: in evaluation mode.
        validation: gives batches of normalised images [B, 3, H, W].
    """
    names = network.problem.task_names
    rows = []
    for asked in [names, *((name,) for name in names)]:
        scores = torch.cat([_scores(network, asked, images) for images in validation()])
        levels = np.quantile(scores.numpy(), np.linspace(0, 1, CALIBRATED))
        levels[0] = _BELOW_ALL
        rows.append([(level, _spent(network, asked, float(level), validation)) for level in levels])
    network.calibration.copy_(torch.tensor(rows))


def threshold_for(network: AdaptiveNetwork, names: Sequence[str], budget: float) -> float:
    """The threshold that spends a budget on average.

    Raises:
        UsageError: no threshold spends so little, or the network was not calibrated for these tasks.
    """
    levels, spent = _row(network, names)
    asked = _encoder_share(network, names, budget)
    if asked < spent[-1]:
        raise UsageError(
            f"a budget of {budget:g} cannot be met: keeping nothing takes {smallest_budget(network, names):.3f} of the "
            "reference's MACs",
            fix="Raise the budget, or let more be skipped (options `gates` and `scope`)",
        )
    return float(np.interp(asked, spent[::-1], levels[::-1]))


def smallest_budget(network: AdaptiveNetwork, names: Sequence[str]) -> float:
    """The least budget that a threshold can meet."""
    encoder, whole = _macs(network, names)
    return float((_row(network, names)[1][-1] * encoder + whole - encoder) / whole)


def threshold_rule(network: AdaptiveNetwork, threshold: float) -> Threshold:
    """Keep what scores above the threshold."""
    options = network.options
    return Threshold(
        network.blocks,
        threshold,
        blocks=options.gates != "tokens",
        tokens=options.gates != "blocks",
        pooled=options.scope == "block",
    )


def _row(network: AdaptiveNetwork, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds, rising, and the encoder's MACs at each, falling."""
    every = network.problem.task_names
    if tuple(names) == every:
        index = 0
    elif len(names) == 1:
        index = 1 + every.index(names[0])
    else:
        raise UsageError(
            f"thresholds are calibrated for all tasks and for each alone, not for {'+'.join(names)}",
            fix="Ask for all tasks or for one, or use the variant adamtl, whose budgets need no calibration",
        )
    found = network.calibration[index].double().cpu().numpy()
    if np.isnan(found).any():
        raise UsageError("this network was never calibrated", fix="Train it again with --fresh")
    return found[:, 0], np.minimum.accumulate(found[:, 1])


def _spent(
    network: AdaptiveNetwork,
    names: Sequence[str],
    threshold: float,
    validation: Callable[[], Iterator[Tensor]],
) -> float:
    """Mean MACs of encoder and policies, as a share of the encoder's."""
    encoder, whole = _macs(network, names)
    runnable = _runnable(network, names, threshold)
    units = runnable.units()
    macs = [total for images in validation() for total in runnable(images)[1].nominal_macs(units)]
    return (float(np.mean(macs)) - (whole - encoder)) / encoder


def _scores(network: AdaptiveNetwork, names: Sequence[str], images: Tensor) -> Tensor:
    """All scores of one batch where everything runs, flat."""
    rule = threshold_rule(network, _BELOW_ALL)
    _, trace = _runnable(network, names, _BELOW_ALL)(images)
    told: Decisions = trace.decisions
    found = [rule.score(logits) for logits in told.block_logits if logits is not None]
    for stage, of_stage in zip(network.blocks.layers_of, told.layers, strict=True):
        for layer, kept in zip(stage, of_stage, strict=True):
            if kept.logits is not None:
                found.append(rule.score(kept.logits, layer))
    return torch.cat([scores.flatten() for scores in found])


def _runnable(network: AdaptiveNetwork, names: Sequence[str], threshold: float) -> AdaptiveRunnable:
    budgets = budgets_of(network, names)
    return AdaptiveRunnable(network, names, budgets, budgets.full, threshold_rule(network, threshold))


def _macs(network: AdaptiveNetwork, names: Sequence[str]) -> tuple[int, int]:
    """MACs of the encoder, and of it with the heads."""
    return total_macs(network.encoder.units()), total_macs(network.units(names))


def _encoder_share(network: AdaptiveNetwork, names: Sequence[str], budget: float) -> float:
    encoder, whole = _macs(network, names)
    return (budget * whole - (whole - encoder)) / encoder
