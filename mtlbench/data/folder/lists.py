"""Text files with one thing on each line: the split lists."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mtlbench.data.folder.description import Description
from mtlbench.data.folder.error import FolderError
from mtlbench.data.folder.files import Refuse
from mtlbench.data.folder.names import nearest_path
from mtlbench.errors import DataError

__all__ = ["Lists", "read_lines", "read_lists", "same_name"]


@dataclass(frozen=True)
class Lists:
    """The split lists.

    Args:
        splits: by split, the stems of its list and the line on which each stands.
        whole: whether every line of every list was understood.
    """

    splits: Mapping[str, Mapping[str, str]]
    whole: bool

    @property
    def stems(self) -> set[str]:
        """The stems of all lists."""
        return {stem for listed in self.splits.values() for stem in listed}


def read_lists(description: Description, refuse: Refuse) -> Lists:
    """Read the list of each split; a stem that is refused is left out."""
    problems: list[DataError] = []

    def note(error: DataError) -> None:
        problems.append(error)
        refuse(error)

    names = description.keys.splits.model_dump()
    splits: dict[str, dict[str, str]] = {}
    first: dict[str, str] = {}
    for split, name in names.items():
        file = description.root / name
        lines = read_lines(description.root, name, note, taken=names.values())
        if not lines and file.is_file() and not any(error.where == str(file) for error in problems):
            note(DataError(f"the list of {split} is empty", where=str(file), fix="List a stem on each line"))
        splits[split] = {}
        for number, line in lines:
            stem, where = same_name(line), f"{file}:{number}"
            fault = _fault(stem, line, where, first, splits[split])
            if fault is not None:
                note(fault)
            else:
                first[stem] = splits[split][stem] = where
    return Lists(splits, not problems)


def read_lines(root: Path, name: str, refuse: Refuse, taken: Iterable[str] = ()) -> list[tuple[int, str]]:
    """The lines of a text file that hold something, with their numbers from 1; any line ends, with or without BOM.

    Args:
        root: the folder of the dataset.
        name: of the file, relative to `root`, as `dataset.yaml` gives it.
        refuse: told what is wrong with the file.
        taken: names of other files, which this one cannot mean.
    """
    file = root / name
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        if file.exists():
            refuse(DataError(f"the file cannot be read: {error.strerror}", where=str(file)))
            return []
        near = nearest_path(root, name, folder=False, taken=taken)
        fix = "dataset.yaml names it: write it, or correct its name there"
        refuse(FolderError(
            "there is no such file",
            where=str(file),
            kind="a file that dataset.yaml names does not exist",
            detail=f"did you mean {near!r}?" if near else "",
            fix=f"Did you mean {near!r}? Correct it in dataset.yaml" if near else fix,
            advice=fix,
        ))  # fmt: skip
        return []
    except UnicodeDecodeError:
        refuse(DataError("the file is not UTF-8 text", where=str(file), fix="Save it as UTF-8"))
        return []
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def same_name(name: str) -> str:
    """A name in one spelling: the same letters can be written in several ways in Unicode, and file systems differ."""
    return unicodedata.normalize("NFC", name)


def _fault(
    stem: str, line: str, where: str, first: Mapping[str, str], own: Mapping[str, str]
) -> DataError | None:
    """What is wrong with a line that should be a new stem, or None."""
    path = PurePosixPath(stem)
    if path.is_absolute() or ".." in path.parts or str(path) != stem:
        return FolderError(
            f"{line!r} is not a stem",
            where=where,
            kind="a line is not a stem",
            detail=repr(line),
            fix="List names relative to the folder of images, such as seq1/000001",
        )
    if stem not in first:
        return None
    fault = "listed twice" if stem in own else "in two splits, so what is tested was trained on"
    return FolderError(
        f"{stem!r} is {fault}",
        where=where,
        kind=f"a stem is {fault}",
        detail=f"{stem!r}, also on {Path(first[stem]).name}",
        fix=f"It is also on {first[stem]}; take it out of one of them",
        advice="Take each of them out of one list" if stem not in own else "Keep one line of each",
    )
