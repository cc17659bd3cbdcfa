"""The numbers of claims against reality, a row per way."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mtlbench.report.frame import Estimate, is_ok, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import join, with_interval
from mtlbench.report.sections._thin import evenly
from mtlbench.report.sections._ways import Way
from mtlbench.report.tables import Entry, Header, Row, Table

__all__ = ["claims_table", "why_no_energy"]

MOST_ROWS = 300
UNIT = "% of dense"
LEDGERS = {
    "claimed": Header("claimed", UNIT, "The original authors' formula, against the same at full compute.", 4),
    "nominal": Header("nominal", UNIT, "MACs that the decisions needed.", 2),
    "executed": Header("executed", UNIT, "MACs that were really dispatched.", 1),
    "latency": Header("time", UNIT, "From launches that ran side by side, where there are any.", 1),
    "energy": Header("energy", UNIT, "Metered energy per image.", 3),
}
REALISED = Header("realised", "% of promise", "Share of the saving promised in MACs that arrived as time.", 1)
CEILING = Header("ceiling", "% of promise", "The same if what is skipped had cost no time at all.", 5)
WHY_ABSENT = {
    "claimed": "No way here has a formula of its authors'",
    "nominal": "No way here has decisions that were traced",
    "executed": "No executed MACs were counted",
    "latency": "No way was timed together with its reference",
}


def claims_table(group: Group, ways: Sequence[Way], against: str) -> Table:
    """Every ledger of every way, in per cent of `against`; what does not exist carries its reason as a note."""
    used = [name for name in LEDGERS if any(way.share(name).known for way in ways)]
    ceilings = any(math.isfinite(way.ceiling) for way in ways)
    shown = evenly(ways, [way.name for way in ways], MOST_ROWS)
    notes = list(
        dict.fromkeys(_sentence(way.reason) for way in shown if way.reason and not way.realised.known)
    )
    headers = (
        Header("variant", "", "The way of running the tasks.", 0),
        Header("point", "", "Axis point.", 0),
        *(LEDGERS[name] for name in used),
        REALISED,
        *([CEILING] if ceilings else []),
    )
    absent = [f"{WHY_ABSENT[name]}." for name in WHY_ABSENT if name in ways[0].shares and name not in used]
    absent += [] if "energy" in used else [f"There is no energy: {why_no_energy(group)}"]
    absent += [] if ceilings else ["The ceiling of realisation was not measured."]
    if len(shown) < len(ways):
        absent.append(f"{len(ways) - len(shown)} more ways are in the full table.")
    rows = tuple(_row(way, used, ceilings, notes) for way in shown)
    return Table(f"Claims in per cent of {against}", headers, rows, tuple(notes), tuple(absent))


def _row(way: Way, used: Sequence[str], ceilings: bool, notes: Sequence[str]) -> Row:
    note = notes.index(_sentence(way.reason)) + 1 if way.reason and not way.realised.known else 0
    entries = [
        Entry(way.name, 0, way.name),
        Entry(way.point, 0, way.point),
        *(_entry(way.share(name)) for name in used),
        _entry(way.realised)._replace(note=note),
        *([_entry(Estimate(way.ceiling))] if ceilings else []),
    ]
    return Row(way.variant, True, tuple(entries))


def _entry(share: Estimate) -> Entry:
    return Entry(with_interval(share, 100), 0, with_interval(Estimate(share.value), 100))


def why_no_energy(group: Group) -> str:
    """The reasons that the run gives, as a sentence."""
    said = {" ".join(reason.split()) for reason in text(group.cells[is_ok(group.cells)], "energy_reason")} - {
        ""
    }
    return _sentence(join(sorted(said), 3) or "the run gives no reason")


def _sentence(reason: str) -> str:
    words = " ".join(reason.split())
    return words if words.endswith((".", "!", "?")) else f"{words}."
