"""Which samples there are: the split lists, and the files that belong to each stem."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mtlbench.data.folder.description import Description
from mtlbench.data.folder.files import LABEL_SUFFIXES, Refuse
from mtlbench.errors import DataError

__all__ = ["Entry", "Index", "read_index", "read_lines", "same_name"]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One sample: its stem, its image, and a label file for each task that labels it."""

    stem: str
    image: Path
    labels: Mapping[str, Path]


@dataclass(frozen=True)
class Index:
    """All samples.

    Args:
        splits: entries by split, in the order of the lists.
        listed: how many distinct stems each list holds, with those that have no image.
        unlisted: by `images` or task, files whose stem is in no list.
    """

    splits: Mapping[str, tuple[Entry, ...]]
    listed: Mapping[str, int]
    unlisted: Mapping[str, tuple[Path, ...]]

    def entries(self) -> Iterator[Entry]:
        """The entries of all splits."""
        for entries in self.splits.values():
            yield from entries


def read_index(description: Description, refuse: Refuse) -> Index:
    """Read the lists and find the files; stems that are refused are left out."""
    root = description.root
    lists = _read_lists(description, refuse)
    stems = {stem for listed in lists.values() for stem in listed}
    images = _scan(root / description.keys.images.folder, description.keys.images.suffixes, "images", refuse)
    labels = {
        name: _scan(root / known.encoding.folder, LABEL_SUFFIXES, f"labels of {name}", refuse)
        for name, known in description.tasks.items()
    }
    for name, found in labels.items():
        if not stems & found.keys():
            refuse(_no_labels(root / description.tasks[name].encoding.folder, name, found))

    def entry(stem: str, where: str) -> Entry | None:
        image = _one(stem, images.get(stem, []), refuse)
        if image is None:
            if stem not in images:
                refuse(DataError(f"there is no image for {stem!r}", where=where, fix=_nearest(stem, images)))
            return None
        known = {name: _one(stem, found.get(stem, []), refuse) for name, found in labels.items()}
        return Entry(stem, image, {name: file for name, file in known.items() if file is not None})

    splits = {
        split: tuple(known for stem, where in listed.items() if (known := entry(stem, where)) is not None)
        for split, listed in lists.items()
    }
    unlisted = {
        role: tuple(file for stem, files in found.items() if stem not in stems for file in files)
        for role, found in {"images": images, **labels}.items()
    }
    return Index(splits, {split: len(listed) for split, listed in lists.items()}, unlisted)


def read_lines(file: Path, refuse: Refuse) -> list[tuple[int, str]]:
    """The lines of a text file that hold something, with their numbers from 1; any line ends, with or without BOM."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = "there is no such file" if not file.exists() else f"the file cannot be read: {error}"
        refuse(
            DataError(
                reason, where=str(file), fix="dataset.yaml names it: write it, or correct its name there"
            )
        )
        return []
    except UnicodeDecodeError:
        refuse(DataError("the file is not UTF-8 text", where=str(file), fix="Save it as UTF-8"))
        return []
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def same_name(name: str) -> str:
    """A name in one spelling: the same letters can be written in several ways in Unicode, and file systems differ."""
    return unicodedata.normalize("NFC", name)


def _read_lists(description: Description, refuse: Refuse) -> dict[str, dict[str, str]]:
    """By split, the stems of its list and the line on which each stands."""
    lists: dict[str, dict[str, str]] = {}
    first: dict[str, str] = {}
    for split, name in description.keys.splits.model_dump().items():
        file = description.root / name
        lines = read_lines(file, refuse)
        if not lines and file.is_file():
            refuse(
                DataError(f"the list of {split} is empty", where=str(file), fix="List a stem on each line")
            )
        lists[split] = {}
        for number, line in lines:
            stem, where = same_name(line), f"{file}:{number}"
            path = PurePosixPath(stem)
            if path.is_absolute() or ".." in path.parts or str(path) != stem:
                fix = "List names relative to the folder of images, such as seq1/000001"
                refuse(DataError(f"{line!r} is not a stem", where=where, fix=fix))
            elif stem in first:
                same = stem in lists[split]
                what = "listed twice" if same else "in two splits, so what is tested was trained on"
                fix = f"It is also on {first[stem]}; take it out of one of them"
                refuse(DataError(f"{stem!r} is {what}", where=where, fix=fix))
            else:
                first[stem] = lists[split][stem] = where
    return lists


def _scan(folder: Path, suffixes: Iterable[str], what: str, refuse: Refuse) -> dict[str, list[Path]]:
    """By stem, the files below `folder` that end in one of `suffixes`, whatever their case; links are followed."""
    if not folder.is_dir():
        refuse(
            DataError(f"there is no folder of {what}", where=str(folder), fix="Correct it in dataset.yaml")
        )
        return {}
    endings = {suffix.lower() for suffix in suffixes}
    seen: set[str] = set()
    found: dict[str, list[Path]] = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link that leads back up would be followed for ever
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        below = os.path.relpath(parent, folder)
        for name in sorted(names):
            stem, ending = os.path.splitext(name)
            if ending.lower() in endings and not name.startswith("."):
                path = stem if below == "." else f"{Path(below).as_posix()}/{stem}"
                found.setdefault(same_name(path), []).append(Path(parent) / name)
    return found


def _one(stem: str, files: list[Path], refuse: Refuse) -> Path | None:
    """The only file of a stem; None where there is none or more than one."""
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        where = str(files[0].parent)
        refuse(DataError(f"several files for {stem!r}: {names}", where=where, fix="Keep one of them"))
        return None
    return files[0] if files else None


def _no_labels(folder: Path, name: str, found: Mapping[str, list[Path]]) -> DataError:
    if found:
        example = next(iter(found))
        return DataError(
            f"no label of {name} belongs to a listed stem; there is one for {example!r}, for example",
            where=str(folder),
            fix="Name labels like their images: same subfolder, same stem",
        )
    others = sorted({file.suffix for file in folder.rglob("*") if file.is_file()}) if folder.is_dir() else []
    return DataError(
        f"there are no labels of {name}" + (f", only files ending in {', '.join(others)}" if others else ""),
        where=str(folder),
        fix=f"Labels end in {' or '.join(LABEL_SUFFIXES)}",
    )


def _nearest(stem: str, images: Mapping[str, list[Path]]) -> str:
    """What to do about a stem without an image, by the usual slips."""
    bare = stem.rpartition(".")[0]
    if bare in images:
        return f"List the stem without its ending: {bare}"
    alike = [other for other in images if other.lower() == stem.lower()]
    alike += [other for other in images if PurePosixPath(other).name == PurePosixPath(stem).name]
    return f"Did you mean {alike[0]!r}" if alike else "Restore the image, or take the stem out of the list"
