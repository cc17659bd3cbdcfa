"""Warnings as data: a code travels in the record, its sentence says what to do.

A warning never changes a number and never fails a run. Reports print the sentence beside the figure.
"""

from __future__ import annotations

__all__ = ["DISTURBED", "WARNINGS"]

DISTURBED = frozenset({"cpu_wall_ratio", "foreign_load", "involuntary_switches", "steal", "throttled"})
"""Codes of a timed window in which something beside the call took time: the launch is worth repeating."""

WARNINGS: dict[str, str] = {
    "cpu_wall_ratio": (
        "The process used less or more CPU time in the timed window than its threads account for: free the "
        "cores it runs on, raise the cgroup quota, or find the thread that works beside the call."
    ),
    "denormals_kept": (
        "This CPU cannot flush denormal numbers to zero, which can slow a randomly initialised network by "
        "up to 16 times: time trained weights only."
    ),
    "few_rounds": (
        "The time limit left fewer than 5 rounds, so the floors are upper estimates: raise "
        "measure.max_seconds or time fewer inputs."
    ),
    "foreign_load": (
        "Other processes used the CPU during the timed window: stop them and repeat the launch, and keep "
        "to one thread where they cannot be stopped."
    ),
    "involuntary_switches": (
        "The scheduler took the CPU away from the process often: stop competing jobs or run with fewer "
        "threads than there are free cores, then repeat the launch."
    ),
    "not_steady": (
        "Warm-up ended before two successive halves agreed within 5 %: raise the warm-up limit, and look "
        "for recompilation, growing caches or throttling if it stays so."
    ),
    "oversubscribed": (
        "The process has more threads than cores it may run on: lower the hardware's `threads` or widen "
        "the affinity or the cgroup."
    ),
    "steal": (
        "The hypervisor gave this machine's CPU to others during the timed window: repeat at a quieter "
        "hour or on a dedicated host."
    ),
    "throttled": (
        "The CPU lowered its clock because of heat or power during the timed window: cool the machine, "
        "fix the frequency, then repeat the launch."
    ),
}
"""One sentence for each code: what was seen, and what to do about it."""
