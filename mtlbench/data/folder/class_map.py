"""Labels that are classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from mtlbench.data.folder.encoding import Complaint, Encoding, described
from mtlbench.data.folder.error import FolderError
from mtlbench.data.folder.fitting import Scaling, scale_highest, scale_nearest, scale_vote
from mtlbench.data.folder.meaning import (
    UnknownValuesError,
    listed_values,
    two_class_advice,
    values_advice,
)
from mtlbench.errors import did_you_mean
from mtlbench.tasks.base import Task

__all__ = ["ClassMap", "class_count", "class_names"]

_LARGEST_SPAN = 1 << 20  # of stored values in one file; what needs a larger table is no class map


class ClassMap(Encoding):
    """Whole numbers [H, W]: class indices, or whatever numbers `values` or `threshold` turn into them."""

    name = "class_map"

    ignore: tuple[int, ...] | Literal["rest"] | None = None
    values: dict[int, int | str] | None = None
    threshold: int | None = None
    resize: Literal["nearest", "vote", "highest"] = "nearest"

    @field_validator("ignore", mode="plain")
    @classmethod
    def _ignore(cls, given: Any) -> Any:
        listed = given if isinstance(given, list) else [given]
        if given is None or given == "rest":
            return given
        if not all(type(value) is int for value in listed):
            raise ValueError("must be a whole number, a list of them, or `rest`")
        return tuple(listed)

    @field_validator("values", mode="plain")
    @classmethod
    def _values(cls, given: Any) -> Any:
        pairs = given.items() if isinstance(given, dict) else [(None, None)]
        if given is not None and not all(
            type(value) is int and type(to) in {int, str} for value, to in pairs
        ):
            raise ValueError("must give whole numbers the name or the index of a class")
        return given

    def complaints(self, task: Task) -> list[Complaint]:
        """See `Encoding.complaints`."""
        names, count = class_names(task), class_count(task)
        found: list[Complaint] = []
        for value, to in (self.values or {}).items():
            if isinstance(to, str) and to not in names:
                found.append((f"`values.{value}`: there is no class {to!r}", did_you_mean(to, names)))
            if isinstance(to, int) and not 0 <= to < count:
                found.append((f"`values.{value}`: class {to} is not one of 0 to {count - 1}", None))
        if self.threshold is not None and (count != 2 or self.values is not None):
            found.append(("`threshold` is for labels of two classes, without `values`", None))
        if self.ignore == "rest" and self.values is None:
            found.append(("`ignore: rest` needs `values`", None))
        both = set(self.values or {}).intersection(self._ignored(task))
        if both:
            found.append((f"{listed_values(sorted(both))} cannot be both in `values` and in `ignore`", None))
        return found

    def scaling(self, task: Task) -> Scaling:
        """See `Encoding.scaling`."""
        if self.resize == "highest":
            return partial(scale_highest, ignored=_empty_value(task))
        return scale_vote if self.resize == "vote" else scale_nearest

    def _decoded(self, stored: NDArray[Any], file: Path, task: Task) -> NDArray[Any]:
        if stored.ndim != 2 or stored.dtype.kind not in "iub":
            raise FolderError(
                f"the label is {described(stored)}, not one whole number per pixel",
                where=str(file),
                kind=f"a {task.name} label is not one whole number per pixel",
                detail=described(stored),
                fix="Save class indices in one channel: an 8-bit grey or palette PNG, or whole numbers in .npy",
            )
        stored = stored.astype(np.int64)
        lowest = int(stored.min(initial=0))
        if stored.size and int(stored.max()) - lowest > _LARGEST_SPAN:
            raise FolderError(
                f"the label holds values from {lowest} to {stored.max()}, which are no classes",
                where=str(file),
                kind=f"a {task.name} label holds numbers that are no classes",
                detail=f"from {lowest} to {stored.max()}",
            )
        present = np.flatnonzero(np.bincount((stored - lowest).ravel())) + lowest
        labels = ((value, self._class_of(value, task)) for value in present.tolist())
        meaning = {value: label for value, label in labels if label is not None}
        if len(meaning) < len(present):
            raise UnknownValuesError(file, task.name, present.tolist(), partial(self._explained, task=task))
        table = np.zeros(int(present.max(initial=lowest)) - lowest + 1, np.uint8)
        for value, label in meaning.items():
            table[value - lowest] = label
        decoded: NDArray[np.uint8] = table[stored - lowest]
        return decoded

    def _class_of(self, value: int, task: Task) -> int | None:
        """The label of a stored value; None where it has no meaning."""
        empty = _empty_value(task)
        if value in self._ignored(task):
            return empty
        if self.threshold is not None:
            return int(value >= self.threshold)
        if self.values is not None:
            target = self.values.get(value)
            if target is None:
                return empty if self.ignore == "rest" else None
            return class_names(task).index(target) if isinstance(target, str) else target
        return value if 0 <= value < class_count(task) else None

    def _ignored(self, task: Task) -> tuple[int, ...]:
        """The stored values that are ignored.

        By default that is what the task itself ignores (255), but not for two classes: there 255 is as often yes.
        """
        if isinstance(self.ignore, tuple):
            return self.ignore
        empty = _empty_value(task)
        is_free = class_count(task) > 2 and self.threshold is None and empty not in (self.values or {})
        return (empty,) if is_free and self.ignore is None else ()

    def _explained(self, stored: Collection[int], task: Task) -> tuple[str, str]:
        """Which of the `stored` values have no meaning, and what to write about them."""
        names, count = class_names(task), class_count(task)
        unknown = sorted(value for value in stored if self._class_of(value, task) is None)
        if self.values is not None:
            example = f"`{unknown[0]}: {names[0] if names else 0}`"
            holds = f"{listed_values(unknown)}, neither in `values` nor ignored"
            return holds, f"Give each of them a class in `values`, such as {example}, or name it in `ignore`"
        ignored = set(stored).intersection(self._ignored(task))
        others = set(stored) - ignored
        holds = f"{listed_values(unknown)}, neither a class (0 to {count - 1}) nor ignored"
        if count == 2:
            return holds, self._in_file(two_class_advice(others, ignored, names), task)
        return holds, self._in_file(values_advice(others, ignored, unknown, names, count), task)

    @staticmethod
    def _in_file(advice: str, task: Task) -> str:
        return f"In dataset.yaml, below `{task.name}`: {advice[0].lower()}{advice[1:]}"


def class_names(task: Task) -> Sequence[str]:
    """Names of the task's classes; empty where it has none."""
    names: Sequence[str] = getattr(task.options, "classes", ())
    return names


def class_count(task: Task) -> int:
    """Number of classes in a class map: one logit tells two apart."""
    return max(2, task.channels)


def _empty_value(task: Task) -> int:
    return int(task.empty_label(1, 1).flat[0])
