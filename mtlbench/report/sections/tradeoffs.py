"""Trade-offs: what quality costs, which ways nothing beats in both, and what budgets were asked and spent."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np

from mtlbench.report.canvas import Absent, Drawing, interval_words
from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate, RunView, is_ok, numeric, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import join, with_interval
from mtlbench.report.section import Block, Section
from mtlbench.report.sections._budgets import asked, budget_words, budgets
from mtlbench.report.sections._claims_table import why_no_energy
from mtlbench.report.sections._frontier import COSTS, Cost, Frontier, cost_of, frontier, qualities
from mtlbench.report.sections._fronts_table import fronts_table
from mtlbench.report.sections._scatter import is_crowded, is_log, most_beaten, scatter

__all__ = ["section"]

MOST_NAMES = 6


def section(view: RunView, group: Group, look: dict[str, Style]) -> Section | None:
    """Fronts of quality against each cost, then budgets; None where nothing finished."""
    if group.points.empty:
        return None
    lead: list[str] = []
    blocks: list[Block] = []
    if len(group.points) == 1:
        only = f"Only {group.points['label'].iloc[0]} finished, and a trade-off needs two ways."
        blocks.append(Absent("Quality against cost", only))
    elif not qualities(group):
        blocks.append(
            Absent("Quality against cost", f"There is no trade-off to draw: {_why_no_quality(group)}")
        )
    else:
        fronts = {cost.key: _fronts(group, cost_of(group, cost)) for cost in COSTS}
        said: set[str] = set()
        for cost in COSTS:
            blocks += _of_cost(group, cost_of(group, cost), fronts[cost.key], look, said)
        main = [found[0] for found in fronts.values() if found and found[0].quality.column == "delta_m"]
        lead += [_finding(front) for front in main] or [f"There is no delta-m: {_why_no_quality(group)}"]
        blocks += [fronts_table(group, main)] if main else []
    found = asked(group)
    lead += filter(None, [budget_words(found)])
    blocks.append(budgets(group, found, look))
    return Section("trade-offs", "Trade-offs", tuple(lead), tuple(blocks))


def _fronts(group: Group, cost: Cost) -> list[Frontier]:
    """Fronts of every quality that at least two ways have beside this cost."""
    found = [frontier(group, cost, quality) for quality in qualities(group)]
    return [front for front in found if len(front.names) > 1]


def _of_cost(
    group: Group, cost: Cost, fronts: list[Frontier], look: dict[str, Style], said: set[str]
) -> list[Block]:
    """Delta-m against a cost, then each task; `said` is what captions before have explained."""
    title, tasks_title = f"Accuracy against {cost.title}", f"Each task against {cost.title}"
    main = [front for front in fronts if front.quality.column == "delta_m"]
    tasks = [front for front in fronts if front not in main]
    blocks: list[Block] = []
    if main:
        blocks.append(_drawing(group, main, look, title, f"accuracy-{cost.key}", said))
    if tasks:
        blocks.append(_drawing(group, tasks, look, tasks_title, f"tasks-{cost.key}", said))
    return blocks or [Absent(title, _why_no_front(group, cost))]


def _why_no_front(group: Group, cost: Cost) -> str:
    known = numeric(group.points, cost.column).notna()
    if not known.any():
        why = why_no_energy(group) if cost.key == "energy" else "no finished cell has a value."
        return f"There is no {cost.title}: {why}"
    if known.sum() == 1:
        return (
            f"Only {text(group.points[known], 'label').iloc[0]} has a value, and a trade-off needs two ways."
        )
    return f"Fewer than two ways have both an accuracy and {cost.title}."


def _why_no_quality(group: Group) -> str:
    without = group.cells[is_ok(group.cells) & numeric(group.cells, "delta_m").isna()]
    reasons = {" ".join(why.split()).rstrip(".") for why in text(without, "delta_m_reason")} - {""}
    return f"{join(sorted(reasons), 3) or 'no finished cell has an accuracy'}."


def _drawing(
    group: Group, fronts: Sequence[Frontier], look: dict[str, Style], title: str, slug: str, said: set[str]
) -> Drawing:
    alt = f"Scatter plot{'s' * (len(fronts) > 1)} against {fronts[0].cost.title}. "
    alt += " ".join(_finding(front) for front in fronts)
    alt += f" {_who(fronts[0])}" if len(fronts) == 1 else ""
    caption = _caption(group, fronts, said)
    return Drawing(f"{group.slug}-{slug}", title, caption, alt, scatter(group, fronts, look))


def _caption(group: Group, fronts: Sequence[Frontier], said: set[str]) -> str:
    """What is particular to a figure, and what its marks mean, as far as no figure before it has `said` so."""
    shared = _marks_words(group, fronts)
    new = [sentence for sentence in shared if sentence not in said]
    said.update(new)
    again = ["Marks and whiskers are as above."] if len(new) < len(shared) else []
    return " ".join([*new, *_own_words(fronts), *again])


def _marks_words(group: Group, fronts: Sequence[Frontier]) -> list[str]:
    words = [
        "On the dashed front, drawn by the values themselves, nothing measured is both better and cheaper.",
        "Up is better everywhere: where lower is better, the axis is turned over.",
    ]
    if any(each.judged for each in fronts):
        words += [
            "A ring: not settled, within the intervals it may be on the other side of the front.",
            "Hollow: surely beaten.",
        ]
        if any(is_crowded(each) for each in fronts):
            words.append("Filled and off the front: not settled either.")
    words.append(interval_words(group))
    if group.pooled and group.many_seeds and fronts[0].quality.column == "delta_m":
        words.append("Those of delta-m are over seeds and images together.")
    return words


def _own_words(fronts: Sequence[Frontier]) -> list[str]:
    front, words = fronts[0], []
    if not any(each.judged for each in fronts):
        bare = "accuracy" if front.cost.exact or np.isfinite(front.x[:, 1]).any() else front.cost.title
        words.append(f"Of {bare} there are no intervals, so the order of near ways may be noise.")
    starts = "is logarithmic" if is_log(front) else "starts at zero, that of accuracy need not"
    words.append(f"The axis of {front.cost.title} {starts}.")
    hidden = len(front.names) - int(front.on.sum()) - most_beaten(fronts)
    if hidden > 0:
        words.append(f"{hidden} ways off the front are not drawn.")
    return words


def _finding(front: Frontier) -> str:
    """How many are on the front, from which to which, and what the intervals leave open."""
    label, on = front.names["label"].to_numpy(), front.order
    ends = [f"{label[index]} ({_numbers(front, index)})" for index in (on[0], on[-1])]
    name = front.quality.title.removesuffix(", %")
    if len(on) == 1:
        said = f"Nothing beats {ends[0]} in {name} or in {front.cost.title}"
    else:
        said = f"{len(on)} of {len(label)} ways are on the front of {name} against {front.cost.title}, "
        said += f"from {ends[0]} to {ends[1]}"
    if not front.judged:
        return f"{said}; without intervals this is not settled."
    sure = int(front.settled[on].sum())
    maybe = int((~front.on & ~front.settled).sum())
    said += "; that is settled" if sure == len(on) else f"; {sure or 'none'} of them for sure"
    return f"{said}, and {maybe} more may be." if maybe else f"{said}."


def _who(front: Frontier) -> str:
    """Every way on the front with its numbers, and those that may be."""
    label = front.names["label"].to_numpy()
    said = f"On the front: {join([f'{label[index]} ({_numbers(front, index)})' for index in front.order], MOST_NAMES)}."
    sure = [label[index] for index in front.order if front.settled[index]]
    maybe = label[~front.on & ~front.settled]
    if front.judged and sure:
        said += f" Settled: {join(sure, MOST_NAMES)}."
    if front.judged and len(maybe):
        said += f" Possibly too: {join(maybe, MOST_NAMES)}."
    return said


def _numbers(front: Frontier, index: int) -> str:
    cost, quality = Estimate(*front.x[index]), Estimate(*front.y[index])
    value, bracket, limits = with_interval(quality).partition(" [")
    unit = " %" if front.quality.column == "delta_m" else ""
    return f"{with_interval(cost._replace(low=nan))} {front.cost.unit.name}, {value}{unit}{bracket}{limits}"
