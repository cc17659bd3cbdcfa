"""Ways that take turns inside one process, and fresh processes one after the other: what speed benchmarks share."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from mtlbench.measure import (
    Health,
    clock_for,
    compare,
    frozen_gc,
    thread_environment,
    time_calls,
    warm_up,
)

__all__ = ["Record", "fresh_processes", "in_turns"]

Record = dict[str, Any]


def in_turns(
    calls: Mapping[str, Callable[[Tensor], Any]],
    x: Tensor,
    *,
    rounds: int,
    threads: int,
    seed: int,
    warmed: Callable[[str], None] = lambda _: None,
) -> Record:
    """Floors by way, `ms`, in shuffled turns, and what disturbed them, `warnings`.

    Args:
        calls: by name.
        x: images that each is called with.
        rounds: calls of each.
        threads: that they use.
        seed: of the order.
        warmed: told the name of each way once it is warm.
    """
    clock = clock_for("cpu")
    for name, call in calls.items():
        warm_up(call, [x], clock, max_seconds=0, min_rounds=min(2, rounds - 1))
        warmed(name)
    found = dict.fromkeys(calls, float("inf"))
    before = Health.read()
    with frozen_gc():
        for turn in range(rounds):
            names = list(calls)
            random.Random(f"{seed}#{turn}").shuffle(names)  # noqa: S311  # an order, not a secret
            for name in names:
                samples = time_calls(calls[name], [x], clock, rounds=1, max_seconds=60, seed=turn)
                found[name] = min(found[name], samples.mean_floor_ms())
    health = compare(before, Health.read(), threads=threads)
    return {"ms": found, "warnings": list(health.warnings)}


def fresh_processes(
    launch: Callable[..., list[Record]], jobs: Sequence[tuple[int, Sequence[Any]]]
) -> Iterator[list[Record]]:
    """Run every job in a process of its own; the records so far after each.

    Args:
        launch: what a process runs.
        jobs: for each, the number of threads that the process is started for, and the arguments of `launch`.
    """
    # thread pools read their environment once, at the import of torch
    context = multiprocessing.get_context("spawn")
    os.environ["KINETO_LOG_LEVEL"] = "6"  # else the profiler reports each of its starts and stops
    records: list[Record] = []
    for done, (threads, arguments) in enumerate(jobs):
        print(f"\rlaunch {done + 1} of {len(jobs)}", end="", file=sys.stderr, flush=True)
        os.environ.update(thread_environment(threads))
        with context.Pool(1) as pool:
            records += pool.apply(launch, tuple(arguments))
        yield records
    print(file=sys.stderr)
