"""Static multi-task learning: one dense encoder shared by all tasks, one head per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from mtlbench.training.artifact import Artifact, Source
from mtlbench.variants.base import Mode, Point, Provenance, Runnable, Variant

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.recipe import Recipe
    from mtlbench.variants.network import DenseNetwork

__all__ = ["StaticMTL"]


class StaticMTL(Variant):
    """Hard parameter sharing (Caruana, 1997): every task uses every block of one encoder."""

    name = "static_mtl"
    family = "static_mtl"
    passes: ClassVar[Literal["one", "per_task", "prefix"]] = "one"
    provenance = Provenance("Caruana, Multitask Learning, Machine Learning 28, 1997")

    _network: DenseNetwork

    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """One network for all tasks."""
        return (Artifact(self.name, "dense", self.problem, source),)

    def recipe(self, artifact: Artifact) -> Recipe:
        """Joint training of encoder and heads."""
        from mtlbench.variants.dense_recipe import DenseRecipe

        return DenseRecipe(artifact.problem)

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """One dense network."""
        from mtlbench.variants.network import build_dense

        self._network = build_dense(self.problem, seed, weights[0] if weights else None)

    def configure(
        self, point: Point, tasks: Sequence[str] | None = None, mode: Mode | None = None, device: str = "cpu"
    ) -> Runnable:
        """The encoder once, then the heads of the asked tasks."""
        from mtlbench.variants.network import DenseRunnable

        return DenseRunnable([(self._network, tuple(tasks or self.problem.task_names))], device)
