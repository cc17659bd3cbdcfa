"""`dataset.yaml`: its keys, and one sentence for each thing that can be wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from mtlbench import tasks
from mtlbench.component import Options, Row
from mtlbench.data.folder.encoding import Complaint, Encoding
from mtlbench.data.folder.encodings import ENCODINGS, default_encoding
from mtlbench.data.folder.files import Refuse
from mtlbench.data.folder.sentences import sentences
from mtlbench.errors import DataError, UnknownNameError, UsageError, did_you_mean
from mtlbench.tasks.base import Task

__all__ = ["FILE_NAME", "TITLE", "Description", "TaskLabels", "read_description", "task_from"]

FILE_NAME = "dataset.yaml"
TITLE = r"^\w[\w.-]*$"


class Images(Options):
    """Where the images are, and how their names end."""

    folder: str
    suffixes: Row[tuple[str, ...]] = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


class Splits(Options):
    """A list of stems for each split."""

    train: str
    val: str
    test: str


class Keys(Options):
    """All keys of the file; those of a task depend on its encoding."""

    title: Annotated[str, Field(pattern=TITLE, max_length=64)]
    images: Images
    tasks: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    splits: Splits
    attributes: str | None = None
    clips: str | None = None


@dataclass(frozen=True)
class TaskLabels:
    """The labels of one task.

    Args:
        task: with the options that the file gives it.
        options: those options with all defaults, JSON-able.
        encoding: where the labels are, and how they are stored.
    """

    task: Task
    options: Mapping[str, Any]
    encoding: Encoding


@dataclass(frozen=True)
class Description:
    """A `dataset.yaml` that makes sense.

    Args:
        root: the folder that holds it.
        keys: what it says.
        tasks: the labels by task, in the order of the file.
    """

    root: Path
    keys: Keys
    tasks: Mapping[str, TaskLabels]

    @property
    def file(self) -> Path:
        """The file itself."""
        return self.root / FILE_NAME

    @property
    def task_options(self) -> dict[str, dict[str, Any]]:
        """Options by task, as `Dataset.tasks` gives them."""
        return {name: dict(labels.options) for name, labels in self.tasks.items()}


def read_description(root: Path, refuse: Refuse) -> Description | None:
    """The description of the dataset in `root`; None where `refuse` was told why there is none.

    Everything that is wrong with the file is told, each in an error of its own.
    """
    file = root / FILE_NAME
    found: list[Complaint] = []
    content = _load(file, refuse)
    if content is None:
        return None
    try:
        keys = Keys.model_validate(content)
    except ValidationError as error:
        found = sentences(error, Keys)
        keys = None
    labels = {} if keys is None else _tasks(keys, found)
    found += [] if keys is None else _misplaced(keys, labels)
    for what, fix in found:
        refuse(DataError(what, where=str(file), fix=fix))
    return None if keys is None or found else Description(root, keys, labels)


def task_from(name: str, options: Mapping[str, Any]) -> tuple[Task, dict[str, Any]]:
    """A task, and its options with all defaults.

    Raises:
        UnknownNameError: no such task; the message says the nearest.
        pydantic.ValidationError: its options make no sense.
    """
    kind = tasks.registry.get(name)
    resolved = kind.resolve(dict(options))
    return kind(**resolved), resolved


def _load(file: Path, refuse: Refuse) -> Any:
    """The content of the file; None where it cannot be read."""
    where = str(file)
    try:
        content = yaml.load(file.read_text(encoding="utf-8-sig"), _UniqueKeys)  # noqa: S506  # a safe loader
    except OSError as error:
        reason = "there is no such file" if not file.exists() else f"the file cannot be read: {error}"
        refuse(DataError(reason, where=where, fix="Describe the data there, as docs/own-data.md says"))
        return None
    except UnicodeDecodeError:
        refuse(DataError("the file is not UTF-8 text", where=where, fix="Save it as UTF-8"))
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        what = getattr(error, "problem", None) or str(error)
        refuse(DataError(f"the file is not YAML: {what}", where=place))
        return None
    if not isinstance(content, dict):
        refuse(DataError("the file does not hold a mapping", where=where, fix="See docs/own-data.md"))
        return None
    return content


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key cannot silently replace another."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if repr(name) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {name!r} is written twice", key.start_mark
                )
            seen.add(repr(name))
        return super().construct_mapping(node, deep)


def _tasks(keys: Keys, found: list[Complaint]) -> dict[str, TaskLabels]:
    """The labels of every task that makes sense; adds to `found` what does not."""
    labels = {}
    for name, entry in keys.tasks.items():
        try:
            labels[name] = _task_labels(name, entry, found)
        except UsageError as error:  # whatever is wrong with the rest of the entry follows from this
            found.append((f"`tasks.{name}`: {error.what}", error.fix))
    return {name: known for name, known in labels.items() if known is not None}


def _task_labels(name: str, entry: Mapping[str, Any], found: list[Complaint]) -> TaskLabels | None:
    prefix, kind = f"tasks.{name}.", tasks.registry.get(name)
    stored = {key: value for key, value in entry.items() if key not in kind.Options.model_fields}
    own = {key: value for key, value in entry.items() if key in kind.Options.model_fields}
    try:
        task, options = task_from(name, own)
    except ValidationError as error:
        fields = {key for each in ENCODINGS.values() for key in each.model_fields}
        found += sentences(error, kind.Options, prefix, fields, sorted(stored.keys() - fields))
        return None
    encoding = _encoding(task, stored.get("encoding"))
    try:
        labels = TaskLabels(task, options, encoding.model_validate(stored))
    except ValidationError as error:
        found += sentences(error, encoding, prefix, kind.Options.model_fields)
        return None
    complaints = labels.encoding.complaints(task)
    found += [(f"`tasks.{name}`: {what}", fix) for what, fix in complaints]
    return None if complaints else labels


def _encoding(task: Task, named: Any) -> type[Encoding]:
    """The encoding that the file names, or the one that the layout of the labels asks for."""
    fitting = default_encoding(task)
    if named is None and fitting is None:
        raise UsageError(
            "key `encoding` is missing, and three numbers per pixel can be a direction or not",
            fix="Set `encoding: unit_vectors` for directions such as normals, or `encoding: array`",
        )
    name = fitting if named is None else named
    if name not in ENCODINGS:
        raise UnknownNameError(f"unknown encoding {name!r}", fix=did_you_mean(str(name), ENCODINGS))
    allowed = {"array", fitting or "unit_vectors"}
    if name not in allowed:
        raise UsageError(
            f"encoding {name!r} does not give labels of its layout", fix=did_you_mean("", allowed)
        )
    return ENCODINGS[str(name)]


def _misplaced(keys: Keys, labels: Mapping[str, TaskLabels]) -> list[Complaint]:
    """What is wrong with the paths, and with keys that need each other."""
    paths = {"images.folder": keys.images.folder, "attributes": keys.attributes or "x"}
    paths |= {f"splits.{split}": path for split, path in keys.splits.model_dump().items()}
    paths |= {f"tasks.{name}.folder": known.encoding.folder for name, known in labels.items()}
    found: list[Complaint] = [
        (
            f"`{key}` leads out of the dataset: {path!r}",
            "Give a path below dataset.yaml, or make a link there",
        )
        for key, path in paths.items()
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts
    ]
    if keys.clips not in {None, "folder"} and keys.attributes is None:
        found.append(
            (f"`clips: {keys.clips}` names a column, but there is no `attributes`", "Add the file of it")
        )
    return found
