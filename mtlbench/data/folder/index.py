"""Which samples there are: the split lists, and the files that belong to each stem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from mtlbench.data.folder.description import Description
from mtlbench.data.folder.error import FolderError
from mtlbench.data.folder.files import LABEL_SUFFIXES, Refuse
from mtlbench.data.folder.lists import Lists, read_lists
from mtlbench.data.folder.names import Names
from mtlbench.data.folder.scan import Scan, scan
from mtlbench.errors import DataError

__all__ = ["Entry", "Index", "read_index"]


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
        unlisted: by `images` or task, files whose stem is in no list; where lists or names are at fault, nothing.
        unread: by task, files that lie where a label of a listed stem would, but whose ending is not read.
    """

    splits: Mapping[str, tuple[Entry, ...]]
    listed: Mapping[str, int]
    unlisted: Mapping[str, tuple[Path, ...]]
    unread: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        """The entries of all splits."""
        for entries in self.splits.values():
            yield from entries


def read_index(description: Description, refuse: Refuse) -> Index:
    """Read the lists and find the files; stems that are refused are left out.

    What merely follows from something that was refused is not told as well.
    """
    images_key = description.keys.images
    images = scan(description.root, images_key.folder, images_key.suffixes, "images", refuse)
    if images.exists and not images.stems:
        refuse(_no_images(description.root / images_key.folder, images))
    lists = read_lists(description, refuse)
    labels = {
        name: scan(description.root, known.encoding.folder, LABEL_SUFFIXES, f"labels of {name}", refuse)
        for name, known in description.tasks.items()
    }
    finder = _Finder(images, labels, refuse)
    splits = {split: finder.entries(listed) for split, listed in lists.splits.items()}
    stems = lists.stems | finder.meant
    for name, found in labels.items():
        if found.exists and stems and not stems & found.stems.keys():
            refuse(_no_labels(description.root / description.tasks[name].encoding.folder, name, found, stems))
    return Index(
        splits,
        {split: len(listed) for split, listed in lists.splits.items()},
        _unlisted(lists, stems, {"images": images, **labels}),
        {name: _unread(found, stems) for name, found in labels.items()},
    )


class _Finder:
    """Finds the files of listed stems.

    Attributes:
        meant: stems that are in no list, but that one of a list was meant to be.
    """

    def __init__(self, images: Scan, labels: Mapping[str, Scan], refuse: Refuse) -> None:
        self.meant: set[str] = set()
        self._images = images
        self._labels = labels
        self._refuse = refuse

    @cached_property
    def _names(self) -> Names:
        return Names(self._images.stems)

    def entries(self, listed: Mapping[str, str]) -> tuple[Entry, ...]:
        """The samples of a list, by stem and line."""
        found: dict[str, Entry] = {}
        for line, where in listed.items():
            stem = self._stem(line, where)
            if stem is None or stem in found:
                continue
            image = _one(stem, self._images.stems[stem], self._refuse)
            if image is not None:
                found[stem] = Entry(stem, image, self._labelled(stem))
        return tuple(found.values())

    def _labelled(self, stem: str) -> dict[str, Path]:
        files = {name: _one(stem, of.stems.get(stem, []), self._refuse) for name, of in self._labels.items()}
        return {name: file for name, file in files.items() if file is not None}

    def _stem(self, line: str, where: str) -> str | None:
        """The stem that a line names, also where it has an ending, so that its files are looked at all the same."""
        if line in self._images.stems:
            return line
        if not self._images.stems:  # which is said already
            return None
        meant = self._names.meant(line)
        if meant is not None:
            self.meant.add(meant)
        self._refuse(_no_image(line, where, meant, self._images))
        return meant if meant == _without_ending(line) else None


def _one(stem: str, files: list[Path], refuse: Refuse) -> Path | None:
    """The only file of a stem; None where there is none or more than one."""
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        refuse(
            FolderError(
                f"several files for {stem!r}: {names}",
                where=str(files[0].parent),
                kind="a stem has several files",
                detail=names,
                fix="Keep one of them",
            )
        )
        return None
    return files[0] if files else None


def _no_image(stem: str, where: str, meant: str | None, images: Scan) -> FolderError:
    """What is wrong with a listed stem that has no image, by the usual slips."""
    what = f"there is no image for {stem!r}"
    kind, detail = "a listed stem has no image", repr(stem)
    if meant is not None and meant == _without_ending(stem):
        name = images.stems[meant][0].name
        return FolderError(
            what,
            where=where,
            kind="a line of a list has an ending, but stems have none",
            detail=detail if stem.endswith(name) else f"{detail}, whose image is {name}",
            fix=f"List the stem without its ending: {meant}",
            advice="List stems without their ending, such as seq1/000001",
        )
    other = images.others.get(stem)
    if meant is not None and other is None:
        return FolderError(
            what,
            where=where,
            kind=f"{kind}, but there is one of a similar name",
            detail=f"{detail}: did you mean {meant!r}?",
            fix=f"Did you mean {meant!r}",
            advice="Correct the lists, or rename the images",
        )
    if other is not None:
        ending = other.suffix or "no ending"
        return FolderError(
            f"{what}, because {other.name} is not read",
            where=where,
            kind=f"{kind}, because {ending} is not read",
            detail=other.name,
            fix=f"Add {ending} to `images.suffixes`, or convert the image" if other.suffix else None,
        )
    fix = "Restore the image, or take the stem out of the list"
    return FolderError(what, where=where, kind=kind, detail=detail, fix=fix)


def _without_ending(line: str) -> str:
    return line.removesuffix(PurePosixPath(line).suffix)


def _no_images(folder: Path, images: Scan) -> DataError:
    endings = ", ".join(images.endings())
    return DataError(
        "there are no images" + (f", only files ending in {endings}" if endings else ""),
        where=str(folder),
        fix=f"Add the ending to `images.suffixes` if Pillow can read it ({endings})" if endings else None,
    )


def _no_labels(folder: Path, name: str, found: Scan, stems: set[str]) -> DataError:
    if found.stems:
        names = Names(stems)
        example = next(iter(found.stems))
        meant = names.meant(example)
        alike = f": {meant!r} instead of {example!r}" if meant else ": same subfolder, same stem"
        return DataError(
            f"no label of {name} belongs to a listed stem; there is one for {example!r}, for example",
            where=str(folder),
            fix=f"Name labels like their images{alike}",
        )
    endings = ", ".join(found.endings())
    return DataError(
        f"there are no labels of {name}" + (f", only files ending in {endings}" if endings else ""),
        where=str(folder),
        fix=f"Labels end in {' or '.join(LABEL_SUFFIXES)}",
    )


def _unlisted(lists: Lists, stems: set[str], every: Mapping[str, Scan]) -> dict[str, tuple[Path, ...]]:
    """Files that no list means; unknown where a line of the lists was not understood, or where none is meant."""
    if not lists.whole:
        return {}
    return {
        role: tuple(file for stem, files in found.stems.items() if stem not in stems for file in files)
        for role, found in every.items()
        if not stems.isdisjoint(found.stems)
    }


def _unread(found: Scan, stems: set[str]) -> tuple[Path, ...]:
    """Files that would be the only label of a listed stem."""
    if not found.stems:  # which is said already
        return ()
    return tuple(file for stem, file in found.others.items() if stem in stems and stem not in found.stems)
