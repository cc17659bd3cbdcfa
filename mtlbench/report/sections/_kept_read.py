"""The inputs that a run kept pictures of, as the archives of its cells hold them."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.report.frame import RunView, is_ok, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import join

__all__ = ["MOST_EXTREMES", "Kept", "read_kept"]

MOST_WAYS = 6
MOST_EXTREMES = 2
BASELINES = 2
SUFFIX = ".pictures.npz"


class Kept(NamedTuple):
    """What one cell kept, the archive of `mtlbench.execute.jobs.pictures`.

    Attributes:
        cell: its id.
        way: its way.
        variant: its variant.
        facts: its JSON.
        arrays: its pictures.
    """

    cell: str
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

    def macs(self, k: int) -> float:
        """Nominal MACs of one of the kept inputs."""
        return float(self.facts["inputs"][k]["macs_nominal"])

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
        path = view.folder / "samples" / f"{cell}{SUFFIX}"
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
    cell = path.name.removesuffix(SUFFIX)
    return Kept(cell, way, variant, json.loads(str(arrays.pop("facts"))), arrays)
