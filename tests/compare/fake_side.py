"""Stands for `mtlbench run` in tests of the gate: copies the baseline, then asks for timed launches and makes them up.

python fake_side.py [options] run SUITE --out DIR --set measure.launches=N
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from mtlbench.execute.turns import Turns

BASELINE = Path(__file__).parents[2] / "results" / "baseline"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--factor", type=float, default=1.0)
    parser.add_argument("--label", default="static_mtl/")
    parser.add_argument("--only-first", type=int, default=10**6)
    parser.add_argument("--repeat", action="store_true")
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--crash-at", type=int, default=-1)
    parser.add_argument("--babble", action="store_true")
    parser.add_argument("--lacks", default="no such cell")
    parser.add_argument("--code", type=int, default=0)
    parser.add_argument("words", nargs=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--set", action="append")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not sys.flags.safe_path:
        sys.stderr.write("mtlbench: whatever lies in the current folder could be imported\n")
        return 70
    if given.babble:
        os.write(int(os.environ["MTLBENCH_TURNS"].split(",")[1]), b'{"launch": 3}\n')
        return 0
    if given.code:
        sys.stderr.write("mtlbench: something: is wrong. Mend it.\n")
        return given.code
    shutil.copytree(BASELINE, given.out, dirs_exist_ok=True)
    run_path, journal = given.out / "run.json", given.out / "launches.jsonl"
    run = json.loads(run_path.read_text())
    sets = dict(text.split("=", 1) for text in given.set)
    launches = int(sets["measure.launches"])
    run["measure"]["launches"] = launches
    run["gate"] = {
        key.removeprefix("gate."): json.loads(v) for key, v in sets.items() if key.startswith("gate.")
    }
    run["cells"] = {
        key: entry for key, entry in run["cells"].items() if not entry["label"].startswith(given.lacks)
    }
    run_path.write_text(json.dumps(run))
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    evaluations = [line for line in lines if line["kind"] == "evaluate" and line["cell_id"] in run["cells"]]
    turns = Turns() if given.deaf else Turns.from_environment()
    rng = np.random.default_rng(given.seed)
    for block in range(launches):
        if block == given.crash_at:
            sys.stderr.write("mtlbench: it broke\n")
            return 70
        for evaluation in evaluations:
            label = run["cells"][evaluation["cell_id"]]["label"]
            for attempt in range(1 + (given.repeat and block == 3)):
                if not turns.may_launch(evaluation["cell_id"], evaluation["group"], block):
                    continue
                is_slow = label.startswith(given.label) and block < given.only_first
                times = 3 * np.exp(rng.normal(0, 0.01, 8)) * (given.factor if is_slow else 1)
                launch = made_up(evaluation, run, block, attempt, times)
                with journal.open("a") as file:
                    file.write(json.dumps(launch) + "\n")
    return 0


def made_up(evaluation, run, block, attempt, times):
    cell = evaluation["cell_id"]
    return evaluation | {
        "kind": "time",
        "block": block,
        "launch_id": f"{cell}-time-{block}-{attempt}",
        "started_unix_s": time.time(),
        "duration_s": 0.0,
        "reuse_key": run["current"][evaluation["machine_id"]][cell]["time"],
        "latency_ms": float(times.mean()),
        "floors_ms": times.tolist(),
        "n_rounds": 5,
        "energy_mj": None,
        "warnings": [] if attempt else ["steal"],
    }


if __name__ == "__main__":
    sys.exit(main())
