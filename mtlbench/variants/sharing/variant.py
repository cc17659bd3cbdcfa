"""Computation sharing between tasks, executed: sub-tasks compute the tokens that differ from the base task's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from mtlbench.errors import UsageError
from mtlbench.training.artifact import Artifact, Source
from mtlbench.variants.base import Axis, Decision, Mode, Point, Provenance, Runnable, Variant
from mtlbench.variants.sharing.options import SharingOptions, ThresholdOptions, base_of, shared_blocks
from mtlbench.variants.single_task import SingleTask
from mtlbench.variants.static_mtl import StaticMTL

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.recipe import Recipe
    from mtlbench.variants.sharing.choose import Rule
    from mtlbench.variants.sharing.network import SharingNetwork

__all__ = [
    "PAPER",
    "SHARED_BLOCKS",
    "ComputationSharing",
    "ComputationSharingThreshold",
    "TokenSharing",
]

PAPER = "Shoouri et al., Efficient Computation Sharing for Multi-Task Visual Scene Understanding, ICCV 2023"
SHARED_BLOCKS = Axis("shared_blocks", (0, 3), "train", "exact", low=0)
_OURS = (
    "Differences of weights are of low rank (option rank); the paper's are scattered elements of all weights.",
    "Differences of activations are judged token by token, before a block; the paper judges elements, behind layers "
    "that were computed whole.",
    "A token that differs little takes what the base task's block made of its own (option below).",
    "Norms, position embeddings and the stem are the base task's.",
    "Tokens are left out in training too (option gate_share); the paper applies its thresholds afterwards.",
)


class TokenSharing(Variant):
    """What all forms share."""

    family = "computation_sharing"
    Options = SharingOptions
    options: SharingOptions
    decision: ClassVar[Decision] = "token"
    modes: ClassVar[tuple[Mode, ...]] = ("gathered", "masked")
    passes: ClassVar[Literal["one", "per_task", "prefix"]] = "per_task"
    reference = SingleTask.name

    _network: SharingNetwork

    def refuse(self, point: Point) -> str | None:
        """An encoder without blocks, or fewer of them than are to be shared.

        Raises:
            UsageError: the base task is not among the tasks, or shared_blocks is no whole number.
        """
        import torch

        from mtlbench.variants.sharing.network import SharingNetwork

        base, shared = self._base, shared_blocks(point)
        try:
            with torch.device("meta"):
                SharingNetwork(self.problem, base, shared, self.options)
        except UsageError as error:
            return error.what
        return None

    @property
    def _base(self) -> str:
        return base_of(self.options.base, self.problem.task_names)

    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """The base task's dense network, and for each other task a branch, which no further task changes."""
        base = StaticMTL(self.problem.only(self._base)).artifacts({}, source)[0]
        names = [name for name in self.problem.task_names if name != self._base]
        return (base, *(self._branch(name, base, point, source) for name in names))

    def _branch(self, name: str, base: Artifact, point: Point, source: Source) -> Artifact:
        trained = set(SharingOptions.model_fields)
        options = {**self.options.model_dump(mode="json", include=trained), "base": self._base}
        problem, shared = self.problem.only(name), {"shared_blocks": shared_blocks(point)}
        parents = {"base": base}
        if self.options.delta_share:
            parents["delta"] = Artifact(
                ComputationSharing.name, "delta", problem, source, options, {"base": base}, shared
            )
        return Artifact(ComputationSharing.name, "gate", problem, source, options, parents, shared)

    def recipe(self, artifact: Artifact) -> Recipe:
        """Differences of weights, or with tokens left to the base task."""
        from mtlbench.variants.sharing.recipe import DeltaRecipe, GateRecipe

        made = {"delta": DeltaRecipe, "gate": GateRecipe}[artifact.stage]
        return made(artifact.problem, self.options, shared_blocks(artifact.point))

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """The base task's network and all branches; in an artifact's problem the base task is lacking, and its head."""
        from mtlbench.variants.sharing.network import build_sharing

        self._network = build_sharing(
            self.problem, self.options.base or self._base, shared_blocks(point), self.options, seed, weights
        )

    def configure(
        self, point: Point, tasks: Sequence[str] | None = None, mode: Mode | None = None, device: str = "cpu"
    ) -> Runnable:
        """The network at a density; at 1.0 everything is computed and nothing is looked at."""
        from mtlbench.variants.sharing.choose import Everything
        from mtlbench.variants.sharing.runnable import SharingRunnable

        names, density = tuple(tasks or self.problem.task_names), float(point["density"])
        network = self._network.to(device)
        rule = Everything() if density >= 1 else self._rule(network, names, density)
        return SharingRunnable(
            network,
            names,
            rule,
            density,
            carried=self.options.below == "carried",
            masked=mode == "masked",
        )

    def _rule(self, network: SharingNetwork, names: Sequence[str], density: float) -> Rule:
        """What chooses at a density below 1: here as many tokens in every image."""
        from mtlbench.variants.sharing.choose import Ranked
        from mtlbench.variants.sharing.network import flat_layers

        return Ranked(flat_layers(network.encoder)[network.shared_blocks :], density)

    def dense(self, device: str = "cpu") -> Runnable:
        """One dense network per task, the differences added to the weights."""
        from mtlbench.variants.network import DenseRunnable

        names = self.problem.task_names
        return DenseRunnable([(self._network.dense(name), (name,)) for name in names], device)


class ComputationSharing(TokenSharing):
    """The tokens of each sub-task that differ most, as many in every image as the density says."""

    name = "computation_sharing"
    axes = (Axis("density", (1.0, 0.5, 0.3, 0.1), "configure", "exact", low=0.0, high=1.0), SHARED_BLOCKS)
    provenance = Provenance(PAPER, "adapted", _OURS)


class ComputationSharingThreshold(TokenSharing):
    """The tokens that differ by more than a threshold, calibrated on validation for a density on average."""

    name = "computation_sharing_threshold"
    Options = ThresholdOptions
    options: ThresholdOptions
    axes = (
        Axis("density", (1.0, 0.5, 0.3, 0.1), "configure", "expected", low=0.05, high=1.0),
        SHARED_BLOCKS,
    )
    provenance = Provenance(
        PAPER, "adapted", (*_OURS, "Thresholds of blocks are solved for a density on validation images.")
    )

    def refuse(self, point: Point) -> str | None:
        """See `Variant`.

        Raises:
            UsageError: there are not as many thresholds as blocks of a branch.
        """
        refused = super().refuse(point)
        if refused is None:
            self._check_thresholds(point)
        return refused

    def _check_thresholds(self, point: Point) -> None:
        import torch

        from mtlbench.variants.sharing.network import SharingNetwork, flat_layers

        if self.options.thresholds is None:
            return
        with torch.device("meta"):
            network = SharingNetwork(self.problem, self._base, shared_blocks(point), self.options)
        own = len(flat_layers(network.encoder)) - network.shared_blocks
        if len(self.options.thresholds) != own:
            raise UsageError(
                f"{len(self.options.thresholds)} thresholds are given for {own} blocks of a branch",
                fix="Give one for each block behind the shared ones, or leave `thresholds` out",
            )

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """See `Variant`; an untrained network is calibrated on noise, so that there are thresholds at all."""
        import torch

        from mtlbench.variants.sharing.calibrate import calibrate

        super().build(point, seed, weights)
        if weights is None and torch.get_default_device().type != "meta":
            noise = torch.Generator().manual_seed(seed)
            images = torch.randn(2, 3, *self.problem.size, generator=noise)
            calibrate(self._network, lambda: iter([images]), carried=self.options.below == "carried")

    def _rule(self, network: SharingNetwork, names: Sequence[str], density: float) -> Rule:
        from mtlbench.variants.sharing.calibrate import levels_for
        from mtlbench.variants.sharing.choose import Thresholds

        own = [name for name in names if name != network.base_task]
        if self.options.thresholds is not None:
            return Thresholds(dict.fromkeys(own, self.options.thresholds))
        if any(network.branch(name).levels.is_meta for name in own):  # only shapes are asked for
            depth = len(network.branch(own[0]).deltas)
            return Thresholds({name: [0.0] * depth for name in own})
        return Thresholds({name: levels_for(network, name, density) for name in own})
