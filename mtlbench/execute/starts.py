"""Whether the published weights that networks start from fit them: tried before anything is trained or measured."""

from __future__ import annotations

from mtlbench import encoders
from mtlbench.execute.left import Left
from mtlbench.hashing import digest
from mtlbench.training.artifact import Problem

__all__ = ["require_starts"]


def require_starts(left: Left) -> None:
    """Load the weights of every encoder that would start new, once for each encoder and size.

    Raises:
        DataError: a weights file is not there, cannot be read, is another one, or does not fit.
    """
    problems = [artifact.problem for artifact in left.trainings]
    timed = [cell for cell, _ in left.timings]
    untrained = [cell for cell in (*left.evaluations, *left.profiles, *timed) if cell.training is None]
    for problem in _distinct([*problems, *(cell.problem for cell in untrained)]):
        encoder = problem.encoder
        encoders.registry.get(encoder.name).try_weights(problem.size, encoder.options, encoder.places)


def _distinct(problems: list[Problem]) -> list[Problem]:
    """One problem for each encoder and size."""
    keyed = {digest([problem.encoder.specification(), list(problem.size)]): problem for problem in problems}
    return list(keyed.values())
