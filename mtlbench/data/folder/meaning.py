"""What to write in `dataset.yaml` about stored values that have no meaning yet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mtlbench.data.folder.error import FolderError

__all__ = ["UnknownValuesError", "listed_values", "two_class_advice", "values_advice"]

_SHOWN = 8
_MOST_WRITTEN = 24
_FEW = 4

Explain = Callable[[Collection[int]], tuple[str, str]]
"""From all stored values, known and unknown: which of them have no meaning, and what to write about them."""


class UnknownValuesError(FolderError):
    """A label holds values that are neither classes nor ignored.

    Args:
        file: the label.
        task: its name.
        stored: every value in it.
        explain: what is wrong and what to do, for the values of one label or of many.
    """

    def __init__(self, file: Path, task: str, stored: Collection[int], explain: Explain) -> None:
        holds, fix = explain(stored)
        kind = f"{task} labels hold values without a meaning"
        super().__init__(f"the label holds {holds}", where=str(file), kind=kind, fix=fix)
        self._task = task
        self._stored = stored
        self._explain = explain

    @property
    def key(self) -> tuple[str, str | None]:
        """All labels of a task are told together, because one line of `dataset.yaml` must fit them all."""
        return self.kind, None

    def together(self, others: Sequence[UnknownValuesError]) -> tuple[str, str | None]:
        """See `FolderError.together`: of the values of all labels."""
        holds, fix = self._explain(set(self._stored).union(*(other._stored for other in others)))
        return f"labels of {self._task} hold {holds}", fix


def two_class_advice(stored: Collection[int], ignored: Collection[int], classes: Sequence[str]) -> str:
    """What to write for labels of two classes.

    Args:
        stored: every value of the labels that is not ignored.
        ignored: the others.
        classes: the names of the classes; empty for no and yes.
    """
    names: Sequence[Any] = classes or (0, 1)
    means = f"means {classes[1]}" if classes else "means yes"
    every = sorted(stored)
    advice = (
        _flags(every, ignored, means)
        or _trimap(every, ignored, names)
        or _grey(every, ignored, names)
        or _soft(every, means)
    )
    return advice or (
        f"Write what each value means, such as `values: {_flow({every[0]: names[0], every[-1]: names[1]})}`, "
        "and what is unknown in `ignore`"
    )


def _flags(stored: Sequence[int], ignored: Collection[int], means: str) -> str | None:
    """For 0 or 1 and one other value."""
    high = stored[-1]
    if stored[0] < 0 or not set(stored) <= {0, 1, high} or (high != 255 and stored[0] == 1):
        return None
    least = 1 if 1 in stored else 128 if high == 255 else high
    return f"Write `threshold: {least}` if {high} {means}, or {_ignore(high, ignored)} if it means unknown"


def _trimap(stored: Sequence[int], ignored: Collection[int], names: Sequence[Any]) -> str | None:
    """For 1 = object, 2 = background, 3 = border."""
    if not set(stored) <= {1, 2, 3}:
        return None
    border, rest = (", 3 = border", f" and {_ignore(3, ignored)}") if 3 in stored else ("", "")
    values = _flow({1: names[1], 2: names[0]})
    return f"For a trimap (1 = object, 2 = background{border}) write `values: {values}`{rest}"


def _grey(stored: Sequence[int], ignored: Collection[int], names: Sequence[Any]) -> str | None:
    """For 0, 255 and one value between them."""
    if len(stored) != 3 or (stored[0], stored[-1]) != (0, 255):
        return None
    grey = stored[1]
    return (
        f"Write `values: {_flow({0: names[0], 255: names[1]})}` and {_ignore(grey, ignored)} if {grey} means unknown, "
        "or `threshold: 128` if it lies between"
    )


def _soft(stored: Sequence[int], means: str) -> str | None:
    """For many values between no and yes."""
    high = stored[-1]
    if stored[0] < 0 or len(stored) <= _FEW:
        return None
    half = 128 if 128 <= high <= 255 else (high + 1) // 2
    return f"These look like masks with soft or scaled edges; write `threshold: {half}` if that and above {means}"


def values_advice(
    stored: Collection[int],
    ignored: Collection[int],
    unknown: Sequence[int],
    classes: Sequence[str],
    count: int,
) -> str:
    """What to write for labels of three classes or more, counted from 0.

    Args:
        stored: every value of the labels that is not ignored.
        ignored: the others.
        unknown: values without a meaning.
        classes: the names of the classes; empty where they have none.
        count: how many there are.
    """
    names: Sequence[Any] = classes or range(count)
    from_one = _flow(dict(enumerate(names, 1)))
    if unknown == [count] and 0 not in stored:
        return f"Write `values: {from_one}` if classes are counted from 1"
    if unknown == [count]:
        return (
            f"If 0 means unlabelled, write {_ignore(0, ignored)} and `values: {from_one}`; "
            f"else add the class {count} to `classes`"
        )
    ids = _flow(dict.fromkeys(unknown[:2], "...")).replace("'", "")
    return (
        f"If these are ids, say in `values` which class each is (`{ids}`), and `ignore: rest` drops the others; "
        + ("missing classes go into `classes`; " if classes else "")
        + "if they are in-between values, labels were scaled smoothly: scale them by nearest neighbour"
    )


def listed_values(values: Sequence[int]) -> str:
    """`the values 3, 4 and 9 more values`."""
    more = f" and {len(values) - _SHOWN} more values" if len(values) > _SHOWN else ""
    return ("the value " if len(values) == 1 else "the values ") + ", ".join(map(str, values[:_SHOWN])) + more


def _ignore(value: int, ignored: Collection[int]) -> str:
    """The key that ignores a value, and those that are ignored already."""
    every = sorted({value, *ignored})
    return f"`ignore: {every if ignored else value}`"


def _flow(mapping: Mapping[int, Any]) -> str:
    """A mapping as it is written on one line of YAML; the middle of a long one is left out."""
    pairs = [
        yaml.safe_dump({key: value}, default_flow_style=True, width=10**6, allow_unicode=True).strip()[1:-1]
        for key, value in mapping.items()
    ]
    if len(pairs) > _MOST_WRITTEN:
        pairs = [*pairs[: _MOST_WRITTEN // 2], "...", pairs[-1]]
    return "{" + ", ".join(pairs) + "}"
