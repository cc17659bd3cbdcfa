"""Prefix sharing: the first blocks of a base task's network for all tasks, the rest for each; nothing approximated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from mtlbench.errors import UsageError
from mtlbench.training.artifact import Artifact, Source
from mtlbench.variants.base import Axis, Mode, Point, Provenance, Runnable, Variant
from mtlbench.variants.sharing.options import PrefixOptions, base_of, shared_blocks
from mtlbench.variants.single_task import SingleTask
from mtlbench.variants.static_mtl import StaticMTL

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.recipe import Recipe
    from mtlbench.variants.sharing.prefix_network import PrefixNetwork

__all__ = ["PrefixSharing"]


class PrefixSharing(Variant):
    """Sub-tasks branch off a base task's network behind a number of blocks, whose weights stay the base task's."""

    name = "prefix_sharing"
    family = "prefix_sharing"
    Options = PrefixOptions
    options: PrefixOptions
    axes = (Axis("shared_blocks", (0, 2, 4), "train", "exact", low=0),)
    passes: ClassVar[Literal["one", "per_task", "prefix"]] = "prefix"
    reference = SingleTask.name
    provenance = Provenance(
        "ours; the limit of Shoouri et al., ICCV 2023, where the first blocks of all tasks are equal",
        "adapted",
        ("A sub-task's own blocks start from the base task's and are trained whole.",),
    )

    _network: PrefixNetwork

    def refuse(self, point: Point) -> str | None:
        """An encoder without blocks, or fewer of them than are to be shared.

        Raises:
            UsageError: the base task is not among the tasks, or shared_blocks is no whole number.
        """
        import torch

        from mtlbench.variants.sharing.prefix_network import PrefixNetwork

        base, shared = self._base, shared_blocks(point)
        try:
            with torch.device("meta"):
                PrefixNetwork(self.problem, base, shared, None)
        except UsageError as error:
            return error.what
        return None

    @property
    def _base(self) -> str:
        return base_of(self.options.base, self.problem.task_names)

    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """The base task's dense network, and for each other task a branch."""
        base = StaticMTL(self.problem.only(self._base)).artifacts({}, source)[0]
        options = {**self.options.model_dump(mode="json"), "base": self._base}
        shared, parents = {"shared_blocks": shared_blocks(point)}, {"base": base}
        names = [name for name in self.problem.task_names if name != self._base]
        return (
            base,
            *(
                Artifact(self.name, "branch", self.problem.only(name), source, options, parents, shared)
                for name in names
            ),
        )

    def recipe(self, artifact: Artifact) -> Recipe:
        """Training of what is not shared."""
        from mtlbench.variants.sharing.prefix_recipe import PrefixRecipe

        return PrefixRecipe(artifact.problem, self.options, shared_blocks(artifact.point))

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """The base task's network and all branches; in an artifact's problem the base task is lacking, and its head."""
        from mtlbench.variants.sharing.prefix_network import build_prefix

        self._network = build_prefix(
            self.problem, self.options.base or self._base, shared_blocks(point), seed, weights
        )

    def configure(
        self, point: Point, tasks: Sequence[str] | None = None, mode: Mode | None = None, device: str = "cpu"
    ) -> Runnable:
        """The shared blocks once, then the rest of each asked task."""
        from mtlbench.variants.sharing.prefix_runnable import PrefixRunnable

        return PrefixRunnable(self._network.to(device), tuple(tasks or self.problem.task_names))

    def dense(self, device: str = "cpu") -> Runnable:
        """One dense network per task, with the same weights."""
        from mtlbench.variants.network import DenseNetwork, DenseRunnable

        runs = []
        for name in self.problem.task_names:
            dense = DenseNetwork(self.problem.only(name)).eval()
            dense.encoder.load_state_dict(self._network.encoder(name).state_dict())
            dense.heads[name].load_state_dict(self._network.head(name).state_dict())
            runs.append((dense, (name,)))
        return DenseRunnable(runs, device)
