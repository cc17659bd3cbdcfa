"""Sample predictions beside labels: read from the run folder, thinned to what fits, drawn."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from mtlbench.report.canvas import Absent, Drawing, drawing, shorten
from mtlbench.report.frame import RunView, is_ok, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import join

__all__ = ["Sample", "data_uri", "sample_drawing", "samples"]

Picture = NDArray[np.uint8]

MOST_SAMPLES = 4
MOST_WAYS = 6
WIDEST = 256
SMALLEST = 96


@dataclass(frozen=True, eq=False)
class Sample:
    """One input with the labels and predictions of all tasks.

    Attributes:
        name: the sample's id in its dataset.
        image: uint8 [H, W, 3].
        labels: for each task with a label, its picture, uint8 [H, W, 3].
        predictions: for each way, for each task, the same.
    """

    name: str
    image: Picture
    labels: dict[str, Picture]
    predictions: dict[str, dict[str, Picture]]

    @property
    def tasks(self) -> list[str]:
        """All tasks that have a label or a prediction here."""
        return list(
            dict.fromkeys([*self.labels, *(task for way in self.predictions.values() for task in way)])
        )


class _File(NamedTuple):
    way: str
    arrays: Mapping[str, NDArray[Any]]


def samples(view: RunView, group: Group) -> tuple[list[Sample], list[str]]:
    """Samples of a group with the predictions of each way, and sentences about what is not shown.

    Each way is shown by its first cell that has pictures; where there are too many ways, each variant keeps
    its first and last point.
    """
    cells = group.cells[is_ok(group.cells)]
    files, notes = _read(view.folder / "samples", cells)
    if not files:
        return [], notes or ["No cell of this group kept sample predictions."]
    chosen = _thin(files, cells)
    if len(chosen) < len(files):
        hidden = [file.way for file in files if file not in chosen]
        notes.append(f"Predictions of {join(hidden)} are in the run folder and not shown here.")
    found: dict[str, Sample] = {}
    for file in chosen:
        _collect(file, found)
    if len(found) > MOST_SAMPLES:
        notes.append(f"{len(found) - MOST_SAMPLES} more samples are in the run folder.")
    return list(found.values())[:MOST_SAMPLES], notes


def _read(folder: Path, cells: pd.DataFrame) -> tuple[list[_File], list[str]]:
    files: dict[str, _File] = {}
    notes = []
    for cell, way in zip(text(cells, "cell_id"), text(cells, "label"), strict=True):
        path = folder / f"{cell}.pictures.npz"
        if way in files or not re.fullmatch(r"[\w.-]+", cell) or not path.is_file():
            continue
        try:
            with np.load(path, allow_pickle=False) as archive:
                files[way] = _File(way, dict(archive))
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            notes.append(f"The pictures of {way} cannot be read from {path.name}: {error}.")
    return list(files.values()), notes


def _thin(files: list[_File], cells: pd.DataFrame) -> list[_File]:
    if len(files) <= MOST_WAYS:
        return files
    variant = dict(zip(text(cells, "label"), text(cells, "variant"), strict=True))
    ways = pd.Series([variant[file.way] for file in files])
    ends = ~ways.duplicated() | ~ways.duplicated(keep="last")
    return [file for file, kept in zip(files, ends, strict=True) if kept]


def _collect(file: _File, found: dict[str, Sample]) -> None:
    for key, value in file.arrays.items():
        if not key.startswith("id."):
            continue
        index, name = key.removeprefix("id."), str(value)
        image = file.arrays.get(f"image.{index}")
        if image is None:
            continue
        sample = found.setdefault(name, Sample(name, image, {}, {}))
        sample.labels.update(_of("label", index, file.arrays))
        sample.predictions[file.way] = _of("prediction", index, file.arrays)


def _of(kind: str, index: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Picture]:
    start, end = f"{kind}.", f".{index}"
    return {
        key[len(start) : -len(end)]: value
        for key, value in arrays.items()
        if key.startswith(start) and key.endswith(end)
    }


def data_uri(picture: Picture) -> str:
    """A picture as a `data:` address: PNG, reduced where wider than a column, enlarged where tiny."""
    image = Image.fromarray(picture)
    if image.width > WIDEST:
        image = image.resize((WIDEST, max(1, image.height * WIDEST // image.width)), Image.Resampling.LANCZOS)
    elif image.width < SMALLEST:
        factor = -(-SMALLEST // image.width)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def sample_drawing(group: Group, sample: Sample, number: int) -> Drawing | Absent:
    """One sample as a figure: a column per task, a row for labels and then for each way."""
    if not sample.tasks:
        return Absent(f"Sample {number}", f"Sample {sample.name} has neither labels nor predictions.")
    rows: list[tuple[str, Mapping[str, Picture]]] = [("", sample.labels), *sample.predictions.items()]
    height, width = sample.image.shape[:2]
    with drawing():
        figure = Figure(figsize=(1.6 * len(sample.tasks) + 2.1, (1.6 * height / width) * len(rows) + 0.4))
        panels = figure.subplots(len(rows), len(sample.tasks) + 1, squeeze=False)
        for panel in panels.ravel():
            panel.set_axis_off()
        panels[0, 0].imshow(sample.image)
        panels[0, 0].set_title(shorten(f"image {sample.name}", 22), fontsize=8)
        for panel, task in zip(panels[0, 1:], sample.tasks, strict=True):
            panel.set_title(shorten(f"{task}, label", 24), fontsize=8)
        for line, (way, shown) in zip(panels, rows, strict=True):
            name = "\nat ".join(shorten(part, 26) for part in way.split(" at ", 1))
            line[0].text(1, 0.5, name, ha="right", va="center", fontsize=8)
            for panel, task in zip(line[1:], sample.tasks, strict=True):
                if task in shown:
                    panel.imshow(shown[task])
    ways, tasks = join(sample.predictions, 6), join(sample.tasks, 6)
    alt = f"Sample {sample.name}: image, labels and predictions of {ways} for {tasks}."
    return Drawing(f"{group.slug}-sample-{number}", f"Sample {sample.name}", "", alt, figure)
