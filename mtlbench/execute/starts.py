"""Whether the files that networks start from fit them: tried before anything is trained or measured."""

from __future__ import annotations

from mtlbench import encoders
from mtlbench.execute.jobs.cell import make_variant
from mtlbench.execute.left import Left
from mtlbench.hashing import digest
from mtlbench.training.artifact import Named, Problem

__all__ = ["require_starts"]


def require_starts(left: Left) -> None:
    """Load the weights of every encoder and every variant that would start new, once for each way to make it.

    Raises:
        DataError: a weights file is not there, cannot be read, is another one, or does not fit.
        UsageError: a variant's file does not fit its network.
    """
    timed = [cell for cell, _ in left.timings]
    untrained = [cell for cell in (*left.evaluations, *left.profiles, *timed) if cell.training is None]
    problems = [artifact.problem for artifact in left.trainings] + [cell.problem for cell in untrained]
    for problem in _distinct(problems):
        encoder = problem.encoder
        encoders.registry.get(encoder.name).try_weights(problem.size, encoder.options, encoder.places)
    started = [
        (Named(artifact.variant, artifact.options, left.places.get(artifact.key, {})), artifact.problem)
        for artifact in left.trainings
    ]
    started += [(cell.variant, cell.problem) for cell in untrained]
    for variant, problem in _distinct_variants(started):
        make_variant(variant, problem).try_weights()


def _distinct(problems: list[Problem]) -> list[Problem]:
    """One problem for each encoder and size."""
    keyed = {digest([problem.encoder.specification(), list(problem.size)]): problem for problem in problems}
    return list(keyed.values())


def _distinct_variants(started: list[tuple[Named, Problem]]) -> list[tuple[Named, Problem]]:
    """Those that are made alike once, whatever they are trained on and with which seed."""
    keyed = {
        digest([variant.specification(), problem.specification()]): (variant, problem)
        for variant, problem in started
    }
    return list(keyed.values())
