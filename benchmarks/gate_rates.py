"""How often does the gate cry wolf, and what does it miss? Its rule and those of other tools, on the same launches.

A comparison has 60 cells. A block launches the base and the head of each cell next to each other, in an order drawn by
chance, and then goes on to the next cell; ten blocks make the first step. What it flags (at most delta slower, refused
at 1 %) gets twenty more pairs, alone on the machine, and is a regression if these refuse it again at 0.1 %. All that is
simulated as one stream of launches on a machine whose noise (`gate_noise.py`) is fitted to the first half of a trace
of 170 launches of one unchanged network; the second half shows what the noise is worth. Other tools' rules
(`gate_peers.py`) judge the same streams, in turns, and with all of base before all of head, as these tools run.
Then all rules judge stretches of the trace itself. A slow-down multiplies every call of head.

    python benchmarks/gate_rates.py
    python benchmarks/gate_rates.py --quick --json rates.json

It takes eight minutes on one core, `--quick` half a minute. The trace is data/timing-noise/latency_ns.jsonl in
$MTLBENCH_SHARED (default ../shared): one machine in one hour, one launch right after the other. A launch of a suite
takes longer, so a burst of the same length in time hits fewer of them in a row.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from gate_noise import (
    CROWDED,
    QUIET,
    Noise,
    Pairs,
    describe,
    fit,
    floors,
    read_trace,
    scattered,
    sides,
    usual_ms,
    windows,
)
from gate_peers import RULES
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats

from mtlbench.stats.randomisation import Randomisation, location

CELLS, FIRST, SECOND = 60, 10, 20
FLAG, CONFIRM = 0.01, 0.001
TRACE = "data/timing-noise/latency_ns.jsonl"
ADDED = "same time added to each call"
DELTAS = {0.05: 0.10, 0.10: 0.20}
"""The slow-down that must be found, by the threshold."""
MARGINS = (0.03, 0.05, 0.10)
SLOWER = (0.0, 0.05, 0.10, 0.20, 0.50)
BURST_SHARES = (0.2, 0.7, 0.8, 0.9, 0.95, 1.0)
CROWDED_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
POWER, SURE, FALSE_CELL, FALSE_ANY = 0.90, 0.95, 0.001, 0.01
CELL_RATES = ("flagged", "flagged ones confirmed", "both steps")
REAL = ("whole trace", "held out")
ORDERS = ("in turns", "serial")
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SlowDown = Callable[[Pairs, float], Pairs]


@dataclass(frozen=True, slots=True)
class Size:
    """How many trials of what."""

    comparisons: int
    power: int
    confirm: int
    peers: int
    margins: int
    sensitivity: int
    orders: int
    """Of each stretch of the trace."""
    real: int
    """Second steps on it, for each slow-down."""


FULL = Size(1000, power=3000, confirm=600, peers=100, margins=3000, sensitivity=1200, orders=4, real=60)
QUICK = Size(100, power=150, confirm=16, peers=5, margins=100, sensitivity=60, orders=1, real=2)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often one rule spoke up. `slower` 0 is A/A; `per` says of what the trials are."""

    noise: str
    rule: str
    launches: int
    order: str
    slower: float
    per: str
    hits: int
    trials: int

    @property
    def share(self) -> float:
        """Of the trials; not a number without any."""
        return self.hits / self.trials if self.trials else math.nan

    def most(self) -> float:
        """95 % upper bound (Clopper and Pearson, one-sided), trials taken as independent."""
        return (
            float(stats.beta.ppf(0.95, self.hits + 1, self.trials - self.hits))
            if self.hits < self.trials
            else 1.0
        )

    def least(self) -> float:
        """95 % lower bound."""
        return float(stats.beta.ppf(0.05, self.hits, self.trials - self.hits + 1)) if self.hits else 0.0

    def bounds(self) -> dict[str, float | None]:
        """Both, by name; None on the trace."""
        real = self.noise.startswith(REAL)
        return {"least": None if real else self.least(), "most": None if real else self.most()}

    def __str__(self) -> str:
        """Percent, in brackets the bound on the side that matters: upper for A/A, lower for slow-downs.

        None on the trace, whose stretches overlap.
        """
        if not self.trials:
            return "-"
        if self.noise.startswith(REAL):
            return f"{100 * self.share:.1f}"
        bound = self.least() if self.slower else self.most()
        digits = 3 if bound < 0.001 and not self.slower else 1
        return f"{100 * self.share:.{digits}f} ({100 * bound:.{digits}f})"


def refused(pairs: Pairs, delta: float, alpha: float) -> Bools:
    """Which cells [cells] the product's test calls more than delta slower, of floors [cells, pairs, inputs]."""
    base, head = pairs
    # At or below 1 + delta half of all assignments are at least as extreme: such a cell cannot be flagged.
    above: Bools = location(head) / location(base) > 1 + delta
    asked = (
        Randomisation(b, h).p_slower(1 + delta) <= alpha
        for b, h in zip(base[above], head[above], strict=True)
    )
    above[above] = np.fromiter(asked, dtype=bool)
    return above


def within(pairs: Pairs, margin: float) -> Bools:
    """Which cells' intervals at the level of the first step lie between -margin and +margin."""
    tests = (Randomisation(base, head) for base, head in zip(*pairs, strict=True))
    return np.array([t.p_slower(1 - margin) <= FLAG and t.p_faster(1 + margin) <= FLAG for t in tests])


def slowed(pairs: Pairs, slower: float) -> Pairs:
    """Head takes so much longer in every call."""
    return pairs[0], pairs[1] * (1 + slower)


def first_step(noise: Noise, rng: np.random.Generator, comparisons: int) -> tuple[Pairs, NDArray[np.int64]]:
    """Floors of all cells of so many comparisons, and the machine's state at the end of each comparison."""
    found, ends = [], []
    for begin in range(0, comparisons, 50):
        streams = min(50, comparisons - begin)
        states = noise.draw_states(rng, 2 * CELLS * FIRST, noise.start(rng, streams))
        found.append(sides(floors(noise.draw_calls(rng, states)), CELLS, rng))
        ends.append(states[:, -1])
    base, head = (np.concatenate(side) for side in zip(*found, strict=True))
    return (base, head), np.concatenate(ends)


def second_step(noise: Noise, rng: np.random.Generator, before: NDArray[np.int64]) -> Pairs:
    """Floors of twenty pairs for each cell, launched one after the other from the state in `before`."""
    states = noise.draw_states(rng, 2 * SECOND, before)
    return sides(floors(noise.draw_calls(rng, states)), 1, rng)


def our_rates(
    name: str,
    noise: Noise,
    rng: np.random.Generator,
    size: Size,
    cases: Iterable[tuple[float, float]],
    slow_down: SlowDown = slowed,
) -> Iterator[Rate]:
    """Both steps on simulated comparisons, by threshold and slow-down: A/A on all cells, others on some of each."""
    every, ends = first_step(noise, rng, size.comparisons)
    cells = size.comparisons * CELLS
    for delta, slower in cases:
        chosen = np.arange(cells) if slower == 0 else rng.choice(cells, min(size.power, cells), replace=False)
        flags = refused(slow_down((every[0][chosen], every[1][chosen]), slower), delta, FLAG)
        suspects = chosen[flags][: None if slower == 0 else size.confirm]
        again = second_step(noise, rng, ends[suspects // CELLS])
        sure = refused(slow_down(again, slower), delta, CONFIRM)
        yield ours(name, delta, slower, "flagged", flags)
        yield ours(name, delta, slower, "flagged ones confirmed", sure)
        if slower == 0:
            regressions = np.asarray(np.isin(chosen, suspects[sure]))
            yield ours(name, delta, slower, "both steps", regressions)
            for step, found in (("flagged", flags), ("both steps", regressions)):
                yield ours(
                    name, delta, slower, f"comparisons, {step}", np.any(found.reshape(-1, CELLS), axis=1)
                )


def ours(noise: str, delta: float, slower: float, per: str, found: Bools) -> Rate:
    """A rate of the gate itself."""
    launches = FIRST if per in {"flagged", "comparisons, flagged"} else SECOND
    return Rate(
        noise,
        f"mtlbench {100 * delta:.0f} %",
        launches,
        "in turns",
        slower,
        per,
        int(found.sum()),
        len(found),
    )


def peer_rates(name: str, streams: Floats, cells: int, rng: np.random.Generator) -> Iterator[Rate]:
    """Other tools' rules on streams of launches [streams, launches, calls]."""
    for order in ORDERS:
        base, head = sides(streams, cells, rng, order)
        for rule in RULES:
            for slower in SLOWER:
                fails = rule.fails(*slowed((base[:, : rule.launches], head[:, : rule.launches]), slower))
                kinds = {"flagged": fails}
                if slower == 0 and cells > 1:
                    kinds["comparisons, flagged"] = np.asarray(fails.reshape(-1, cells).any(axis=1))
                for per, found in kinds.items():
                    counts = int(found.sum()), len(found)
                    yield Rate(name, rule.name, rule.launches, order, slower, per, *counts)


def trace_rates(name: str, calls: Floats, rng: np.random.Generator, size: Size) -> Iterator[Rate]:
    """All rules on a real trace, ours with pairs next to each other and scattered."""
    pairs, trials = FIRST + SECOND, size.margins // 10
    drawn = {
        name: windows(calls, 2 * pairs, size.orders),
        f"{name}, scattered": scattered(calls, pairs, trials, rng),
    }
    for kind, streams in drawn.items():
        every = sides(floors(streams), 1, rng)
        for delta, slower in ((delta, slower) for delta in DELTAS for slower in SLOWER):
            base, head = slowed(every, slower)
            flags = refused((base[:, :FIRST], head[:, :FIRST]), delta, FLAG)
            suspects = rng.permutation(np.flatnonzero(flags))[: None if slower == 0 else size.real]
            sure = refused((base[suspects, FIRST:], head[suspects, FIRST:]), delta, CONFIRM)
            yield ours(kind, delta, slower, "flagged", flags)
            yield ours(kind, delta, slower, "flagged ones confirmed", sure)
            if slower == 0:
                regressions = np.asarray(np.isin(np.arange(len(flags)), suspects[sure]))
                yield ours(kind, delta, slower, "both steps", regressions)
        few = rng.permutation(len(every[0]))[:trials]
        yield from margin_rates(kind, (every[0][few, :FIRST], every[1][few, :FIRST]))
    yield from peer_rates(name, windows(calls, 2 * FIRST, size.orders), 1, rng)


def margin_rates(name: str, pairs: Pairs) -> Iterator[Rate]:
    """How often the first step leaves an A/A open, since its interval is not within the margin."""
    for margin in MARGINS:
        still_open = ~within(pairs, margin)
        counts = int(still_open.sum()), len(still_open)
        yield Rate(name, f"mtlbench {100 * margin:.0f} %", FIRST, "in turns", 0.0, "inconclusive", *counts)


def machines(noise: Noise, whole: Noise) -> dict[str, Noise]:
    """Other machines than the one fitted."""
    found = {
        "as fitted": noise,
        "fitted to the whole trace": whole,
        "bursts twice as frequent": noise.busier(frequent=2),
        "bursts twice as long": noise.busier(long=2),
    }
    found |= {f"{100 * share:.0f} % in bursts": noise.with_share(share) for share in BURST_SHARES}
    return found | {
        f"{100 * share:.0f} % crowded": noise.with_share(share, [CROWDED]) for share in CROWDED_SHARES
    }


def sensitivity_rates(
    found: dict[str, Noise], usual: float, rng: np.random.Generator, size: Size
) -> Iterator[Rate]:
    """A/A and the slow-downs that must be found, on each of these machines."""
    cases = [(delta, slower) for delta, goal in DELTAS.items() for slower in (0.0, goal)]
    part = replace(size, comparisons=size.sensitivity // CELLS, power=size.sensitivity, confirm=size.real)
    for name, noise in found.items():
        yield from our_rates(name, noise, rng, part, cases)

    def add(pairs: Pairs, slower: float) -> Pairs:
        return pairs[0], pairs[1] + slower * usual

    yield from our_rates(ADDED, found["as fitted"], rng, part, cases, add)


def select(rates: Iterable[Rate], **asked: object) -> list[Rate]:
    """Those with these values."""
    return [rate for rate in rates if all(getattr(rate, name) == value for name, value in asked.items())]


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


def main() -> None:
    """Fit, check, simulate, judge the trace, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few trials, so wide bounds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write every rate here")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else FULL
    console = Console(width=150, highlight=False)
    rng = np.random.default_rng(arguments.seed)

    trace = read_trace(Path(os.environ.get("MTLBENCH_SHARED", "../shared")) / TRACE)
    seen, held_out = np.array_split(trace, 2)
    noise, usual = fit(seen), usual_ms(seen)
    drawn = noise.draw_calls(rng, noise.draw_states(rng, len(trace) * 100, noise.start(rng, 1)))[0]
    console.print("The noise: fitted to the first half, simulated, held out")
    console.print(noise_table({"fitted to": seen, "simulated": drawn, "held out": held_out}, usual))

    every = [(delta, slower) for delta in DELTAS for slower in SLOWER]
    rates = list(our_rates("simulated", noise, rng, size, every))
    streams = noise.draw_calls(rng, noise.draw_states(rng, 2 * CELLS * FIRST, noise.start(rng, size.peers)))
    rates += peer_rates("simulated", streams, CELLS, rng)
    base, head = first_step(noise, rng, -(-size.margins // CELLS))[0]
    rates += margin_rates("simulated", (base[: size.margins], head[: size.margins]))
    for name, calls in zip(REAL, (trace, held_out), strict=True):
        rates += trace_rates(name, calls, rng, size)
    found = machines(noise, fit(trace))
    rates += sensitivity_rates(found, usual, rng, size)
    report(console, size, rates, found, trace)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(r) | r.bounds() for r in rates], indent=1))


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


if __name__ == "__main__":
    main()
