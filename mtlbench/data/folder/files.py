"""Reading one file: an image as it is seen, a label as it is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mtlbench.data.folder.error import FolderError
from mtlbench.errors import DataError

__all__ = ["LABEL_SUFFIXES", "Photo", "Refuse", "raise_first", "read_photo", "read_stored"]

LABEL_SUFFIXES = (".png", ".npy")

Refuse = Callable[[DataError], None]
"""What is done with a problem: raise it, or collect it and go on."""

_EXIF_ORIENTATION = 0x0112

# Pillow spreads 2 and 4 bits of grey over 0 to 255; dividing gives back what the file holds.
_SPREAD = {"L;2": 85, "L;4": 17}


@dataclass(frozen=True, slots=True)
class Photo:
    """An image as a viewer shows it.

    Args:
        pixels: uint8 [H, W, 3], sRGB.
        mode: how its file stores colours, in Pillow's words (`RGB`, `L`, `P`, ...).
        stored: (height, width) in the file, before its EXIF orientation was applied.
        turned: whether an EXIF orientation was applied.
    """

    pixels: NDArray[np.uint8]
    mode: str
    stored: tuple[int, int]
    turned: bool

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


def raise_first(error: DataError) -> NoReturn:
    """The `Refuse` of whoever needs all of the data to be right."""
    raise error


def read_photo(file: Path) -> Photo:
    """An image in the orientation in which viewers show it.

    Raises:
        DataError: the file is missing or corrupt, or has more than 8 bits per channel.
    """
    picture, _ = _opened(file, "image")
    if picture.mode.startswith(("I", "F")):
        raise FolderError(
            f"the image has more than 8 bits per channel (mode {picture.mode})",
            where=str(file),
            kind="an image has more than 8 bits per channel",
            detail=f"mode {picture.mode}",
            fix="Save it as an 8-bit sRGB image",
        )
    upright = ImageOps.exif_transpose(picture)
    return Photo(
        np.asarray(upright.convert("RGB")),
        picture.mode,
        (picture.height, picture.width),
        picture.getexif().get(_EXIF_ORIENTATION) in range(2, 9),
    )


def read_stored(file: Path) -> NDArray[Any]:
    """The values of a label file as they are stored: a NumPy array, or a PNG's values.

    A palette PNG gives its indices, a 1-bit PNG 0 and 1.

    Returns:
        [H, W], or [H, W, 3] of an RGB PNG, or whatever a NumPy file holds.

    Raises:
        DataError: the file is missing or corrupt, or stores colours in another way.
    """
    if file.suffix.lower() == ".npy":
        return _read_array(file)
    picture, packing = _opened(file, "label")
    if picture.mode not in {"1", "L", "P", "I", "I;16", "I;16B", "RGB"}:
        raise FolderError(
            f"the label has {len(picture.getbands())} channels (mode {picture.mode})",
            where=str(file),
            kind="a label has channels that no label has",
            detail=f"mode {picture.mode}",
            fix="Save class indices or depths in one channel, directions as RGB; no label has transparency",
        )
    values = np.asarray(picture)
    if picture.mode == "1":
        return values.astype(np.uint8)
    return values // np.uint8(_SPREAD.get(packing, 1)) if picture.mode == "L" else values


def _opened(file: Path, what: str) -> tuple[Image.Image, str]:
    """A picture, decoded, and how its file packs the values, in Pillow's words (`L;4`)."""
    try:
        with Image.open(file) as picture:
            packing = picture.tile[0].args if picture.tile else None
            picture.load()
    except FileNotFoundError as error:
        raise _missing(file, what) from error
    except Exception as error:  # Pillow raises whatever corrupt bytes lead its decoders to
        raise _unreadable(file, what, error, _RESTORE) from error
    return picture, packing if isinstance(packing, str) else ""


_RESTORE = "Restore the file, or take it out of the split lists"


def _missing(file: Path, what: str) -> DataError:
    sentence = "is a link that leads nowhere" if file.is_symlink() else "is not there"
    return DataError(f"the {what} {sentence}", where=str(file), fix=_RESTORE)


def _read_array(file: Path) -> NDArray[Any]:
    try:
        with file.open("rb") as stream:
            array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except FileNotFoundError as error:
        raise _missing(file, "label") from error
    except Exception as error:  # NumPy raises whatever corrupt bytes lead its parser to
        raise _unreadable(file, "label", error, "Restore it, or save it with numpy.save") from error
    return array


def _unreadable(file: Path, what: str, error: Exception, fix: str) -> FolderError:
    # Pillow names the file once more, which would make every message another one
    is_empty = file.is_file() and not file.stat().st_size
    reason = "the file is empty" if is_empty else str(error).replace(f" {str(file)!r}", "")
    return FolderError(
        f"the {what} cannot be read: {reason}",
        where=str(file),
        kind=f"{'an' if what == 'image' else 'a'} {what} cannot be read",
        detail=reason,
        fix=fix,
    )
