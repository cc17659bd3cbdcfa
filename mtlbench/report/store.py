"""Figures and pictures on their way into the page: saved as files, and weighed, so that the page stays small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from markupsafe import Markup

from mtlbench.report.canvas import Absent, Drawing
from mtlbench.report.formats import FORMATS
from mtlbench.report.groups import Group
from mtlbench.report.pictures import Sample, sample_drawing
from mtlbench.report.section import Section
from mtlbench.report.svg import save_figure
from mtlbench.report.tables import Table

__all__ = ["FigureStore", "Picture", "ShownSection"]

INLINE_BYTES = 3_400_000
WIDE_INCHES = 7.0


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure in the page; `svg` is None where the page would grow too large, `file` is empty without files."""

    slug: str
    title: str
    caption: str
    alt: str
    svg: Markup | None
    wide: bool
    file: str


Shown: TypeAlias = Picture | Absent | Table | Sample


@dataclass(frozen=True, eq=False)
class ShownSection:
    """A section whose blocks are ready for the page.

    Attributes:
        slug: of the group and the section.
        title: the heading.
        lead: sentences.
        strips: neighbouring blocks of one kind (`figures`, `table` or `sample`), in reading order.
    """

    slug: str
    title: str
    lead: tuple[str, ...]
    strips: tuple[tuple[str, tuple[Shown, ...]], ...]

    @property
    def has_figures(self) -> bool:
        """Whether any figure of it is drawn."""
        return any(isinstance(block, Picture) for _, blocks in self.strips for block in blocks)


class FigureStore:
    """Saves every figure as files, and gives back as many as the page can hold.

    Args:
        folder: of the files.
        formats: of the files; with none, figures are only in the page.
        most: bytes of figures and pictures in the page.
        said: is told which figure is being drawn.
    """

    def __init__(
        self,
        folder: Path,
        formats: Sequence[str] = FORMATS,
        most: int = INLINE_BYTES,
        said: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._folder = folder
        self._formats = formats
        self._said = said
        self._left = most
        self.files: list[Path] = []

    def figure(self, drawing: Drawing) -> Picture:
        """Save a figure; it is drawn in the page as long as there is room."""
        svg = self._save(drawing)
        room = self._takes(len(svg))
        wide = drawing.figure.get_figwidth() > WIDE_INCHES
        return Picture(
            drawing.slug,
            drawing.title,
            drawing.caption,
            drawing.alt,
            svg if room else None,
            wide,
            self._file(drawing),
        )

    def sample(self, group: Group, sample: Sample, number: int) -> Sample | Absent:
        """Save a sample's pictures as a figure; they are shown in the page as long as there is room."""
        drawing = sample_drawing(group, sample, number)
        if self._formats:
            self._save(drawing)
        if self._takes(sample.size):
            return sample
        file = self._file(drawing)
        see = f": see figures/{file}" if file else ""
        return Absent(sample.name, f"The page would grow too large with these pictures{see}.")

    def _save(self, drawing: Drawing) -> Markup:
        self._said("drawing", drawing.slug)
        svg = save_figure(drawing, self._folder, self._formats)
        if self._formats:
            self.files.append(self._folder / self._file(drawing))
        return svg

    def _file(self, drawing: Drawing) -> str:
        return f"{drawing.slug}{self._formats[0]}" if self._formats else ""

    def _takes(self, size: int) -> bool:
        if size > self._left:
            return False
        self._left -= size
        return True

    def section(self, group: Group, section: Section) -> ShownSection:
        """Save the figures of a section, and make its blocks ready for the page."""
        blocks: list[Shown] = []
        samples = 0
        for block in section.blocks:
            if isinstance(block, Drawing):
                blocks.append(self.figure(block))
            elif isinstance(block, Sample):
                samples += 1
                blocks.append(self.sample(group, block, samples))
            else:
                blocks.append(block)
        strips = tuple((kind, tuple(part)) for kind, part in groupby(blocks, _kind))
        return ShownSection(f"{group.slug}-{section.slug}", section.title, section.lead, strips)


def _kind(block: Shown) -> str:
    if isinstance(block, Table):
        return "table"
    return "sample" if isinstance(block, Sample) else "figures"
