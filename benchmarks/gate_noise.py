"""The noise of a busy machine, fitted to a trace of launches of code that did not change.

A launch finds the machine in one of three states, by the share of its calls that took half as long again as usual:
quiet (nearly none), shared (a third: another process takes the processor now and then) and crowded (two thirds: it
takes its turn each time). The state follows a Markov chain from launch to launch, its rates counted in the trace. The
calls of a launch are those of one launch of the trace in that state, put together anew from stretches of about ten
(the stationary bootstrap: Politis and Romano 1994, DOI 10.1080/01621459.1994.10476870), because the scheduler's turns
make neighbouring calls alike; the first call stays the first, as it is always slower. All calls of a launch are then
scaled by a factor as wide as a kernel estimate of the launches' levels asks for (Silverman 1986, equation 3.31), so
that no two launches are equal.

What the model lacks. Levels of neighbouring launches in the same state are independent; in the trace they correlate by
about a half, which pairs gain from. Lengths of bursts are geometric; the trace has few bursts, one of them very long,
so the chain's are shorter and a little less of its launches is in them. What happened only in the second half (launches
that are slower by a fifth from the first call to the last) is not in a model of the first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CROWDED",
    "INPUTS",
    "QUIET",
    "STATES",
    "Noise",
    "classify",
    "describe",
    "fit",
    "floors",
    "read_trace",
    "scattered",
    "sides",
    "usual_ms",
    "windows",
]

STATES = ("quiet", "shared", "crowded")
QUIET, CROWDED = 0, 2
BURSTS = (1, CROWDED)
INPUTS = 10
"""Inputs of a launch: call i is of input i % 10, so 50 calls are five rounds."""
_SLOW = 1.5
_EDGES = (0.13, 0.55)
_STRETCH = 10
_LEVEL = 0.1
_HALVINGS = 40

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pairs = tuple[Floats, Floats]
"""Base and head, [cells, pairs, ...] each."""


def read_trace(path: Path) -> Floats:
    """Latencies in ms [launches, calls], in the order measured; the file has a list of ns for each launch."""
    ns = np.array([json.loads(line) for line in path.read_text().splitlines()], dtype=np.float64)
    return ns / 1e6


def floors(calls: Floats) -> Floats:
    """The fastest call of each input, [..., calls] to [..., inputs]: what mtlbench compares."""
    found: Floats = calls.reshape(*calls.shape[:-1], calls.shape[-1] // INPUTS, INPUTS).min(axis=-2)
    return found


def usual_ms(calls: Floats) -> float:
    """What a call takes when nothing disturbs: the lower quartile of the launches' medians."""
    return float(np.quantile(np.median(calls, axis=1), 0.25))


def classify(calls: Floats, usual: float) -> Ints:
    """The state of each launch, as its place in `STATES`; the gaps between the shares in the trace are there."""
    slow = (calls > _SLOW * usual).mean(axis=1)
    states: Ints = np.digitize(slow, _EDGES).astype(np.int64)
    return states


@dataclass(frozen=True, slots=True)
class Noise:
    """A machine that other work disturbs.

    Attributes:
        transitions: [from, to], between states from one launch to the next.
        donors: launches of the trace, [launches, calls] in ms.
        states: of the donors.
        jitter: standard deviation of the log of the factor of a launch.
    """

    transitions: Floats
    donors: Floats
    states: Ints
    jitter: float

    def shares(self) -> Floats:
        """Of the launches in each state, in the long run."""
        square = np.vstack([self.transitions.T - np.eye(len(STATES)), np.ones(len(STATES))])
        found: Floats = np.linalg.lstsq(square, np.array([0, 0, 0, 1.0]), rcond=None)[0].clip(0)
        shares: Floats = found / found.sum()
        return shares

    def busier(self, frequent: float = 1, long: float = 1, bursts: Sequence[int] = BURSTS) -> Noise:
        """Stays in the states `bursts` begin `frequent` times as often and last about `long` times as long."""
        changed = self.transitions.copy()
        inside = np.isin(np.arange(len(STATES)), bursts)
        for state, row in enumerate(changed):
            across = inside != inside[state]
            crossing = row[across].sum()
            wanted = crossing / long if inside[state] else min(crossing * frequent, 1.0)
            row[across] *= wanted / crossing
            row[~across] *= (1 - wanted) / (1 - crossing)
        return replace(self, transitions=changed)

    def with_share(self, share: float, bursts: Sequence[int] = BURSTS) -> Noise:
        """So large a share of launches in the states `bursts`: more of them and longer, by one factor."""
        low, high = -10.0, 10.0
        for _ in range(_HALVINGS):
            found = self.busier(math.exp((low + high) / 2), math.exp(max(low + high, 0) / 2), bursts)
            if found.shares()[list(bursts)].sum() < share:
                low = (low + high) / 2
            else:
                high = (low + high) / 2
        return found

    def draw_states(self, rng: np.random.Generator, length: int, before: Ints) -> Ints:
        """Streams of launches [streams, length], each going on from the state in `before`."""
        reach = self.transitions.cumsum(axis=1)[:, :-1]
        chance = rng.random((length, len(before)))
        found = np.empty((len(before), length), dtype=np.int64)
        now = before
        for step in range(length):
            now = (chance[step][:, None] > reach[now]).sum(axis=1)
            found[:, step] = now
        return found

    def start(self, rng: np.random.Generator, streams: int) -> Ints:
        """States drawn in proportion to their shares."""
        return rng.choice(len(STATES), size=streams, p=self.shares())

    def draw_calls(self, rng: np.random.Generator, states: Ints) -> Floats:
        """Launches in these states: [...] to [..., calls] in ms."""
        flat = states.ravel()
        donor = np.empty(len(flat), dtype=np.int64)
        for state in range(len(STATES)):
            here = flat == state
            donor[here] = rng.choice(np.flatnonzero(self.states == state), size=here.sum())
        calls = self.donors.shape[1]
        found = np.empty((len(flat), calls))
        found[:, 0] = self.donors[donor, 0]
        fresh = rng.random((calls, len(flat))) < 1 / _STRETCH
        place = rng.integers(calls - 1, size=len(flat))
        for call in range(1, calls):
            jump = rng.integers(calls - 1, size=len(flat))
            place = np.where(fresh[call], jump, (place + 1) % (calls - 1))
            found[:, call] = self.donors[donor, place + 1]
        found *= np.exp(self.jitter * rng.standard_normal(len(flat)))[:, None]
        return found.reshape(*states.shape, calls)


def fit(calls: Floats) -> Noise:
    """The noise of a trace [launches, calls] in ms; half a transition is added to each that may be.

    Raises:
        ValueError: one of the states does not occur.
    """
    states = classify(calls, usual_ms(calls))
    missing = [name for place, name in enumerate(STATES) if place not in states]
    if missing:
        raise ValueError(
            f"no launch of the trace is {' or '.join(missing)}, so there is nothing to fit it to"
        )
    counts = np.full((len(STATES), len(STATES)), 0.5)
    np.add.at(counts, (states[:-1], states[1:]), 1)
    levels = np.log(np.quantile(calls[states == QUIET], _LEVEL, axis=1))
    quarters = np.quantile(levels, [0.25, 0.75])
    width = 0.9 * min(float(levels.std(ddof=1)), float(np.ptp(quarters)) / 1.34) * len(levels) ** -0.2
    return Noise(counts / counts.sum(axis=1, keepdims=True), calls, states, width)


def describe(calls: Floats, usual: float) -> dict[str, float]:
    """What a trace [launches, calls] looks like, in words and ms (of times) or as shares and counts.

    Args:
        calls: latencies in ms.
        usual: what a call takes undisturbed in the trace that the model was fitted to.
    """
    states = classify(calls, usual)
    launch_floors, medians = floors(calls).mean(axis=1), np.median(calls, axis=1)
    found: dict[str, float] = {}
    for name, values in (
        ("call", calls),
        ("floor of a launch", launch_floors),
        ("mean of a launch", calls.mean(1)),
    ):
        for percent in (5, 25, 50, 75, 95, 99):
            found[f"{name}, {percent} %"] = float(np.percentile(values, percent))
    found["medians of neighbours, correlation"] = float(np.corrcoef(medians[:-1], medians[1:])[0, 1])
    found["launches in bursts, share"] = float((states != QUIET).mean())
    found["launches crowded, share"] = float((states == CROWDED).mean())
    found["burst, mean length in launches"] = burst_length(states != QUIET)
    return found


def burst_length(busy: NDArray[np.bool_]) -> float:
    """Mean length of the runs of True; 0 without any."""
    begins = int(busy[0]) + int((busy[1:] & ~busy[:-1]).sum())
    return float(busy.sum() / begins) if begins else 0.0


def sides(launches: Floats, cells: int, rng: np.random.Generator, order: str = "in turns") -> Pairs:
    """Streams of launches [streams, launches, ...] cut into base and head, [streams * cells, pairs, ...] each.

    In turns: a block has base and head of each cell next to each other, in an order drawn by chance. Serial: all of
    base comes first, one cell after the other.
    """
    streams, count, *rest = launches.shape
    pairs = count // (2 * cells)
    if order == "serial":
        two = launches.reshape(streams, 2, cells, pairs, *rest).swapaxes(0, 1)
    else:
        blocks = launches.reshape(streams, pairs, cells, 2, *rest)
        swapped = (rng.random((streams, pairs, cells)) < 0.5).reshape(
            streams, pairs, cells, *(1 for _ in rest)
        )
        first, second = blocks[:, :, :, 0], blocks[:, :, :, 1]
        two = np.stack([np.where(swapped, second, first), np.where(swapped, first, second)]).swapaxes(2, 3)
    base, head = two.reshape(2, streams * cells, pairs, *rest)
    return base, head


def windows(calls: Floats, launches: int, times: int) -> Floats:
    """Every stretch of so many launches of a trace, each so many times: [stretches, launches, calls]."""
    starts = np.repeat(np.arange(len(calls) - launches + 1), times)
    found: Floats = calls[starts[:, None] + np.arange(launches)]
    return found


def scattered(calls: Floats, pairs: int, trials: int, rng: np.random.Generator) -> Floats:
    """Pairs of neighbours from anywhere in a trace, no launch twice in a trial: [trials, 2 * pairs, calls].

    So far apart are the pairs of one cell of many.
    """
    found = []
    for _ in range(trials):
        firsts = np.arange(rng.integers(2), len(calls) - 1, 2)
        chosen = rng.permutation(firsts)[:pairs]
        found.append(calls[np.stack([chosen, chosen + 1], axis=1).ravel()])
    return np.array(found)
