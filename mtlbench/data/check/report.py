"""What a check found, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "QUANTILES",
    "CheckReport",
    "ClassShares",
    "ImageFacts",
    "Numbers",
    "Place",
    "Problem",
    "SplitCounts",
]

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


class Place(NamedTuple):
    """Where a problem is.

    Attributes:
        where: a file, or a file and a line of it.
        detail: what is special there; empty where `where` says it all.
    """

    where: str
    detail: str


@dataclass(frozen=True)
class Problem:
    """Something for which the dataset cannot be used.

    Args:
        what: what is wrong.
        places: all places where it is.
        fix: what to do about it, or None.
    """

    what: str
    places: tuple[Place, ...]
    fix: str | None


@dataclass(frozen=True)
class SplitCounts:
    """How much a split holds.

    Args:
        listed: stems of its list.
        read: samples whose image was read.
        labelled: by task, samples with a label that was read.
        unlabelled: read samples that have no label file.
    """

    listed: int
    read: int
    labelled: Mapping[str, int]
    unlabelled: int


@dataclass(frozen=True)
class ClassShares:
    """The label histogram of a class map.

    Args:
        names: of the classes, or their numbers where they have no names.
        pixels: of each class, its share of all pixels that have one.
        images: of each class, how many labels show it.
        ignored: share of all pixels that are ignored.
    """

    names: tuple[str, ...]
    pixels: tuple[float, ...]
    images: tuple[int, ...]
    ignored: float


@dataclass(frozen=True)
class Numbers:
    """Quantiles of labels that are numbers.

    Args:
        quantiles: of each component of a pixel's value, at `QUANTILES`; none where no pixel has a value. The extremes
            are those of all pixels; between them, 500 pixels of each label are drawn, the same ones every time.
        missing: share of all pixels without a value.
    """

    quantiles: tuple[tuple[float, ...], ...]
    missing: float


@dataclass(frozen=True)
class ImageFacts:
    """What the images are like.

    Args:
        sizes: number of images by (height, width) in pixels, as they are shown.
        modes: number of images by how their file stores colours.
        turned: images with an EXIF orientation.
        mean: of each RGB channel in [0, 1], over all pixels.
        std: likewise.
    """

    sizes: Mapping[tuple[int, int], int] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    turned: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """All that a check found.

    Args:
        root: the folder that was checked.
        folders: every folder that holds data, `root` among them; links can lead out of it.
        title: of the dataset; empty where `dataset.yaml` makes no sense.
        problems: what makes the data unusable; none of it is left out.
        notes: what is allowed but may not be meant, as sentences.
        splits: by split.
        classes: by task whose labels are class maps.
        numbers: by any other task.
        images: of all splits.
        unlisted: by `images` or task, files whose stem is in no list.
    """

    root: Path
    folders: tuple[Path, ...]
    title: str = ""
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    splits: Mapping[str, SplitCounts] = field(default_factory=dict)
    classes: Mapping[str, ClassShares] = field(default_factory=dict)
    numbers: Mapping[str, Numbers] = field(default_factory=dict)
    images: ImageFacts = field(default_factory=ImageFacts)
    unlisted: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether the dataset can be used as it is."""
        return not self.problems
