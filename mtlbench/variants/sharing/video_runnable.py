"""A configured network that shares computation between tasks and frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.variants.base import Trace
from mtlbench.variants.forced import any_places
from mtlbench.variants.sharing.choose import Everything, Rule
from mtlbench.variants.sharing.network import SharingNetwork
from mtlbench.variants.sharing.runnable import SharingRunnable
from mtlbench.variants.sharing.video_costs import VideoCosts
from mtlbench.variants.sharing.video_keys import Timing
from mtlbench.variants.sharing.video_state import Frame, Stream
from mtlbench.variants.sharing.video_walk import VideoWalk

__all__ = ["VideoRunnable"]


class VideoRunnable(SharingRunnable):
    """A network with a rule for tasks and one for frames, and the state of one stream.

    The images of a batch are frames that follow each other.

    Args:
        network: on its device, in evaluation mode.
        names: the asked tasks.
        rule: which tokens of sub-tasks are computed where they take from the base task.
        density: what the rule computes.
        timing: what is shared between frames.
        carried: what the others get.
        masked: compute everything and throw away.
    """

    def __init__(
        self,
        network: SharingNetwork,
        names: Sequence[str],
        rule: Rule,
        density: float,
        timing: Timing,
        *,
        carried: bool,
        masked: bool,
    ) -> None:
        super().__init__(network, names, rule, density, carried=carried, masked=masked)
        self._walk: VideoWalk = VideoWalk(network, names, rule, timing, carried=carried, masked=masked)
        self._costs: VideoCosts = VideoCosts(network, self._walk, rule, names)
        self._stream = Stream()

    def __call__(self, x: Tensor, decisions: Trace | None = None) -> tuple[dict[str, Tensor], Trace]:
        """See `Runnable`; frames, one after the other, which go on from those of the last call.

        Raises:
            UsageError: frames of another size than the stream's, or a trace of another number of frames.
        """
        self._check(x, decisions)
        planned = [None] * len(x) if decisions is None else decisions.decisions
        told: list[Frame] = []
        predicted: dict[str, list[Tensor]] = {name: [] for name in self.tasks}
        with torch.no_grad():  # else each frame would hold the graph of all before it
            for image, plan in zip(torch.split(x, 1), planned, strict=True):
                maps, frame = self._walk.frame(image, self._stream, plan)
                told.append(frame)
                for name, prediction in self._predictions(maps).items():
                    predicted[name].append(prediction)
        together = {name: torch.cat(found) for name, found in predicted.items()}
        return together, self._costs.trace_of(told)

    def reset(self) -> None:
        """See `Runnable`."""
        self._stream = Stream()

    def cache_bytes(self) -> int:
        """See `Runnable`: what is held between two frames, at most, and what single images hold while they run."""
        size = next(self._network.encoder.parameters()).element_size()
        return size * self._costs.held_numbers() + super().cache_bytes()

    def held_bytes(self) -> int:
        """Bytes that are really held now, between two frames."""
        return self._stream.held_bytes()

    def forced(self, x: Tensor, seed: int) -> Trace | None:
        """See `Runnable`: as many places as the densities say, anywhere, for both donors.

        Where a frame stands in its stream says whether it is a key frame; there are no cuts. Its cost is told as if the
        stream began with these frames. A split that would be measured is in the middle.
        """
        alone = isinstance(self._rule, Everything) or not self._walk.names
        if alone and self._walk.keys.interval == 1:
            return None
        generator = torch.Generator().manual_seed(seed)
        interval = self._walk.keys.interval
        return self._costs.trace_of([self._drawn(i % interval, x, generator) for i in range(len(x))])

    def _drawn(self, age: int, x: Tensor, generator: torch.Generator) -> Frame:
        walk = self._walk
        middle = (walk.first + len(walk.blocks)) // 2
        split = walk.splits(middle) if walk.keys.split is None else walk.keys.split
        task, time = {}, {}
        for name in walk.names:
            task[name] = self._any(walk.first, self._counts, generator, x.device)
        for name in (walk.base_task, *walk.names):
            time[name] = self._any(0, walk.time_rule.counts, generator, x.device)
        return Frame(age, split=split, task=task, time=time, forced=True)

    def _any(
        self, first: int, counts: Sequence[int], generator: torch.Generator, device: torch.device
    ) -> dict[int, Tensor | None]:
        """Random places for blocks from `first` on."""
        found: dict[int, Tensor | None] = {}
        for index, count in enumerate(counts, start=first):
            sizes = self._walk.blocks[index].place_sizes
            chosen = None if count >= len(sizes) else any_places(sizes, count, 1, generator).to(device)
            found[index] = chosen
        return found

    def parts(self) -> list[tuple[str, nn.Module]]:
        """As of single images; what looks at changes belongs to what sharing adds."""
        parts = dict(super().parts())
        parts["sharing"] = nn.ModuleList((parts["sharing"], self._walk.changes))
        return list(parts.items())

    def _check(self, x: Tensor, decisions: Trace | None) -> None:
        size = self._network.problem.size
        if x.dim() != 4 or len(x) == 0 or tuple(x.shape[2:]) != size:
            raise UsageError(
                f"a stream's frames, one or more a call, are all of {size[0]}x{size[1]} pixels, not {list(x.shape)}",
                fix="Resize the frames, or build the network for theirs and reset() it for a new stream",
            )
        if decisions is not None and decisions.batch != len(x):
            raise UsageError(
                f"a trace of {decisions.batch} frames cannot be replayed on {len(x)}",
                fix="Replay each call's trace on the frames of that call",
            )
