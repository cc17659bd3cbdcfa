"""What happens input by input: what each costs and how long it takes, whether hard ones cost more, and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.report.canvas import Absent
from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate, RunView, text
from mtlbench.report.groups import SETTING, Group
from mtlbench.report.pictures import Sample
from mtlbench.report.quantities import join, macs_unit, percent, with_interval
from mtlbench.report.section import Block, Section
from mtlbench.report.sections._inputs_charts import cost_drawing, difficulty_drawing, latency_drawing
from mtlbench.report.sections._inputs_frame import (
    FEWEST,
    Measure,
    WayInputs,
    adaptive_ways,
    group_inputs,
    measures,
    middle_of,
    rank,
    solved,
    tail,
    way_inputs,
)
from mtlbench.report.sections._inputs_tables import MOST_COST_ROWS, MOST_SAID, cost_table, hardest, rank_table
from mtlbench.report.sections._kept_inputs import compared, extremes
from mtlbench.report.sections._kept_read import read_kept

__all__ = ["section"]

TITLE = "Inputs"
MOST_VARIANTS = 3
GROUPS_WITH_PICTURES = 3
MOST_PICTURE_BYTES = 700_000


def section(view: RunView, group: Group, look: dict[str, Style]) -> Section | None:
    """Per-input cost, latency and difficulty of a group, and sample inputs; None where the run kept nothing of it."""
    rows = group_inputs(view, group)
    ways = [] if rows is None else way_inputs(rows, group)
    adaptive = adaptive_ways(ways)
    lead: list[str] = []
    blocks: list[Block] = []
    if ways:
        hard = [(way, measures(way, ways, group)) for way in adaptive[:MOST_COST_ROWS]]
        lead = [*map(_cost_sentence, adaptive[:MOST_SAID]), *_difficulty_sentences(hard)]
        lead.append(_alike([way for way in ways if not way.varies]))
        blocks = [*_cost_blocks(group, adaptive, hard, look), *_latency_blocks(group, ways, look)]
        blocks += hardest(group, ways, adaptive)
    shown, notes = _samples(view, group, ways, adaptive)
    if not ways and not shown and not notes:
        return None
    return Section("inputs", TITLE, tuple(filter(None, [*lead, *notes])), (*blocks, *shown))


def _alike(static: Sequence[WayInputs]) -> str:
    if not static:
        return ""
    return f"Every input costs the same with {join([way.label for way in static])}."


def _cost_sentence(way: WayInputs) -> str:
    costs = way.rows["macs_nominal"].to_numpy()
    said = f"With {way.label}, {_reach(costs)}."
    spent = float(costs.mean()) / way.reference
    if math.isfinite(way.asked) and math.isfinite(spent):
        said += (
            f" Asked for {percent(way.asked)} of its reference's MACs, it spent {percent(spent)} on average."
        )
    return said


def _reach(costs: NDArray[np.float64]) -> str:
    """How far the costs of inputs lie apart, by what is told apart in the digits shown."""
    unit = macs_unit(costs)
    low, middle, high, top = (
        with_interval(Estimate(float(value)), unit.factor)
        for value in (costs.min(), middle_of(costs), tail(costs), costs.max())
    )
    if low == top:
        return f"inputs cost {low} {unit.name}, alike in the digits shown"
    if low == middle:
        return f"half of the inputs or more cost the least, {low} {unit.name}; the dearest cost {top}"
    if middle == top:
        return f"more than half of the inputs cost the most, {top} {unit.name}; the cheapest cost {low}"
    if middle == high:
        said = f"all but at most one in twenty inputs cost at most {middle} {unit.name}"
    else:
        said = f"half of the inputs cost at most {middle} {unit.name}"
        said += f", at most one in twenty more than {high}" if high not in ("-", top) else ""
    return f"{said}; they range from {low} to {top}"


def _difficulty_sentences(hard: Sequence[tuple[WayInputs, list[Measure]]]) -> list[str]:
    said = []
    for way, found in hard[:MOST_SAID]:
        ranks = [(measure, *rank(way, measure)) for measure in found]
        known = [one for one in ranks if one[1].known]
        if not known:
            said.append(f"Whether harder inputs cost more with {way.label} is not known from so few inputs.")
            continue
        more = [_ranked(*one) for one in known if one[1].low > 0]
        less = [_ranked(*one) for one in known if one[1].high < 0]
        if more:
            said.append(f"Harder inputs cost more with {way.label}, by {join(more, 3)}.")
        if less:
            said.append(f"Harder inputs cost less with {way.label}, by {join(less, 3)}.")
        if not more and not less:
            told = join([_ranked(*one) for one in known], 3)
            said.append(f"That harder inputs cost more with {way.label} is not shown, by {told}.")
    return said


def _ranked(measure: Measure, rank: Estimate, n: int) -> str:
    return f"{measure.title} (Spearman {with_interval(rank)}, n = {n})"


def _cost_blocks(
    group: Group,
    adaptive: Sequence[WayInputs],
    hard: Sequence[tuple[WayInputs, list[Measure]]],
    look: dict[str, Style],
) -> list[Block]:
    if not adaptive:
        return []
    blocks: list[Block] = [cost_drawing(group, adaptive, look), cost_table(adaptive)]
    one_each = {way.variant: (way, found) for way, found in reversed(hard)}
    drawable = [both for both in reversed(one_each.values()) if both[1] and math.isfinite(both[0].reference)]
    if drawable:
        blocks += [difficulty_drawing(group, drawable[:MOST_VARIANTS], look), rank_table(hard, len(adaptive))]
    else:
        reason = "Neither the dataset nor a dense reference says which inputs are hard."
        blocks.append(Absent("Cost against difficulty", reason))
    return blocks


def _latency_blocks(group: Group, ways: Sequence[WayInputs], look: dict[str, Style]) -> list[Block]:
    timed = [way for way in ways if way.timed >= FEWEST]
    if timed:
        return [latency_drawing(group, timed, look)]
    some = any(way.timed for way in ways)
    why = f"fewer than {FEWEST} inputs were timed alone" if some else "no input was timed alone"
    reason = f"There is no distribution of latency over inputs, because {why}."
    return [Absent("How long single inputs take", reason)]


def _samples(
    view: RunView, group: Group, ways: Sequence[WayInputs], adaptive: Sequence[WayInputs]
) -> tuple[list[Sample], list[str]]:
    """Grids of pictures within what a page may hold, and sentences about the choice."""
    first = [way.label for way in adaptive]
    kept, notes = read_kept(view, group, first)
    if not kept:
        return [], notes
    if not _is_early(view, group):
        most = GROUPS_WITH_PICTURES
        return [], [f"Pictures are shown for the first {most} groups only; all are in the run folder."]
    how = "The inputs with pictures were chosen by their position in the test split alone, the same for every way"
    best = extremes(
        sorted(kept, key=lambda one: first.index(one.way) if one.way in first else len(first)), adaptive
    )
    if best:
        how += "; the cheapest, median and dearest are each way's own, of all inputs, the first of those that tie"
    spread = compared(kept, solved(group, ways), by_quality=not best)
    shown: list[Sample] = []
    left = MOST_PICTURE_BYTES
    for sample in [*best, *spread]:
        left -= sample.size
        if left < 0 and shown:
            notes.append("More inputs are in the run folder.")
            break
        shown.append(sample)
    return shown, [f"{how}.", *notes]


def _is_early(view: RunView, group: Group) -> bool:
    """Whether a group is one of the first, which keeps a page of many groups small."""
    settings = pd.DataFrame({name: text(view.table, name) for name in SETTING}).drop_duplicates()
    first = settings.head(GROUPS_WITH_PICTURES).to_dict("records")
    return group.setting in first
