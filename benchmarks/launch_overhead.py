"""What a launch takes beside the calls that it is for, and what the parent uses meanwhile.

    python benchmarks/launch_overhead.py --launches 10

Runs a small suite with random weights and prints, for each kind of launch, the seconds from the start of its process
to its end without those spent in calls of the network; importing torch, loading, writing and recording are all in it.
The calls of an evaluation and of a profiling launch of these networks, well under a second, are left in. The time that
importing torch alone takes is printed beside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from mtlbench import run
from mtlbench.execute.process import WorkerPool
from mtlbench.results.folder import RunFolder

SUITE = """
suite: overhead
datasets: {name: scenes, size: [32, 32], train: 16, val: 4, test: 6}
tasks: [semseg, depth]
encoders: {name: vit, arch: nano, patch: 16}
variants: [static_mtl]
training: random
measure: {inputs: 2, max_seconds: 2, rounds: 7, warmup_max_seconds: 0.5, crosscheck: false, requeue: 0}
"""


class WatchedPool(WorkerPool):
    """Looks at the clocks of this process before and after each worker."""

    used_s = wall_s = 0.0

    def run(self, job: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
        """`WorkerPool.run`."""
        used, wall = time.process_time(), time.monotonic()
        try:
            return super().run(job, **arguments)
        finally:
            WatchedPool.used_s += time.process_time() - used
            WatchedPool.wall_s += time.monotonic() - wall


def import_seconds() -> float:
    """How long a process takes that only imports torch."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.monotonic() - begun


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--launches", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["MTLBENCH_CACHE"] = temporary
        suite, folder = Path(temporary) / "overhead.yaml", Path(temporary) / "run"
        suite.write_text(SUITE)
        with patch("mtlbench.execute.run.WorkerPool", WatchedPool):
            run(suite, out=folder, overrides=[f"measure.launches={arguments.launches}"])
        launches = RunFolder(folder).launches()
    print(f"importing torch alone: {median(import_seconds() for _ in range(5)):.2f} s")
    for kind in ("evaluate", "profile", "time"):
        beside = [x["duration_s"] - x.get("calling_s", 0.0) for x in launches if x["kind"] == kind]
        print(
            f"{kind:>8}: {median(beside):.2f} s beside its calls (most {max(beside):.2f} s, {len(beside)} launches)"
        )
    print(f"parent: {WatchedPool.used_s / WatchedPool.wall_s:.2%} of a core while workers ran")


if __name__ == "__main__":
    main()
