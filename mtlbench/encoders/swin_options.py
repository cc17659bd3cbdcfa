"""Options of the Swin transformer: its published sizes, any other, and where its feature maps are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mtlbench.encoders.base import EncoderOptions

__all__ = ["SwinArch", "SwinOptions"]

_Count = Annotated[int, Field(ge=1)]
_PerStage = tuple[_Count, _Count, _Count, _Count]


@dataclass(frozen=True, slots=True)
class SwinArch:
    """Size of a Swin transformer.

    Args:
        dim: channels of the first stage; each stage has twice those of the one before.
        depths: blocks of each stage.
        heads: attention heads of each stage.
    """

    dim: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]

    @property
    def dims(self) -> tuple[int, ...]:
        """Channels inside each stage."""
        return tuple(self.dim * 2**i for i in range(len(self.depths)))


_ARCHS = {
    "nano": SwinArch(dim=32, depths=(2, 2, 4, 2), heads=(1, 2, 4, 8)),
    "tiny": SwinArch(dim=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24)),
    "small": SwinArch(dim=96, depths=(2, 2, 18, 2), heads=(3, 6, 12, 24)),
    "base": SwinArch(dim=128, depths=(2, 2, 18, 2), heads=(4, 8, 16, 32)),
}


class SwinOptions(EncoderOptions):
    """Options of `Swin`, beside those of every encoder.

    Attributes:
        arch: width, depths and heads: tiny, small and base as published; nano (32 wide, depths 2, 2, 4, 2) is
            ours.
        dim: channels of the first stage, in place of the arch's; each stage doubles them.
        depths: blocks of each of the four stages, in place of the arch's.
        heads: attention heads of each of the four stages, in place of the arch's; they must divide its channels.
        patch: side of a patch in pixels, and the stride of the finest tokens; 4 as published.
        window: side of an attention window in tokens; 7 as published. Smaller in stages whose grid is
            smaller, so that weights do not depend on the input size.
        maps: whether the map of a stage is taken `before_merging` (as published for dense prediction), or
            `after_merging`, at half the resolution and twice the channels, as the released code of AdaMTL (Neseem et
            al., CVPRW 2023) takes it; the last stage merges nothing.
        tap_norms: whether every map has a layer norm of its own; AdaMTL's code has none.
        drop_path: stochastic depth of the last block in training; earlier blocks less, in a straight line
            from 0.
        norm_eps: of all layer norms.
    """

    arch: Literal["nano", "tiny", "small", "base"] = "tiny"
    dim: _Count | None = None
    depths: _PerStage | None = None
    heads: _PerStage | None = None
    patch: Annotated[int, Field(ge=1)] = 4
    window: Annotated[int, Field(ge=1)] = 7
    maps: Literal["before_merging", "after_merging"] = "before_merging"
    tap_norms: bool = True
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    norm_eps: Annotated[float, Field(gt=0)] = 1e-5

    @property
    def architecture(self) -> SwinArch:
        """The arch, with what is given in its place."""
        arch = _ARCHS[self.arch]
        return SwinArch(self.dim or arch.dim, self.depths or arch.depths, self.heads or arch.heads)

    @model_validator(mode="after")
    def _heads_divide_channels(self) -> Self:
        for i, (dim, heads) in enumerate(zip(self.architecture.dims, self.architecture.heads, strict=True)):
            if dim % heads:
                raise ValueError(
                    f"stage {i} has {dim} channels, which its {heads} heads do not divide: change dim or heads"
                )
        return self
