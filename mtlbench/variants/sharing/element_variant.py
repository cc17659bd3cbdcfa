"""Computation sharing as published: element by element, computed densely and then thresholded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from mtlbench.errors import UsageError
from mtlbench.training.artifact import Artifact, Problem, Source
from mtlbench.variants.base import Axis, Mode, Point, Provenance, Runnable, Variant
from mtlbench.variants.sharing.element_options import STAGE_OPTIONS, ElementOptions
from mtlbench.variants.sharing.options import base_of
from mtlbench.variants.sharing.variant import PAPER
from mtlbench.variants.single_task import SingleTask
from mtlbench.variants.static_mtl import StaticMTL

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.recipe import Recipe
    from mtlbench.variants.sharing.element_network import ElementNetwork

__all__ = ["ComputationSharingElement"]


class ComputationSharingElement(Variant):
    """Sparse differences of weights and activations. It executes T dense networks: the claimed saving saves no time."""

    name = "computation_sharing_element"
    family = "computation_sharing"
    Options = ElementOptions
    options: ElementOptions
    axes = (Axis("density", (1.0, 0.5, 0.3, 0.1), "configure", "expected", low=0.05, high=1.0),)
    passes: ClassVar[Literal["one", "per_task", "prefix"]] = "per_task"
    reference = SingleTask.name
    provenance = Provenance(
        PAPER,
        "adapted",
        (
            "Gates are fixed where they are open without noise, and their factors kept (options mask, soft); the "
            "released code fixes one draw and drops the factors.",
            "Gates are not decayed (option gate_decay); the released code draws them to even odds.",
            "Of the first and the third stage the last epoch is kept (option kept); the released code keeps the best.",
            "The penalty on activations is a mean over elements (option penalty), which needs another weight.",
            "Penalties and the learning rate of gates are set for few epochs (options lambda_w, lambda_a and "
            "alpha_scale), which the three stages share.",
            "Thresholds of blocks are solved for a density on validation images; how the paper chose its own is not "
            "known.",
            "The paper's stream form is not in it.",
            "Heads, losses, schedule and the base task's training are those of the suite; gradients are clipped, and "
            "metrics are pooled over all images in every preset.",
            "Claimed MACs count zeros of what comes into a layer; the released code thresholds what goes out.",
        ),
    )

    _network: ElementNetwork

    def refuse(self, point: Point) -> str | None:
        """An encoder without blocks.

        Raises:
            UsageError: the base task is not among the tasks.
        """
        import torch

        from mtlbench.variants.network import DenseNetwork
        from mtlbench.variants.sharing.element_network import element_encoder

        base = self._base
        try:
            with torch.device("meta"):
                element_encoder(DenseNetwork(self.problem.only(base)).encoder)
        except UsageError as error:
            return error.what
        return None

    @property
    def _base(self) -> str:
        return base_of(self.options.base, self.problem.task_names)

    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """The base task's dense network, and for each other task the last of three stages."""
        base = StaticMTL(self.problem.only(self._base)).artifacts({}, source)[0]
        names = [name for name in self.problem.task_names if name != self._base]
        return (base, *(self._branch(self.problem.only(name), base, source) for name in names))

    def _branch(self, problem: Problem, base: Artifact, source: Source) -> Artifact:
        resolved = self.options.model_dump(mode="json")
        parents = {"base": base}
        for stage, shaping in STAGE_OPTIONS.items():
            options = {name: resolved[name] for name in shaping}
            made = Artifact(self.name, stage, problem, source, options, parents)
            parents = {"base": base, stage: made}
        return made

    def recipe(self, artifact: Artifact) -> Recipe:
        """One of the three stages."""
        from mtlbench.variants.sharing.element_recipe import element_recipe

        return element_recipe(artifact.stage, artifact.problem, self.options)

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """One dense network per task; an untrained one is calibrated on noise, so that there are thresholds at all."""
        import torch

        from mtlbench.variants.sharing.element_calibrate import calibrate_elements
        from mtlbench.variants.sharing.element_network import build_elements
        from mtlbench.variants.sharing.element_walk import SideBySide

        network = self._network = build_elements(self.problem, self._base, seed, weights)
        if weights is None and torch.get_default_device().type != "meta":
            noise = torch.Generator().manual_seed(seed)
            images = torch.randn(2, 3, *self.problem.size, generator=noise)
            for name in network.branches:
                beside = SideBySide(network.encoder(self._base), {name: network.encoder(name)})
                calibrate_elements(beside, network.branch(name), lambda: iter([images]), rounds=0)

    def configure(
        self, point: Point, tasks: Sequence[str] | None = None, mode: Mode | None = None, device: str = "cpu"
    ) -> Runnable:
        """The dense networks; below full density with thresholds behind their linear layers."""
        from mtlbench.variants.sharing.element_calibrate import element_levels
        from mtlbench.variants.sharing.element_runnable import DenseElementRunnable, ElementRunnable

        names, density = tuple(tasks or self.problem.task_names), float(point["density"])
        network = self._network.to(device)
        if density >= 1:
            return DenseElementRunnable([(network.network(name), (name,)) for name in names], device)
        own = [name for name in names if name != self._base]
        levels = {name: element_levels(network.branch(name), name, density) for name in own}
        return ElementRunnable(network, names, levels)

    def dense(self, device: str = "cpu") -> Runnable:
        """One dense network per task, the differences added to the weights."""
        from mtlbench.variants.network import DenseRunnable

        names = self.problem.task_names
        return DenseRunnable([(self._network.network(name), (name,)) for name in names], device)
