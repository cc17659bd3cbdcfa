"""Health of a timed window: what else happened on the machine while the clock ran.

Two snapshots are read, one before and one after the window, never inside it. Nothing here moves a number: it
tells which numbers to distrust.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

__all__ = ["MACHINE_CODES", "Health", "HealthReport", "compare"]

_CPU = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.stat")
# Machine-wide times come in ticks of 10 ms, so a handful of ticks says nothing.
_SLACK_S = 0.05
_FEW_SWITCHES = 5

MACHINE_CODES = frozenset({"foreign_load", "steal", "throttled"})
"""Codes about the machine alone. The others suppose a process that computes all the while, not one that waits."""


@dataclass(frozen=True)
class Health:
    """Counters at one moment; only differences mean something, except the load.

    Attributes:
        wall_s: monotonic time.
        process_cpu_s: user and system time of all threads of this process.
        voluntary_switches: times that a thread of this process gave the CPU away.
        involuntary_switches: times that it was taken away.
        machine_busy_s: CPU time of all processes on all cores.
        steal_s: time that a hypervisor withheld, on all cores; None where the system does not say.
        throttle_events: the kernel's throttle counters, summed over its files; only a change has a meaning.
            None where there are none.
        load_1m: load average of the last minute.
    """

    wall_s: float
    process_cpu_s: float
    voluntary_switches: int
    involuntary_switches: int
    machine_busy_s: float
    steal_s: float | None
    throttle_events: int | None
    load_1m: float

    @classmethod
    def read(cls) -> Health:
        """Take a snapshot (a fraction of a millisecond)."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        machine = psutil.cpu_times()._asdict()
        # Linux counts guest time inside user time already.
        busy = sum(machine.get(name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))
        return cls(
            wall_s=time.perf_counter(),
            process_cpu_s=usage.ru_utime + usage.ru_stime,
            voluntary_switches=usage.ru_nvcsw,
            involuntary_switches=usage.ru_nivcsw,
            machine_busy_s=busy,
            steal_s=machine.get("steal"),
            throttle_events=_throttle_events(),
            load_1m=os.getloadavg()[0],
        )


@dataclass(frozen=True)
class HealthReport:
    """What happened between two snapshots.

    Attributes:
        wall_s: length of the window.
        cpu_wall_ratio: CPU time of this process over wall time; near its number of threads when nothing
            interferes.
        voluntary_switches: of this process.
        involuntary_switches: of this process.
        foreign_cores: cores that other processes (and interrupts) kept busy, on average; to the tick of 10
            ms.
        steal_share: share of the machine's CPU time that a hypervisor withheld; None if unknown.
        throttle_events: by how much the throttle counters grew; None if unknown.
        load_1m_before: load average when the window began.
        load_1m_after: load average when it ended.
        warnings: codes of `mtlbench.measure.warnings`.
    """

    wall_s: float
    cpu_wall_ratio: float
    voluntary_switches: int
    involuntary_switches: int
    foreign_cores: float
    steal_share: float | None
    throttle_events: int | None
    load_1m_before: float
    load_1m_after: float
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, float | int | None]:
        """The numbers under their names, without the warnings."""
        return {name: value for name, value in asdict(self).items() if name != "warnings"}


def compare(before: Health, after: Health, *, threads: int = 1) -> HealthReport:
    """Judge the window between two snapshots of one process.

    Codes, with the bounds that raise them: `foreign_load`, other processes kept more than 0.1 core busy;
    `involuntary_switches`, more than 10 a second; `steal`, more than 1 % of the CPU time; `throttled`, any
    event; `cpu_wall_ratio`, under 0.9 (a thread waited for its core) or over `threads` + 0.1 (a thread worked
    that was not asked for). Below 50 ms or 5 switches nothing is raised, because the counters are no finer.

    Args:
        before: read just before the window.
        after: read just after it.
        threads: threads that the window was allowed to use.
    """
    wall = max(after.wall_s - before.wall_s, 1e-9)
    own = after.process_cpu_s - before.process_cpu_s
    foreign = max(after.machine_busy_s - before.machine_busy_s - own, 0.0)
    steal = _difference(before.steal_s, after.steal_s)
    throttle = _difference(before.throttle_events, after.throttle_events)
    switches = after.involuntary_switches - before.involuntary_switches
    seen = {
        "foreign_load": foreign > max(0.1 * wall, _SLACK_S),
        "involuntary_switches": switches > max(10 * wall, _FEW_SWITCHES),
        "steal": steal is not None and steal > max(0.01 * wall * _cores(), _SLACK_S),
        "throttled": bool(throttle),
        "cpu_wall_ratio": own < 0.9 * wall - _SLACK_S or own > (threads + 0.1) * wall + _SLACK_S,
    }
    return HealthReport(
        wall_s=wall,
        cpu_wall_ratio=own / wall,
        voluntary_switches=after.voluntary_switches - before.voluntary_switches,
        involuntary_switches=switches,
        foreign_cores=foreign / wall,
        steal_share=None if steal is None else steal / (wall * _cores()),
        throttle_events=None if throttle is None else int(throttle),
        load_1m_before=before.load_1m,
        load_1m_after=after.load_1m,
        warnings=tuple(code for code, is_seen in seen.items() if is_seen),
    )


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _cores() -> int:
    return psutil.cpu_count() or 1


def _throttle_events() -> int | None:
    """Of the processor by its temperature, and of this process by a quota of its control group (version 2)."""
    files = [*_CPU.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")]
    try:
        counts = [int(file.read_text()) for file in files]
        if _QUOTA.exists():
            fields = dict(line.split() for line in _QUOTA.read_text().splitlines())
            counts += [int(fields[name]) for name in ("nr_throttled",) if name in fields]
        return sum(counts) if counts else None
    except (OSError, ValueError):
        return None
