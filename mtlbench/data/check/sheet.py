"""A contact sheet: some samples of each split with their labels drawn beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mtlbench.data.folder.class_map import class_names
from mtlbench.data.folder.dataset import open_folder
from mtlbench.data.folder.description import Description, TaskLabels
from mtlbench.data.folder.files import Photo
from mtlbench.data.folder.fitting import Fitting
from mtlbench.data.folder.index import Entry, Index
from mtlbench.data.folder.reading import read_labels, read_photo
from mtlbench.data.geometry import Placement
from mtlbench.errors import DataError

__all__ = ["contact_sheet"]

_WIDTH = 192  # of a picture, in pixels
_GAP = 12
_LINE = 20
_TEXT = 13
_INK, _FAINT, _PAPER, _BLANK = (20, 20, 20), (110, 110, 110), (255, 255, 255), (235, 235, 235)
_LEAST_WIDTH = 640


def contact_sheet(root: Path, per_split: int = 4) -> Image.Image | None:
    """Evenly spaced samples of every split, each a row: the image, then each task as it is drawn in reports.

    What cannot be read says so in its place.

    Args:
        root: the folder that holds `dataset.yaml`.
        per_split: rows for each split, at most.

    Returns:
        An RGB picture; None where `dataset.yaml` makes no sense or no listed image exists.
    """
    opened = open_folder(root, lambda error: None)
    if opened is None:
        return None
    description, index, _ = opened
    chosen = list(_chosen(index, per_split))
    if not chosen:
        return None
    photos = [_photo(entry) for _, entry in chosen]
    frame = _frame([photo for photo in photos if photo is not None])
    columns = ["image", *description.tasks]
    width = max(_LEAST_WIDTH, _GAP + len(columns) * (_WIDTH + _GAP))
    legend = [
        line for name, known in description.tasks.items() for line in _legend(name, known, width - 2 * _GAP)
    ]
    row_height = _LINE + frame[0] + _GAP
    height = _GAP + _LINE + len(chosen) * row_height + len(legend) * _LINE + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, name in enumerate(columns):
        _write(draw, (_GAP + i * (_WIDTH + _GAP), _GAP), name, _INK)
    for row, ((split, entry), photo) in enumerate(zip(chosen, photos, strict=True)):
        top = _GAP + _LINE + row * row_height
        size = "" if photo is None else f"   {photo.size[1]} x {photo.size[0]}"
        _write(draw, (_GAP, top), _cut(f"{split}   {entry.stem}{size}", width - 2 * _GAP), _FAINT)
        for i, cell in enumerate(_cells(entry, photo, frame, description)):
            sheet.paste(cell, (_GAP + i * (_WIDTH + _GAP), top + _LINE))
    for i, line in enumerate(legend):
        _draw_legend(draw, line, _GAP + _LINE + len(chosen) * row_height + i * _LINE)
    return sheet


def _chosen(index: Index, per_split: int) -> Iterator[tuple[str, Entry]]:
    for split, entries in index.splits.items():
        count = min(per_split, len(entries))
        for i in range(count):
            yield split, entries[i * len(entries) // count]


def _photo(entry: Entry) -> Photo | None:
    try:
        return read_photo(entry.image)
    except DataError:
        return None


def _frame(photos: Sequence[Photo]) -> tuple[int, int]:
    """(height, width) of every picture: the middle of the images' aspects, within reason."""
    aspects = [photo.size[0] / photo.size[1] for photo in photos]
    return round(_WIDTH * float(np.clip(np.median(aspects or [1.0]), 0.5, 1.5))), _WIDTH


def _cells(
    entry: Entry, photo: Photo | None, frame: tuple[int, int], description: Description
) -> list[Image.Image]:
    """The pictures of a row."""
    if photo is None:
        return [_words("cannot be read", frame), *[_words("", frame) for _ in description.tasks]]
    labels = read_labels(entry, photo, description, lambda error: None)
    placement = Placement.fit(photo.size, frame)
    fitting = Fitting.of("stretch", photo.size, placement.scaled)
    cells = [_placed(fitting.image(photo.pixels), placement)]
    for name, known in description.tasks.items():
        if name in labels:
            cells.append(_placed(_drawn(labels[name], known, fitting), placement))
        else:
            cells.append(_words("cannot be read" if name in entry.labels else "no label", frame))
    return cells


def _drawn(label: NDArray[Any], known: TaskLabels, fitting: Fitting) -> NDArray[np.uint8]:
    empty = known.task.empty_label(*fitting.placement.frame)
    return known.task.render(fitting.label(label, known.encoding.scaling(known.task), empty))


def _placed(picture: NDArray[np.uint8], placement: Placement) -> Image.Image:
    """A picture of the placement's scaled size on a blank cell: a margin would look like part of it."""
    cell = Image.new("RGB", placement.frame[::-1], _BLANK)
    cell.paste(Image.fromarray(picture), placement.corner[::-1])
    return cell


def _words(words: str, frame: tuple[int, int]) -> Image.Image:
    cell = Image.new("RGB", frame[::-1], _BLANK)
    draw = ImageDraw.Draw(cell)
    draw.text((frame[1] / 2, frame[0] / 2), words, fill=_FAINT, font=_font(), anchor="mm")
    return cell


def _legend(name: str, known: TaskLabels, width: int) -> Iterator[list[tuple[str, Any, float]]]:
    """Lines of (words, colour or None, left) for the classes of a task that names them."""
    classes = class_names(known.task)
    if not classes:
        return
    line: list[tuple[str, Any, float]] = [(f"{name}:", None, 0.0)]
    left = _font().getlength(f"{name}:  ")
    for value, word in enumerate(classes):
        needed = _LINE + _font().getlength(f"{word}   ")
        if left + needed > width:
            yield line
            line, left = [], 0.0
        swatch = known.task.render(np.full((1, 1), value, np.uint8))[0, 0]
        line.append((word, tuple(swatch.tolist()), left))
        left += needed
    yield line


def _draw_legend(draw: ImageDraw.ImageDraw, line: Sequence[tuple[str, Any, float]], top: int) -> None:
    for word, colour, left in line:
        x = _GAP + left
        if colour is not None:
            draw.rectangle((x, top + 2, x + _TEXT, top + 2 + _TEXT), fill=colour, outline=_FAINT)
            x += _LINE
        _write(draw, (x, top), word, _INK)


def _write(
    draw: ImageDraw.ImageDraw, corner: tuple[float, float], words: str, ink: tuple[int, int, int]
) -> None:
    draw.text(corner, words, fill=ink, font=_font())


def _cut(words: str, width: int) -> str:
    """`words`, shortened in the middle to fit into `width` pixels."""
    kept = len(words)
    shown = words
    while kept > 2 and _font().getlength(shown) > width:
        kept -= 2
        shown = words[: kept // 2] + "..." + words[-(kept // 2) :]
    return shown


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings along: the same on every machine, and more than Latin letters."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", _TEXT)
