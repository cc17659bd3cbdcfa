"""The `seven_scenes` dataset: depth as a Kinect measured it, normals and occlusion edges that follow from it.

Shotton et al., "Scene Coordinate Regression Forests for Camera Relocalization in RGB-D Images", CVPR 2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, field_validator, model_validator

from mtlbench import component
from mtlbench.data.base import Dataset, Sample
from mtlbench.data.depth_geometry import Intrinsics, Resampling, normals_from_depth, occlusion_edges
from mtlbench.data.geometry import Placement
from mtlbench.data.seven_scenes.files import (
    FOLDER,
    Frame,
    content_hash,
    find_root,
    frames_of,
    read_colour,
    read_depth,
)
from mtlbench.errors import DataError, UsageError, did_you_mean
from mtlbench.hashing import digest

__all__ = ["SevenScenes", "SevenScenesOptions", "intrinsics"]

IGNORE = 255
IMAGE = (240, 320)
FOCAL = 585 / 640  # of the depth camera, in image widths; upstream gives 585 pixels and the image's centre
NORMALS_RADIUS = 4.5 / 320  # at 1 m, in image widths
HOLE = 8 / 320  # the longest hole that edges are looked for across, in image widths

# The depth camera's view in the colour image: its width there, and how far its centre lies right of and below the
# image's, all in image widths. We moved the depth discontinuities of 84 frames to where colour gradients are strongest
# and found x' = 0.9014 x + 1.3 - 8.9 / z, y' = 0.9014 y - 1.04 (from the centre, in pixels of 320, z in metres). A crop
# cannot follow z, so this is the view at the mean of 1 / z.
VIEW_WIDTH, VIEW_RIGHT, VIEW_DOWN = 0.9014, -4.2 / 320, -1.04 / 320

Side = Annotated[int, Field(ge=8)]
# Below the root and nowhere else, so that no identity depends on the machine.
Below = Annotated[str, Field(pattern=r"^[^/.][^/]*(/[^/.][^/]*)*$")]
Frames = component.Row[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]]


class SevenScenesOptions(component.Options):
    """Options of `SevenScenes`; `root` says only where the data lies, so it is no part of any identity."""

    size: component.Row[tuple[Side, Side]] = Field(
        (120, 160), description="(height, width) of every sample in pixels"
    )
    sequences: component.Row[tuple[Below, ...]] = Field(
        ("redkitchen-tsdf/seq-01",), min_length=1, description="folders of the sequences below the root"
    )
    train: Frames = Field((0, 599), description="first and last frame for training, of each sequence")
    val: Frames = Field((650, 749), description="first and last frame for validation")
    test: Frames = Field((800, 999), description="first and last frame for testing")
    gap: int = Field(50, description="at least so many frames lie between two splits, in neither; at least 1")
    stride: int = Field(1, ge=1, description="train on every n-th frame; val and test always have them all")
    align: bool = Field(
        True, description="crop the colour image to what the depth camera sees (false: as recorded)"
    )
    root: str | None = Field(
        None, exclude=True, description=f"folder of the data; default $MTLBENCH_DATA/{FOLDER}"
    )

    @field_validator("gap")
    @classmethod
    def _some_gap(cls, gap: int) -> int:
        if gap < 1:
            raise ValueError(
                "without a gap the last frame of one split and the first of the next show the same surface (96 % of "
                "it at this camera's speed), so validation and test would score memory; use 1 or more, better 50"
            )
        return gap

    @model_validator(mode="after")
    def _apart(self) -> SevenScenesOptions:
        if len(set(self.sequences)) < len(self.sequences):
            raise ValueError("a sequence is named twice in `sequences`")
        blocks = sorted((getattr(self, split), split) for split in Dataset.splits)
        for (first, last), split in blocks:
            if first > last:
                raise ValueError(f"{split} is [first, last] frame; swap {first} and {last}")
        for ((_, last), before), ((first, _), after) in pairwise(blocks):
            if first - last - 1 < self.gap:
                raise ValueError(
                    f"{before} ends with frame {last} and {after} begins with {first}: between them must be at least "
                    f"`gap` = {self.gap} frames"
                )
        return self


class SevenScenes(Dataset):
    """Microsoft 7-Scenes with the tasks depth, normals and edge.

    Frames without sound depth (no file, a corrupt one, one of missing values alone) carry no labels and stay where
    they are in their clip.

    Attributes: `clip`, the number of its clip in the split; `frame`, as in its file names; `missing_depth`, the share
    of the depth image's pixels without depth; `complexity`, of labelled frames the share of the edge label that is 1.
    """

    name: ClassVar[str] = "seven_scenes"
    version: ClassVar[int] = 1
    Options: ClassVar[type[component.Options]] = SevenScenesOptions
    options: SevenScenesOptions

    @classmethod
    def tasks(cls, options: dict[str, Any]) -> Mapping[str, dict[str, Any]]:
        """See `Dataset.tasks`; each is labelled wherever depth allows it."""
        return {"depth": {}, "normals": {}, "edge": {}}

    def length(self, split: str) -> int:
        """See `Dataset.length`.

        Raises:
            UsageError: no such split.
            DataError: the split has no frames; or the data is not there.
        """
        return len(self._frames(split))

    def clips(self, split: str) -> list[range]:
        """See `Dataset.clips`: a clip ends with its sequence, and where a frame is missing.

        With `stride`, frames of a training clip are that many frames apart in time.
        """
        frames = self._frames(split)
        stride = self.options.stride if split == "train" else 1
        starts = [
            i
            for i, frame in enumerate(frames)
            if i == 0
            or frame.sequence != frames[i - 1].sequence
            or frame.number != frames[i - 1].number + stride
        ]
        return [range(start, stop) for start, stop in zip(starts, [*starts[1:], len(frames)], strict=True)]

    def sample(self, split: str, index: int) -> Sample:
        """See `Dataset.sample`."""
        frame = self._frames(split)[index]
        colour, depth = read_colour(frame), read_depth(frame)
        labels = {} if depth is None else _labels(depth, self.options.size)
        attributes = {
            "clip": float(self._clip_of[split][index]),
            "frame": float(frame.number),
            "missing_depth": 1.0 if depth is None else float(np.mean(depth == 0)),
        }
        edge = labels.get("edge")
        if edge is not None and (edge != IGNORE).any():
            attributes["complexity"] = float(np.mean(edge[edge != IGNORE]))
        return Sample(frame.id, _picture(colour, self.options.size, self.options.align), labels, attributes)

    def fingerprint(self) -> str:
        """See `Dataset.fingerprint`; hashes all colour and depth images of the sequences, whatever the splits hold."""
        frames = [frame for sequence in self._sequences for frame in sequence]
        return digest(
            {
                "dataset": self.name,
                "version": self.version,
                "options": self.options.model_dump(mode="json"),
                "content": content_hash(self._root, frames),
            }
        )

    @cached_property
    def _root(self) -> Path:
        return find_root(self.options.root)

    @cached_property
    def _sequences(self) -> tuple[tuple[Frame, ...], ...]:
        return tuple(frames_of(self._root, sequence) for sequence in self.options.sequences)

    @cached_property
    def _splits(self) -> dict[str, tuple[Frame, ...]]:
        """The frames of each split, sequence after sequence."""
        blocks: dict[str, tuple[int, int]] = {split: getattr(self.options, split) for split in self.splits}
        stride = {"train": self.options.stride}
        return {
            split: tuple(
                frame
                for sequence in self._sequences
                for frame in sequence
                if first <= frame.number <= last and (frame.number - first) % stride.get(split, 1) == 0
            )
            for split, (first, last) in blocks.items()
        }

    def _frames(self, split: str) -> tuple[Frame, ...]:
        if split not in self.splits:
            raise UsageError(f"{self.name} has no split {split!r}", fix=did_you_mean(split, self.splits))
        frames = self._splits[split]
        if not frames:
            first, last = getattr(self.options, split)
            raise DataError(
                f"no sequence has a frame from {first} to {last}, the split {split}",
                where=str(self._root),
                fix=f"Set `{split}` to frames that {', '.join(self.options.sequences)} has",
            )
        return frames

    @cached_property
    def _clip_of(self) -> dict[str, list[int]]:
        """By split, the number of the clip that each sample belongs to."""
        return {
            split: [number for number, clip in enumerate(self.clips(split)) for _ in clip]
            for split in self.splits
            if self._splits[split]
        }


def intrinsics(width: int, height: int) -> Intrinsics:
    """The depth camera at an image size in pixels."""
    return Intrinsics(fx=FOCAL * width, fy=FOCAL * width, cx=width / 2, cy=height / 2)


def _labels(depth: NDArray[np.float32], size: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """The labels of all tasks at (height, width) `size`, found in depth [H, W] in metres at its own size."""
    height, width = depth.shape
    normals = normals_from_depth(depth, intrinsics(width, height), radius=NORMALS_RADIUS * width)
    edge = occlusion_edges(depth, bridge=round(HOLE * width))
    placement = _placement(size)
    smaller = Resampling(depth, placement.scaled)
    return {
        "depth": _in_frame(smaller.take(depth), placement, 0),
        "normals": _in_frame(smaller.take(normals), placement, 0),
        "edge": _in_frame(smaller.edges(edge), placement, IGNORE),
    }


def _picture(colour: NDArray[np.uint8], size: tuple[int, int], align: bool) -> NDArray[np.uint8]:
    """The colour image at (height, width) `size`, antialiased; a margin repeats its border."""
    height, width = colour.shape[:2]
    placement = _placement(size)
    scale, right, down = (VIEW_WIDTH, VIEW_RIGHT, VIEW_DOWN) if align else (1.0, 0.0, 0.0)
    x, y = width / 2 + right * width, height / 2 + down * width
    view = (x - scale * width / 2, y - scale * height / 2, x + scale * width / 2, y + scale * height / 2)
    scaled = Image.fromarray(colour).resize(placement.scaled[::-1], Image.Resampling.BILINEAR, box=view)
    return np.pad(np.asarray(scaled), (*_margins(placement), (0, 0)), mode="edge")


def _placement(size: tuple[int, int]) -> Placement:
    return Placement.fit(IMAGE, size)


def _margins(placement: Placement) -> tuple[tuple[int, int], tuple[int, int]]:
    (top, left), (height, width) = placement.corner, placement.scaled
    return (top, placement.frame[0] - height - top), (left, placement.frame[1] - width - left)


def _in_frame(label: NDArray[Any], placement: Placement, fill: int) -> NDArray[Any]:
    """A label [scaled height, scaled width, ...] in its frame, the margin filled with `fill`."""
    return np.pad(label, (*_margins(placement), *[(0, 0)] * (label.ndim - 2)), constant_values=fill)
