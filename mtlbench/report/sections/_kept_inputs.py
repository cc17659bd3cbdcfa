"""The inputs that a run kept pictures of, as grids: one input under several ways, or several inputs under one."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from mtlbench.report.frame import Estimate, RunView, is_ok, text
from mtlbench.report.groups import Group
from mtlbench.report.pictures import Column, Legend, Picture, Sample, Tile, TileRow
from mtlbench.report.quantities import join, macs_unit, with_interval

__all__ = ["Kept", "compared", "extremes", "read_kept"]

MOST_WAYS = 6
MOST_EXTREMES = 2
BASELINES = 2
RANKS = ("cheapest", "median", "dearest")
GREY = (128, 128, 128)
IGNORED, WORST = 255, 254
DIMMED = 0.2
EXACT_COLOURS = 64
ERRORS = (255 * colormaps["magma"](np.arange(256))[:, :3]).round().astype(np.uint8)


class Kept(NamedTuple):
    """What one cell kept, the archive of `mtlbench.execute.jobs.pictures`.

    Attributes:
        way: its way.
        variant: its variant.
        facts: its JSON.
        arrays: its pictures.
    """

    way: str
    variant: str
    facts: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    def place(self, image: str) -> int | None:
        """Which of the kept inputs an image is; None where it was not kept."""
        ids = [str(one["id"]) for one in self.facts["inputs"]]
        return ids.index(image) if image in ids else None

    def ranked(self, rank: str) -> int | None:
        """Which of the kept inputs is the `cheapest`, `median` or `dearest`; None where inputs cost the same."""
        found = (k for k, one in enumerate(self.facts["inputs"]) if rank in one["roles"])
        return next(found, None)

    @property
    def tasks(self) -> list[str]:
        """Its tasks."""
        return list(self.facts["worst"])


def read_kept(view: RunView, group: Group, first: Iterable[str] = ()) -> tuple[list[Kept], list[str]]:
    """What the ways of a group kept, each in its first cell that kept anything, and sentences about what is missing.

    Args:
        view: the run.
        group: whose cells.
        first: ways to read whatever else is left out.
    """
    cells = group.cells[is_ok(group.cells)]
    paths: dict[str, tuple[str, Path]] = {}
    for cell, way, variant in zip(
        *(text(cells, name) for name in ("cell_id", "label", "variant")), strict=True
    ):
        path = view.folder / "samples" / f"{cell}.pictures.npz"
        if way not in paths and re.fullmatch(r"[\w.-]+", cell) and path.is_file():
            paths[way] = (variant, path)
    chosen = _thin(paths, list(first))
    hidden = [way for way in paths if way not in chosen]
    notes = [f"What {join(hidden)} predicted is in the run folder and not shown here."] if hidden else []
    kept = []
    for way in chosen:
        variant, path = paths[way]
        try:
            kept.append(_read(way, variant, path))
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            notes.append(f"The pictures of {way} cannot be read from {path.name}: {error}.")
    return kept, notes


def _thin(paths: Mapping[str, tuple[str, Path]], first: Sequence[str]) -> list[str]:
    """At most `MOST_WAYS` ways: baselines, some of those asked for, then the first and last point of each variant."""
    if len(paths) <= MOST_WAYS:
        return list(paths)
    variants = pd.Series({way: variant for way, (variant, _) in paths.items()})
    opening = variants.index[~variants.duplicated()]
    closing = variants.index[~variants.duplicated(keep="last")]
    asked = [way for way in first if way in paths]
    wanted = dict.fromkeys([*opening[:BASELINES], *asked[:MOST_EXTREMES], *opening, *closing])
    kept = list(wanted)[:MOST_WAYS]
    return [way for way in paths if way in kept]


def _read(way: str, variant: str, path: Path) -> Kept:
    with np.load(path, allow_pickle=False) as archive:
        if "facts" not in archive:
            raise ValueError("it is of an older mtlbench; run the suite again")
        arrays = dict(archive)
    return Kept(way, variant, json.loads(str(arrays.pop("facts"))), arrays)


def compared(kept: Sequence[Kept]) -> list[Sample]:
    """One grid for each input that is spread over the test split: its label beside what every way predicted."""
    inputs = kept[0].facts["inputs"] if kept else []
    spread = [(str(one["id"]), int(one["index"])) for one in inputs if "spread" in one["roles"]]
    return [_compared(image, index, kept) for image, index in spread]


def _compared(image: str, index: int, kept: Sequence[Kept]) -> Sample:
    places = [(one, k) for one in kept if (k := one.place(image)) is not None]
    cells = [_Cell(one, k) for one, k in places]
    label = cells[0]
    rows = [TileRow("input", (label.image(), *(cell.kept("all") for cell in cells)))]
    names = dict.fromkeys(name for cell in cells for name in cell.kept_names if name != "all")
    rows += [TileRow(f"{name}, kept tokens", (None, *(cell.kept(name) for cell in cells))) for name in names]
    for task in label.one.tasks:
        rows.append(TileRow(task, (label.label(task), *(cell.prediction(task) for cell in cells))))
        rows.append(TileRow(f"{task}, errors", (None, *(cell.errors(task) for cell in cells))))
    columns = (Column("input, labels"), *(Column(cell.one.way, (("MACs", cell.macs),)) for cell in cells))
    facts = (("position", f"{index + 1} of {label.one.facts['count']}"),)
    return _sample(f"Input {image}", facts, columns, rows, [one for one, _ in places])


def extremes(kept: Sequence[Kept]) -> list[Sample]:
    """One grid for each way that adapts: its cheapest, median and dearest input."""
    return [_extremes(one) for one in kept if one.ranked("cheapest") is not None][:MOST_EXTREMES]


def _extremes(kept: Kept) -> Sample:
    ranks = [(rank, _Cell(kept, k)) for rank in RANKS if (k := kept.ranked(rank)) is not None]
    cells = [cell for _, cell in ranks]
    rows = [TileRow("input", tuple(cell.image() for cell in cells))]
    for name in dict.fromkeys(name for cell in cells for name in cell.kept_names):
        title = "kept tokens" if name == "all" else f"{name}, kept tokens"
        rows.append(TileRow(title, tuple(cell.kept(name) for cell in cells)))
    for task in kept.tasks:
        rows.append(TileRow(f"{task}, label", tuple(cell.label(task) for cell in cells)))
        rows.append(TileRow(f"{task}, predicted", tuple(cell.prediction(task) for cell in cells)))
        rows.append(TileRow(f"{task}, errors", tuple(cell.errors(task) for cell in cells)))
    columns = tuple(Column(rank, (("MACs", cell.macs), ("input", cell.name))) for rank, cell in ranks)
    facts = (("chosen among", f"{kept.facts['count']} inputs"),)
    return _sample(f"Cheapest, median and dearest input of {kept.way}", facts, columns, rows, [kept])


class _Cell:
    """One kept input of one cell, as tiles."""

    def __init__(self, one: Kept, k: int) -> None:
        self.one = one
        self._k = k
        self._facts = one.facts["inputs"][k]
        self.name = str(self._facts["id"])

    @property
    def macs(self) -> str:
        """Nominal MACs with their unit."""
        value = float(self._facts["macs_nominal"])
        unit = macs_unit([value])
        return f"{with_interval(Estimate(value), unit.factor)} {unit.name.removesuffix('MACs')}".strip()

    @property
    def kept_names(self) -> list[str]:
        """Names of its maps of kept tokens."""
        start, end = "kept.", f".{self._k}"
        return [
            name[len(start) : -len(end)]
            for name in self.one.arrays
            if name.startswith(start) and name.endswith(end)
        ]

    def image(self) -> Tile | None:
        return self._tile("image", f"Input {self.name}")

    def label(self, task: str) -> Tile | None:
        return self._tile(f"label.{task}", f"Label of {task} of input {self.name}")

    def prediction(self, task: str) -> Tile | None:
        quality = self._facts["quality"].get(task)
        own = (
            ""
            if quality is None
            else f"{self.one.facts['primary'][task]} {with_interval(Estimate(float(quality)))}"
        )
        return self._tile(
            f"prediction.{task}", f"{task} of input {self.name} as {self.one.way} predicted it", own
        )

    def errors(self, task: str) -> Tile | None:
        grades = self._array(f"errors.{task}")
        if grades is None:
            return None
        picture = ERRORS[np.minimum(grades.astype(np.int64) * 255 // WORST, 255)]
        picture[grades == IGNORED] = GREY
        valid = grades[grades != IGNORED]
        mean = "" if valid.size == 0 else f"mean {valid.mean() / WORST:.2f}"
        return _tile(picture, f"Errors of {self.one.way} in {task} of input {self.name}", mean)

    def kept(self, name: str) -> Tile | None:
        """The image, darker where tokens left early."""
        share, image = self._array(f"kept.{name}"), self._array("image")
        if share is None or image is None:
            return None
        height, width = image.shape[:2]
        grid = np.asarray(Image.fromarray(share).resize((width, height), Image.Resampling.NEAREST)) / 255
        picture = (image * (DIMMED + (1 - DIMMED) * grid[..., None])).round().astype(np.uint8)
        caption = f"{100 * float(share.mean()) / 255:.0f} % of token layers"
        return _tile(
            picture, f"Tokens that {self.one.way} kept of input {self.name}: dark ones left early", caption
        )

    def _tile(self, name: str, alt: str, caption: str = "") -> Tile | None:
        picture = self._array(name)
        return None if picture is None else _tile(picture, alt, caption)

    def _array(self, name: str) -> NDArray[np.uint8] | None:
        return self.one.arrays.get(f"{name}.{self._k}")


def _tile(picture: Picture, alt: str, caption: str = "") -> Tile:
    # Most pictures of many colours give themselves away in a sixteenth of their pixels.
    exact = all(len(_colours(part)) <= EXACT_COLOURS for part in (picture[::4, ::4], picture))
    return Tile(picture, alt, caption, exact)


def _colours(picture: Picture) -> NDArray[np.int64]:
    """The different colours of a picture, each as one number."""
    return np.unique(picture.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]))


def _sample(
    name: str,
    facts: tuple[tuple[str, str], ...],
    columns: tuple[Column, ...],
    rows: Sequence[TileRow],
    kept: Sequence[Kept],
) -> Sample:
    """A grid without its empty rows, and with legends of what is in it."""
    rows = [row for row in rows if any(tile is not None for tile in row.tiles)]
    return Sample(name, facts, columns, tuple(rows), tuple(_legends(rows, kept)))


def _legends(rows: Sequence[TileRow], kept: Sequence[Kept]) -> list[Legend]:
    """What the colours of each task mean, and those of its errors."""
    facts = kept[0].facts
    legends = []
    for task, pairs in facts["legends"].items():
        keys = tuple((str(name), str(colour)) for name, colour in pairs)
        keys = _present(
            keys, [tile for row in rows if row.title in _drawn(task) for tile in row.tiles if tile]
        )
        if keys:
            legends.append(Legend(task, keys))
    worst = [(f"{task}: {words}", _hex(ERRORS[-1])) for task, words in facts["worst"].items()]
    wrong = [tile for row in rows if row.title.endswith(", errors") for tile in row.tiles if tile]
    unlabelled = any((tile.picture == GREY).all(axis=-1).any() for tile in wrong)
    none = [("no label", _hex(GREY))] if unlabelled else []
    if wrong:
        legends.append(Legend("errors", (("right", _hex(ERRORS[0])), *worst, *none)))
    return legends


def _drawn(task: str) -> set[str]:
    """Titles of the rows in which a task's own colours are used."""
    return {task, f"{task}, label", f"{task}, predicted"}


def _present(keys: tuple[tuple[str, str], ...], tiles: Sequence[Tile]) -> tuple[tuple[str, str], ...]:
    """Of a class map, which has no colours but those of its classes, the classes that are to be seen; else all keys."""
    if not tiles or not all(tile.exact for tile in tiles):
        return keys
    seen = {f"#{colour:06x}" for tile in tiles for colour in _colours(tile.picture)}
    classes = {colour for _, colour in keys} | {_hex(GREY)}
    return tuple(key for key in keys if key[1] in seen) if seen <= classes else keys


def _hex(colour: Sequence[int]) -> str:
    red, green, blue = (int(part) for part in colour)
    return f"#{red:02x}{green:02x}{blue:02x}"
