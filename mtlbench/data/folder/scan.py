"""The files of a folder by stem."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mtlbench.data.folder.files import Refuse
from mtlbench.data.folder.lists import same_name
from mtlbench.data.folder.names import nearest_path
from mtlbench.errors import DataError

__all__ = ["Scan", "scan"]


@dataclass(frozen=True)
class Scan:
    """What lies below a folder.

    Args:
        exists: whether there is a folder.
        stems: by stem, the files whose ending is read.
        others: by stem, a file whose ending is not.
    """

    exists: bool
    stems: Mapping[str, list[Path]] = field(default_factory=dict)
    others: Mapping[str, Path] = field(default_factory=dict)

    def endings(self) -> list[str]:
        """The endings that are not read."""
        return sorted({file.suffix.lower() for file in self.others.values() if file.suffix})


def scan(root: Path, below: str, suffixes: Iterable[str], what: str, refuse: Refuse) -> Scan:
    """Find the files below a folder by the endings that are read, whatever their case; links are followed.

    Args:
        root: the folder of the dataset.
        below: the folder to look into, relative to `root`.
        suffixes: the endings that are read, with a dot.
        what: what lies there, for messages.
        refuse: told where there is no such folder.
    """
    folder = root / below
    if not folder.is_dir():
        near = nearest_path(root, below, folder=True)
        fix = f"Did you mean {near!r}? Correct it in dataset.yaml" if near else "Correct it in dataset.yaml"
        refuse(DataError(f"there is no folder of {what}", where=str(folder), fix=fix))
        return Scan(False)
    endings = {suffix.lower() for suffix in suffixes}
    stems: dict[str, list[Path]] = {}
    others: dict[str, Path] = {}
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link that leads back up would be followed for ever
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        within = os.path.relpath(parent, folder)
        for name in sorted(names):
            if name.startswith("."):
                continue
            stem, ending = os.path.splitext(name)
            path = same_name(stem if within == "." else f"{Path(within).as_posix()}/{stem}")
            if ending.lower() in endings:
                stems.setdefault(path, []).append(Path(parent) / name)
            else:
                others.setdefault(path, Path(parent) / name)
    return Scan(True, stems, others)
