"""The code version of a result: by component, what would change its numbers under an equal specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlbench import data, encoders, heads, tasks, variants
from mtlbench.hashing import digest
from mtlbench.suite.plan import Cell
from mtlbench.training.protocol import TRAINING_VERSION

__all__ = ["MEASURE_VERSION", "network_versions", "result_versions", "reuse_key"]

# Raise when counting, timing or evaluating the same cell would give other numbers.
MEASURE_VERSION = 1


def network_versions(cell: Cell) -> dict[str, int]:
    """What shapes trained weights: data, tasks, encoder, head and the training loop."""
    problem = cell.problem
    versions = {
        f"dataset:{cell.dataset.name}": data.registry.get(cell.dataset.name).version,
        f"encoder:{problem.encoder.name}": encoders.registry.get(problem.encoder.name).version,
        f"head:{problem.head.name}": heads.registry.get(problem.head.name).version,
        "training": TRAINING_VERSION,
    }
    return versions | {f"task:{name}": tasks.registry.get(name).version for name in problem.task_names}


def result_versions(cell: Cell) -> dict[str, int]:
    """What shapes a result beside its weights."""
    variant = {f"variant:{cell.variant.name}": variants.registry.get(cell.variant.name).version}
    return network_versions(cell) | variant | {"measure": MEASURE_VERSION}


def reuse_key(cell: Cell, weights: str, data_hash: str, settings: Mapping[str, Any]) -> str:
    """A launch may stand for another one of its cell only where this key is equal.

    Args:
        cell: what is measured.
        weights: hashes of the trained weights, or `untrained`.
        data_hash: fingerprint of the data.
        settings: the measure settings that shape one such launch.
    """
    versions = result_versions(cell)
    return digest(
        {"cell": cell.id, "weights": weights, "data": data_hash, "code": versions, "settings": dict(settings)}
    )
