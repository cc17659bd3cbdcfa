"""The tables of the gate's rates, and whether they reach what was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from gate_figures import (
    ADDED,
    BURST_SHARES,
    CELL_RATES,
    CROWDED_SHARES,
    DELTAS,
    FALSE_ANY,
    FALSE_CELL,
    FIRST,
    FLAG,
    MARGINS,
    POWER,
    REAL,
    SECOND,
    SLOWER,
    SURE,
    Floats,
    Rate,
    Size,
    select,
)
from gate_noise import QUIET, Noise, describe
from gate_peers import RULES
from rich.console import Console
from rich.table import Table


def plain_table(*columns: str) -> Table:
    """The first column to the left, numbers to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 2))
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    return table


def rates_table(rates: Sequence[Rate]) -> Table:
    """A row for each rule, a column for each slow-down."""
    table = plain_table(
        "rule", "launches", "A/A", *(f"+{100 * s:.0f} %" for s in SLOWER[1:]), "any of 60, A/A"
    )
    for noise, rule, launches, order, per in dict.fromkeys(
        (r.noise, r.rule, r.launches, r.order, r.per) for r in rates if r.per in CELL_RATES
    ):
        alike = select(rates, noise=noise, rule=rule, launches=launches, order=order)
        cells = {rate.slower: str(rate) for rate in select(alike, per=per)}
        many = "".join(str(rate) for rate in select(alike, per=f"comparisons, {per}"))
        what = f"{rule}, {per if rule.startswith('mtlbench') else order}{', scattered' * noise.endswith('scattered')}"
        shown = f"{FIRST} + {SECOND}" if per == "both steps" else str(launches)
        table.add_row(what, shown, *(cells.get(slower, "") for slower in SLOWER), many)
    return table


def sensitivity_table(rates: Sequence[Rate], found: dict[str, Noise]) -> Table:
    """A row for each machine."""
    columns = [
        f"{100 * d:.0f} %: {what}"
        for d, g in DELTAS.items()
        for what in (f"+{100 * g:.0f} %", "confirmed", "A/A")
    ]
    table = plain_table("machine", "in bursts", "crowded", *columns)
    for name in [*found, ADDED]:
        shares = found.get(name, found["as fitted"]).shares()
        row = []
        for delta, goal in DELTAS.items():
            alike = select(rates, noise=name, rule=f"mtlbench {100 * delta:.0f} %")
            for slower, per in ((goal, "flagged"), (goal, "flagged ones confirmed"), (0.0, "both steps")):
                row += [str(rate) for rate in select(alike, slower=slower, per=per)]
        table.add_row(name, f"{100 * (1 - shares[QUIET]):.0f}", f"{100 * shares[-1]:.0f}", *row)
    return table


def turning_point(rates: Sequence[Rate], delta: float, what: str, shares: Sequence[float]) -> str:
    """The share of launches `what` at which the power falls below its goal, between the shares looked at."""
    alike = select(rates, rule=f"mtlbench {100 * delta:.0f} %", slower=DELTAS[delta], per="flagged")
    power = [select(alike, noise=f"{100 * share:.0f} % {what}")[0].share for share in shares]
    for place in range(1, len(power)):
        if power[place] < POWER <= power[place - 1]:
            crossing = np.interp(-POWER, [-power[place - 1], -power[place]], shares[place - 1 : place + 1])
            return f"from {100 * crossing:.0f} % {what}"
    return f"at no share {what}" if power[0] >= POWER else f"already at {100 * shares[0]:.0f} % {what}"


def goals(rates: Sequence[Rate]) -> Iterator[str]:
    """What the issue asks, and what was found."""
    for delta, goal in DELTAS.items():
        alike = select(rates, noise="simulated", rule=f"mtlbench {100 * delta:.0f} %")
        for per, slower, asked in (
            ("flagged", goal, POWER),
            ("flagged ones confirmed", goal, SURE),
            ("both steps", 0.0, FALSE_CELL),
            ("comparisons, both steps", 0.0, FALSE_ANY),
        ):
            (rate,) = select(alike, per=per, slower=slower)
            met = rate.least() >= asked if slower else rate.most() <= asked
            close = rate.share >= asked if slower else rate.share <= asked
            bound = f"at least {100 * rate.least():.2f}" if slower else f"at most {100 * rate.most():.3f}"
            yield (
                f"{'met' if met else 'open' if close else 'MISSED'}: {rate.rule}, "
                f"{f'+{100 * slower:.0f} %' if slower else 'A/A'}, {per}: {rate.hits} of {rate.trials} = "
                f"{100 * rate.share:.3f} %, {bound} % (95 %); asked {100 * asked:g} %"
            )


def levels(rates: Sequence[Rate]) -> Iterator[str]:
    """How often a head that is slower by exactly the threshold is flagged: the test promises at most its level."""
    for delta in DELTAS:
        rule = f"mtlbench {100 * delta:.0f} %"
        (rate,) = select(rates, noise="simulated", rule=rule, per="flagged", slower=delta)
        yield (
            f"{rule}, slower by exactly that: flagged {rate.hits} of {rate.trials} = {100 * rate.share:.2f} %, 95 % "
            f"bounds {100 * rate.least():.2f} and {100 * rate.most():.2f} %; the test promises at most {100 * FLAG:g} %"
        )


def noise_table(parts: dict[str, Floats], usual: float) -> Table:
    """What the model was fitted to, what it makes of it, and what it has not seen."""
    table = plain_table("ms, shares, launches", *parts)
    columns = [describe(calls, usual) for calls in parts.values()]
    for name in columns[0]:
        table.add_row(name, *(f"{column[name]:.2f}" for column in columns))
    return table


def report(
    console: Console, size: Size, rates: Sequence[Rate], found: dict[str, Noise], trace: Floats
) -> None:
    """All tables but that of the noise."""
    cells, others = (
        select(rates, noise="simulated", rule=rule, per="flagged", slower=0.0)[0].trials
        for rule in ("mtlbench 5 %", RULES[0].name)
    )
    console.print(
        f"\nSimulated: percent of cells called slower, in brackets the 95 % bound: upper of A/A, lower of "
        f"slow-downs.\nmtlbench: {cells} cells A/A, "
        f"fewer slowed; others: {others} cells each.\nCells of a comparison share its stream; bounds take them as "
        "independent. Launches: of each side"
    )
    console.print(rates_table(select(rates, noise="simulated")))
    for name, launches in zip(REAL, (len(trace), len(trace) // 2), strict=True):
        apart = launches // (2 * FIRST)
        bound = 100 * Rate(name, "", FIRST, "in turns", 0.0, "stretches", 0, apart).most()
        console.print(
            f"\nReal launches, {name} ({launches}): percent of stretches; they overlap, each is taken in {size.orders} "
            f"orders. So there are no bounds:\nonly {apart} stretches of {2 * FIRST} launches do not overlap, and 0 of "
            f"{apart} is at most {bound:.0f} %. Scattered: pairs of neighbours drawn from all over"
        )
        console.print(rates_table([r for r in rates if r.noise in {name, f"{name}, scattered"}]))

    console.print(f"\nA/A left inconclusive by the first step (k = {FIRST}: interval not within +-delta)")
    table = plain_table("noise", *(f"{100 * margin:.0f} %" for margin in MARGINS))
    still_open = [rate for rate in rates if rate.per == "inconclusive"]
    for name in dict.fromkeys(rate.noise for rate in still_open):
        table.add_row(name, *(str(rate) for rate in select(still_open, noise=name)))
    console.print(table)

    console.print(
        "\nOther machines, simulated: percent of cells, in brackets the 95 % bound; A/A after both steps"
    )
    console.print(sensitivity_table(rates, found))
    for delta, goal in DELTAS.items():
        console.print(
            f"delta {100 * delta:.0f} %: +{100 * goal:.0f} % is flagged in less than {100 * POWER:.0f} % of cells "
            f"{turning_point(rates, delta, 'in bursts', BURST_SHARES)}, "
            f"{turning_point(rates, delta, 'crowded', CROWDED_SHARES)}"
        )
    console.print("\nThe test itself")
    for line in levels(rates):
        console.print(line)
    console.print("\nGoals (open: the figure is there, its bound is not)")
    for line in goals(rates):
        console.print(line)
