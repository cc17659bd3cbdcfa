"""What of a plan is not done yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtlbench.execute.ledger import LaunchLedger, Weights
from mtlbench.execute.prepare import Prepared
from mtlbench.results.folder import RunFolder
from mtlbench.suite.plan import Cell
from mtlbench.training.artifact import Artifact
from mtlbench.training.cache import ArtifactCache, StoredArtifact

__all__ = ["Left", "look_ahead", "what_is_left"]


@dataclass(frozen=True)
class Left:
    """Work that remains.

    Args:
        trainings: artifacts to train, parents first.
        evaluations: cells to evaluate.
        profiles: cells to profile.
        timings: cells to time, with the number of launches that each still needs.
        shipped: weights that came with mtlbench and that this work takes.
        places: by artifact, where the variant that trains it finds its files.
    """

    trainings: list[Artifact]
    evaluations: list[Cell]
    profiles: list[Cell]
    timings: list[tuple[Cell, int]]
    shipped: list[Artifact] = field(default_factory=list)
    places: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def launches(self) -> int:
        """Timed launches that remain."""
        return sum(count for _, count in self.timings)


def what_is_left(prepared: Prepared, ledger: LaunchLedger, stored: Mapping[str, StoredArtifact]) -> Left:
    """What remains where `stored` weights (by artifact key) are there; cells whose weights are not count whole."""
    measure = prepared.plan.suite.suite.measure
    evaluations: list[Cell] = []
    profiles: list[Cell] = []
    timings: list[tuple[Cell, int]] = []
    for cell in prepared.plan.cells:
        if cell.unsupported is not None:
            continue
        needed = prepared.artifacts[cell.id]
        known = all(artifact.key in stored for artifact in needed)
        weights: Weights = None
        if known and cell.training is not None:
            weights = [stored[artifact.key] for artifact in needed]
        if not (known and ledger.is_done(cell, "evaluate", 0, weights)):
            evaluations.append(cell)
        if measure.profile and not (known and ledger.is_done(cell, "profile", 0, weights)):
            profiles.append(cell)
        done = sum(
            known and ledger.is_done(cell, "time", block, weights) for block in range(measure.launches)
        )
        if done < measure.launches:
            timings.append((cell, measure.launches - done))
    trainings = prepared.missing(lambda artifact: artifact.key in stored)
    cells = [*evaluations, *profiles, *(cell for cell, _ in timings)]
    taken = [artifact for cell in cells for artifact in prepared.artifacts[cell.id]]
    taken += [parent for artifact in trainings for parent in artifact.parents.values()]
    shipped = {a.key: a for a in taken if a.key in stored and stored[a.key].weights_from == "shipped"}
    return Left(trainings, evaluations, profiles, timings, list(shipped.values()), prepared.places)


def look_ahead(
    prepared: Prepared, folder: RunFolder, cache: ArtifactCache, *, fresh: bool
) -> tuple[Left, dict[str, StoredArtifact]]:
    """What a run would have to do, and the weights by artifact key that it would find; nothing is written.

    Args:
        prepared: what is to be run.
        folder: where it would go on.
        cache: where weights are.
        fresh: as if neither launches nor weights were there.
    """
    stored: dict[str, StoredArtifact] = {}

    def is_there(artifact: Artifact) -> bool:
        if not fresh and artifact.key not in stored and (found := cache.find(artifact.key)) is not None:
            stored[artifact.key] = found
        return artifact.key in stored

    prepared.missing(is_there)
    ledger = LaunchLedger(folder, "", prepared, [] if fresh else folder.launches())
    return what_is_left(prepared, ledger, stored), stored
