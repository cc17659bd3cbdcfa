"""The files of 7-Scenes: where they are, which frames there are, and what is in them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtlbench.errors import DataError

__all__ = ["FOLDER", "Frame", "content_hash", "find_root", "frames_of", "read_colour", "read_depth"]

FOLDER = "7-scenes"

_LAYOUT = f"{FOLDER}/ holds SCENE/seq-NN/frame-NNNNNN.color.png (or .jpg) and .depth.png"
_FIX = (
    f"Set MTLBENCH_DATA to the folder that holds {FOLDER}/, or the option `root` to {FOLDER}/ itself; the data is at "
    "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes"
)
_RESTORE = "Restore the file from upstream"
_COLOUR = re.compile(r"frame-(\d{6})\.color\.(?:png|jpg)")
_MISSING = (0, 65535)
_DEPTH_MODES = ("I;16", "I;16B", "I")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a sequence.

    Args:
        sequence: its folder below the root, with `/`.
        number: as in its file names.
        colour: file of the colour image; it exists.
        depth: file of the depth image; it may be absent.
    """

    sequence: str
    number: int
    colour: Path
    depth: Path

    @property
    def id(self) -> str:
        """`SCENE/seq-NN/NNNNNN`."""
        return f"{self.sequence}/{self.number:06d}"


def find_root(root: str | None) -> Path:
    """The folder of the data: `root` or `$MTLBENCH_DATA/7-scenes`.

    Raises:
        DataError: it has no place, or is no folder.
    """
    if root is not None:
        place = Path(root).expanduser()
    elif os.environ.get("MTLBENCH_DATA"):
        place = Path(os.environ["MTLBENCH_DATA"]).expanduser() / FOLDER
    else:
        raise DataError(f"7-Scenes has no place: MTLBENCH_DATA is not set. {_LAYOUT}", fix=_FIX)
    if not place.is_dir():
        raise DataError(
            f"no 7-Scenes data here: there is no such folder. {_LAYOUT}", where=str(place), fix=_FIX
        )
    return place


def frames_of(root: Path, sequence: str) -> tuple[Frame, ...]:
    """The frames of one sequence that have a colour image, in order.

    Raises:
        DataError: there are none, or a frame has two colour images.
    """
    folder = root / sequence
    found: dict[int, Path] = {}
    for file in sorted(folder.glob("frame-*.color.*")):
        match = _COLOUR.fullmatch(file.name)
        if match is None:
            continue
        number = int(match[1])
        if number in found:
            raise DataError(
                f"the frame has two colour images, the other is {found[number].name}",
                where=str(file),
                fix="Remove one of the two",
            )
        found[number] = file
    if not found:
        raise DataError(
            f"the sequence has no frames here. {_LAYOUT}",
            where=str(folder),
            fix=f"Name other `sequences`, or: {_FIX}",
        )
    return tuple(
        Frame(sequence, number, file, folder / f"frame-{number:06d}.depth.png")
        for number, file in sorted(found.items())
    )


def read_colour(frame: Frame) -> NDArray[np.uint8]:
    """The colour image, uint8 [H, W, 3].

    Raises:
        DataError: it is corrupt, or not of aspect 4:3.
    """
    try:
        with Image.open(frame.colour) as image:
            colour = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(
            f"the image cannot be read: {error}", where=str(frame.colour), fix=_RESTORE
        ) from error
    height, width = colour.shape[:2]
    if 4 * height != 3 * width:
        raise DataError(f"not of aspect 4:3, but {height} x {width}", where=str(frame.colour), fix=_RESTORE)
    return colour


def read_depth(frame: Frame) -> NDArray[np.float32] | None:
    """Depth in metres, float32 [H, W], 0 = missing; None where the file is missing, corrupt or without any depth.

    Raises:
        DataError: the file is a sound picture, but none of depth as 7-Scenes has it.
    """
    try:
        with Image.open(frame.depth) as image:
            mode, stored = image.mode, np.asarray(image)
    except (OSError, ValueError, SyntaxError):
        return None
    height, width = stored.shape[:2]
    if mode not in _DEPTH_MODES or 4 * height != 3 * width:
        raise DataError(
            f"not a depth image of 16 bits and aspect 4:3, but {mode} of {height} x {width}",
            where=str(frame.depth),
            fix=_RESTORE,
        )
    depth = stored.astype(np.float32) / np.float32(1000)
    depth[np.isin(stored, _MISSING)] = 0
    return depth if depth.any() else None


def content_hash(root: Path, frames: Iterable[Frame]) -> str:
    """Hash of names and bytes of the colour and depth images of `frames`; it changes when a depth image is removed.

    Remembered for as long as no file is touched.
    """
    files = (file for frame in frames for file in (frame.colour, frame.depth))
    return _hash(root, tuple(_stamp(root, file) for file in files))


def _stamp(root: Path, file: Path) -> tuple[str, int, int]:
    """Path under `root`, size in bytes, time of last change in ns; sizes of -1 where there is no such file."""
    name = file.relative_to(root).as_posix()
    try:
        stat = file.stat()
    except FileNotFoundError:
        return name, -1, -1
    return name, stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=8)
def _hash(root: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    total = hashlib.sha256()
    for name, size, _ in files:
        content = "" if size < 0 else hashlib.sha256((root / name).read_bytes()).hexdigest()
        total.update(f"{name}\0{size}\0{content}\n".encode())
    return total.hexdigest()
