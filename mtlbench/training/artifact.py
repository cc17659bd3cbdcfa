"""Artifacts: trained weights, named by the hash of all that shaped them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mtlbench.hashing import digest

__all__ = ["Artifact", "Named", "Problem", "Source", "in_training_order"]


@dataclass(frozen=True)
class Named:
    """A registered component with its resolved options, all defaults written out.

    `places` says where on this machine it finds what it needs (a data root). It is neither compared nor hashed.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def specification(self) -> dict[str, Any]:
        """What identity hashes."""
        return {"name": self.name, "options": dict(self.options)}


@dataclass(frozen=True)
class Problem:
    """What a network is built for: the input size, its parts, the tasks in order."""

    size: tuple[int, int]
    encoder: Named
    head: Named
    tasks: tuple[Named, ...]

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks, in order."""
        return tuple(task.name for task in self.tasks)

    def only(self, *names: str) -> Problem:
        """The same problem for some of its tasks, in the problem's order."""
        return replace(self, tasks=tuple(t for t in self.tasks if t.name in names))

    def placed(self, places: Mapping[str, Any]) -> Problem:
        """The same problem, its encoder finding its files where `places` says."""
        return replace(self, encoder=replace(self.encoder, places=places))

    def specification(self) -> dict[str, Any]:
        """What identity hashes."""
        return {
            "size": list(self.size),
            "encoder": self.encoder.specification(),
            "head": self.head.specification(),
            "tasks": [task.specification() for task in self.tasks],
        }


@dataclass(frozen=True)
class Source:
    """What weights are trained from: the data, the protocol and the seed.

    Args:
        dataset: the dataset with its resolved options.
        data_hash: its fingerprint, so that changed data gives other artifacts.
        training: the resolved training protocol.
        seed: of initialisation, data order and augmentation.
        code_version: by component, what would change the outcome of the same specification. Variants leave it as
            they get it; it is filled in for each artifact by whoever executes the plan.
    """

    dataset: Named
    data_hash: str
    training: Mapping[str, Any]
    seed: int
    code_version: Mapping[str, int] = field(default_factory=dict)

    def specification(self) -> dict[str, Any]:
        """What identity hashes."""
        return {
            "dataset": self.dataset.specification(),
            "data_hash": self.data_hash,
            "training": dict(self.training),
            "seed": self.seed,
            "code_version": dict(self.code_version),
        }


@dataclass(frozen=True)
class Artifact:
    """One set of trained weights, a node of the artifact graph.

    Args:
        variant: the registered variant whose `recipe` trains it.
        stage: which of that variant's training stages this is (`dense`, `policy`, ...).
        problem: what the network is built for.
        source: what it is trained from.
        options: variant options that shape the weights.
        parents: by role, the artifacts that it starts from or learns from.
        point: values of the axes that are set when training.
    """

    variant: str
    stage: str
    problem: Problem
    source: Source
    options: Mapping[str, Any] = field(default_factory=dict)
    parents: Mapping[str, Artifact] = field(default_factory=dict)
    point: Mapping[str, int | float | str] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Hash of all that shapes the weights; the artifact's id and its place in the cache."""
        return digest(self.specification(), 20)

    @property
    def label(self) -> str:
        """For people: what is trained, on what."""
        tasks = "+".join(self.problem.task_names)
        encoder = self.problem.encoder
        arch = encoder.options.get("arch", "")
        network = f"{encoder.name}-{arch}" if arch else encoder.name
        point = ", ".join(f"{name}={value}" for name, value in self.point.items())
        stage = f"{self.stage}[{point}]" if point else self.stage
        return f"{self.variant}:{stage} {tasks}, {network} on {self.source.dataset.name} (seed {self.source.seed})"

    def specification(self) -> dict[str, Any]:
        """What identity hashes; JSON-able."""
        point = {"point": dict(self.point)} if self.point else {}
        return point | {
            "variant": self.variant,
            "stage": self.stage,
            "problem": self.problem.specification(),
            "source": self.source.specification(),
            "options": dict(self.options),
            "parents": {role: parent.specification() for role, parent in self.parents.items()},
        }

    @classmethod
    def from_specification(cls, spec: Mapping[str, Any]) -> Artifact:
        """The artifact that `specification` described (in a worker process)."""
        return cls(
            spec["variant"],
            spec["stage"],
            problem_from(spec["problem"]),
            Source(
                named_from(spec["source"]["dataset"]),
                spec["source"]["data_hash"],
                spec["source"]["training"],
                spec["source"]["seed"],
                spec["source"]["code_version"],
            ),
            spec["options"],
            {role: cls.from_specification(parent) for role, parent in spec["parents"].items()},
            spec.get("point", {}),
        )


def named_from(spec: Mapping[str, Any]) -> Named:
    """The component that `Named.specification` described."""
    return Named(spec["name"], spec["options"])


def problem_from(spec: Mapping[str, Any]) -> Problem:
    """The problem that `Problem.specification` described."""
    height, width = spec["size"]
    return Problem(
        (height, width),
        named_from(spec["encoder"]),
        named_from(spec["head"]),
        tuple(named_from(task) for task in spec["tasks"]),
    )


def in_training_order(
    artifacts: Iterable[Artifact], is_there: Callable[[Artifact], bool] = lambda _: False
) -> list[Artifact]:
    """All artifacts and the ancestors that they need, each once, parents first.

    Args:
        artifacts: what is wanted.
        is_there: whether an artifact is trained already; its ancestors are then not needed, nor is it.
    """
    ordered: dict[str, Artifact] = {}
    for artifact in artifacts:
        for node in _ancestors_first(artifact, is_there):
            ordered.setdefault(node.key, node)
    return list(ordered.values())


def _ancestors_first(artifact: Artifact, is_there: Callable[[Artifact], bool]) -> Iterator[Artifact]:
    if is_there(artifact):
        return
    for parent in artifact.parents.values():
        yield from _ancestors_first(parent, is_there)
    yield artifact
