"""Claims against reality: what each way promised, counted and took, beside its own dense reference."""

from __future__ import annotations

from collections.abc import Sequence

from mtlbench.report.canvas import Absent, Drawing, interval_words
from mtlbench.report.colours import Style
from mtlbench.report.frame import Estimate, RunView, is_ok, text
from mtlbench.report.groups import Group
from mtlbench.report.quantities import join, percent
from mtlbench.report.section import Block, Section
from mtlbench.report.sections._claims_chart import LEDGERS, chart, most_ways
from mtlbench.report.sections._claims_table import claims_table, why_no_energy
from mtlbench.report.sections._claims_words import change, findings, share_words
from mtlbench.report.sections._thin import evenly
from mtlbench.report.sections._ways import BASELINE, Way, against_single_task, own_ways

__all__ = ["section"]

OWN = "each way's own dense reference"
SINGLE = "the single-task networks"
MOST_SAID = 12


def section(view: RunView, group: Group, look: dict[str, Style]) -> Section | None:
    """Claims against reality; where only dense networks ran, what sharing an encoder claims and takes.

    None where there is nothing to hold against a promise, such as single-task networks alone.
    """
    own, shared = own_ways(group), against_single_task(group)
    ways = own or shared
    if not ways:
        return None
    against = OWN if own else SINGLE
    drawn = [way for way in ways if any(share.known for share in way.shares.values())]
    blocks: list[Block] = [
        _drawing(group, drawn, look, against)
        if drawn
        else Absent("Promised and measured", f"Nothing was counted or timed together with {against}.")
    ]
    blocks += _unfinished(group)
    blocks.append(claims_table(group, ways, against))
    lead = (
        findings(own)
        if own
        else ["Every finished network is its own reference, so the one claim to test is that sharing pays."]
    )
    lead += _sharing(shared)
    return Section("claims", "Claims against reality", tuple(lead), tuple(blocks))


def _drawing(group: Group, ways: Sequence[Way], look: dict[str, Style], against: str) -> Drawing:
    names = [way.name for way in ways]
    shown = evenly(ways, names, most_ways(len(set(names))))
    caption = (
        f"100 (dashed) is {against}. The shaded part of a row was promised in MACs and not seen as time; the numbers "
        "at its ends are the promise and the time. "
    )
    if any(way.realised.known for way in shown):
        caption += "Right: the share of the promised saving that arrived as time; at 100 all of it. "
    caption += (
        "Time is from pairs of launches that ran side by side; without pairs it is the ratio of two latencies, "
        "with the widest interval that theirs allow. "
    )
    if not any(way.share("energy").known for way in shown):
        caption += f"Energy is missing: {why_no_energy(group)} "
    caption += interval_words(group, dots=any(way.seeds for way in shown))
    if len(shown) < len(ways):
        caption += f" Drawn are {len(shown)} of {len(ways)} ways, spread evenly over each variant."
    told = evenly(shown, [way.name for way in shown], MOST_SAID)
    alt = f"Dot plot of {len(shown)} way{'s' * (len(shown) > 1)} in per cent of {against}. "
    alt += "; ".join(map(_said, told)) + ("; the table has the others." if len(told) < len(ways) else ".")
    figure = chart(shown, look, against=against, axis=group.axis)
    return Drawing(f"{group.slug}-claims-chart", "Promised and measured", caption, alt, figure)


def _said(way: Way) -> str:
    known = [
        f"{LEDGERS[name].removesuffix(' MACs')} {percent(way.share(name).value)}"
        for name in LEDGERS
        if way.share(name).known
    ]
    arrived = [f"realised {share_words(way.realised)}"] if way.realised.known else []
    return f"{way.label}: {', '.join(known + arrived)}"


def _unfinished(group: Group) -> list[Block]:
    """One sentence about the variants of which nothing finished, so that silence is not taken for success."""
    variants = text(group.cells, "variant")
    left = sorted(set(variants) - set(variants[is_ok(group.cells)]))
    if not left:
        return []
    return [
        Absent(
            "Not tested",
            f"No cell of {join(left)} finished, so what it claims is neither shown nor refuted here.",
        )
    ]


def _sharing(ways: Sequence[Way]) -> list[str]:
    """What the dense shared network does beside single-task ones."""
    said = []
    for way in ways:
        if way.variant != "static_mtl":
            continue
        took = way.share("latency")
        sentence = (
            f"{way.label} shares one encoder: beside {BASELINE} it executed {change(way.promised)} compute"
        )
        sentence += (
            f" and took {share_words(took)} of the time" if took.known else " and was not timed beside it"
        )
        said.append(f"{sentence}{_of_promise(way.realised)}.")
    return said[:1]


def _of_promise(arrived: Estimate) -> str:
    return f", so {share_words(arrived)} of that saving arrived" if arrived.known else ""
