"""The `scenes` dataset: numbered pictures of rooms, made on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from mtlbench import component
from mtlbench.data.base import Dataset, Sample
from mtlbench.data.scenes.chance import GOLDEN, Chance, unit_of
from mtlbench.data.scenes.item import CLASSES
from mtlbench.data.scenes.labels import labels_of
from mtlbench.data.scenes.raycast import cast
from mtlbench.data.scenes.room import Room, build_room
from mtlbench.data.scenes.shading import shade
from mtlbench.data.scenes.surface import surface_of
from mtlbench.errors import UsageError, did_you_mean
from mtlbench.hashing import digest

__all__ = ["Scenes", "ScenesOptions"]

Side = Annotated[int, Field(ge=16)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ScenesOptions(component.Options):
    """Options of `Scenes`.

    Args:
        size: height and width in pixels, at least 16 each. The longer side spans the field of view.
        train: number of images in the split `train`. Counts do not influence the images.
        val: the same of `val`.
        test: the same of `test`.
        seed: other seeds give other rooms.
        clip_length: that many consecutive indices are the frames of one clip; the last clip may be shorter.
        cut: whether each clip cuts to another room at frame `clip_length // 2`.
        complexity: lowest and highest complexity of a room, within [0, 1].
    """

    size: component.Row[tuple[Side, Side]] = (96, 96)
    train: Count = 512
    val: Count = 64
    test: Count = 128
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    clip_length: Annotated[int, Field(ge=1)] = 1
    cut: bool = False
    complexity: component.Row[tuple[Share, Share]] = (0.0, 1.0)

    @model_validator(mode="after")
    def _consistent(self) -> ScenesOptions:
        if self.complexity[0] > self.complexity[1]:
            raise ValueError("complexity is [lowest, highest]; swap the two")
        if self.cut and self.clip_length < 2:
            raise ValueError("cut needs a clip_length of at least 2")
        return self


class Scenes(Dataset):
    """Ray-cast rooms with exact labels; ours. The same options give the same bytes on every machine.

    Labels, each from the ray through the pixel's centre:

    - semseg: class of the item, see `item.CLASSES`.
    - depth: metres along the optical axis (not along the ray).
    - normals: unit normal of the visible side, so its product with the pixel's ray is negative. (Its z alone
      can be positive off the image's centre.)
    - saliency: tables, chairs, sofas, cabinets and balls may be painted in a saturated colour; 1 on those
      painted items that show at least half as many pixels as the one that shows most. Rugs and pictures may
      be as gaudy, but never count. All 0 where every painted item is hidden.
    - edge: outline of every part (board, leg, cushion, ball, wall, ...), one pixel wide, on the nearer side.

    `attributes`: `complexity` in [0, 1] sets the number of items, the clutter on them, and how many surfaces
    are textured, how strongly and finely; within a split it is spread evenly. `objects` counts the items in
    the room, some of them perhaps hidden. `clip` and `frame` say where in which clip the image is.
    """

    name: ClassVar[str] = "scenes"
    version: ClassVar[int] = 1
    Options: ClassVar[type[component.Options]] = ScenesOptions
    options: ScenesOptions

    @classmethod
    def tasks(cls, options: dict[str, Any]) -> Mapping[str, dict[str, Any]]:
        """All five tasks, whatever the options, on every sample."""
        cls.Options.model_validate(options)
        return {"semseg": {"classes": list(CLASSES)}, "depth": {}, "normals": {}, "saliency": {}, "edge": {}}

    def length(self, split: str) -> int:
        """Number of images in `split`.

        Raises:
            UsageError: no such split.
        """
        if split not in self.splits:
            raise UsageError(f"scenes has no split {split!r}", fix=did_you_mean(split, self.splits))
        options = self.options
        return {"train": options.train, "val": options.val, "test": options.test}[split]

    def clips(self, split: str) -> list[range]:
        """See `Dataset.clips`: `clip_length` frames each, the last perhaps fewer; a cut is inside its clip.

        Raises:
            UsageError: no such split.
        """
        count, frames = self.length(split), self.options.clip_length
        return [range(start, min(start + frames, count)) for start in range(0, count, frames)]

    def room(self, split: str, index: int) -> Room:
        """The room that sample `index` of `split` is a picture of, for whoever needs more than its labels.

        Raises:
            UsageError: no such split.
            IndexError: no such sample.
        """
        if not 0 <= index < self.length(split):
            raise IndexError(
                f"scenes has {self.length(split)} samples in {split}, there is no sample {index}"
            )
        options = self.options
        clip, frame = divmod(index, options.clip_length)
        after_cut = int(options.cut and frame >= options.clip_length // 2)
        series = (options.seed, self.splits.index(split), after_cut)
        # Steps of the golden ratio cover [0, 1) evenly, however many are taken.
        spread = unit_of(Chance(*series).bits() + clip * GOLDEN)
        low, high = options.complexity
        return build_room((*series, clip), low + (high - low) * spread)

    def sample(self, split: str, index: int) -> Sample:
        """Render sample `index` of `split`.

        Raises:
            UsageError: no such split.
            IndexError: no such sample.
        """
        room = self.room(split, index)
        clip, frame = divmod(index, self.options.clip_length)
        camera = room.path.at(frame)
        hits = cast(room.table, camera, *self.options.size)
        surface = surface_of(room.table, camera, hits)
        return Sample(
            id=f"{split}/{clip}/{frame}",
            image=shade(room, camera, hits, surface),
            labels=labels_of(room, camera, hits, surface),
            attributes={
                "complexity": room.complexity,
                "objects": float(room.objects),
                "clip": float(clip),
                "frame": float(frame),
            },
        )

    def fingerprint(self) -> str:
        """Hash of the options and of the version of this renderer."""
        return digest({"dataset": self.name, "version": self.version, **self.options.model_dump(mode="json")})
