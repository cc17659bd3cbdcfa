"""Checkpoints of the released code: found, told apart by their hash, tried, and loaded in the place of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mtlbench.encoders.weights import find_file, sha256_of
from mtlbench.errors import DataError, MtlbenchError, UsageError
from mtlbench.heads.released_adamtl import AdaMTLHead
from mtlbench.training.artifact import Problem
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.training.recipe import Recipe
from mtlbench.variants.adamtl.network import AdaptiveNetwork, build_adaptive
from mtlbench.variants.adamtl.options import CompatOptions
from mtlbench.variants.adamtl.released import load_released, require_fit

__all__ = ["ReleasedRecipe", "checkpoint_hash", "fitted_state"]

_UNKNOWN = "calibration"
"""The one thing in our state that released files have no word for; only thresholds need it."""


def checkpoint_hash(given: str | None, named: str | None) -> str | None:
    """SHA-256 of a checkpoint; None where the options name none.

    Args:
        given: the file.
        named: the hash that it should have; without a file it is taken as it is.

    Raises:
        DataError: the file is not there, cannot be read, or is another one.
    """
    if given is None:
        return named
    file = find_file(given)
    digest = sha256_of(file)
    if named not in {None, digest}:
        raise DataError(
            f"this checkpoint has SHA-256 {digest}, the options say {named}",
            where=str(file),
            fix="Give the file of that hash, or remove checkpoint_sha256 to load this one",
        )
    return digest


def fitted_state(problem: Problem, options: CompatOptions) -> dict[str, Tensor]:
    """The weights of the checkpoint that options name, complete for a network.

    Raises:
        DataError: the file is not there, cannot be read, is another one than the options say, or holds something else.
        UsageError: it is for other tasks, another resolution, other policies or another architecture.
    """
    file = _file(options)
    _require_released_layout(problem, file)
    with torch.device("meta"):
        network = AdaptiveNetwork(problem, options)
    expected = network.state_dict()
    unknown = expected.pop(_UNKNOWN)
    state = load_released(file, window=getattr(network.encoder.options, "window", None))
    require_fit(state, expected, str(file))
    return state | {_UNKNOWN: torch.full(unknown.shape, float("nan"))}


def _file(options: CompatOptions) -> Path:
    if options.checkpoint is None:
        raise DataError(
            f"a checkpoint with SHA-256 {options.checkpoint_sha256} is to be loaded, but no file is given",
            fix="Set the option `checkpoint` of adamtl_compat to the file of that hash",
        )
    checkpoint_hash(options.checkpoint, options.checkpoint_sha256)
    return find_file(options.checkpoint)


def _require_released_layout(problem: Problem, file: Path) -> None:
    """The weights would fit the other layout as well, and predict nonsense."""
    head = problem.head
    if head.name == AdaMTLHead.name and AdaMTLHead.Options.model_validate(head.options).layout != "released":
        raise UsageError(
            "the decoders of this checkpoint learned from maps without the permutation that head adamtl makes",
            where=str(file),
            fix="Set the head's option `layout` to `released`",
        )


class ReleasedRecipe(Recipe):
    """A checkpoint in the place of training.

    Args:
        problem: what the network is built for.
        options: of the variant, checkpoint included.
    """

    def __init__(self, problem: Problem, options: CompatOptions) -> None:
        self._problem, self._options = problem, options

    def network(self, parents: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Module:
        """The network with the checkpoint's weights."""
        state = fitted_state(self._problem, self._options)
        return build_adaptive(self._problem, self._options, seed, [state])

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """Nothing is trained."""
        return None

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """Never asked for.

        Raises:
            MtlbenchError: always.
        """
        raise MtlbenchError("a checkpoint is loaded as it is and has no losses")

    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """Predictions where everything runs."""
        return dict(network(images))
