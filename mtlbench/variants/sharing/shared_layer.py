"""One block run for several tasks at once: linear layers for all their rows together, the rest for each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench.encoders.blocks import Layer
from mtlbench.variants.sharing.deltas import LayerDelta, LowRank

__all__ = ["Part", "Run", "SharedLayer", "given"]


@dataclass(slots=True)
class Run:
    """What a block did for one task: what another takes from it where it computes nothing itself.

    Args:
        before: tokens that entered, [B, N, C].
        after: tokens that left, [B, N, C].
        held: keys and values of all tokens, [B * N, 2 * C]; None where attention stays inside places.
    """

    before: Tensor
    after: Tensor
    held: Tensor | None


@dataclass(slots=True)
class Part:
    """What a block is to do for one task.

    Args:
        x: tokens that enter, [B, N, C].
        kept: places that are computed, [B, K], K at least 1; None for all.
        donor: of the other places: a run of before, or the index of another part of the same call.
        delta: the task's difference of weights; None for the base task.
        carried: whether tokens that are not computed keep the difference that they came with.
    """

    x: Tensor
    kept: Tensor | None = None
    donor: Run | int | None = None
    delta: LayerDelta | None = None
    carried: bool = False


class SharedLayer(nn.Module):
    """A block of the base task's encoder, for all tasks.

    Args:
        layer: the block.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.norm1, self.norm2 = layer.norm1, layer.norm2
        self.attention, self.feed_forward = layer.attention, layer.feed_forward

    def forward(self, parts: Sequence[Part]) -> list[Run]:
        """Run the block for every part; a part comes after its donor."""
        layer, batch = self.layer, len(parts[0].x)
        places = [layer.everywhere(batch) if part.kept is None else part.kept for part in parts]
        index = [None if kept is None else layer.rows(kept) for kept in places]
        taken = [_taken(part.x, rows) for part, rows in zip(parts, index, strict=True)]
        sizes = [len(rows) for rows in taken]
        x = _joined(taken)

        seated, seats = self._seated(self.norm1(x), sizes, places)
        asked = _linear(self.attention.qkv, seated, seats, _differences(parts, "qkv"))
        mixed, held = self._mix(parts, places, _apart(asked, seats))
        said = _linear(self.attention.proj, mixed, seats, _differences(parts, "proj"))
        x = x + self._unseated(said, seats, places)

        mlp = self.feed_forward
        hidden = _linear(mlp.fc1, self.norm2(x), sizes, _differences(parts, "fc1"))
        x = x + _linear(mlp.fc2, F.gelu(hidden), sizes, _differences(parts, "fc2"))

        runs: list[Run] = []
        for part, some, rows, seen in zip(parts, _apart(x, sizes), index, held, strict=True):
            runs.append(Run(part.x, _put(part, some, rows, runs), seen))
        return runs

    def _mix(
        self, parts: Sequence[Part], places: Sequence[Tensor | None], qkv: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Attention of each part over its own tokens, and the keys and values that it saw."""
        mixed: list[Tensor] = []
        held: list[Tensor | None] = []
        for part, kept, asked in zip(parts, places, qkv, strict=True):
            donor = part.donor
            other = held[donor] if isinstance(donor, int) else donor.held if donor is not None else None
            said, seen = self.layer.mix(asked, len(part.x), kept, None if part.kept is None else other)
            mixed.append(said)
            held.append(seen)
        return _joined(mixed), held

    def _seated(
        self, rows: Tensor, sizes: list[int], places: Sequence[Tensor | None]
    ) -> tuple[Tensor, list[int]]:
        """Rows as attention takes them, and how many each part has of them."""
        if not self.layer.pads:
            return rows, sizes
        seated = [
            self.layer.seated(some, kept) for some, kept in zip(_apart(rows, sizes), places, strict=True)
        ]
        return _joined(seated), [len(some) for some in seated]

    def _unseated(self, seated: Tensor, seats: list[int], places: Sequence[Tensor | None]) -> Tensor:
        if not self.layer.pads:
            return seated
        apart = zip(_apart(seated, seats), places, strict=True)
        return _joined([self.layer.unseated(some, kept) for some, kept in apart])


def _linear(shared: nn.Module, rows: Tensor, sizes: list[int], deltas: Sequence[LowRank | None]) -> Tensor:
    """One product with the shared weights for the rows of all tasks, and the difference of each for its own."""
    found: Tensor = shared(rows)
    if not any(deltas):
        return found
    apart = zip(_apart(rows, sizes), _apart(found, sizes), deltas, strict=True)
    added = [y if delta is None else delta(x, y) for x, y, delta in apart]
    return _joined(added) if torch.is_grad_enabled() else found  # without gradients they were added in place


def _taken(x: Tensor, index: Tensor | None) -> Tensor:
    """Rows of tokens [B, N, C], all of them or some, [R, C]."""
    flat = x.reshape(-1, x.shape[-1])
    return flat if index is None else flat.index_select(0, index)


def _put(part: Part, some: Tensor, index: Tensor | None, runs: Sequence[Run]) -> Tensor:
    """Tokens that leave, [B, N, C]: the donor's, and over them the rows that were computed."""
    if part.kept is None:
        if index is None:
            return some.view_as(part.x)
        whole = torch.empty_like(_taken(part.x, None))
        return whole.index_copy(0, index, some).view_as(part.x)
    donor = runs[part.donor] if isinstance(part.donor, int) else part.donor
    if donor is None:
        raise ValueError("a part that computes some places alone needs a donor for the others")
    others = given(donor, part.x, part.carried)
    return others.reshape(-1, some.shape[-1]).index_copy(0, index, some).view_as(part.x)  # type: ignore[arg-type]


def given(donor: Run, x: Tensor, carried: bool) -> Tensor:
    """What tokens x [B, N, C] become where nothing is computed for them."""
    return donor.after + (x - donor.before) if carried else donor.after


def _differences(parts: Sequence[Part], linear: Literal["qkv", "proj", "fc1", "fc2"]) -> list[LowRank | None]:
    """The difference of one linear layer, for each part."""
    return [None if part.delta is None else part.delta.of(linear) for part in parts]


def _apart(rows: Tensor, sizes: list[int]) -> Sequence[Tensor]:
    return torch.split_with_sizes(rows, sizes)


def _joined(rows: Sequence[Tensor]) -> Tensor:
    return rows[0] if len(rows) == 1 else torch.cat(tuple(rows))
