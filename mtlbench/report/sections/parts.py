"""Where it goes: cost, time and memory by stem, stretches of the encoder, heads, policy and sharing."""

from __future__ import annotations

from mtlbench.report.canvas import Absent
from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate, RunView, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import join, percent, with_interval
from mtlbench.report.section import Block, Section
from mtlbench.report.sections._part_bands import Family
from mtlbench.report.sections._part_drawings import split_drawing, split_table
from mtlbench.report.sections._part_memory import peak_drawing
from mtlbench.report.sections._part_splits import MACS, TIME, WEIGHTS, Split, split
from mtlbench.report.sections._tasks_ways import SINGLE_TASK, first_of_each

__all__ = ["section"]

VISIBLE = 0.0005
TELLING = 0.05
"""From what difference of its two shares on a part is said to take more, or less, time than its MACs suggest."""


def section(view: RunView, group: Group, look: dict[str, Style]) -> Section | None:
    """The section of a group; None where nothing finished."""
    if group.points.empty:
        return None
    blocks: list[Block] = []
    found: dict[str, Split] = {}
    for spent in (MACS, TIME, WEIGHTS):
        by_part = split(group, spent)
        if by_part is None:
            blocks.append(Absent(f"{spent.title} by part", spent.why_absent))
        else:
            found[spent.slug] = by_part
            blocks += [split_drawing(group, by_part, look), split_table(group, by_part)]
    blocks.append(peak_drawing(group, look))
    lead = _sentences(group, found) or ["Where cost goes inside the networks was not recorded in this run."]
    return Section("parts", "Where it goes", tuple(lead), tuple(blocks))


def _sentences(group: Group, found: dict[str, Split]) -> list[str]:
    """Where the first ways spend, what the encoders cost, and where time departs from MACs."""
    labels = [*map(str, first_of_each(group.points)["label"].head(2))] or [str(group.points["label"].iloc[0])]
    said = [_spending(by_part, label) for by_part in [*found.values()][:1] for label in labels]
    if "macs" in found:
        said.append(_encoders(group, found["macs"], labels[0]))
        if "time" in found:
            said += [_departure(found["macs"], found["time"], label) for label in labels]
    return [*filter(None, said), *_distortion(group)]


def _spending(by_part: Split, label: str) -> str:
    shares = by_part.shares(label)
    parts = [f"{percent(share)} in {_place(family)}" for family, share in shares.items() if share >= VISIBLE]
    return f"{label} spends its {by_part.spent.name} like this: {join(parts, 9)}." if parts else ""


def _place(family: Family) -> str:
    return "the encoder" if family is Family.ENCODER else family.value


def _encoders(group: Group, macs: Split, label: str) -> str:
    """The encoders of the single-task networks beside that of another way."""
    single = group.points[text(group.points, "variant") == SINGLE_TASK]["label"]
    both = [*map(str, single.head(1)), label]
    spent = [macs.by_family(name).get(Family.ENCODER, 0.0) for name in both]
    if len(set(both)) < 2 or not all(spent):
        return ""
    theirs, own = (with_interval(Estimate(value), macs.unit.factor) for value in spent)
    return f"Encoders take {theirs} {macs.unit.name} per image in the single-task networks, {own} in {label}."


def _departure(macs: Split, time: Split, label: str) -> str:
    """The family whose share of time is farthest from its share of MACs."""
    counted, timed = macs.shares(label), time.shares(label)
    if not counted or not timed:
        return ""
    apart = {family: timed.get(family, 0.0) - counted.get(family, 0.0) for family in {**counted, **timed}}
    family = max(apart, key=lambda name: abs(apart[name]))
    if abs(apart[family]) < TELLING:
        return f"In {label} every part takes about the share of time that it takes of the MACs."
    verb = "takes" if family is not Family.HEAD else "take"
    return (
        f"In {label}, {_place(family)} {verb} {percent(timed.get(family, 0.0))} of the time for "
        f"{percent(counted.get(family, 0.0))} of the MACs."
    )


def _distortion(group: Group) -> list[str]:
    """How far the time of calls changed while they were split among their parts."""
    changed = numeric(group.points, "time_distortion").dropna()
    if changed.empty:
        return []
    low, high = percent(changed.min()), percent(changed.max())
    reach = low if low == high else f"{low} to {high}"
    return [
        f"Splitting time by part changed the time of the calls themselves by {reach}: trust its shares more than "
        "its milliseconds."
    ]
