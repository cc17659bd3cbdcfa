"""The Pareto front of a setting as a whole: delta-m against MACs, by its hypervolume.

Many cells may each lose less than passes and the front be worse for it; a cell may also lose much and nobody miss it,
because another one is better. So the front is judged beside its cells, as those see it who choose from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtlbench.compare.families import LEVEL, Family
from mtlbench.compare.quality import verdict_of_gain
from mtlbench.compare.verdict import Finding, Tier, Verdict
from mtlbench.results.comparisons import DELTA_M_BASELINE
from mtlbench.stats.changes import Drawn
from mtlbench.stats.pareto import hypervolume_2d, pareto_front
from mtlbench.suite.gate import Gate

__all__ = ["front_findings"]

FRONT_PERCENT = 2.0
METRIC = "hypervolume"
_RESAMPLES = 1000
_MARGIN = 0.1
_LEAST_POINTS = 1.0
_LOWEST = 0.001

Pair = NDArray[np.float64]


@dataclass(frozen=True)
class _Point:
    """One cell of a front.

    Attributes:
        family: the cell over its seeds.
        macs: of base and of head.
        delta_m: of base and of head, [2, 1 + resamples].
    """

    family: Family
    macs: tuple[float, float]
    delta_m: Pair


def front_findings(every: Sequence[Family], gate: Gate) -> Iterator[Finding]:
    """One finding for each setting of which both runs know delta-m and MACs of two cells or more.

    Args:
        every: all cells of both runs, over their seeds.
        gate: thresholds.
    """
    settings: dict[tuple[object, ...], list[_Point]] = {}
    for family in every:
        point = _point(family, family.baselines(every))
        if point is not None:
            settings.setdefault(_setting(family), []).append(point)
    for points in settings.values():
        if len(points) > 1:
            yield _judge(points, gate)


def _setting(family: Family) -> tuple[object, ...]:
    """What the cells of one front share."""
    entry = family.pairs[0].head.entry
    seeds = tuple(pair.head.entry["spec"]["seed"] for pair in family.pairs)
    return (_name(family), entry["encoder"], seeds, family.pairs[0].machines, family.n_images)


def _name(family: Family) -> str:
    group: str = family.pairs[0].head.entry["group"]
    return group.rpartition("/")[0]


def _point(family: Family, baselines: Family | None) -> _Point | None:
    macs = family.macs
    if not family.is_trained or macs is None or family.statistics is None:
        return None
    if family.pairs[0].head.entry["spec"]["variant"]["name"] == DELTA_M_BASELINE:
        return _Point(family, macs, np.zeros((2, 1 + _RESAMPLES)))
    if baselines is None or not family.shares_images(baselines):
        return None
    draws = family.draws(baselines, n_resamples=_RESAMPLES)
    sides = [draws.over_seeds(side).values for side in family.delta_m(baselines, draws)]
    return _Point(family, macs, np.stack(sides))


def _judge(points: Sequence[_Point], gate: Gate) -> Finding:
    label = _name(points[0].family)
    allowed = gate.passes(label, "", METRIC, FRONT_PERCENT)
    macs = np.array([point.macs for point in points]).T
    delta_m = np.stack([point.delta_m for point in points], axis=1)
    found = Finding(
        label,
        METRIC,
        Tier.FRONT,
        Verdict.INCONCLUSIVE,
        "",
        threshold_percent=allowed,
        n=points[0].family.n_images,
    )
    if not np.isfinite(delta_m[:, :, 0]).all():
        return replace(found, sentence="A delta-m of it is undefined, so the front has no hypervolume.")
    base, head = _volumes(macs, delta_m)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = Drawn(100 * (head / base - 1), LEVEL)
    found = replace(
        found,
        base=float(base[0] / 1e6),
        head=float(head[0] / 1e6),
        unit="MMACs x points",
        change_percent=change.value,
        interval_percent=change.interval,
        p=change.p_worse(allowed),
    )
    judged = verdict_of_gain(found, "The front, in % of its hypervolume,")
    moved = _moved(points, macs, delta_m[:, :, 0])
    return replace(judged, sentence=f"{judged.sentence} {moved}".rstrip())


def _volumes(macs: Pair, delta_m: NDArray[np.float64]) -> Pair:
    """Hypervolume of base and head in every resample, [2, 1 + resamples], from one reference point.

    It lies a tenth of the range, and at least a point, below and beyond the fronts of both runs wherever their delta-m
    may be, so that their ends count too; cells that others beat have no say in it.
    """
    sides = list(zip(macs, delta_m, strict=True))
    fronts = [pareto_front(cost, quality[:, 0]) for cost, quality in sides]
    costs = np.concatenate([cost[front] for (cost, _), front in zip(sides, fronts, strict=True)])
    lows = [
        np.nanquantile(quality[front], _LOWEST) for (_, quality), front in zip(sides, fronts, strict=True)
    ]
    best = max(float(quality[:, 0].max()) for _, quality in sides)
    dearest = float(costs.max() + _MARGIN * np.ptp(costs) + 1)
    worst = float(min(lows) - max(_MARGIN * (best - min(lows)), _LEAST_POINTS))
    return np.array(
        [
            [hypervolume_2d(cost, quality, dearest, worst) for quality in side.T]
            for cost, side in zip(macs, delta_m, strict=True)
        ]
    )


def _moved(points: Sequence[_Point], macs: Pair, delta_m: Pair) -> str:
    """Which cells left the front, and which are new on it."""
    was, now = (pareto_front(cost, quality) for cost, quality in zip(macs, delta_m, strict=True))
    names = np.array([point.family.label for point in points])
    lost, gained = names[was & ~now], names[now & ~was]
    said = [f"Lost from it: {', '.join(lost)}."] if len(lost) else []
    return " ".join([*said, *([f"New on it: {', '.join(gained)}."] if len(gained) else [])])
