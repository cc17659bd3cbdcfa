"""Does sharing computation between tasks save time? Against the single-task networks, and against static_mtl.

    python benchmarks/sharing_speed.py --json sharing.json     # half an hour on two cores
    python benchmarks/sharing_speed.py --json sharing.json     # the same tables again

A launch is a fresh process that holds networks with random weights and one image. It calls all ways in turn, in
shuffled order, again and again; a way's time is its floor, each figure is made of times of one launch, and intervals
are over launches. Decisions are forced, as many tokens as the density says, anywhere; differences are looked at all
the same.

    separate       the T single-task networks, one after the other: what all is compared with
    static_mtl     one encoder, T heads: what sharing would cost if no token differed
    token d        `computation_sharing` at density d; 1 computes everything
    prefix K       `prefix_sharing`, K blocks for all tasks; beside it the sum of its parts, timed one by one
    csr d          the control: products of element-wise sparse differences (CSR, prebuilt) with the weights of all
                   linear layers of all sub-tasks; nothing else of what they need, and of their time left out

    realised       (1 - time / separate) / (1 - MACs / separate)
    ceiling        the same of static_mtl: share of the time that the sub-tasks' blocks take, over their share of MACs
    memory         most tensor memory that a call holds at once beside weights and image, over that of `separate`
    cache          what a block holds for other tasks at once: tokens, keys and values of the base task
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from in_turns import Record, fresh_processes, in_turns
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mtlbench.cost.units import total_macs
from mtlbench.measure import capture, prepare
from mtlbench.measure.allocations import peak_allocated_mib
from mtlbench.stats.quantiles import median_interval
from mtlbench.training.artifact import Named, Problem
from mtlbench.variants.network import DenseRunnable, build_dense
from mtlbench.variants.sharing.network import flat_layers
from mtlbench.variants.sharing.prefix_network import run_blocks
from mtlbench.variants.sharing.prefix_variant import PrefixSharing
from mtlbench.variants.sharing.variant import ComputationSharing

SIDES = {"vit-small": 224, "vit-base": 224, "vit-nano": 64}
TASKS = ("semseg", "depth", "normals", "edge", "saliency")
GOAL_DENSITY, REALISED, OF_CEILING, SLOWER, SUM_OF_PARTS = 0.3, 0.8, 0.9, 0.05, 0.03
GOALS = f"""
Goals, by how much they are met or missed (`?`: the interval holds what is asked)
  realised     token {GOAL_DENSITY}: at least {REALISED}
  of ceiling   the same over its ceiling: at least {OF_CEILING}
  slower       token 1: at most {SLOWER} slower than separate
  prefix       at most {SUM_OF_PARTS} from the sum of its parts
  memory       token at any density: at most the T networks' together, which one by one hold that of `separate`
"""

Call = Callable[[Tensor], Any]


def problem_of(name: str, tasks: int) -> Problem:
    """A network's name, such as `vit-small`, and a number of tasks to a problem."""
    encoder, arch = name.split("-")
    classes = tuple(f"class {i}" for i in range(21))
    options: dict[str, dict[str, Any]] = {"semseg": {"classes": classes}}
    return Problem(
        (SIDES[name], SIDES[name]),
        Named(encoder, {"arch": arch}),
        Named("multiscale", {"width": 64}),
        tuple(Named(task, options.get(task, {})) for task in TASKS[:tasks]),
    )


class Ways:
    """All calls of one problem.

    Args:
        problem: the networks'.
        x: images; decisions are drawn for them.
        densities: of tokens.
        seed: of the decisions.

    Attributes:
        calls: by name.
        macs: by the same names, per image.
        cache_mib: what the base task holds for others.
    """

    def __init__(self, problem: Problem, x: Tensor, densities: Sequence[float], seed: int) -> None:
        self._problem, self._x = problem, x
        self.calls: dict[str, Call] = {}
        self.macs: dict[str, float] = {}
        self.cache_mib = 0.0
        point = {"density": 1.0, "shared_blocks": 0}
        sharing = ComputationSharing(problem)
        sharing.build(point, 0, None)
        self._add("separate", sharing.dense())
        static = build_dense(problem, 0, None)
        self._add("static_mtl", DenseRunnable([(static, problem.task_names)], "cpu"))
        for density in densities:
            runnable = sharing.configure({**point, "density": density})
            self.cache_mib = max(self.cache_mib, runnable.cache_bytes() / 2**20)
            trace = runnable.forced(x, seed)
            self.calls[f"token {density:g}"] = lambda x, run=runnable, trace=trace: run(x, trace)
            macs = runnable.units() if trace is None else None
            self.macs[f"token {density:g}"] = (
                float(total_macs(macs)) if macs is not None else trace.nominal_macs(runnable.units())[0]
            )
        self._layers = flat_layers(sharing.configure(point)._network.encoder)
        self._prefix(len(self._layers) // 2)
        for density in densities:
            if density < 1:
                self._csr(density, seed)

    def _add(self, name: str, runnable: Any) -> None:
        self.calls[name] = runnable
        self.macs[name] = float(total_macs(runnable.units()))

    def _prefix(self, first: int) -> None:
        """The prefix form, and its parts by themselves."""
        variant = PrefixSharing(self._problem)
        variant.build({"shared_blocks": first}, 0, None)
        self._add(f"prefix {first}", variant.configure({"shared_blocks": first}))
        network, depth = variant._network, len(self._layers)
        shared = network.encoder()
        self.calls["part shared"] = lambda x: run_blocks(shared, shared.embed(x), 0, first)
        tokens, beginning = run_blocks(shared, shared.embed(self._x), 0, first)
        for task in self._problem.task_names:

            def own(_: Tensor, task: str = task) -> Tensor:
                _, rest = run_blocks(network.encoder(task), tokens, first, depth)
                found: Tensor = network.head(task)([*beginning, *rest])
                return found

            self.calls[f"part {task}"] = own

    def _csr(self, density: float, seed: int) -> None:
        """Sparse differences of random places times each linear layer's weights, for every sub-task."""
        generator = torch.Generator().manual_seed(seed)
        products = []
        for layer in self._layers:
            mlp, attention = layer.feed_forward, layer.attention
            for linear in (attention.qkv, attention.proj, mlp.fc1, mlp.fc2):
                rows = len(self._x) * (layer.extra + layer.tokens)
                dense = torch.randn(rows, linear.in_features, generator=generator)
                dense *= torch.rand(dense.shape, generator=generator) < density
                products.append((dense.to_sparse_csr(), linear.weight.t().contiguous()))
        times = len(self._problem.tasks) - 1
        self.calls[f"csr {density:g}"] = lambda _: [[a @ b for a, b in products] for _ in range(times)]
        self.macs[f"csr {density:g}"] = float("nan")


def launch(
    name: str, tasks: int, threads: int, densities: Sequence[float], rounds: int, number: int, first: bool
) -> list[Record]:
    """One process; the `first` also measures what threads do not change."""
    prepare(threads)
    with torch.inference_mode():
        side = SIDES[name]
        x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(number))
        ways = Ways(problem_of(name, tasks), x, densities, number)
        record = {"network": name, "tasks": tasks, "threads": threads, "launch": number}
        record |= in_turns(ways.calls, x, rounds=rounds, threads=threads, seed=number)
        if first:
            record["macs"] = ways.macs
            tokens = ("separate", "static_mtl", "token")
            held = {k: peak_allocated_mib(call, x) for k, call in ways.calls.items() if k.startswith(tokens)}
            record |= {"memory": held, "cache_mib": ways.cache_mib}
    return [record]


class Group:
    """The launches of one network, number of tasks and number of threads; arrays have one element per launch."""

    def __init__(self, records: list[Record], shared: Record) -> None:
        self.records, self.macs, self.memory = records, shared["macs"], shared["memory"]
        self.cache_mib = shared["cache_mib"]
        self.what = "{network}, {tasks} tasks, {threads} threads".format(**records[0])

    def ms(self, name: str) -> NDArray[np.float64]:
        """Time of a call."""
        return np.array([record["ms"][name] for record in self.records])

    def ratio(self, name: str) -> NDArray[np.float64]:
        """Time over that of the single-task networks."""
        return self.ms(name) / self.ms("separate")

    def realised(self, name: str) -> NDArray[np.float64]:
        """Share of the saved MACs that is saved in time."""
        return (1 - self.ratio(name)) / (1 - self.macs[name] / self.macs["separate"])

    def parts(self) -> NDArray[np.float64]:
        """Prefix sharing over the sum of its parts."""
        prefix = next(name for name in self.macs if name.startswith("prefix"))
        parts = [name for name in self.records[0]["ms"] if name.startswith("part ")]
        return self.ms(prefix) / sum(self.ms(name) for name in parts)


def with_interval(values: NDArray[np.float64]) -> str:
    """Median, and its interval where there are enough launches."""
    interval = median_interval(values)
    return f"{np.median(values):.2f}" + (
        "" if interval is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    )


def verdict(values: NDArray[np.float64] | float, asked: float, *, at_most: bool = False) -> str:
    """By how much the median meets or misses what is asked."""
    found = float(np.median(values))
    margin = asked - found if at_most else found - asked
    interval = median_interval(np.atleast_1d(values))
    unsure = "?" if interval is not None and interval.low < asked < interval.high else ""
    return f"{'met' if margin >= 0 else 'missed'} {abs(margin):.2f}{unsure}"


def show(records: Sequence[Record]) -> None:
    """Print a table for every group of launches, and then what became of the goals."""
    console = Console(width=120, highlight=False)
    goals = Table(box=None, pad_edge=False, padding=(0, 0, 0, 1))
    for name in ("where", "realised", "of ceiling", "slower", "prefix", "memory"):
        goals.add_column(name, no_wrap=True)
    keys = dict.fromkeys((r["network"], r["tasks"], r["threads"]) for r in records)
    for network, tasks, threads in keys:
        alike = [r for r in records if (r["network"], r["tasks"]) == (network, tasks)]
        shared = next(record for record in alike if "macs" in record)
        group = Group([record for record in alike if record["threads"] == threads], shared)
        disturbed = sum(bool(record["warnings"]) for record in group.records)
        console.print(
            f"\n{group.what}: separate {np.median(group.ms('separate')):.0f} ms, {group.memory['separate']:.0f} MiB; "
            f"cache {group.cache_mib:.1f} MiB; {len(group.records)} launches, {disturbed} disturbed; prefix over the "
            f"sum of its parts {with_interval(group.parts())}",
            markup=False,
        )
        console.print(group_table(group))
        goals.add_row(group.what, *group_goals(group))
    console.print(GOALS, markup=False)
    console.print(goals)


def group_table(group: Group) -> Table:
    """All ways of a group."""
    table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("way", no_wrap=True)
    for name in ("time / separate", "time / static_mtl", "MACs", "realised", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, macs in group.macs.items():
        share = macs / group.macs["separate"]
        memory = group.memory.get(name)
        table.add_row(
            name,
            with_interval(group.ratio(name)),
            with_interval(group.ms(name) / group.ms("static_mtl")),
            "" if np.isnan(share) else f"{share:.3f}",
            with_interval(group.realised(name)) if share < 0.95 else "",
            "" if memory is None else f"{memory / group.memory['separate']:.2f}",
        )
    return table


def group_goals(group: Group) -> list[str]:
    """Verdicts on the goals, in the order of the table."""
    name = f"token {GOAL_DENSITY:g}"
    if name not in group.macs:
        return [""] * 5
    most = (
        max(held for way, held in group.memory.items() if way.startswith("token")) / group.memory["separate"]
    )
    return [
        verdict(group.realised(name), REALISED),
        verdict(group.realised(name) / group.realised("static_mtl"), OF_CEILING),
        verdict(group.ratio("token 1") - 1, SLOWER, at_most=True),
        verdict(abs(group.parts() - 1), SUM_OF_PARTS, at_most=True),
        verdict(most, group.records[0]["tasks"], at_most=True),
    ]


def collect(arguments: argparse.Namespace) -> Iterator[list[Record]]:
    """Launch every network with every number of tasks and threads, in turn; the records so far after each launch."""
    jobs = []
    for number, name, tasks, threads in product(
        range(arguments.launches), arguments.networks, arguments.tasks, arguments.threads
    ):
        first = number == 0 and threads == arguments.threads[0]
        jobs.append((threads, (name, tasks, threads, arguments.densities, arguments.rounds, number, first)))
    return fresh_processes(launch, jobs)


def main() -> None:
    """Measure, or read what was measured before, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--networks", nargs="+", choices=SIDES, default=["vit-small", "vit-base"], metavar="NAME"
    )
    parser.add_argument("--tasks", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--densities", type=float, nargs="+", default=[1.0, 0.5, 0.3, 0.1])
    parser.add_argument("--launches", type=int, default=6, help="6 give intervals")
    parser.add_argument("--rounds", type=int, default=5, help="calls of each way in a launch")
    parser.add_argument("--json", type=Path, help="keep the launches here, or read them from here")
    arguments = parser.parse_args()
    if arguments.json is not None and arguments.json.exists():
        records = json.loads(arguments.json.read_text())["launches"]
    else:
        for records in collect(arguments):
            if arguments.json is not None:
                arguments.json.write_text(json.dumps({"machine": capture(), "launches": records}))
    show(records)


if __name__ == "__main__":
    main()
