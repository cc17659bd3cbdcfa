"""AdaMTL as its released code behaves, trained here or loaded from one of its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mtlbench.training.artifact import Artifact, Source
from mtlbench.variants.adamtl.options import CompatOptions
from mtlbench.variants.adamtl.variant import PAPER, AdaMTLTrained
from mtlbench.variants.base import Point, Provenance

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.recipe import Recipe
    from mtlbench.variants.adamtl.budget import Budgets
    from mtlbench.variants.adamtl.network import AdaptiveNetwork
    from mtlbench.variants.adamtl.trace import ClaimedMacs

__all__ = ["AdaMTLCompat"]

_RELEASED = "released"
"""The stage of an artifact that is a checkpoint."""


class AdaMTLCompat(AdaMTLTrained):
    """The released behaviour: its gates, policies, skips and budget."""

    name = "adamtl_compat"
    shared_stages = "adamtl_compat"
    Options = CompatOptions
    options: CompatOptions
    provenance = Provenance(
        PAPER,
        "code",
        (
            "Draws come from seed and image, so that a call can be repeated; the released code draws anew.",
            "Batches of any size; the released code runs one image at a time.",
            "Heads and encoder are those of the suite: `adamtl` with `layout: released` and swin with "
            "`maps: after_merging` and `tap_norms: false` are the released ones.",
            "One schedule for both phases of joint training; the released code starts the second anew.",
            "Claimed MACs are what the released counter prints for the backbone, of the decisions that were made; it "
            "draws others. Decoders are not in them.",
        ),
    )

    @classmethod
    def resolve(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Options with all defaults written out, and the hash of the checkpoint.

        A hash without its file is kept: the suite can be planned here and run where the file is.

        Raises:
            pydantic.ValidationError: an option is unknown or of the wrong type.
            DataError: the checkpoint is not there, or is another one than `checkpoint_sha256` says.
        """
        resolved = super().resolve(options)
        given = options.get("checkpoint")
        if given is not None:
            from mtlbench.variants.adamtl.checkpoint import checkpoint_hash

            resolved["checkpoint_sha256"] = checkpoint_hash(given, resolved["checkpoint_sha256"])
        return resolved

    @classmethod
    def places(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Where the checkpoint is, as an absolute path: workers need not share the working directory."""
        places = super().places(options)
        if places.get("checkpoint") is not None:
            from mtlbench.encoders.weights import find_file

            places["checkpoint"] = str(find_file(places["checkpoint"]))
        return places

    def refuse(self, point: Point) -> str | None:
        """As ever, and budgets that a checkpoint was not trained for: it decides by itself what it spends."""
        budget, trained_for = self._budget(point), self.options.checkpoint_budget
        if self._is_loaded and budget < 1 and budget != trained_for:
            known = "is not said" if trained_for is None else f"is {trained_for:g}"
            return (
                f"a checkpoint spends what it was trained to spend, which {known} (option checkpoint_budget), "
                f"not a budget of {budget:g}"
            )
        return super().refuse(point)

    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """The checkpoint, or what is trained in its absence."""
        if not self._is_loaded:
            return super().artifacts(point, source)
        options = type(self).resolve(dict(self.options))
        return (self._artifact(_RELEASED, source, options, {}),)

    def recipe(self, artifact: Artifact) -> Recipe:
        """Loading, or training."""
        if artifact.stage != _RELEASED:
            return super().recipe(artifact)
        from mtlbench.variants.adamtl.checkpoint import ReleasedRecipe

        return ReleasedRecipe(self.problem, self.options)

    def try_weights(self) -> None:
        """See `Variant`."""
        if self._is_loaded:
            from mtlbench.variants.adamtl.checkpoint import fitted_state

            fitted_state(self.problem, self.options)

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """See `Variant`; in place of random weights it has those of the checkpoint, if there is one."""
        import torch

        if weights is None and self._is_loaded and torch.get_default_device().type != "meta":
            from mtlbench.variants.adamtl.checkpoint import fitted_state

            weights = [fitted_state(self.problem, self.options)]
        super().build(point, seed, weights)

    @property
    def _is_loaded(self) -> bool:
        return self.options.checkpoint is not None or self.options.checkpoint_sha256 is not None

    def _claimed(self, network: AdaptiveNetwork, budgets: Budgets) -> ClaimedMacs | None:
        from mtlbench.variants.adamtl.claimed import released_counter

        return released_counter(network, budgets)
