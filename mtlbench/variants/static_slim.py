"""The static control of adaptive networks: a static multi-task network slimmed to the same MACs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from mtlbench import component
from mtlbench.errors import UsageError
from mtlbench.training.artifact import Artifact, Source
from mtlbench.variants.base import Axis, Mode, Point, Provenance, Runnable
from mtlbench.variants.static_mtl import StaticMTL

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.recipe import Recipe

__all__ = ["SlimOptions", "StaticSlim"]


class SlimOptions(component.Options):
    """How long the slim network is trained after the static one: as many epochs as `adamtl` with the same options.

    Attributes:
        pretrain_share: epochs of `adamtl`'s first stage, as a share of the suite's.
        joint_share: epochs of its second stage, as a share of the suite's.
    """

    pretrain_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    joint_share: Annotated[float, Field(gt=0, le=10)] = 0.3


class StaticSlim(StaticMTL):
    """The static network with fewer hidden channels in every MLP of its encoder, trained on at that size.

    A budget is a share of the static network's MACs with the heads of all tasks of the problem. Asked for fewer tasks,
    the same network runs with fewer heads; the budget is exact for all tasks only.
    """

    name = "static_slim"
    family = "static_slim"
    Options = SlimOptions
    options: SlimOptions
    axes = (Axis("budget", (1.0, 0.9, 0.8, 0.7, 0.6), "train", "exact", is_budget=True, low=0.01, high=1.0),)
    modes: ClassVar[tuple[Mode, ...]] = ("compact",)
    reference = StaticMTL.name
    provenance = Provenance(
        "Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017",
        "adapted",
        (
            "The control of adamtl: a static network with the same MACs and as many epochs.",
            "Hidden channels of transformer MLPs are removed, of all MLPs the same share; the paper removes filters.",
            "Channels rank by the l1 norm of their weights in times that of those out; the paper takes the first.",
        ),
    )

    def refuse(self, point: Point) -> str | None:
        """An encoder without blocks, or a budget below what remains with one hidden channel per MLP."""
        import torch

        from mtlbench.variants.network import build_dense
        from mtlbench.variants.slim_network import widths_for

        with torch.device("meta"):
            network = build_dense(self.problem, 0, None)
        try:
            widths_for(network, _budget(point))
        except UsageError as error:
            return error.what
        return None

    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """The static network at full compute, else a slim one that starts from it."""
        dense = StaticMTL(self.problem).artifacts({}, source)[0]
        if _budget(point) >= 1:
            return (dense,)
        options = self.options.model_dump(mode="json")
        trained_for = {"budget": _budget(point)}
        return (Artifact(self.name, "slim", self.problem, source, options, {"dense": dense}, trained_for),)

    def recipe(self, artifact: Artifact) -> Recipe:
        """Joint training of all that is left."""
        from mtlbench.variants.slim_network import SlimRecipe

        shares = (self.options.pretrain_share, self.options.joint_share)
        return SlimRecipe(artifact.problem, _budget(artifact.point), shares)

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """One dense network of the size that the budget buys."""
        from mtlbench.variants.slim_network import build_slim

        self._network = build_slim(self.problem, _budget(point), seed, weights[0] if weights else None)

    def dense(self, device: str = "cpu") -> Runnable:
        """What it was built as, which is the static network where that was at full compute."""
        return self.configure({}, device=device)


def _budget(point: Point) -> float:
    return float(point["budget"])
