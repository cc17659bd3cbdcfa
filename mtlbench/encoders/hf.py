"""Any backbone of Hugging Face `transformers` (Wolf et al., EMNLP 2020 demos), an extra."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mtlbench.component import Row
from mtlbench.cost.units import CostUnit
from mtlbench.encoders.base import Encoder, EncoderOptions
from mtlbench.encoders.weights import Account, Checkpoint
from mtlbench.encoders.weights.hf_model import (
    backbone,
    complete_config,
    load_backbone,
    model_normalisation,
    model_weights,
    tapped_stages,
)
from mtlbench.errors import UsageError
from mtlbench.hashing import canonical_json
from mtlbench.heads.base import map_size

__all__ = ["HuggingFace"]


class HuggingFaceOptions(EncoderOptions):
    """Options of `HuggingFace`, beside those of every encoder.

    Attributes:
        model: a model type of transformers (`resnet`, `swin`, `convnextv2`, `dinov2`), a folder with `config.json`,
            or a name on the Hub that is in this machine's cache. Where a model lies is no part of any identity;
            `config` is.
        config: replaces what the model's configuration says (`{image_size: 96}`). Filled in with all that shapes the
            network, so that other defaults of another version of transformers are another specification.
        arch: the model type; filled in.
        pretrained: start from the `model.safetensors` beside `config.json`. With `weights`, start from that file.
        out_indices: stages whose feature maps are taken; by default up to four, evenly spaced.
    """

    model: Annotated[str | None, Field(exclude=True)] = None
    config: dict[str, Any] = Field(default_factory=dict)
    arch: str | None = None
    pretrained: bool = False
    out_indices: Row[tuple[int, ...]] | None = None

    @model_validator(mode="after")
    def _names_one_model(self) -> Self:
        if self.model is None and "model_type" not in self.config:
            raise ValueError("no model is named: set `model`, or write hf:MODEL")
        if self.pretrained and self.weights is not None:
            raise ValueError("both pretrained and weights say what to start from: leave one of them out")
        return self


class HuggingFace(Encoder):
    """A backbone of transformers behind the contract of an encoder; for static families.

    It offers no steps (`embed`, `blocks`, `to_map`) that a variant could run one by one; a variant that needs them asks
    with `hasattr` and refuses where they are missing. Channels and strides are read from the maps of a trial run on
    tensors without data. There is no closed form for the cost of a model from elsewhere: `units` are counted from one
    call, so that they equal the dispatcher's count by construction and prove nothing about it.

    Args:
        size: input (height, width) in pixels.
        options: see `HuggingFaceOptions`.

    Attributes:
        backbone: the module of transformers.

    Raises:
        UsageError: transformers is missing, has no such backbone, or the backbone cannot run the size or cuts a
            border off.
        DataError: the model is not on this machine.
    """

    name = "hf"
    shorthand = "model"
    Options = HuggingFaceOptions
    options: HuggingFaceOptions

    def __init__(self, size: tuple[int, int], **options: Any) -> None:
        super().__init__(size, **options)
        config, taps = _config_and_taps(self.options)
        self.channels, self.strides = _try(canonical_json(config), taps, size)
        self.backbone: nn.Module = backbone(config, list(taps))
        self._units: list[CostUnit] | None = None

    @classmethod
    def resolve(cls, options: dict[str, Any]) -> dict[str, Any]:
        """As every encoder; and the complete configuration, the taps, and the model's own normalisation.

        Raises:
            pydantic.ValidationError: an option is unknown or of the wrong type.
            DataError: the model or its weights are not on this machine.
            UsageError: transformers is missing, or has no such backbone.
        """
        resolved = super().resolve(options)
        given = cls.Options.model_validate(options)
        config, taps = _config_and_taps(given)
        if given.arch not in {None, config["model_type"]}:
            raise UsageError(
                f"arch is {given.arch!r}, the model is a {config['model_type']}", fix="Leave arch out"
            )
        resolved |= {"config": config, "arch": config["model_type"], "out_indices": list(taps)}
        normalisation = model_normalisation(given.model)
        if normalisation is not None:
            resolved["mean"] = resolved["mean"] or normalisation[0]
            resolved["std"] = resolved["std"] or normalisation[1]
        return resolved

    @classmethod
    def places(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Where the weights are; where the model is does not matter once the options are resolved."""
        file = cls.find_weights(options) if options.get("model") or options.get("weights") else None
        return {} if file is None else {"weights": str(file)}

    @classmethod
    def find_weights(cls, options: Mapping[str, Any]) -> Path | None:
        """The given file, or that of the pretrained model."""
        given = super().find_weights(options)
        if given is not None or not options.get("pretrained", False):
            return given
        return model_weights(options.get("model"))

    @classmethod
    def refuse_size(cls, size: tuple[int, int], options: dict[str, Any]) -> str | None:
        """Why this input size cannot be run, in one sentence; None where it can."""
        config, taps = _config_and_taps(cls.Options.model_validate(options))
        try:
            _try(canonical_json(config), taps, size)
        except UsageError as error:
            return error.what
        return None

    def load_checkpoint(self, checkpoint: Checkpoint, digest: str) -> Account:
        """Load by transformers' own rules, which know the names of its older versions."""
        return load_backbone(self.backbone, checkpoint, digest, f"{self.name}:{self.options.arch}")

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] to feature maps [B, channels[i], h, w], as the contract says."""
        return _maps(self.backbone, x)

    def stages(self) -> list[tuple[str, nn.Module]]:
        """The embedding and the stages (or blocks), as far as the names of the modules tell."""
        parts: list[tuple[str, nn.Module]] = [("encoder", self)]
        named = sorted(self.backbone.named_modules(), key=lambda item: item[0].count("."))
        stem = next((module for name, module in named if _last(name).startswith(("embed", "stem"))), None)
        if stem is not None:
            parts.append(("encoder.stem", stem))
        lists = (m for name, m in named if isinstance(m, nn.ModuleList) and _last(name) in _STAGE_LISTS)
        stages = next((found for found in lists if len(found) > 1), nn.ModuleList())
        return parts + [(f"encoder.stage.{i}", stage) for i, stage in enumerate(stages)]

    def units(self) -> list[CostUnit]:
        """MACs per image of each part, counted from one call on zeros the first time they are asked for."""
        if self._units is None:
            self._units = self._count_units()
        return list(self._units)

    def _count_units(self) -> list[CostUnit]:
        from mtlbench.cost.counter import count_call

        was_training = self.training
        zeros = torch.zeros(1, 3, *self.size, device=next(self.parameters()).device)
        try:
            with torch.inference_mode():
                _, count = count_call(self.eval(), zeros, parts=dict(self.stages()))
        finally:
            self.train(was_training)
        rest = {"encoder": "encoder.rest"}
        return [CostUnit(rest.get(part, part), part, macs) for part, macs in count.by_part.items()]


Grid = tuple[int, int]

_LARGER = 32
"""So many times larger, a side is divided by every stride of 1 to 32 that is a power of two."""

_STAGE_LISTS = frozenset({"stages", "layers", "layer", "blocks"})


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _maps(backbone: nn.Module, x: Tensor) -> list[Tensor]:
    """The feature maps [B, C, h, w] of images [B, 3, H, W]; some transformers give patches [B, ... + h * w, C]."""
    maps = []
    for found in backbone(x).feature_maps:
        if found.dim() == 3:
            config: Any = backbone.config
            patch = config.patch_size
            down, right = patch if isinstance(patch, list | tuple) else (patch, patch)
            h, w = x.shape[-2] // down, x.shape[-1] // right
            found = found[:, -h * w :].transpose(1, 2).reshape(len(x), -1, h, w)  # noqa: PLW2901
        maps.append(found)
    return maps


def _config_and_taps(options: HuggingFaceOptions) -> tuple[dict[str, Any], tuple[int, ...]]:
    config = complete_config(options.model, options.config)
    return config, tuple(options.out_indices or tapped_stages(config))


@lru_cache(maxsize=64)
def _try(config_json: str, taps: tuple[int, ...], size: Grid) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(channels, strides) of the feature maps at one input size, from a run without data.

    A run at a larger size, where the model takes one, tells strides apart that give the same map at this size, and
    shows where a model cuts a border off.

    Raises:
        UsageError: the backbone cannot run that size, or a map has no whole stride.
    """
    config = json.loads(config_json)
    (height, width), title = size, f"{config['model_type']} of transformers"
    shapes = _map_shapes(config, taps, size)
    if isinstance(shapes, Exception):
        reason = str(shapes).strip().split("\n")[0]
        raise UsageError(
            f"{title} cannot run {height}x{width}: {reason}",
            fix="Change the size of the data, or `config.image_size` of the encoder",
        ) from shapes
    larger = _map_shapes(config, taps, (_LARGER * height, _LARGER * width), ("meta",))
    strides = [_stride(size, shape) for shape in shapes]
    if not isinstance(larger, Exception):
        wide = [_stride((_LARGER * height, _LARGER * width), shape) for shape in larger]
        strides = [near & far for near, far in zip(strides, wide, strict=True)]
    if not all(strides):
        h, w = next(shape[-2:] for shape, fitting in zip(shapes, strides, strict=True) if not fitting)
        raise UsageError(
            f"{title} makes maps of {h}x{w} cells from {height}x{width} pixels, which is no whole stride",
            fix="Choose a size that all its strides divide",
        )
    return tuple(shape[1] for shape in shapes), tuple(min(fitting) for fitting in strides)


def _stride(size: Grid, shape: torch.Size) -> set[int]:
    """The strides that would make a map of this shape from this size, fractions of a cell rounded up."""
    return {s for s in range(1, max(size) + 1) if map_size(size, s) == tuple(shape[-2:])}


def _map_shapes(
    config: dict[str, Any], taps: tuple[int, ...], size: Grid, devices: tuple[str, ...] = ("meta", "cpu")
) -> list[torch.Size] | Exception:
    """Shapes of the feature maps, or why there are none; on the CPU where a model needs numbers to choose its way."""
    reason: Exception = UsageError("nothing was tried")
    for device in devices:
        with torch.device(device), torch.inference_mode():
            built = backbone(config, list(taps))
            try:
                return [x.shape for x in _maps(built, torch.zeros(1, 3, *size))]
            except Exception as error:  # whatever a size leads the model to
                reason = error
    return reason
