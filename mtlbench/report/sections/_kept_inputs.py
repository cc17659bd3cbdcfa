"""The inputs that a run kept pictures of, as grids: one input under several ways, or several inputs under one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from mtlbench.report.frame import Estimate
from mtlbench.report.pictures import Column, Legend, Picture, Sample, Tile, TileRow
from mtlbench.report.quantities import join, macs_unit, with_interval
from mtlbench.report.sections._inputs_frame import ALIKE, Solved, WayInputs
from mtlbench.report.sections._kept_read import MOST_EXTREMES, Kept

__all__ = ["compared", "extremes"]

RANKS = ("cheapest", "median", "dearest")
GREY = (128, 128, 128)
IGNORED, WORST = 255, 254
DIMMED = 0.2
EXACT_COLOURS = 64
ERRORS = (255 * colormaps["magma"](np.arange(256))[:, :3]).round().astype(np.uint8)


def compared(kept: Sequence[Kept], found: Solved | None = None, *, by_quality: bool = False) -> list[Sample]:
    """One grid for each input that is spread over the test split: its label beside what every way predicted.

    Args:
        kept: what ways kept.
        found: how well single inputs are solved, where it is known.
        by_quality: the best solved input first, each called by its place; else in the order of the split.
    """
    inputs = kept[0].facts["inputs"] if kept else []
    spread = [(str(one["id"]), int(one["index"])) for one in inputs if "spread" in one["roles"]]
    rank = {} if found is None else found.rank.to_dict()
    if not by_quality or len(spread) < 2 or any(image not in rank for image, _ in spread):
        return [_compared(image, index, kept, found) for image, index in spread]
    spread.sort(key=lambda one: -rank[one[0]])
    called = ["best solved", *["median"] * (len(spread) == 3), "worst solved"]
    called[1:1] = [""] * (len(spread) - len(called))
    return [
        _compared(image, index, kept, found, word)
        for (image, index), word in zip(spread, called, strict=True)
    ]


def _compared(image: str, index: int, kept: Sequence[Kept], found: Solved | None, called: str = "") -> Sample:
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
    facts = [("position", f"{index + 1} of {label.one.facts['count']}")]
    if found is not None and image in found.rank:
        worse, count = int((found.rank < found.rank[image]).sum()), len(found.rank)
        facts.append(("solved better than", f"{worse} of {count} inputs by {found.way.label}"))
    name = f"Input {image}" + (f", {called} of those with pictures" if called else "")
    return _sample(name, tuple(facts), columns, rows, [one for one, _ in places])


def extremes(kept: Sequence[Kept], ways: Sequence[WayInputs] = ()) -> list[Sample]:
    """One grid for each way that adapts: its cheapest, median and dearest input, each picture once.

    Args:
        kept: what ways kept.
        ways: what every input costs, to say how many cost the same.
    """
    rows = {way.label: way.rows for way in ways}
    adaptive = [one for one in kept if _differ([one.macs(k) for k in _ranked(one)])]
    return [
        _extremes(one, _costs(rows[one.way], one) if one.way in rows else np.empty(0))
        for one in adaptive[:MOST_EXTREMES]
    ]


def _costs(rows: pd.DataFrame, kept: Kept) -> NDArray[np.float64]:
    return rows["macs_nominal"].to_numpy()[(rows["cell_id"] == kept.cell).to_numpy()]


def _ranked(kept: Kept) -> dict[int, list[str]]:
    """What the inputs that were kept for their cost are called; one may be several things at once."""
    called: dict[int, list[str]] = {}
    for rank in RANKS:
        if (k := kept.ranked(rank)) is not None:
            called.setdefault(k, []).append(rank)
    return called


def _differ(costs: Sequence[float]) -> bool:
    return len(costs) > 1 and max(costs) > min(costs) * (1 + ALIKE)


def _extremes(kept: Kept, costs: NDArray[np.float64]) -> Sample:
    ranks = [(join(called), _Cell(kept, k)) for k, called in _ranked(kept).items()]
    cells = [cell for _, cell in ranks]
    rows = [TileRow("input", tuple(cell.image() for cell in cells))]
    for name in dict.fromkeys(name for cell in cells for name in cell.kept_names):
        title = "kept tokens" if name == "all" else f"{name}, kept tokens"
        rows.append(TileRow(title, tuple(cell.kept(name) for cell in cells)))
    for task in kept.tasks:
        rows.append(TileRow(f"{task}, label", tuple(cell.label(task) for cell in cells)))
        rows.append(TileRow(f"{task}, predicted", tuple(cell.prediction(task) for cell in cells)))
        rows.append(TileRow(f"{task}, errors", tuple(cell.errors(task) for cell in cells)))
    columns = tuple(Column(rank, (*cell.cost(costs), ("input", cell.name))) for rank, cell in ranks)
    facts = (("chosen among", f"{kept.facts['count']} inputs"),)
    name = f"{'Cheapest, median' if len(ranks) == len(RANKS) else 'Cheapest'} and dearest input of {kept.way}"
    return _sample(name, facts, columns, rows, [kept])


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
        value = self.one.macs(self._k)
        unit = macs_unit([value])
        return f"{with_interval(Estimate(value), unit.factor)} {unit.name.removesuffix('MACs')}".strip()

    def cost(self, costs: NDArray[np.float64]) -> tuple[tuple[str, str], ...]:
        """Its MACs, and how many of all inputs cost as much, where it is not alone with it."""
        alike = int(np.isclose(costs, self.one.macs(self._k), rtol=ALIKE, atol=0).sum())
        same = (("inputs that cost this", f"{alike} of {len(costs)}"),) if alike > 1 else ()
        return (("MACs", self.macs), *same)

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
