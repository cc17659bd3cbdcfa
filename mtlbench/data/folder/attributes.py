"""Numbers known about the samples, and which samples are frames of one video."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from mtlbench.data.folder.description import Description
from mtlbench.data.folder.error import FolderError
from mtlbench.data.folder.files import Refuse
from mtlbench.data.folder.index import Index
from mtlbench.data.folder.lists import read_lines, same_name
from mtlbench.errors import DataError, did_you_mean

__all__ = ["Attributes", "clip_runs", "read_attributes"]

Attributes = Mapping[str, Mapping[str, float]]
"""By stem, numbers by name."""

_RESERVED = {"clip", "frame"}


def read_attributes(
    description: Description, index: Index, refuse: Refuse
) -> tuple[Attributes, Mapping[str, str]]:
    """Attributes of the listed samples, and the name of the clip of each one that has a clip.

    Clips add the attributes `clip`, their number in the order of the lists, and `frame`, from 0 in each clip.
    """
    stems = {entry.stem for entry in index.entries()}
    clips = description.keys.clips
    numbers: dict[str, dict[str, float]] = {}
    clip_of: dict[str, str] = {}
    if description.keys.attributes is not None:
        for stem, where, row in _rows(description, refuse):
            if stem not in stems:
                continue
            if stem in numbers:
                refuse(
                    FolderError(
                        f"{stem!r} has two rows",
                        where=where,
                        kind="a stem has two rows",
                        detail=repr(stem),
                        fix="Keep one of them",
                    )
                )
            if clips in row:
                clip_of[stem] = row.pop(clips)
            numbers[stem] = _numbers(row, where, refuse)
    if clips == "folder":
        clip_of = {stem: stem.rpartition("/")[0] for stem in stems if "/" in stem}
    return _with_clips(index, numbers, clip_of, description, refuse), clip_of


def clip_runs(stems: Sequence[str], clip_of: Mapping[str, str]) -> list[range]:
    """Indices of neighbouring `stems` of one clip; a stem without a clip is a run of its own."""
    runs: list[range] = []
    for _, run in groupby(range(len(stems)), key=lambda position: _clip(stems[position], clip_of)):
        positions = list(run)
        runs.append(range(positions[0], positions[-1] + 1))
    return runs


def _rows(description: Description, refuse: Refuse) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Of each row of the file: its stem, where it stands, and its cells by column."""
    name = str(description.keys.attributes)
    file = description.root / name
    lines = read_lines(description.root, name, refuse)
    reader = csv.reader(line for _, line in lines)
    header = [name.strip() for name in next(reader, [])]
    clips = description.keys.clips
    needed = {"stem", clips} - {"folder", None} if clips else {"stem"}
    reserved = (_RESERVED - {clips}) & set(header) if clips else set()
    faults = [
        (f"has no column {name!r}", did_you_mean(str(name), header))
        for name in sorted(needed - set(header), key=str)
    ]
    correct = "Correct its first line"
    faults += [
        (f"has a column {name!r}, which `clips` fills by itself", correct) for name in sorted(reserved)
    ]
    faults += [("names a column twice", correct)] if len(set(header)) < len(header) else []
    for fault, fix in faults if lines else []:
        refuse(DataError(f"the file {fault}", where=f"{file}:{lines[0][0]}", fix=fix))
    if faults:
        return
    for cells in reader:
        where = f"{file}:{lines[reader.line_num - 1][0]}"
        if len(cells) != len(header):
            what = f"the row has {len(cells)} cells, the first line {len(header)}"
            kind = f"a row has not the {len(header)} cells of the first line"
            refuse(FolderError(what, where=where, kind=kind, detail=f"{len(cells)} cells"))
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        yield same_name(row.pop("stem")), where, row


def _numbers(row: Mapping[str, str], where: str, refuse: Refuse) -> dict[str, float]:
    """The cells that hold something, as numbers."""
    numbers = {}
    for column, cell in row.items():
        if not cell:
            continue
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            fix = "Attributes are numbers; leave the cell empty where there is none"
            refuse(
                FolderError(
                    f"column {column!r} holds {cell!r}",
                    where=where,
                    kind=f"column {column!r} holds what is no number",
                    detail=repr(cell),
                    fix=fix,
                )
            )
            continue
        numbers[column] = value
    return numbers


def _with_clips(
    index: Index,
    numbers: Mapping[str, Mapping[str, float]],
    clip_of: Mapping[str, str],
    description: Description,
    refuse: Refuse,
) -> dict[str, dict[str, float]]:
    """`numbers` and, where there are clips, `clip` and `frame`."""
    known = {entry.stem: dict(numbers.get(entry.stem, {})) for entry in index.entries()}
    if description.keys.clips is None:
        return known
    order: dict[str, int] = {}
    for split, entries in index.splits.items():
        stems = [entry.stem for entry in entries]
        finished: set[str] = set()
        for run in clip_runs(stems, clip_of):
            clip = _clip(stems[run[0]], clip_of)
            if clip in finished:
                what = f"frames of clip {clip!r} stand apart in the list of {split}, again from {stems[run[0]]!r} on"
                where = str(description.root / getattr(description.keys.splits, split))
                refuse(DataError(what, where=where, fix="List the frames of a clip together, in order"))
            finished.add(clip)
            number = order.setdefault(clip, len(order))
            for frame, position in enumerate(run):
                known[stems[position]] |= {"clip": float(number), "frame": float(frame)}
    return known


def _clip(stem: str, clip_of: Mapping[str, str]) -> str:
    """The clip of a stem; for one without, a name that no clip has."""
    return clip_of.get(stem) or f"/{stem}"
