"""What is decided for a frame of a stream, and what is kept of it for the next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mtlbench.encoders.blocks import Layer
from mtlbench.errors import UsageError
from mtlbench.variants.sharing.shared_layer import Part, Run

__all__ = ["Changes", "Chosen", "Frame", "Splits", "Stream", "renewed"]

Chosen = dict[str, dict[int, Tensor | None]]
"""By task and block of the encoder, the places that are computed, [1, K]; None for all."""
Splits = dict[str, int]
"""By task, the block of the encoder from which on it takes from the frame before; 0 for the base task."""


@dataclass(slots=True)
class Frame:
    """What was decided for one frame.

    Args:
        age: frames since the last key frame; 0 for a key frame, which takes nothing from the frame before.
        cut: whether it is a key frame because the picture changed.
        split: where tasks change over from the base task to the frame before, if this is no key frame.
        task: what was computed where the rest was taken from the base task.
        time: what was computed where the rest was taken from the frame before.
        forced: whether it was drawn before its place in a stream was known, which then says whether it is a key frame;
            it holds places for both donors.
    """

    age: int
    cut: bool = False
    split: Splits = field(default_factory=dict)
    task: Chosen = field(default_factory=dict)
    time: Chosen = field(default_factory=dict)
    forced: bool = False

    @property
    def key(self) -> bool:
        """Whether it is a key frame."""
        return self.age == 0

    def over_time(self, name: str, index: int) -> bool:
        """Whether a task takes from the frame before in a block."""
        return not self.key and index >= self.split[name]

    def chosen(self, *, over_time: bool) -> Chosen:
        """What is computed, by the donor of the rest."""
        return self.time if over_time else self.task

    def places(self, name: str, index: int) -> Tensor | None:
        """What a task computed in a block that it ran, [1, K]; None for everything."""
        return self.chosen(over_time=self.over_time(name, index)).get(name, {}).get(index)


@dataclass(slots=True)
class Stream:
    """What is kept between two frames: of the last frame alone, so that it does not grow.

    Args:
        picture: of the last frame, see `video_keys.picture_of`; None before the first.
        age: frames between it and the last key frame.
        split: of this shot; None where it is still to be measured.
        runs: by task and block, what it takes from the frame before.
    """

    picture: Tensor | None = None
    age: int = 0
    split: Splits | None = None
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)

    def donor(self, name: str, index: int) -> Run:
        """What a task takes in a block.

        Raises:
            UsageError: a trace is replayed where the frame before it was another.
        """
        if (name, index) not in self.runs:
            raise UsageError(
                f"the trace takes block {index} of {name} from the frame before, of which nothing is kept",
                fix="Replay the traces of a stream from its first one on, after reset()",
            )
        return self.runs[name, index]

    def keep(self, name: str, index: int, run: Run) -> Run:
        """Keep a run for the next frame, as tensors of its own: a view would keep the rows of all tasks."""
        held = None if run.held is None else _compact(run.held)
        kept = Run(_compact(run.before), _compact(run.after), held)
        self.runs[name, index] = kept
        return kept

    def forget_but(self, needed: Collection[tuple[str, int]]) -> None:
        """Keep no runs but those that are needed."""
        self.runs = {key: run for key, run in self.runs.items() if key in needed}

    def held_bytes(self) -> int:
        """Bytes of memory that are really held."""
        tensors = [tensor for run in self.runs.values() for tensor in (run.before, run.after, run.held)]
        there = [tensor for tensor in (self.picture, *tensors) if tensor is not None]
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in there}
        return sum(storage.nbytes() for storage in storages.values())


class Changes(nn.Module):
    """How far each place of a task is from what it was when it was last computed: group norm over channels.

    Args:
        layer: the block in front of which it is asked.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """Tokens of both before the block, [B, N, C], to [B, places]."""
        moved: Tensor = torch.linalg.vector_norm((x - before)[:, self.layer.extra :], dim=-1)
        return self.layer.pool(moved)


def renewed(layer: Layer, part: Part, run: Run, donor: Run) -> Run:
    """A run over time as the next frame takes it: with each token as it was when it was last computed.

    The next frame compares with that, so that what changes slowly adds up and is computed in the end, as in Dutson et
    al., Eventful Transformers, ICCV 2023.

    Args:
        layer: the block.
        part: what it was asked; some places alone.
        run: what it did.
        donor: what it took from.
    """
    assert part.kept is not None  # noqa: S101  # else nothing was taken
    rows = layer.rows(part.kept)
    # What the others carried on top of the donor's is no part of what their computation gave.
    after = _over(donor.after, rows, run.after) if part.carried else run.after
    return Run(_over(donor.before, rows, part.x), after, run.held)


def _over(tokens: Tensor, rows: Tensor, of: Tensor) -> Tensor:
    """Tokens [B, N, C] with some rows of others."""
    C = tokens.shape[-1]
    some = of.reshape(-1, C).index_select(0, rows)
    return tokens.reshape(-1, C).index_copy(0, rows, some).view_as(tokens)


def _compact(tensor: Tensor) -> Tensor:
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()
