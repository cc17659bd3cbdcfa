"""Delta-m, the mean relative gain over single-task baselines (Maninis et al., CVPR 2019), with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlbench.errors import UsageError
from mtlbench.stats.bootstrap import (
    MetricsFn,
    expanded,
    image_weights,
    percentile_interval,
    resample_counts,
    with_plain,
)
from mtlbench.stats.quantiles import Interval

__all__ = ["Contribution", "DeltaM", "Direction", "TaskScore", "delta_m", "gain", "paired_delta_m"]

Direction = Literal["higher", "lower"]
SeedStats: TypeAlias = Mapping[str, NDArray[np.float64]]
TaskScore: TypeAlias = tuple[MetricsFn, str, Direction]

TINY = 1e-12


class Contribution(NamedTuple):
    """One task's signed relative gain in percent; delta-m is the mean of these. None where undefined."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class DeltaM:
    """Delta-m in percent, above zero where the model beats its baselines.

    Args:
        value: mean over seeds of delta-m; None where undefined, then `reason` says why.
        interval: over seeds and images together; over images alone with one seed. None with fewer than two
            images, or where the value is undefined.
        n_seeds: seeds that had every task on both sides.
        n_images: images that all of them share.
        reason: one sentence; None where there is a value.
        per_task: each task's contribution.
    """

    value: float | None
    interval: Interval | None
    n_seeds: int
    n_images: int
    reason: str | None = None
    per_task: Mapping[str, Contribution] = field(default_factory=dict)


def delta_m(
    values: Mapping[str, ArrayLike], baselines: Mapping[str, ArrayLike], directions: Mapping[str, Direction]
) -> NDArray[np.float64]:
    """Delta-m in percent = 100 / T * sum_i (-1)^(l_i) (M_i - S_i) / S_i, with l_i = 1 where lower is better.

    Args:
        values: M, the primary metric of each task; arrays of one common shape, or numbers.
        baselines: S, the same of the single-task networks.
        directions: whether higher or lower is better, per task; its keys are the tasks.

    Returns:
        Percent, of the common shape; NaN where a value is NaN or a baseline is zero.

    Raises:
        UsageError: the three do not name the same tasks, or name none.
    """
    if not directions or not set(values) == set(baselines) == set(directions):
        raise UsageError(
            f"delta-m needs the same tasks on both sides, got {sorted(values)}, {sorted(baselines)} "
            f"and directions for {sorted(directions)}",
            fix="Give each task a value, a baseline and a direction",
        )
    gains = [gain(values[task], baselines[task], direction) for task, direction in directions.items()]
    total: NDArray[np.float64] = np.mean(np.stack(np.broadcast_arrays(*gains)), axis=0)
    return total


def paired_delta_m(
    model: Sequence[SeedStats | None],
    baseline: Sequence[SeedStats | None],
    tasks: Mapping[str, TaskScore],
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> DeltaM:
    """Delta-m with its interval from a paired bootstrap over images and seeds.

    Each resample draws images and seeds with replacement: the same images for model and baseline and for
    every task, because they share them, and model and baseline of a seed together. Seeds are few, and their
    plain percentile interval is far too narrow (where they vary more than images, three seeds at 95 % cover
    75 %), so the seeds' part is expanded by sqrt(n / (n - 1)) and the ratio of the t to the normal quantile
    (Hesterberg, The American Statistician 2015, expanded percentile interval). Two seeds are very wide so.

    Args:
        model: per seed, by task, sufficient statistics [N, S], row n being image n. A missing seed is None; a
            seed that lacks a task on either side is left out.
        baseline: the same of the single-task networks; entry k is the same seed as entry k of `model`.
        tasks: by task, the function from pooled statistics to metrics, its primary metric, and its direction.
        n_resamples: number of resamples.
        seed: of the resampling.
        level: confidence of the intervals, between 0 and 1.

    Returns:
        A `DeltaM`; where it is undefined (no complete seed, images that differ, a metric that is undefined,
        or a baseline whose interval over images includes zero) its value is None and its reason says why.
    """
    pairs = [
        (ours, theirs)
        for ours, theirs in zip(model, baseline, strict=False)
        if ours is not None and theirs is not None and tasks.keys() <= ours.keys() & theirs.keys()
    ]
    counts = {len(side[task]) for pair in pairs for side in pair for task in tasks}
    reason = _unpaired(len(pairs), counts)
    if reason is not None:
        return DeltaM(None, None, len(pairs), 0, reason)
    n_images = counts.pop()
    weights = with_plain(image_weights(n_images, n_resamples, seed))
    rng = np.random.default_rng((seed, 1))  # independent of the draw of images
    shares = with_plain(expanded(resample_counts(len(pairs), n_resamples, rng), level)) / len(pairs)

    gains, reasons = {}, []
    for task, (metrics_fn, primary, direction) in tasks.items():
        scores = [[metrics_fn(weights @ side[task])[primary] for side in pair] for pair in pairs]
        ours, theirs = np.moveaxis(np.array(scores), 1, 0)
        reason = _undefined(task, primary, ours, theirs, level)
        if reason is not None:
            reasons.append(reason)
        drawn = (shares.T * gain(ours, theirs, direction)).sum(axis=0)
        gains[task] = np.full_like(drawn, np.nan) if reason else drawn
    per_task = {task: _contribution(drawn, n_images, level) for task, drawn in gains.items()}
    value, interval = _contribution(np.mean(list(gains.values()), axis=0), n_images, level)
    return DeltaM(value, interval, len(pairs), n_images, " ".join(reasons) or None, per_task)


def gain(value: ArrayLike, baseline: ArrayLike, direction: Direction) -> NDArray[np.float64]:
    """Signed relative gain in percent, NaN where the baseline is zero."""
    sign = -1.0 if direction == "lower" else 1.0
    ours, theirs = np.asarray(value, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    found = np.full(np.broadcast_shapes(ours.shape, theirs.shape), np.nan)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, as it should be
        np.divide(100 * sign * (ours - theirs), theirs, out=found, where=theirs != 0)
    return found


def _contribution(drawn: NDArray[np.float64], n_images: int, level: float) -> Contribution:
    if np.isnan(drawn[0]):
        return Contribution(None, None)
    return Contribution(float(drawn[0]), percentile_interval(drawn[1:], level) if n_images > 1 else None)


def _unpaired(n_pairs: int, counts: set[int]) -> str | None:
    if n_pairs == 0:
        return "No seed has every task on both sides."
    if not counts:
        return "No task was named."
    if len(counts) > 1:
        return f"The images differ: {' and '.join(map(str, sorted(counts)))} of them were evaluated."
    return "No image was evaluated." if counts == {0} else None


def _undefined(
    task: str, primary: str, ours: NDArray[np.float64], theirs: NDArray[np.float64], level: float
) -> str | None:
    """Why there is no gain on this task, from scores [seeds, 1 + n_resamples]; None where there is one."""
    for side, scores in (("model", ours), ("baseline", theirs)):
        if not np.isfinite(scores[:, 0]).all():
            return f"{primary} of {task} is undefined for the {side}."
    for estimate, *resampled in theirs:
        interval = percentile_interval(np.array(resampled), level)
        if abs(estimate) < TINY or interval is None or interval.low <= 0 <= interval.high:
            return f"The baseline's {primary} of {task} is not clearly away from zero."
    return None
