"""Reading every file of a `folder` dataset once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mtlbench.data.check.grouping import grouped
from mtlbench.data.check.notes import notes
from mtlbench.data.check.report import CheckReport, SplitCounts
from mtlbench.data.check.statistics import ClassTally, ImageTally, NumberTally, is_class_map
from mtlbench.data.folder.content import content_hashes
from mtlbench.data.folder.dataset import open_folder, twins
from mtlbench.data.folder.description import Description
from mtlbench.data.folder.index import Entry, Index
from mtlbench.data.folder.reading import read_labels, read_photo
from mtlbench.errors import DataError

__all__ = ["check_folder"]


def check_folder(root: Path, limit: int | None = None) -> CheckReport:
    """Read a dataset and say what is wrong with it and what is in it.

    Args:
        root: the folder that holds `dataset.yaml`.
        limit: read at most so many samples of each split; lists and names of files are checked in full.
    """
    errors: list[DataError] = []
    opened = open_folder(root, errors.append)
    if opened is None:
        return CheckReport(root, (root,), problems=grouped(errors))
    description, index, clip_of = opened
    survey = _Survey(description, errors)
    counts = {split: survey.split(index, split, limit) for split in index.splits}
    read = replace(index, splits=survey.read)
    errors += twins(
        read, content_hashes(root, {f"images/{entry.stem}": entry.image for entry in read.entries()})
    )
    report = CheckReport(
        root,
        _folders(description),
        description.keys.title,
        splits=counts,
        classes={name: tally.result() for name, tally in survey.classes.items()},
        numbers={name: tally.result() for name, tally in survey.numbers.items()},
        images=survey.images.result(),
        unlisted=index.unlisted,
    )
    told = notes(report, description, index, clip_of, survey.blank, survey.refused)
    if limit is not None and any(len(entries) > limit for entries in index.splits.values()):
        told.append(f"only the first {limit} samples of each split were read")
    return replace(report, problems=grouped(errors), notes=tuple(told))


class _Survey:
    """Reads samples, counts what is in them, and adds to `errors` what is wrong with them."""

    def __init__(self, description: Description, errors: list[DataError]) -> None:
        self._description = description
        self._errors = errors
        kinds = {name: known.task for name, known in description.tasks.items()}
        self.classes = {name: ClassTally(task) for name, task in kinds.items() if is_class_map(task)}
        self.numbers = {name: NumberTally(task) for name, task in kinds.items() if not is_class_map(task)}
        self.images = ImageTally()
        self.blank: list[tuple[str, Path]] = []
        self.refused: set[str] = set()
        self.read: dict[str, tuple[Entry, ...]] = {}

    def split(self, index: Index, split: str, limit: int | None) -> SplitCounts:
        """Read the first `limit` samples of a split."""
        entries = index.splits[split][:limit]
        tasks = {entry: found for entry in entries if (found := self._labelled(entry)) is not None}
        self.read[split] = tuple(tasks)
        labelled = {name: sum(name in found for found in tasks.values()) for name in self._description.tasks}
        return SplitCounts(
            index.listed[split], len(tasks), labelled, sum(not entry.labels for entry in tasks)
        )

    def _labelled(self, entry: Entry) -> set[str] | None:
        """The tasks that the sample labels; None where its image cannot be read."""
        try:
            photo = read_photo(entry.image)
        except DataError as error:
            self._errors.append(error)
            return None
        self.images.add(photo)
        labels = read_labels(entry, photo, self._description, self._errors.append)
        self.refused |= entry.labels.keys() - labels.keys()
        for name, label in labels.items():
            tally = self.classes.get(name) or self.numbers[name]
            if not tally.add(label):
                self.blank.append((name, entry.labels[name]))
        return set(labels)


def _folders(description: Description) -> tuple[Path, ...]:
    below = [description.keys.images.folder, *(known.encoding.folder for known in description.tasks.values())]
    return description.root, *(description.root / folder for folder in below)
