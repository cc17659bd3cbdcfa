"""Cells over their seeds, with the statistics of both runs laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mtlbench.compare.exact import aligned
from mtlbench.compare.match import Match
from mtlbench.hashing import canonical_json
from mtlbench.results.comparisons import DELTA_M_BASELINE
from mtlbench.stats.changes import PairedDraws
from mtlbench.stats.delta_m import TaskScore

__all__ = ["LEVEL", "Family", "families"]

LEVEL = 0.98
"""Of the intervals of quality: each side misses with 1 %."""

Scores = NDArray[np.float64]
Stats = dict[str, Scores]


@dataclass(frozen=True)
class Family:
    """One cell over all seeds that both runs have of it, on one machine each.

    Attributes:
        pairs: in order of seeds.
    """

    pairs: tuple[Match, ...]

    @property
    def label(self) -> str:
        """The cell's name; without its seed where there are several."""
        label = self.pairs[0].label
        return label if len(self.pairs) == 1 else label.rpartition("/")[0]

    @property
    def name(self) -> str:
        """What findings call it: the label, and the machine where there are several."""
        pair = self.pairs[0]
        return f"{self.label} on {pair.machines[1]}" if pair.is_one_of_many else self.label

    @property
    def cell_id(self) -> str:
        """The id of the first seed's cell."""
        return self.pairs[0].cell_id

    @property
    def same_weights(self) -> bool:
        """Whether head evaluated the weights that base did, for every seed."""
        return all(pair.same_weights for pair in self.pairs)

    @property
    def same_arithmetic(self) -> bool:
        """Whether it was evaluated by the same arithmetic, for every seed."""
        return all(pair.same_arithmetic for pair in self.pairs)

    @property
    def is_trained(self) -> bool:
        """Whether predictions mean anything."""
        return self.pairs[0].is_trained

    @property
    def scores(self) -> dict[str, TaskScore]:
        """By task: its metrics from pooled statistics, its primary metric, its direction."""
        tasks = self.pairs[0].head.tasks
        return {
            name: (task.metrics, task.primary, task.directions[task.primary]) for name, task in tasks.items()
        }

    @cached_property
    def statistics(self) -> tuple[list[Stats], list[Stats]] | None:
        """Of base and of head, by seed and task [images, S], rows in order of ids.

        None where the images differ, or what was predicted of a task was not kept.
        """
        base: list[Stats] = []
        head: list[Stats] = []
        for pair in self.pairs:
            rows = aligned(pair)
            kept = pair.base.statistics.keys() & pair.head.statistics.keys()
            if (
                rows is None
                or not pair.same_data
                or _images(pair) != self.images
                or not self.scores.keys() <= kept
            ):
                return None
            base.append({task: values[rows[0]] for task, values in pair.base.statistics.items()})
            head.append({task: values[rows[1]] for task, values in pair.head.statistics.items()})
        return base, head

    @cached_property
    def images(self) -> list[str]:
        """Ids of the images that base evaluated with the first seed, in order."""
        return _images(self.pairs[0])

    @property
    def n_images(self) -> int:
        """How many."""
        return len(self.images)

    @property
    def macs(self) -> tuple[float, float] | None:
        """Executed MACs per image of base and of head, the mean over seeds; None where one was refused."""
        means = []
        for sides in zip(*((pair.base, pair.head) for pair in self.pairs), strict=True):
            launches = [side.evaluation for side in sides if side.evaluation is not None]
            if any(launch["macs_refused"] or not launch["macs_executed"] for launch in launches):
                return None
            means.append(float(np.mean([launch["macs_executed"] for launch in launches])))
        return means[0], means[1]

    def draws(self, *others: Family, n_resamples: int = 4000) -> PairedDraws:
        """Images drawn anew, and seeds too where this or another family has other weights in head than in base.

        The same for every family of as many images and seeds.
        """
        return PairedDraws(
            self.n_images,
            len(self.pairs),
            level=LEVEL,
            seeds_vary=not all(family.same_weights for family in (self, *others)),
            n_resamples=n_resamples,
        )

    def shares_images(self, other: Family) -> bool:
        """Whether both were evaluated on the same images, in base and in head."""
        return self.statistics is not None and other.statistics is not None and self.images == other.images

    def delta_m(self, baselines: Family, draws: PairedDraws) -> tuple[Scores, Scores]:
        """Delta-m in percent of base and of head, [seeds, 1 + resamples] each; both saw the same images."""
        assert self.statistics is not None  # noqa: S101  # `shares_images` has seen both
        assert baselines.statistics is not None  # noqa: S101
        base, head = (
            draws.delta_m(own, single, self.scores)
            for own, single in zip(self.statistics, baselines.statistics, strict=True)
        )
        return base, head

    def baselines(self, every: Sequence[Family]) -> Family | None:
        """The single-task networks of the same seeds; None where a seed lacks them, or it is them."""
        wanted = [
            (pair.head.entry["baseline_ids"].get(DELTA_M_BASELINE, ""), pair.machines) for pair in self.pairs
        ]
        known = {(pair.cell_id, pair.machines): pair for family in every for pair in family.pairs}
        found = [known[key] for key in wanted if key in known]
        if len(found) < len(wanted) or [pair.cell_id for pair in found] == [p.cell_id for p in self.pairs]:
            return None
        return Family(tuple(found))


def families(pairs: Sequence[Match]) -> list[Family]:
    """Cells that differ in nothing but their seed."""
    found: dict[str, list[Match]] = {}
    for pair in pairs:
        spec = {**pair.head.entry["spec"], "seed": None}
        found.setdefault(canonical_json([spec, list(pair.machines)]), []).append(pair)
    return [Family(tuple(sorted(members, key=_seed))) for members in found.values()]


def _images(pair: Match) -> list[str]:
    return sorted(pair.base.image_ids)


def _seed(pair: Match) -> int:
    seed: int = pair.head.entry["spec"]["seed"]
    return seed
