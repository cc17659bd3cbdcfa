"""Computation sharing between tasks and frames, executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from mtlbench.errors import UsageError
from mtlbench.training.artifact import Artifact, Source
from mtlbench.variants.base import Axis, Mode, Point, Provenance, Runnable, Waiver
from mtlbench.variants.sharing.options import SharingOptions
from mtlbench.variants.sharing.variant import PAPER, SHARED_BLOCKS, ComputationSharing, TokenSharing

__all__ = ["ComputationSharingVideo", "VideoOptions"]

_DENSITIES = (1.0, 0.5, 0.3, 0.1)


class VideoOptions(SharingOptions):
    """Sharing between frames too.

    Attributes:
        split: number of the encoder's blocks, from the first on, in which sub-tasks take from the base task in frames
            that are no key frames; behind them they take from the frame before. By default measured for each shot.
        cut: change of the picture from one frame to the next above which a key frame follows by itself, as a share of
            its contrast, both seen in 8 x 8 cells. Unrelated pictures differ by about 1.2.
    """

    split: Annotated[int, Field(ge=0)] | None = None
    cut: Annotated[float, Field(gt=0)] = 0.6


class ComputationSharingVideo(TokenSharing):
    """Frames of a stream: between key frames, what has changed least is taken from the frame before.

    The weights are those of `computation_sharing`, the frames of a call follow each other, and `reset` begins a stream.
    What a frame costs hangs on its place in the stream, on cuts, and on the split of its shot, which is measured.
    """

    name = "computation_sharing_video"
    Options = VideoOptions
    options: VideoOptions
    waivers: ClassVar[frozenset[Waiver]] = frozenset({"batch_coupled"})
    axes = (
        Axis("interval", (1, 2, 4, 8), "configure", "expected", low=1),
        Axis("density", _DENSITIES, "configure", "expected", low=0.0, high=1.0),
        Axis("temporal_density", _DENSITIES, "configure", "expected", low=0.0, high=1.0),
        SHARED_BLOCKS,
    )
    provenance = Provenance(
        PAPER,
        "adapted",
        (
            *ComputationSharing.provenance.deviations,
            "A token's change is taken since it was last computed, not since the last frame (as in Dutson et al., "
            "Eventful Transformers, ICCV 2023), so that slow changes are not lost.",
            "Sharing between frames is not trained; the paper penalises differences between frames.",
            "The block from which on sub-tasks take from the frame before is measured in each shot, for each sub-task "
            "(option split); the paper's heuristic is not published.",
            "A cut makes a key frame by itself (option cut).",
        ),
    )

    def refuse(self, point: Point) -> str | None:
        """Also a split behind the encoder's last block.

        Raises:
            UsageError: also an interval that is no number of frames.
        """
        _interval(point)
        return super().refuse(point) or self._refuse_split()

    def _refuse_split(self) -> str | None:
        import torch

        from mtlbench.variants.network import DenseNetwork
        from mtlbench.variants.sharing.network import block_encoder, flat_layers

        with torch.device("meta"):
            encoder = block_encoder(DenseNetwork(self.problem.only(self._base)).encoder, self.name)
        split, depth = self.options.split, len(flat_layers(encoder))
        if split is None or split <= depth:
            return None
        return (
            f"sub-tasks cannot take from the base task in {split} blocks: encoder {encoder.name} has {depth}"
        )

    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """Those of `computation_sharing`."""
        shared = self.options.model_dump(include=set(SharingOptions.model_fields))
        return ComputationSharing(self.problem, **shared).artifacts(point, source)

    def configure(
        self, point: Point, tasks: Sequence[str] | None = None, mode: Mode | None = None, device: str = "cpu"
    ) -> Runnable:
        """The network at densities and an interval, at the beginning of a stream."""
        from mtlbench.variants.sharing.choose import Everything
        from mtlbench.variants.sharing.video_keys import Timing
        from mtlbench.variants.sharing.video_runnable import VideoRunnable

        names, density = tuple(tasks or self.problem.task_names), float(point["density"])
        network = self._network.to(device)
        rule = Everything() if density >= 1 else self._rule(network, names, density)
        timing = Timing(
            _interval(point), float(point["temporal_density"]), self.options.cut, self.options.split
        )
        return VideoRunnable(
            network,
            names,
            rule,
            density,
            timing,
            carried=self.options.below == "carried",
            masked=mode == "masked",
        )


def _interval(point: Point) -> int:
    value = point["interval"]
    if not isinstance(value, int):
        raise UsageError(f"interval is a number of frames, not {value!r}", fix="Give a whole number")
    return value
