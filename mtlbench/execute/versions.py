"""The code version of a result: by component, what would change its numbers under an equal specification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mtlbench import data, encoders, heads, tasks, variants
from mtlbench.extensions import origin
from mtlbench.hashing import digest
from mtlbench.registry import Registry
from mtlbench.suite.plan import Cell
from mtlbench.training.artifact import Artifact, Problem
from mtlbench.training.protocol import TRAINING_VERSION

__all__ = [
    "MEASURE_VERSION",
    "extension_origins",
    "network_versions",
    "result_versions",
    "reuse_key",
    "versioned",
]

# Raise when counting, timing or evaluating the same cell would give other numbers.
MEASURE_VERSION = 3


def network_versions(dataset: str, problem: Problem) -> dict[str, int]:
    """What shapes weights beside the variant: data, tasks, encoder, head and the training loop."""
    versions = {
        f"dataset:{dataset}": data.registry.get(dataset).version,
        f"encoder:{problem.encoder.name}": encoders.registry.get(problem.encoder.name).version,
        f"head:{problem.head.name}": heads.registry.get(problem.head.name).version,
        "training": TRAINING_VERSION,
    }
    return versions | {f"task:{name}": tasks.registry.get(name).version for name in problem.task_names}


def result_versions(cell: Cell) -> dict[str, int]:
    """What shapes a result beside its weights."""
    variant = {f"variant:{cell.variant.name}": variants.registry.get(cell.variant.name).version}
    return network_versions(cell.dataset.name, cell.problem) | variant | {"measure": MEASURE_VERSION}


def extension_origins(cell: Cell) -> dict[str, str]:
    """By component of the cell that is not mtlbench's own, which code it is."""
    problem = cell.problem
    named: list[tuple[Registry[Any], str]] = [
        (data.registry, cell.dataset.name),
        (encoders.registry, problem.encoder.name),
        (heads.registry, problem.head.name),
        (variants.registry, cell.variant.name),
        *((tasks.registry, name) for name in problem.task_names),
    ]
    origins = {f"{registry.kind}:{name}": origin(registry.get(name)) for registry, name in named}
    return {name: code for name, code in origins.items() if code is not None}


def versioned(artifact: Artifact) -> Artifact:
    """The artifact and its ancestors, each with the versions of what shapes its own weights."""
    source = artifact.source
    versions = network_versions(source.dataset.name, artifact.problem)
    versions[f"variant:{artifact.variant}"] = variants.registry.get(artifact.variant).version
    return replace(
        artifact,
        source=replace(source, code_version=versions),
        parents={role: versioned(parent) for role, parent in artifact.parents.items()},
    )


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
