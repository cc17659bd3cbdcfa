"""The contract of an encoder: an image in, a list of feature maps out, and its closed-form cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mtlbench.component import Component, Options, Row
from mtlbench.cost.units import CostUnit
from mtlbench.encoders.weights import (
    OWN,
    Account,
    Checkpoint,
    Layout,
    find_file,
    fit_weights,
    read_checkpoint,
    sha256_of,
)
from mtlbench.errors import DataError
from mtlbench.registry import Registry

__all__ = ["Encoder", "EncoderOptions", "registry"]

Colour = tuple[float, float, float]
_Positive = Annotated[float, Field(gt=0)]


class EncoderOptions(Options):
    """Options of every encoder.

    Attributes:
        weights: a file with published weights to start from (safetensors, or what `torch.load` reads with
            `weights_only`), relative to MTLBENCH_DATA or to the working directory. Where it lies is no part of any
            identity.
        weights_sha256: of that file; its content is part of the identity. Filled in where `weights` is given.
        mean, std: that the weights expect of the normalised input, per RGB channel of an image in [0, 1]; by default
            those of the encoder.
    """

    weights: Annotated[str | None, Field(exclude=True)] = None
    weights_sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None
    mean: Row[Colour] | None = None
    std: Row[tuple[_Positive, _Positive, _Positive]] | None = None


class Encoder(nn.Module, Component, ABC):
    """A backbone at one input size.

    A new encoder has random weights; `start` loads the published ones that its options name.

    Args:
        size: input (height, width) in pixels.
        options: as the encoder's `Options` say.

    Attributes:
        channels: channels of each feature map, finest first.
        strides: input pixels per cell of each feature map.
        mean, std: of the normalised input where the options name none; see `normalisation`.
        account: what `start` loaded; None before, and where it loaded nothing.
    """

    Options: ClassVar[type[Options]] = EncoderOptions
    mean: ClassVar[Colour] = (0.485, 0.456, 0.406)
    std: ClassVar[Colour] = (0.229, 0.224, 0.225)
    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __init__(self, size: tuple[int, int], **options: Any) -> None:
        super().__init__()
        self.size = size
        self.options = self.Options.model_validate(options)
        self.account: Account | None = None

    @classmethod
    def resolve(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Options with all defaults written out, and the hash of the weights file.

        A hash without its file is kept: the suite can be planned here and trained where the file is.

        Raises:
            pydantic.ValidationError: an option is unknown or of the wrong type.
            DataError: the weights file is not there, or is another one than `weights_sha256` says.
        """
        resolved = super().resolve(options)
        named = resolved.get("weights_sha256")
        try:
            file = cls.find_weights(options)
        except DataError:
            if named is None or options.get("weights") is not None:
                raise
            return resolved
        if file is not None:
            resolved["weights_sha256"] = _checked_hash(file, named)
        return resolved

    @classmethod
    def places(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Where the weights are, as an absolute path: workers need not share the working directory."""
        places = super().places(options)
        if places.get("weights") is not None:
            places["weights"] = str(find_file(places["weights"]))
        return places

    @classmethod
    def find_weights(cls, options: Mapping[str, Any]) -> Path | None:
        """The weights file that options (places included) name; None for random weights.

        Raises:
            DataError: it is not there.
        """
        given = options.get("weights")
        return None if given is None else find_file(given)

    @classmethod
    def normalisation(cls, options: Mapping[str, Any]) -> tuple[Colour, Colour]:
        """(mean, std) of the normalised input, per RGB channel of an image in [0, 1]."""
        mean, std = options.get("mean") or cls.mean, options.get("std") or cls.std
        return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])

    @classmethod
    def refuse_size(cls, size: tuple[int, int], options: dict[str, Any]) -> str | None:
        """Why this input size cannot be run, in one sentence; None where it can."""
        return None

    @classmethod
    def try_weights(
        cls, size: tuple[int, int], options: Mapping[str, Any], places: Mapping[str, Any]
    ) -> None:
        """Start an encoder that is then thrown away, to learn before any work whether it can.

        Args:
            size: input (height, width) in pixels.
            options: resolved; where they name no weights, nothing is done.
            places: as `start` takes them.

        Raises:
            DataError: as `start` does.
        """
        if options.get("weights_sha256") is not None:
            with torch.random.fork_rng(devices=[]):
                cls(size, **options).start(places)

    def start(self, places: Mapping[str, Any]) -> Account | None:
        """Load the published weights that the options name.

        Args:
            places: the options that say where something is, as `Named.places` carries them.

        Returns:
            What became of every key of the file and of every parameter; None where the options name no weights.

        Raises:
            DataError: the file is not there, is another one than the options say, or does not fit this encoder.
        """
        options = {**dict(self.options), **places}
        named = options.get("weights_sha256")
        try:
            file = self.find_weights(options)
        except DataError as error:
            raise error if named is None else _absent(self.name, named, error.what, error.fix) from error
        if file is not None:
            self.account = self.load_checkpoint(read_checkpoint(file), _checked_hash(file, named))
        elif named is not None:
            raise _absent(self.name, named, "no file is given")
        return self.account

    def load_checkpoint(self, checkpoint: Checkpoint, digest: str) -> Account:
        """Load what was read from a file of this SHA-256.

        Raises:
            DataError: it does not fit this encoder; the message accounts for what is missing or unexpected.
        """
        return fit_weights(self, checkpoint, digest, self.name, self.layouts())

    def layouts(self) -> tuple[Layout, ...]:
        """The key layouts of weight files that this encoder can read, its own names first."""
        return (OWN,)

    @abstractmethod
    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] to feature maps, each [B, channels[i], h, w].

        h and w are H / strides[i] and W / strides[i], rounded up (`mtlbench.heads.base.map_size`).
        """

    def stages(self) -> list[tuple[str, nn.Module]]:
        """(part, module) pairs by which cost and time inside the encoder are told apart.

        Parts may be nested, the smallest that holds a module owns it; names begin with `encoder`. By default the
        whole encoder is one part.
        """
        return [("encoder", self)]

    @abstractmethod
    def units(self) -> list[CostUnit]:
        """Closed-form cost of `forward`, ids starting with `encoder.`."""


def _checked_hash(file: Path, named: str | None) -> str:
    digest = sha256_of(file)
    if named not in {None, digest}:
        raise DataError(
            f"these weights have SHA-256 {digest}, the options say {named}",
            where=str(file),
            fix="Give the file of that hash, or remove weights_sha256 to start from this one",
        )
    return digest


def _absent(name: str, named: str, why: str, fix: str | None = None) -> DataError:
    give = "Set the encoder's option `weights` to the file of that hash (`weights: FILE` in the suite)"
    return DataError(
        f"encoder {name} starts from weights with SHA-256 {named}, but {why}",
        fix=f"{fix}. {give}" if fix else give,
    )


registry: Registry[type[Encoder]] = Registry("encoder", "mtlbench.encoders")
