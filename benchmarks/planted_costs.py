"""Does the interval hold the truth? A busy-wait of a known share is planted in a network and must be found.

Five ways of one network are launched block by block, each in a fresh process: twice as it is, and with 1, 3 and 10 %
more time. Every trial takes some of the blocks and asks for the interval of the paired ratio. Printed: how often the
interval holds the planted share, its half-width, and how often two identical ways are told apart. With `--busy`
other processes compute all the while: then the conclusions must be the same, or the launches marked as disturbed.

    python benchmarks/planted_costs.py --blocks 200 --threads 1
    python benchmarks/planted_costs.py --blocks 20 --threads 2 --busy 1

The network is one transformer block, run many times, with a part of the wait after each: its weights and activations
stay in the caches of one core. In a larger network the wait is not all that is planted, nor where it comes in one
piece: while it lasts, others who share the last cache and the memory push the network's data out, and the network
itself becomes slower. Seen on a virtual machine: a ViT-S with a wait of 10 % really took 11 to 14 % more, whatever was
computed while waiting. Here the network becomes 0.3 to 0.5 % faster. So two truths are printed: what was planted, and
what was delivered, the planted share times what the network's own part of the calls took over all blocks.

Launches are forked from a server that has imported torch and done nothing else, so one takes about a second and a half;
everything that a launch of a suite sets and reads back is set and read back here too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mtlbench.measure import Health, clock_for, compare, prepare, thread_environment, time_calls, warm_up
from mtlbench.stats.quantiles import median_interval

WAYS = {"as it is": 0.0, "again": 0.0, "1 %": 0.01, "3 %": 0.03, "10 %": 0.10}
FIRST = "as it is"
SIZE, REPEATS, INPUTS, ROUNDS = (96, 96), 48, 4, 7


def launch(share: float, threads: int, seed: int) -> dict[str, Any]:
    """One launch: its mean floor in ms, the median of the network's part of the calls, and what disturbed it."""
    prepare(threads)
    import torch

    from mtlbench.encoders.vit import ViT

    torch.manual_seed(0)
    encoder = ViT(SIZE, arch="nano", patch=8).eval()
    clock = clock_for("cpu")

    def call(x: torch.Tensor) -> object:
        mark, spent_ns = clock.now_ns(), 0
        tokens = encoder.embed(x)
        for _ in range(REPEATS):
            tokens = encoder.blocks[0](tokens)
            done = clock.now_ns()
            spent_ns += done - mark
            until = done + (done - mark) * share
            mark = done
            while mark < until:
                mark = clock.now_ns()
        network_ns.append(spent_ns)
        return tokens

    network_ns: list[int] = []
    inputs = list(torch.rand(INPUTS, 1, 3, *SIZE))
    with torch.inference_mode():
        warm_up(call, inputs, clock, max_seconds=1)
        network_ns.clear()
        before = Health.read()
        samples = time_calls(call, inputs, clock, rounds=ROUNDS, max_seconds=10, seed=seed)
        health = compare(before, Health.read(), threads=threads)
    network_ms = float(np.median(network_ns)) / 1e6
    return {"ms": samples.mean_floor_ms(), "network_ms": network_ms, "warnings": list(health.warnings)}


def measure(blocks: int, threads: int, keep: Path | None) -> list[dict[str, dict[str, Any]]]:
    """Launch every way once per block, in shuffled order; `keep` is written after every block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "mtlbench.encoders.vit", "mtlbench.measure"])
    rng = np.random.default_rng(0)
    done = []
    for block in range(blocks):
        found = {}
        for name in rng.permutation(list(WAYS)).tolist():
            with context.Pool(1) as pool:
                found[name] = pool.apply(launch, (WAYS[name], threads, block))
        done.append(found)
        if keep is not None:
            keep.write_text(json.dumps(done))
        print(f"\rblock {block + 1} of {blocks}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return done


def spin() -> None:
    """Compute until ended."""
    while True:
        pass


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Other processes that compute as long as the block runs."""
    started = [
        multiprocessing.get_context("spawn").Process(target=spin, daemon=True) for _ in range(processes)
    ]
    for process in started:
        process.start()
    try:
        yield
    finally:
        for process in started:
            process.kill()


def report(blocks: list[dict[str, dict[str, Any]]], k: int, trials: int) -> None:
    """Coverage, half-width and false differences over trials of k blocks drawn from all of them.

    Trials share blocks, so they tell how often an interval of k holds the truth, but are not independent.
    """
    ms, network = (
        {name: np.array([block[name][key] for block in blocks]) for name in WAYS}
        for key in ("ms", "network_ms")
    )
    disturbed = sum(bool(block[name]["warnings"]) for block in blocks for name in WAYS)
    print(
        f"{len(blocks)} blocks, {np.median(ms[FIRST]):.1f} ms a call, "
        f"{disturbed} of {len(blocks) * len(WAYS)} launches marked as disturbed"
    )
    rng = np.random.default_rng(0)
    for name, share in list(WAYS.items())[1:]:
        ratios = ms[name] / ms[FIRST]
        own = float(np.median(network[name] / network[FIRST]))
        delivered = (1 + share) * own
        covered, held, told_apart, widths = 0, 0, 0, []
        for _ in range(trials):
            interval = median_interval(ratios[rng.choice(len(ratios), k, replace=False)])
            if interval is None:
                raise SystemExit(f"{k} launches have no interval; 6 do")
            covered += interval.low <= 1 + share <= interval.high
            held += interval.low <= delivered <= interval.high
            told_apart += not interval.low <= 1 <= interval.high
            widths.append(100 * (interval.high - interval.low) / 2)
        print(
            f"{name:>9}: median ratio {np.median(ratios):.4f}; k = {k}: half-width {np.mean(widths):.2f} points, told "
            f"apart from 1 in {100 * told_apart / trials:.1f} % of trials\n{'':>11}planted {1 + share:.4f}: held in "
            f"{100 * covered / trials:.1f} %; the network itself took {own:.4f} of its time without the wait, so "
            f"{delivered:.4f} was delivered: held in {100 * held / trials:.1f} %"
        )


def main() -> None:
    """Measure, or read what was measured before, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--launches", type=int, default=20, help="blocks of a trial (k)")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute all the while")
    parser.add_argument("--json", type=Path, help="keep the launches here, or read them from here")
    arguments = parser.parse_args()
    if arguments.json is not None and arguments.json.exists():
        blocks = json.loads(arguments.json.read_text())
    else:
        os.environ.update(thread_environment(arguments.threads))  # before anything imports torch
        begin = time.perf_counter()
        with busy(arguments.busy):
            blocks = measure(arguments.blocks, arguments.threads, arguments.json)
        print(f"{(time.perf_counter() - begin) / len(blocks) / len(WAYS):.2f} s a launch")
    report(blocks, arguments.launches, arguments.trials)


if __name__ == "__main__":
    main()
