"""Single-task networks: one dense network per task, loaded together and run in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from mtlbench.errors import MtlbenchError
from mtlbench.training.artifact import Artifact, Problem, Source
from mtlbench.variants.base import Mode, Point, Provenance, Runnable, Variant
from mtlbench.variants.static_mtl import StaticMTL

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.recipe import Recipe
    from mtlbench.variants.network import DenseNetwork

__all__ = ["SingleTask"]


class SingleTask(Variant):
    """T networks of the same encoder, each trained for one task alone: what every saving is measured against."""

    name = "single_task"
    family = "single_task"
    passes: ClassVar[Literal["one", "per_task", "prefix"]] = "per_task"
    provenance = Provenance("the usual baseline; delta-m after Maninis et al., CVPR 2019")

    _networks: dict[str, DenseNetwork]

    @classmethod
    def narrowed(cls, problem: Problem, asked: Sequence[str]) -> Problem:
        """Only the networks of the asked tasks: they share nothing with the others."""
        return problem.only(*asked)

    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """One network per task.

        A static network of one task is the same thing, so it is the same artifact and is trained once.
        """
        return tuple(
            Artifact(StaticMTL.name, "dense", self.problem.only(name), source)
            for name in self.problem.task_names
        )

    def recipe(self, artifact: Artifact) -> Recipe:
        """Never called: the artifacts are static networks of one task."""
        raise MtlbenchError("single_task trains no artifact of its own")

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """One dense network per task."""
        from mtlbench.variants.network import build_dense

        states: Sequence[Mapping[str, Tensor] | None] = weights or [None] * len(self.problem.tasks)
        self._networks = {
            name: build_dense(self.problem.only(name), seed, state)
            for name, state in zip(self.problem.task_names, states, strict=True)
        }

    def configure(
        self, point: Point, tasks: Sequence[str] | None = None, mode: Mode | None = None, device: str = "cpu"
    ) -> Runnable:
        """The networks of the asked tasks, in the problem's order."""
        from mtlbench.variants.network import DenseRunnable

        names = tuple(tasks or self.problem.task_names)
        return DenseRunnable([(self._networks[name], (name,)) for name in names], device)
