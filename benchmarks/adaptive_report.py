"""The tables of `adaptive_speed.py`, from its launches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from adaptive_ways import PARTS, WAYS, Scope, left_out
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mtlbench.stats.quantiles import median_interval

__all__ = ["show"]

GOAL_KEEP, GOAL, SLOWER = 0.5, 0.9, 0.03
LEAST_SAVING = 0.05
"""Share of the MACs below which their realisation says nothing."""
GOALS = f"""
Goals, by how much they are met or missed (`?`: the interval holds what is asked)
  of ceiling     gathered at keep {GOAL_KEEP}: realised over its ceiling, at least {GOAL}
  of free        gathered at keep {GOAL_KEEP}: time saved against element-mask, over what a free one does: {GOAL}
  speed of free  the same of the speed-up over element-mask
  whole tokens   realised at keep {GOAL_KEEP}, at least {GOAL}
  slower         gathered at keep 1: slower than static by at most the policies' MACs and {SLOWER}
  memory         gathered and whole tokens, at any keep: at most the static network's
"""

Record = dict[str, Any]


def show(records: Sequence[Record], keeps: Sequence[float]) -> None:
    """Print a table for every part of every group of launches, and then what became of the goals."""
    console = Console(width=120, highlight=False)
    found = list(groups(records))
    for group, part in product(found, PARTS):
        console.print(heading(group, part), markup=False)
        console.print(part_table(group, part, keeps))
    console.print(GOALS, markup=False)
    console.print(goal_table(found, keeps))


class Group:
    """The launches of one network at one number of threads and one batch size.

    What is called `part` is the encoder or the whole network. Arrays have one element per launch.

    Args:
        records: of the launches, the first one first.
        shared: the record that holds what does not depend on threads.
    """

    def __init__(self, records: list[Record], shared: Record) -> None:
        first = records[0]
        self.network, self.threads, self.batch = first["network"], first["threads"], first["batch"]
        self.records, self.attributed = records, first["attributed"]
        self.memory, self.policies_mib, self._macs = shared["memory"], shared["policies_mib"], shared["macs"]

    def ms(self, name: str, part: str) -> NDArray[np.float64]:
        """Time of a call."""
        return np.array([record["ms"][name][part] for record in self.records])

    def ratio(self, name: str, part: str) -> NDArray[np.float64]:
        """Time over the static network's."""
        return self.ms(name, part) / self.ms("static", part)

    def macs(self, name: str, part: str) -> float:
        """MACs over the static network's."""
        return float(self._macs[name][part] / self._macs["static"][part])

    def policy(self, name: str, part: str) -> float:
        """MACs of the policies over the static network's."""
        return float(self._macs[name]["policy"] / self._macs["static"][part])

    def realised(self, name: str, part: str) -> NDArray[np.float64]:
        """Share of the saved MACs that is saved in time."""
        return (1 - self.ratio(name, part)) / (1 - self.macs(name, part))

    def time_share(self, scope: Scope, part: str) -> NDArray[np.float64]:
        """Share of the static network's time that the gated units take."""
        return 1 - self.ratio(left_out(scope), part)

    def mac_share(self, scope: Scope, part: str) -> float:
        """The same of MACs."""
        return 1 - self.macs(left_out(scope), part)

    def of_ceiling(self, name: str, scope: Scope, part: str) -> NDArray[np.float64]:
        """Realised, over its ceiling."""
        return self.realised(name, part) * self.mac_share(scope, part) / self.time_share(scope, part)

    def free_ms(self, name: str, scope: Scope, part: str) -> NDArray[np.float64]:
        """Time if skipped units took none, and picking what is kept neither."""
        skipped = 1 - self.macs(name, part) + self.policy(name, part)
        saved_ms = (
            self.time_share(scope, part) * self.ms("static", part) * skipped / self.mac_share(scope, part)
        )
        return self.ms("policy only", part) - saved_ms

    def of_free(self, keep: float, part: str) -> NDArray[np.float64]:
        """What gathered saves against element-mask, over what a free gather would."""
        element, gathered = (self.ms(f"{way} {keep:g}", part) for way in ("element-mask", "gathered"))
        return (element - gathered) / (element - self.free_ms(f"gathered {keep:g}", "mlp", part))

    def speed_of_free(self, keep: float, part: str) -> NDArray[np.float64]:
        """The speed-up of gathered over element-mask, over that of a free gather."""
        return self.free_ms(f"gathered {keep:g}", "mlp", part) / self.ms(f"gathered {keep:g}", part)

    def memory_ratio(self, name: str, part: str) -> float:
        """Peak over the static network's."""
        return float(self.memory[name][part] / self.memory["static"][part])


def groups(records: Sequence[Record]) -> Iterator[Group]:
    """By network, threads and batch size."""
    keys = dict.fromkeys((record["network"], record["threads"], record["batch"]) for record in records)
    for name, threads, batch in keys:
        alike = [r for r in records if (r["network"], r["batch"]) == (name, batch)]
        shared = next(record for record in alike if "macs" in record)
        yield Group([record for record in alike if record["threads"] == threads], shared)


def with_interval(values: NDArray[np.float64]) -> str:
    """Median, and its interval where there are enough launches."""
    interval = median_interval(values)
    between = "" if interval is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{np.median(values):.2f}{between}"


def part_table(group: Group, part: str, keeps: Sequence[float]) -> Table:
    """All ways of one part at all keep ratios."""
    table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("way", no_wrap=True)
    for name in ("keep", "time / static", "MACs", "realised", "ceiling", "of ceiling", "of free", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for way, scope in WAYS.items():
        ceiling = group.time_share(scope, part) / group.mac_share(scope, part)
        for keep in keeps:
            name = f"{way} {keep:g}"
            saves = 1 - group.macs(name, part) >= LEAST_SAVING
            table.add_row(
                way,
                f"{keep:g}",
                with_interval(group.ratio(name, part)),
                f"{group.macs(name, part):.3f}",
                with_interval(group.realised(name, part)) if saves else "",
                f"{np.median(ceiling):.2f}" if saves else "",
                with_interval(group.of_ceiling(name, scope, part)) if saves else "",
                with_interval(group.of_free(keep, part)) if saves and way == "gathered" else "",
                f"{group.memory_ratio(name, part):.3f}",
            )
    return table


def heading(group: Group, part: str) -> str:
    """What a table is about, and what holds for all of its rows."""
    threads = f"{group.threads} thread{'s' * (group.threads > 1)}"
    disturbed = sum(bool(record["warnings"]) for record in group.records)
    mlp, block = (
        f"{np.median(group.time_share(scope, part)):.2f} of time, {group.mac_share(scope, part):.2f} of MACs"
        for scope in ("mlp", "block")
    )
    policies = f"{group.policy('policy only', part):.3f} of MACs, {group.policies_mib:.2f} MiB"
    return (
        f"\n{group.network}, {threads}, batch {group.batch}, {part}: static "
        f"{np.median(group.ms('static', part)):.1f} ms, {group.memory['static'][part]:.0f} MiB; "
        f"{len(group.records)} launches, {disturbed} disturbed\n"
        f"MLPs {mlp} (attributed {group.attributed[part]:.2f} of time); all that whole tokens skip {block}\n"
        f"policies {policies}; asked, and all run: time / static {with_interval(group.ratio('policy only', part))}"
    )


def verdict(values: NDArray[np.float64] | float, asked: float, *, at_most: bool = False) -> str:
    """By how much the median meets or misses what is asked; `?` where the interval holds that."""
    found = float(np.median(values))
    margin = asked - found if at_most else found - asked
    interval = median_interval(np.atleast_1d(values))
    unsure = "?" if interval is not None and interval.low < asked < interval.high else ""
    return f"{'met' if margin >= 0 else 'missed'} {abs(margin):.2f}{unsure}"


def goals(group: Group, part: str, keeps: Sequence[float]) -> dict[str, str]:
    """Verdicts on the goals that hold for a part, by name."""
    found = {}
    if GOAL_KEEP in keeps:
        gathered, whole = (f"{way} {GOAL_KEEP:g}" for way in ("gathered", "whole tokens"))
        found["of ceiling"] = verdict(group.of_ceiling(gathered, "mlp", part), GOAL)
        found["of free"] = verdict(group.of_free(GOAL_KEEP, part), GOAL)
        found["speed of free"] = verdict(group.speed_of_free(GOAL_KEEP, part), GOAL)
        if part == "encoder" or group.network.startswith("vit"):
            found["whole tokens"] = verdict(group.realised(whole, part), GOAL)
    if 1.0 in keeps:
        slower, policy = group.ratio("gathered 1", part) - 1, group.policy("gathered 1", part)
        found["slower"] = verdict(slower, policy + SLOWER, at_most=True)
    held = [group.memory_ratio(f"{way} {k:g}", part) for way in ("gathered", "whole tokens") for k in keeps]
    found["memory"] = verdict(max(held), 1, at_most=True)
    return found


def goal_table(found: Sequence[Group], keeps: Sequence[float]) -> Table:
    """Every goal of every part."""
    table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("network, part, threads, batch", no_wrap=True)
    names = ("of ceiling", "of free", "speed of free", "whole tokens", "slower", "memory")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for group, part in product(found, PARTS):
        verdicts = goals(group, part, keeps)
        where = f"{group.network}, {part}, {group.threads}, {group.batch}"
        table.add_row(where, *(verdicts.get(name, "") for name in names))
    return table
