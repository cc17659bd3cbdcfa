"""What each way of a group spends by part, folded into bands."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from mtlbench.report.frame import HIGH, LOW, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import Unit, macs_unit
from mtlbench.report.sections._part_bands import Band, Family, band_table, bands
from mtlbench.report.sections._tasks_ways import tasks_of

__all__ = ["MACS", "TIME", "WEIGHTS", "Spent", "Split", "split"]


class Spent(NamedTuple):
    """Something that parts of a network take.

    Attributes:
        slug: ends the names of its files.
        name: what it is called.
        prefix: of the columns by part.
        total: the column that the parts should add up to.
        unit: of the columns.
        per: what it is for; empty where it is resident.
        why_absent: a sentence for a run without such columns.
    """

    slug: str
    name: str
    prefix: str
    total: str
    unit: Unit
    per: str
    why_absent: str

    @property
    def title(self) -> str:
        """Its name as a heading begins."""
        return f"{self.name[0].upper()}{self.name[1:]}"


class Split(NamedTuple):
    """What the ways of a group spend in each band.

    Attributes:
        spent: what is split.
        unit: in which it is shown.
        bands: in the order in which an image passes them.
        table: a row per way, its columns are places in `bands`; NaN where a way has no parts.
        labels: of the ways.
    """

    spent: Spent
    unit: Unit
    bands: list[Band]
    table: pd.DataFrame
    labels: pd.Series[str]

    @property
    def title(self) -> str:
        """The heading of what shows it."""
        return f"{self.spent.title} by part"

    def by_family(self, label: str) -> dict[Family, float]:
        """What one way spends in each family, the whole encoder as one; empty where unknown."""
        found: dict[Family, float] = {}
        rows = self.table[self.labels == label]
        for band, value in zip(self.bands, rows.iloc[0] if len(rows) else (), strict=False):
            family = Family.ENCODER if band.family.in_encoder else band.family
            found[family] = found.get(family, 0.0) + float(value)
        return {family: value for family, value in found.items() if value > 0}

    def shares(self, label: str) -> dict[Family, float]:
        """The same as shares of the whole."""
        found = self.by_family(label)
        return {family: value / sum(found.values()) for family, value in found.items()}


MACS = Spent(
    "macs",
    "executed MACs",
    "macs_part.",
    "macs_executed",
    Unit("MACs"),
    " per image",
    "Executed MACs by part were not recorded in this run.",
)
TIME = Spent(
    "time",
    "time",
    "time_part.",
    "latency_ms",
    Unit("ms"),
    " per call",
    "Time by part was not measured in this run.",
)
WEIGHTS = Spent(
    "weights",
    "weights",
    "weights_part_mib.",
    "weights_mib",
    Unit("MiB"),
    "",
    "Weights by part were not recorded in this run.",
)


def split(group: Group, spent: Spent) -> Split | None:
    """Fold what a group spent into bands; None where no finished cell has a part of it."""
    parts = [
        str(name).removeprefix(spent.prefix)
        for name in group.points.columns
        if str(name).startswith(spent.prefix)
        and not str(name).endswith((LOW, HIGH))
        and numeric(group.points, str(name)).fillna(0).gt(0).any()
    ]
    if not parts:
        return None
    found = bands(parts, tasks_of(group))
    table = band_table(group.points, spent.prefix, found)
    unit = macs_unit(table.sum(axis="columns")) if spent is MACS else spent.unit
    return Split(spent, unit, found, table, text(group.points, "label"))
