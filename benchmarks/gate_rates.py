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
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from gate_figures import (
    ADDED,
    BURST_SHARES,
    CELLS,
    CONFIRM,
    CROWDED_SHARES,
    DELTAS,
    FIRST,
    FLAG,
    FULL,
    MARGINS,
    ORDERS,
    QUICK,
    REAL,
    SECOND,
    SLOWER,
    Bools,
    Floats,
    Rate,
    Size,
)
from gate_noise import (
    CROWDED,
    Noise,
    Pairs,
    fit,
    floors,
    read_trace,
    scattered,
    sides,
    usual_ms,
    windows,
)
from gate_peers import RULES
from gate_report import noise_table, report
from numpy.typing import NDArray
from rich.console import Console

from mtlbench.stats.randomisation import Randomisation, location

TRACE = "data/timing-noise/latency_ns.jsonl"
SlowDown = Callable[[Pairs, float], Pairs]


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


if __name__ == "__main__":
    main()
