"""The dataset `folder`: images and labels as a user has them, and a `dataset.yaml` that says what they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from mtlbench import component
from mtlbench.data.base import Dataset, Sample
from mtlbench.data.folder.attributes import Attributes, clip_runs, read_attributes
from mtlbench.data.folder.content import content_hashes
from mtlbench.data.folder.description import (
    FILE_NAME,
    TITLE,
    Description,
    read_description,
    task_from,
)
from mtlbench.data.folder.error import FolderError
from mtlbench.data.folder.files import Refuse, raise_first
from mtlbench.data.folder.fitting import Fit, Fitting
from mtlbench.data.folder.index import Index, read_index
from mtlbench.data.folder.reading import read_labels, read_photo
from mtlbench.data.folder.sentences import sentences
from mtlbench.errors import DataError, UsageError
from mtlbench.hashing import digest

__all__ = ["Folder", "open_folder", "twins"]

_Side = Annotated[int, Field(ge=8)]
_FIX = f"Set MTLBENCH_DATA to the folder that holds it, or the option `path` to the folder of {FILE_NAME}"


class Folder(Dataset):
    """A user's own data, see `docs/own-data.md`.

    Suites name it by `path`. What is hashed instead is its title, its tasks with their options, and, in the
    fingerprint, the bytes of `dataset.yaml` and of every file it leads to: the same data elsewhere is the same cell.
    """

    name = "folder"
    version = 1
    shorthand = "path"

    class Options(component.Options):
        """Options of `folder`; `title` and `tasks` are those of `dataset.yaml` where they are not given."""

        size: component.Row[tuple[_Side, _Side]] = Field(
            (192, 192), description="(height, width) of every sample in pixels"
        )
        fit: Fit = Field(
            "letterbox", description="how images and labels of another shape come into that size"
        )
        title: Annotated[str, Field(pattern=TITLE)] | None = Field(
            None,
            description="name of the dataset; its folder is $MTLBENCH_DATA/<title> where there is no `path`",
        )
        tasks: Annotated[dict[str, dict[str, Any]], Field(min_length=1)] | None = Field(
            None, description="options by task, as a resolved suite writes them"
        )
        path: str | None = Field(
            None, exclude=True, description=f"folder that holds {FILE_NAME}, relative to $MTLBENCH_DATA"
        )

    options: Folder.Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**self.resolve(options), **self.places(options)})

    @classmethod
    def resolve(cls, options: dict[str, Any]) -> dict[str, Any]:
        """See `Component.resolve`; reads `dataset.yaml` unless the tasks are given.

        Raises:
            DataError: `dataset.yaml` is not there or makes no sense.
            UsageError: title and tasks are not those of one dataset.
        """
        given = cls.Options.model_validate(options)
        resolved = given.model_dump(mode="json")
        if given.tasks is None:
            description = _described(_root(given), given.title)
            return resolved | {"title": description.keys.title, "tasks": description.task_options}
        if given.title is None:
            raise UsageError(
                "the dataset has tasks but no title", fix="Give both, or the option `path` alone"
            )
        return resolved | {"tasks": _resolved_tasks(given.tasks)}

    @classmethod
    def tasks(cls, options: dict[str, Any]) -> Mapping[str, dict[str, Any]]:
        """See `Dataset.tasks`."""
        tasks: dict[str, dict[str, Any]] = options["tasks"]
        return tasks

    def length(self, split: str) -> int:
        """See `Dataset.length`."""
        return len(self._index.splits[split])

    def sample(self, split: str, index: int) -> Sample:
        """See `Dataset.sample`."""
        entry = self._index.splits[split][index]
        photo = read_photo(entry.image)
        fitting = Fitting.of(self.options.fit, photo.size, self.options.size)
        labels = {}
        for name, label in read_labels(entry, photo, self._description, raise_first).items():
            known = self._description.tasks[name]
            empty = known.task.empty_label(*self.options.size)
            labels[name] = fitting.label(label, known.encoding.scaling(known.task), empty)
        return Sample(entry.stem, fitting.image(photo.pixels), labels, self._found[1].get(entry.stem, {}))

    def clips(self, split: str) -> list[range]:
        """See `Dataset.clips`."""
        return clip_runs([entry.stem for entry in self._index.splits[split]], self._found[2])

    def fingerprint(self) -> str:
        """See `Dataset.fingerprint`; also refuses one image in two splits."""
        hashes = content_hashes(self._description.root, _files(self._description, self._index))
        for error in twins(self._index, hashes):
            raise error
        return digest(
            {
                "dataset": self.name,
                "version": self.version,
                "options": self.options.model_dump(mode="json"),
                "content": hashes,
            }
        )

    @cached_property
    def _description(self) -> Description:
        """What `dataset.yaml` says, which must be what the options say."""
        description = _described(_root(self.options), self.options.title)
        if description.task_options != self.options.tasks:
            raise DataError(
                "its tasks are not those that the suite was resolved with",
                where=str(description.file),
                fix="Run the suite that names the folder by `path`, or restore the file",
            )
        return description

    @cached_property
    def _found(self) -> tuple[Index, Attributes, Mapping[str, str]]:
        """The samples, their attributes, and the clip of each that has one."""
        index = read_index(self._description, raise_first)
        return index, *read_attributes(self._description, index, raise_first)

    @property
    def _index(self) -> Index:
        return self._found[0]


def open_folder(root: Path, refuse: Refuse) -> tuple[Description, Index, Mapping[str, str]] | None:
    """What a folder says and holds, and the clip of each stem that has one; tells all that is wrong with it.

    None where `dataset.yaml` makes no sense.
    """
    description = read_description(root, refuse)
    if description is None:
        return None
    index = read_index(description, refuse)
    _, clip_of = read_attributes(description, index, refuse)
    return description, index, clip_of


def twins(index: Index, hashes: Mapping[str, str]) -> Iterable[DataError]:
    """An error for every image that is, byte for byte, also in another split.

    Args:
        index: the samples.
        hashes: of the images, under `images/<stem>`.
    """
    first: dict[str, tuple[str, str]] = {}
    for split, entries in index.splits.items():
        for entry in entries:
            other, stem = first.setdefault(hashes[f"images/{entry.stem}"], (split, entry.stem))
            if other != split:
                yield FolderError(
                    f"the image is the same as {stem!r}, but one is in {other} and one in {split}",
                    where=str(entry.image),
                    kind="an image is under two names in two splits",
                    detail=f"in {split}, the same as {stem!r} in {other}",
                    fix="Take one of them out of its list",
                )


def _root(options: Folder.Options) -> Path:
    """Where the data is on this machine."""
    named = options.path or options.title
    if named is None:
        raise UsageError("the dataset is not named", fix=f"Set `path` to the folder of {FILE_NAME}")
    path = Path(named).expanduser()
    if path.is_absolute():
        return path
    if not os.environ.get("MTLBENCH_DATA"):
        raise DataError(f"{named!r} has no place: MTLBENCH_DATA is not set", fix=_FIX)
    return Path(os.environ["MTLBENCH_DATA"]).expanduser() / path


def _described(root: Path, title: str | None) -> Description:
    """The description in `root`, which must have this title unless that is None."""
    if not root.is_dir():
        raise DataError("there is no such folder of data", where=str(root), fix=_FIX)
    problems: list[DataError] = []
    description = read_description(root, problems.append)
    if description is None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DataError(problems[0].what + more, where=problems[0].where, fix=problems[0].fix)
    if title not in {None, description.keys.title}:
        raise DataError(
            f"this is the dataset {description.keys.title!r}, not {title!r}",
            where=str(description.file),
            fix=_FIX,
        )
    return description


def _resolved_tasks(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    resolved = {}
    for name, options in tasks.items():
        try:
            _, resolved[name] = task_from(name, options)
        except ValidationError as error:
            what, fix = sentences(error, component.Options, f"tasks.{name}.")[0]
            raise UsageError(what, fix=fix) from error
    return resolved


def _files(description: Description, index: Index) -> dict[str, Path]:
    """Every file that a sample follows from, by a name that is the same wherever the data lies."""
    keys = description.keys
    files = {FILE_NAME: description.file}
    files |= {f"splits/{split}": description.root / path for split, path in keys.splits.model_dump().items()}
    if keys.attributes is not None:
        files["attributes"] = description.root / keys.attributes
    for entry in index.entries():
        files[f"images/{entry.stem}"] = entry.image
        files |= {f"labels/{name}/{entry.stem}": file for name, file in entry.labels.items()}
    return files
