"""Which name was meant: guesses for names of samples, files and folders that do not exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from glob import escape
from pathlib import Path, PurePosixPath

__all__ = ["Names", "nearest_path"]

# Names of one dataset are alike anyway, so only much alike is a hint.
_ALIKE = 0.75
_MOST_COMPARED = 200


class Names:
    """The stems that exist, and which of them another name may mean.

    Numbers are never taken for a slip of one another: where 000123 is missing, 000124 is no hint.
    """

    def __init__(self, stems: Iterable[str]) -> None:
        self._stems = set(stems)
        self._by_case: dict[str, list[str]] = {}
        self._by_last: dict[str, list[str]] = {}
        self._by_numbers: dict[tuple[str, ...], list[str]] = {}
        for stem in sorted(self._stems):
            self._by_case.setdefault(stem.lower(), []).append(stem)
            self._by_last.setdefault(_split(stem)[1], []).append(stem)
            self._by_numbers.setdefault(_numbers(stem), []).append(stem)

    def meant(self, name: str) -> str | None:
        """The stem that `name` probably stands for; None where nothing speaks for one of them."""
        for rule in (self._below, self._same_letters, self._alike):
            found = next((stem for reading in _readings(name) if (stem := rule(reading))), None)
            if found:
                return found
        return None

    def _below(self, name: str) -> str | None:
        """The name itself, or what is left of it without its first folders."""
        parts = name.split("/")
        tails = ("/".join(parts[first:]) for first in range(len(parts)))
        return next((tail for tail in tails if tail in self._stems), None)

    def _same_letters(self, name: str) -> str | None:
        """The only stem that differs in case, or that has a folder where `name` has none."""
        in_folders = self._by_last.get(name.lower(), [])
        return next(
            (same[0] for same in (self._by_case.get(name.lower(), []), in_folders) if len(same) == 1), None
        )

    def _alike(self, name: str) -> str | None:
        """A stem with the same numbers, of which one holds the other or which is spelled much alike."""
        known = self._by_numbers.get(_numbers(name), [])
        folder, last = _split(name)
        holding = [
            stem
            for stem in known
            if last and _split(stem)[0] == folder and (_split(stem)[1] in last or last in _split(stem)[1])
        ]
        if len(holding) == 1:
            return holding[0]
        if len(known) > _MOST_COMPARED:
            return None
        return next(iter(get_close_matches(name, known, n=1, cutoff=_ALIKE)), None)


def nearest_path(root: Path, missing: str, *, folder: bool, taken: Iterable[str] = ()) -> str | None:
    """What lies below `root` and was probably meant by the path `missing`; both relative to it.

    Args:
        root: an existing folder.
        missing: a path that does not exist.
        folder: whether a folder is looked for, not a file.
        taken: paths that are no candidates, because other names mean them.
    """
    path = PurePosixPath(missing)
    near = _spelled_alike(root, path, folder)
    elsewhere = sorted(root.glob(f"*/{escape(path.name)}"))
    found = [near, *(other.relative_to(root).as_posix() for other in elsewhere if other.is_dir() == folder)]
    return next((other for other in found if other is not None and other not in taken), None)


def _spelled_alike(root: Path, path: PurePosixPath, folder: bool) -> str | None:
    """The path below `root` of which each part is spelled like that of `path`."""
    found = PurePosixPath()
    for place, part in enumerate(path.parts):
        if not (root / found).is_dir():
            return None
        is_folder = folder or place < len(path.parts) - 1
        near = part if (root / found / part).exists() else _near_entry(root / found, part, is_folder)
        if near is None:
            return None
        found /= near
    return str(found)


def _near_entry(folder: Path, name: str, is_folder: bool) -> str | None:
    known = [
        entry.name
        for entry in sorted(folder.iterdir())
        if entry.is_dir() == is_folder and not entry.name.startswith(".")
    ]
    begun = [other for other in known if _one_begins_the_other(name, other)]
    return next(iter([*get_close_matches(name, known, n=1, cutoff=_ALIKE), *begun]), None)


def _readings(name: str) -> Iterator[str]:
    """The name itself, without an ending, and the first of several words on its line."""
    for words in dict.fromkeys([name, *name.split()[:1]]):
        yield words
        if PurePosixPath(words).suffix:
            yield words.removesuffix(PurePosixPath(words).suffix)


def _split(stem: str) -> tuple[str, str]:
    """The folder of a stem, and its last part in lower case."""
    folder, _, last = stem.rpartition("/")
    return folder, last.lower()


def _numbers(stem: str) -> tuple[str, ...]:
    return tuple(digits.lstrip("0") for digits in re.findall(r"\d+", stem))


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _one_begins_the_other(a: str, b: str) -> bool:
    """Such as `val.txt` and `validation.txt`."""
    first, second = _stem(a).lower(), _stem(b).lower()
    return first.startswith(second) or second.startswith(first)
