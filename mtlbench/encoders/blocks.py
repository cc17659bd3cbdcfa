"""Encoders made of blocks of attention and MLP over tokens, which variants run piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtlbench.cost.formulas import linear_macs
from mtlbench.cost.units import CostUnit
from mtlbench.encoders.base import Encoder

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mtlbench.encoders.vit_layers import Attention, Mlp

__all__ = ["BlockEncoder", "Layer"]


@dataclass(frozen=True)
class Layer(ABC):
    """One block of an encoder, and the pieces in which it can be run.

    A layer works on tokens [B, extra + h * w, C]. *Places* are what a whole block can be run for while all others pass
    untouched: the tokens of the grid in a plain transformer, the windows in one that attends inside windows.

    Args:
        stage: index of the run of layers that share a resolution and end in a feature map.
        unit: beginning of the ids of its cost units, `<unit>.attention` and `<unit>.mlp`; also its part.
        grid: (height, width) in tokens.
        extra: tokens before those of the grid (a class token), which are never left out.
        dim: channels of a token.
    """

    stage: int
    unit: str
    grid: tuple[int, int]
    extra: int
    dim: int

    @property
    def tokens(self) -> int:
        """Tokens of the grid, h * w."""
        return self.grid[0] * self.grid[1]

    @property
    def attention_macs(self) -> int:
        """MACs per image of the attention branch."""
        return self.place_macs(self.places)[0]

    @property
    def mlp_macs(self) -> int:
        """MACs per image of the MLP branch."""
        return self.token_macs * (self.extra + self.tokens)

    @property
    def token_macs(self) -> int:
        """MACs of the MLP for one token."""
        return 2 * linear_macs(1, self.dim, self.feed_forward.fc1.out_features)

    def units(self) -> list[CostUnit]:
        """Its cost units."""
        return [
            CostUnit(f"{self.unit}.attention", self.unit, self.attention_macs),
            CostUnit(f"{self.unit}.mlp", self.unit, self.mlp_macs),
        ]

    @property
    @abstractmethod
    def norm1(self) -> nn.Module:
        """The norm in front of attention."""

    @property
    @abstractmethod
    def attention(self) -> Attention:
        """Attention behind its norm: its projections, whose products `mix` goes between."""

    @property
    @abstractmethod
    def norm2(self) -> nn.Module:
        """The norm in front of the MLP."""

    @property
    @abstractmethod
    def feed_forward(self) -> Mlp:
        """The MLP behind its norm."""

    @property
    @abstractmethod
    def places(self) -> int:
        """Number of places."""

    @property
    def place_sizes(self) -> tuple[int, ...]:
        """Tokens of each place; windows at the edge of a padded grid have fewer."""
        return (self.tokens // self.places,) * self.places

    @abstractmethod
    def attend(self, x: Tensor) -> Tensor:
        """What attention adds to the tokens [B, extra + h * w, C]."""

    @abstractmethod
    def mlp(self, rows: Tensor) -> Tensor:
        """What the MLP adds to the tokens [..., C], each by itself."""

    def run(self, x: Tensor) -> Tensor:
        """The whole block: tokens [B, extra + h * w, C] to the same shape."""
        x = x + self.attend(x)
        return x + self.mlp(x)

    @abstractmethod
    def run_places(self, x: Tensor, kept: Tensor) -> Tensor:
        """The whole block for some places alone.

        Args:
            x: tokens [B, extra + h * w, C]; overwritten.
            kept: indices of places, [B, K], each row without repetition.
        """

    @abstractmethod
    def rows(self, kept: Tensor) -> Tensor:
        """Tokens that belong to some places, of all samples flattened [B * (extra + h * w)]; those before the grid too.

        Args:
            kept: indices of places, [B, K], each row without repetition.
        """

    @property
    def pads(self) -> bool:
        """Whether attention sees padding tokens, which are no rows."""
        return False

    @property
    def held_channels(self) -> int:
        """Channels by token of what `mix` takes as `held`; 0 where a place attends to nothing outside itself."""
        return 0

    def everywhere(self, batch: int) -> Tensor | None:
        """All places, [B, places], in an order of their own; None where that is the order of the tokens."""
        return None

    def seated(self, rows: Tensor, kept: Tensor | None) -> Tensor:
        """Rows of kept places [R, C] as attention takes them, [A, C]: with zeros for padding, where it pads."""
        return rows

    def unseated(self, seats: Tensor, kept: Tensor | None) -> Tensor:
        """Back from `seated`, [A, C] to [R, C]."""
        return seats

    def seats(self, kept: int) -> int:
        """Rows that attention takes for so many places, padding included."""
        return self.extra + kept

    @abstractmethod
    def mix(
        self, qkv: Tensor, batch: int, kept: Tensor | None, held: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Attention between its two projections.

        Args:
            qkv: queries, keys and values of the seated rows, [A, 3 * C].
            batch: B.
            kept: places that ask, [B, K]; None for all of them.
            held: keys and values of all tokens, [B * (extra + h * w), 2 * C], of which those of the kept places are
                replaced. None where all places ask, or where a place attends to nothing outside itself.

        Returns:
            What the heads say, [A, C], and the keys and values that they saw, as `held`; None where a place attends
            to nothing outside itself.
        """

    @abstractmethod
    def mix_macs(self, kept: int) -> int:
        """MACs per image of `mix` where so many places ask."""

    @abstractmethod
    def place_macs(self, kept: int) -> tuple[int, int]:
        """MACs of attention and of the MLP where so many places are kept; the MLP's with the largest places."""

    @abstractmethod
    def pool(self, scores: Tensor) -> Tensor:
        """Scores of the grid's tokens [B, h * w] to their mean in each place [B, places]."""

    @abstractmethod
    def spread(self, kept: Tensor) -> Tensor:
        """What holds for each place [B, places] to the grid's tokens [B, h * w]."""


class BlockEncoder(Encoder, ABC):
    """An encoder whose forward pass is `embed`, then for each stage its `layers` and `close`."""

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Normalised images [B, 3, H, W] to the tokens of the first layer."""

    @property
    @abstractmethod
    def layers_of(self) -> tuple[tuple[Layer, ...], ...]:
        """The layers of each stage, in order."""

    @abstractmethod
    def close(self, stage: int, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The feature map [B, C, h, w] of a stage and the tokens of the next one (the same after the last)."""

    def close_units(self, stage: int) -> list[CostUnit]:
        """Those of `units` that `close` costs; none where it costs nothing."""
        return []

    @abstractmethod
    def modules_from(self, first: int) -> list[str]:
        """Names of the modules that are not needed before block `first`, counted through all stages."""
