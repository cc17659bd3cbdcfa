"""One frame of a stream: tasks take from the base task's run of this frame, or from their own of the frame before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtlbench.variants.sharing.choose import Ranked, Rule
from mtlbench.variants.sharing.masked import masked_run
from mtlbench.variants.sharing.network import SharingNetwork, flat_layers
from mtlbench.variants.sharing.shared_layer import Part, Run, given
from mtlbench.variants.sharing.video_keys import Keys, Timing, best_split
from mtlbench.variants.sharing.video_state import Changes, Frame, Splits, Stream, renewed
from mtlbench.variants.sharing.walk import Walk

__all__ = ["VideoWalk"]


@dataclass(slots=True)
class _Call:
    """One frame on its way through the blocks.

    Args:
        stream: what is kept of the frame before.
        frame: what is decided.
        planned: what to decide whatever is seen.
        farther: by sub-task, for each of its own blocks, how much farther its tokens are from the base task's than from
            the frame before, as a share of their norm; None where the split is known.
        base_blocks: see `VideoWalk.base_blocks`.
        needed: see `VideoWalk.needed`.
    """

    stream: Stream
    frame: Frame
    planned: Frame | None
    farther: dict[str, list[Tensor]] | None
    base_blocks: int
    needed: set[tuple[str, int]]


class VideoWalk(Walk):
    """A configured pass over the frames of streams.

    A key frame is what `Walk` does with a single image. In all others the base task takes from the frame before in
    every block, and a sub-task takes from the base task up to a block, and from the frame before behind it.

    Where that block is not given, it is measured once for each shot, on the first frame behind the one that begins it.
    In that frame sub-tasks still take from the base task everywhere, so that both differences are there: of each
    block's tokens from the base task's, and from the frame before. The mean of a difference is the share of tokens
    above a threshold, summed over all thresholds; so the split that makes the sum of the chosen means least is the one
    that computes least at equal thresholds. Each sub-task has its own, which asks nothing of the others. At density 1.0
    taking from the base task saves nothing, and the frame before is taken from in all blocks; at 0.0 it saves all.

    Args:
        network: in evaluation mode.
        names: the asked tasks.
        rule: which tokens of sub-tasks are computed where they take from the base task.
        timing: what is shared between frames.
        carried: what the others get; see the option `below`.
        masked: compute everything and throw away.
    """

    def __init__(
        self,
        network: SharingNetwork,
        names: Sequence[str],
        rule: Rule,
        timing: Timing,
        *,
        carried: bool,
        masked: bool,
    ) -> None:
        super().__init__(network, names, rule, carried=carried, masked=masked)
        self.blocks = flat_layers(network.encoder)
        self.first, self.base_task = network.shared_blocks, network.base_task
        self.changes = nn.ModuleList(Changes(layer) for layer in self.blocks)
        self.time_rule = Ranked(self.blocks, timing.density)
        self._base_asked = network.base_task in names
        # Where all tokens would be computed over time, nothing is taken from the frame before.
        interval = timing.interval if timing.density < 1 else 1
        split = self._given_split() if timing.split is None else timing.split
        known = None if split is None else self.splits(split)
        self.keys = Keys(interval, timing.cut, known, self.splits(len(self.blocks)))

    def splits(self, split: int) -> Splits:
        """The same for all sub-tasks."""
        return {**dict.fromkeys(self.names, split), self.base_task: 0}

    def _given_split(self) -> int | None:
        """The split where taking from the base task saves nothing or all; None where it is to be measured."""
        own = range(len(self.blocks) - self.first)
        if any(self._rule.asks(i) for i in own):
            return None
        return len(self.blocks) if any(self._rule.unasked(i, 1) is not None for i in own) else 0

    def frame(
        self, x: Tensor, stream: Stream, planned: Frame | None = None
    ) -> tuple[dict[str, list[Tensor]], Frame]:
        """A frame [1, 3, H, W] to the feature maps of every task, and what was decided.

        Args:
            x: normalised.
            stream: what is kept of the frame before; changed.
            planned: what to decide whatever is seen, which is looked at all the same.
        """
        frame = self.keys.begin(x, stream, planned)
        # what is replayed may go on in another way than what is seen here would
        needed = self.needed(stream.split if planned is None else None)
        call = _Call(stream, frame, planned, None, self.base_blocks(frame), needed)
        if stream.split is None and not frame.key:
            call.farther = {name: [] for name in self.names}
        maps: dict[str, list[Tensor]] = {name: [] for name in (self.base_task, *self.names)}
        base = self._encoder.embed(x)
        own: dict[str, Tensor] = {}
        index = 0
        for stage, layers in enumerate(self._encoder.layers_of):
            for _ in layers:
                if index >= self.first:
                    own = own or dict.fromkeys(self.names, base)
                base, own = self._block(index, base, own, call)
                index += 1
            base, own = self._closed(stage, index, base, own, call, maps)
        self._measured(call)
        return maps, frame

    def base_blocks(self, frame: Frame) -> int:
        """Blocks that the base task's encoder runs: behind the shared ones only as far as somebody needs it."""
        if self._base_asked:
            return len(self.blocks)
        gives = (i + 1 for i in range(self.first, len(self.blocks)) if self._gives(i, frame))
        return max(gives, default=self.first)

    def base_closes(self, end: int, base_blocks: int) -> bool:
        """Whether the base task's encoder runs the step behind a stage, which ends in front of block `end`."""
        return self._base_asked or end <= self.first or end < base_blocks

    def needed(self, split: Splits | None) -> set[tuple[str, int]]:
        """Tasks and blocks of which the next frame may take a run; None for a split that is still to be measured."""
        if self.keys.interval == 1:
            return set()
        later = Frame(1, split=self.keys.unmeasured if split is None else split)
        starts = {name: 0 if split is None else split[name] for name in self.names}
        own = {
            (name, index)
            for name, start in starts.items()
            for index in range(max(start, self.first), len(self.blocks))
        }
        return own | {(self.base_task, index) for index in range(self.base_blocks(later))}

    def _gives(self, index: int, frame: Frame) -> bool:
        """Whether a sub-task takes from the base task in a block."""
        own = index - self.first
        gives = self._rule.asks(own) or self._rule.unasked(own, 1) is not None
        return gives and any(not frame.over_time(name, index) for name in self.names)

    def _block(
        self, index: int, base: Tensor, own: dict[str, Tensor], call: _Call
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One block for all tasks."""
        parts: dict[str, Part] = {}
        if index < call.base_blocks:
            parts[self.base_task] = self._part(index, self.base_task, base, base, call)
        for name, x in own.items():
            parts[name] = self._part(index, name, x, base, call)
        runs = self._runs(index, parts, call)
        after = {name: run.after for name, run in runs.items()}
        return after.pop(self.base_task, base), after

    def _part(self, index: int, name: str, x: Tensor, base: Tensor, call: _Call) -> Part:
        """What a task is to do, and from whom it takes the rest; 0 for the base task's part of the same call."""
        sub, over_time = name != self.base_task, call.frame.over_time(name, index)
        delta = self._deltas[name][index - self.first] if sub else None
        if not sub and not over_time:
            return Part(x)
        places = self._places(index, name, x, base, call)
        call.frame.chosen(over_time=over_time).setdefault(name, {})[index] = places
        donor = None if places is None else call.stream.donor(name, index) if over_time else 0
        return Part(x, places, donor, delta, self._carried)

    def _places(self, index: int, name: str, x: Tensor, base: Tensor, call: _Call) -> Tensor | None:
        """Places that a task computes, [1, K]; None for all."""
        over_time = call.frame.over_time(name, index)
        rule, i = (self.time_rule, index) if over_time else (self._rule, index - self.first)
        if rule.asks(i):
            if over_time:
                differences = self.changes[index](x, call.stream.donor(name, index).before)
            else:
                differences = self.differences[name][i](x, base)
            places: Tensor | None = rule.places(i, name, differences)
        else:
            differences, places = None, rule.unasked(i, len(x))
        if call.farther is not None and name != self.base_task:
            call.farther[name].append(self._farther(index, name, x, differences, call))
        if call.planned is not None:
            places = call.planned.chosen(over_time=over_time)[name][index]
        return None if places is None else places.to(x.device)

    def _farther(self, index: int, name: str, x: Tensor, differences: Tensor | None, call: _Call) -> Tensor:
        """See `_Call`; nothing where there is no choice."""
        if differences is None:
            return x.new_zeros(())
        moved = self.changes[index](x, call.stream.donor(name, index).before)
        norm = torch.linalg.vector_norm(x[:, self.blocks[index].extra :], dim=-1).mean()
        farther: Tensor = (differences.mean() - moved.mean()) / norm
        return farther

    def _runs(self, index: int, parts: dict[str, Part], call: _Call) -> dict[str, Run]:
        """What became of each part; what computes nothing is left out of the call."""
        idle = {
            name: part for name, part in parts.items() if part.kept is not None and not part.kept.shape[1]
        }
        found: dict[str, Run] = {}
        if self.base_task in idle:
            found[self.base_task] = _untouched(idle.pop(self.base_task))
            _take_from(found[self.base_task], parts)
        busy = {name: part for name, part in parts.items() if name not in idle and name not in found}
        if busy:
            found |= zip(busy, self._run(index, list(busy.values())), strict=True)
        if idle:
            _take_from(found.get(self.base_task), idle)
            found |= {name: _untouched(part) for name, part in idle.items()}
        return {name: self._for_next(index, name, part, found[name], call) for name, part in parts.items()}

    def _for_next(self, index: int, name: str, part: Part, run: Run, call: _Call) -> Run:
        """The run, kept for the next frame if that needs it."""
        if (name, index) not in call.needed:
            return run
        if part.kept is None or not call.frame.over_time(name, index):
            return call.stream.keep(name, index, run)
        if part.kept.shape[1]:
            before = call.stream.donor(name, index)
            call.stream.keep(name, index, renewed(self.blocks[index], part, run, before))
        return run

    def _run(self, index: int, parts: list[Part]) -> list[Run]:
        """See `Walk`; a donor may be of the frame before."""
        shared = self._layer(index)
        if not self._masked:
            found: list[Run] = shared(parts)
            return found
        runs: list[Run] = []
        for part in parts:
            donor = runs[part.donor] if isinstance(part.donor, int) else part.donor
            runs.append(masked_run(shared.layer, part, donor))
        return runs

    def _closed(
        self,
        stage: int,
        end: int,
        base: Tensor,
        own: dict[str, Tensor],
        call: _Call,
        maps: dict[str, list[Tensor]],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The step behind a stage, for all tasks that need it."""
        if self.base_closes(end, call.base_blocks):
            found, base = self._encoder.close(stage, base)
            maps[self.base_task].append(found)
        return base, self._close_own(stage, own, maps)

    def _measured(self, call: _Call) -> None:
        """The split of this shot, if this frame was to measure it."""
        if call.farther is None:
            return
        split = {
            name: self.first + best_split(torch.stack(found).tolist() if found else [])
            for name, found in call.farther.items()
        }
        call.stream.split = {**split, self.base_task: 0}
        call.stream.forget_but(self.needed(call.stream.split))


def _untouched(part: Part) -> Run:
    """The run of a part that computes nothing."""
    assert isinstance(part.donor, Run)  # noqa: S101  # whoever takes everything has a donor
    return Run(part.x, given(part.donor, part.x, part.carried), part.donor.held)


def _take_from(base: Run | None, parts: dict[str, Part]) -> None:
    """Give sub-tasks the base task's run itself, where it is no part of their call."""
    for part in parts.values():
        part.donor = base if isinstance(part.donor, int) else part.donor
