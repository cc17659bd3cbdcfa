"""Parts of a network folded into a few bands: stem, stretches of the encoder, each head, and what is around them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

import pandas as pd

from mtlbench.report.frame import numeric

__all__ = ["MOST_BANDS", "Band", "Family", "band_table", "bands"]

MOST_BANDS = 6
"""Most bands of numbered stages or blocks: what the eye tells apart in one bar."""

NUMBERED = re.compile(r"encoder\.([^.]*[^.\d][^.]*)\.(\d+)(?:\.|$)")


class Family(Enum):
    """What kind of work a band is."""

    STEM = "stem"
    ENCODER = "encoder"
    REST = "rest of encoder"
    HEAD = "heads"
    POLICY = "policy"
    SHARING = "sharing"
    OTHER = "other"

    @property
    def in_encoder(self) -> bool:
        """Whether it is work of an encoder."""
        return self in {Family.STEM, Family.ENCODER, Family.REST}


class Band(NamedTuple):
    """Parts that are shown as one.

    Attributes:
        name: for people.
        family: what kind of work it is.
        parts: names of its parts, as in the table's columns.
    """

    name: str
    family: Family
    parts: tuple[str, ...]


def bands(parts: Iterable[str], tasks: Sequence[str], most: int = MOST_BANDS) -> list[Band]:
    """Fold parts into bands, in the order in which an image passes them.

    Args:
        parts: names such as `encoder.stem`, `encoder.block.3`, `encoder.stage.1.block.0`, `head.semseg`, `policy`.
        tasks: the order of heads.
        most: most bands of numbered encoder parts; more numbers are joined into even stretches.
    """
    names = sorted(set(parts))
    numbered = _stretches(names, most)
    taken = {part for band in numbered for part in band.parts}
    families: dict[Family, list[str]] = {}
    for part in names:
        if part not in taken:
            families.setdefault(_family(part), []).append(part)
    heads = sorted(families.pop(Family.HEAD, []), key=lambda part: _rank(part, tasks))
    found = [Band(family.value, family, tuple(members)) for family, members in families.items()]
    found += [
        *numbered,
        *(Band(f"head {part.removeprefix('head.')}", Family.HEAD, (part,)) for part in heads),
    ]
    if not numbered and Family.STEM not in families:
        found = [band._replace(name="encoder") if band.family is Family.REST else band for band in found]
    order = list(Family)
    return sorted(found, key=lambda band: order.index(band.family))


def _family(part: str) -> Family:
    root, _, rest = part.partition(".")
    if root == "encoder":
        return Family.STEM if rest.split(".")[0] == "stem" else Family.REST
    roots = {"head": Family.HEAD, "policy": Family.POLICY, "sharing": Family.SHARING}
    return roots.get(root, Family.OTHER)


def _rank(part: str, tasks: Sequence[str]) -> tuple[int, str]:
    task = part.removeprefix("head.")
    return (tasks.index(task) if task in tasks else len(tasks), task)


def _stretches(names: Sequence[str], most: int) -> list[Band]:
    """Numbered parts of the encoder by kind (`stage`, `block`, ...), neighbours joined where there are many."""
    kinds: dict[str, dict[int, list[str]]] = {}
    for part in names:
        found = NUMBERED.match(part)
        if found:
            kinds.setdefault(found[1], {}).setdefault(int(found[2]), []).append(part)
    share = max(most // len(kinds), 1) if kinds else most
    return [
        Band(_named(kind, chunk), Family.ENCODER, tuple(part for number in chunk for part in members[number]))
        for kind, members in kinds.items()
        for chunk in _chunks(sorted(members), share)
    ]


def _chunks(numbers: Sequence[int], most: int) -> list[Sequence[int]]:
    """Consecutive stretches of equal length, the last may be shorter."""
    length = -(-len(numbers) // most)
    return [numbers[start : start + length] for start in range(0, len(numbers), length)]


def _named(kind: str, numbers: Sequence[int]) -> str:
    return f"{kind} {numbers[0]}" if len(numbers) == 1 else f"{kind}s {numbers[0]}–{numbers[-1]}"


def band_table(points: pd.DataFrame, prefix: str, found: Sequence[Band]) -> pd.DataFrame:
    """What each way spends in each band: a row per way, a column per band in the order of `found`.

    A part that a way does not have counts as zero, a way without any part is NaN throughout.

    Args:
        points: a row per way, with columns `<prefix><part>`.
        prefix: of the columns, `macs_part.`, `time_part.` or `weights_part_mib.`.
        found: from `bands`.
    """
    columns = [[numeric(points, f"{prefix}{part}") for part in band.parts] for band in found]
    sums = {
        place: pd.concat(values, axis="columns").sum(axis="columns", min_count=1)
        for place, values in enumerate(columns)
    }
    table = pd.DataFrame(sums, index=points.index, dtype=float)
    return table.fillna(0.0).where(table.notna().any(axis="columns"))
