"""Pictures of inputs and of what was predicted on them: a grid of tiles, for a page as addresses, else as a figure."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from mtlbench.report.canvas import MUTED, Drawing, drawing, shorten
from mtlbench.report.groups import Group

__all__ = [
    "Column",
    "Legend",
    "Picture",
    "Sample",
    "Tile",
    "TileRow",
    "data_uri",
    "sample_drawing",
]

Picture = NDArray[np.uint8]

WIDEST = 192
SMALLEST = 96
QUALITY = 80
TILE_INCHES, NAMES_INCHES, GAP_INCHES = 1.5, 0.85, 0.08
LINE_INCHES, CAPTION_INCHES, SWATCH_INCHES = 0.15, 0.12, 0.3
LETTER_SHARE = 0.0079
"""Width of a letter in inches by point of its size, about."""
LONGEST_KEY = 44
PIXELS_PER_INCH = 160


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a grid.

    Attributes:
        picture: uint8 [H, W, 3].
        alt: what it shows, a sentence.
        caption: a few words to stand below it; may be empty.
        exact: whether single colours carry meaning, so that they must not be blended (class maps).
    """

    picture: Picture
    alt: str
    caption: str = ""
    exact: bool = False

    @cached_property
    def uri(self) -> str:
        """The picture as a `data:` address."""
        return data_uri(self.picture, exact=self.exact)


class Column(NamedTuple):
    """The head of a column: its name, and facts about it as (name, value)."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()


class TileRow(NamedTuple):
    """A row of a grid: its name, and for each column a tile, or None where there is nothing to show."""

    title: str
    tiles: tuple[Tile | None, ...]


class Legend(NamedTuple):
    """What colours mean: of what, and (name, `#rrggbb`) pairs."""

    title: str
    keys: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Sample:
    """A grid of pictures: one input under several ways, or several inputs under one.

    Attributes:
        name: a heading.
        facts: about the whole grid, as (name, value).
        columns: heads of the columns.
        rows: as many tiles in each as there are columns.
        legends: for all of the grid.
    """

    name: str
    facts: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    rows: tuple[TileRow, ...]
    legends: tuple[Legend, ...]

    @property
    def tiles(self) -> list[Tile]:
        """All tiles, row by row."""
        return [tile for row in self.rows for tile in row.tiles if tile is not None]

    @property
    def size(self) -> int:
        """Bytes that its pictures take in a page."""
        return sum(len(tile.uri) for tile in self.tiles)


def data_uri(picture: Picture, *, exact: bool = False) -> str:
    """A picture as a `data:` address: WebP, reduced where wider than a column, enlarged where tiny.

    Args:
        picture: uint8 [H, W, 3].
        exact: keep every colour as it is.
    """
    image = Image.fromarray(picture)
    tiny = image.width < SMALLEST
    if image.width > WIDEST:
        size = (WIDEST, max(1, image.height * WIDEST // image.width))
        image = image.resize(size, Image.Resampling.NEAREST if exact else Image.Resampling.LANCZOS)
    elif tiny:
        factor = -(-SMALLEST // image.width)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    stream = io.BytesIO()
    image.save(stream, "WEBP", lossless=exact or tiny, quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def sample_drawing(group: Group, sample: Sample, number: int) -> Drawing:
    """The grid as a figure, legends below it.

    Everything is placed by hand on one pair of axes in inches: laying out as many axes as tiles takes seconds.

    Args:
        group: what it belongs to; begins the figure's file name.
        sample: at least one column and one row.
        number: of the sample in its group, from 1.
    """
    width = NAMES_INCHES + (TILE_INCHES + GAP_INCHES) * len(sample.columns)
    heading = [sample.name, ", ".join(f"{name} {value}" for name, value in sample.facts)]
    heads = [
        [column.title, *(f"{name} {value}" for name, value in column.facts)] for column in sample.columns
    ]
    with drawing():
        sheet = _Sheet(width)
        for words in filter(None, heading):
            sheet.write(GAP_INCHES, words, 9, width)
            sheet.down(LINE_INCHES)
        sheet.down(LINE_INCHES * (max(map(len, heads)) - 0.4))
        for place, lines in enumerate(heads):
            for line, words in enumerate(reversed(lines)):
                sheet.write(_left(place), words, 7.5, TILE_INCHES + GAP_INCHES, above=LINE_INCHES * line)
        for row in sample.rows:
            _draw_row(sheet, row)
        for legend in sample.legends:
            _draw_legend(sheet, legend)
        figure = sheet.cut()
    names = ", ".join(column.title for column in sample.columns)
    alt = f"{', '.join(filter(None, heading))}. Columns: {names}. Rows: {'; '.join(row.title for row in sample.rows)}."
    return Drawing(f"{group.slug}-sample-{number}", sample.name, "", alt, figure)


class _Sheet:
    """A figure in inches, filled from the top."""

    def __init__(self, width: float) -> None:
        self.figure = Figure(figsize=(width, 1.0))
        self.axes = self.figure.subplots()
        self.axes.set_position((0, 0, 1, 1))  # which also takes them out of any layout
        self.axes.set_axis_off()
        self._width = width
        self._pasted: list[tuple[Image.Image, tuple[int, int]]] = []
        self._y = -LINE_INCHES

    def down(self, inches: float) -> None:
        """Go on further down."""
        self._y -= inches

    def write(self, x: float, words: str, size: float, room: float, above: float = 0.0, **how: Any) -> None:
        """One line of text, shortened to the room it has in inches."""
        most = max(int(room / (size * LETTER_SHARE)), 4)
        self.axes.text(x, self._y + above, shorten(words, most), fontsize=size, **how)

    def show(self, x: float, tile: Tile) -> float:
        """A tile with its upper edge here; returns its height."""
        height: float = TILE_INCHES * tile.picture.shape[0] / tile.picture.shape[1]
        size = (round(TILE_INCHES * PIXELS_PER_INCH), max(1, round(height * PIXELS_PER_INCH)))
        how = Image.Resampling.NEAREST if tile.exact else Image.Resampling.BICUBIC
        corner = (round(x * PIXELS_PER_INCH), round(-self._y * PIXELS_PER_INCH))
        self._pasted.append((Image.fromarray(tile.picture).resize(size, how), corner))
        return height

    def swatch(self, x: float, colour: str) -> None:
        """A patch of a legend on this line."""
        shape = Rectangle((x, self._y), 0.13, 0.085, facecolor=colour, edgecolor=MUTED, lw=0.5)
        self.axes.add_patch(shape)

    def cut(self) -> Figure:
        """The figure, as high as it was filled; its tiles are one image, which is drawn in a tenth of the time."""
        self.down(GAP_INCHES)
        self.figure.set_size_inches(self._width, -self._y)
        size = (round(self._width * PIXELS_PER_INCH), round(-self._y * PIXELS_PER_INCH))
        ground = Image.new("RGBA", size)
        for picture, corner in self._pasted:
            ground.paste(picture, corner)
        extent = (0, size[0] / PIXELS_PER_INCH, -size[1] / PIXELS_PER_INCH, 0)
        self.axes.imshow(np.asarray(ground), extent=extent, interpolation="nearest", aspect="auto", zorder=0)
        self.axes.set(xlim=(0, self._width), ylim=(self._y, 0))
        return self.figure


def _left(place: int) -> float:
    return NAMES_INCHES + place * (TILE_INCHES + GAP_INCHES)


def _draw_row(sheet: _Sheet, row: TileRow) -> None:
    sheet.down(GAP_INCHES)
    tiles = [(_left(place), tile) for place, tile in enumerate(row.tiles) if tile is not None]
    tallest = max((sheet.show(x, tile) for x, tile in tiles), default=0.0)
    sheet.down(tallest / 2)
    for line, words in enumerate(reversed(row.title.split(", "))):
        sheet.write(NAMES_INCHES - GAP_INCHES, words, 8, NAMES_INCHES, above=LINE_INCHES * line, ha="right")
    sheet.down(tallest / 2 + CAPTION_INCHES)
    for x, tile in tiles:
        sheet.write(x, tile.caption, 7, TILE_INCHES)


def _draw_legend(sheet: _Sheet, legend: Legend) -> None:
    """Keys one after the other, in as many lines as they need."""
    sheet.down(LINE_INCHES)
    sheet.write(GAP_INCHES, legend.title, 7, NAMES_INCHES - GAP_INCHES)
    x = NAMES_INCHES
    for name, colour in legend.keys:
        needed = 7 * LETTER_SHARE * len(shorten(name, LONGEST_KEY)) + SWATCH_INCHES
        if x + needed > sheet.figure.get_figwidth() and x > NAMES_INCHES:
            sheet.down(LINE_INCHES)
            x = NAMES_INCHES
        sheet.swatch(x, colour)
        sheet.write(x + 0.18, name, 7, 7 * LETTER_SHARE * LONGEST_KEY)
        x += needed
