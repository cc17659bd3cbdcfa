"""Run folders for comparisons: copies of the repository's own baseline, changed by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BASELINE = Path(__file__).parents[2] / "results" / "baseline"
STATIC, SINGLE, ADAPTIVE = "static_mtl/", "single_task/", "adamtl[budget=0.6]/"
INPUTS = 8


def copy(folder, name="run"):
    """A run folder like the baseline."""
    return Path(shutil.copytree(BASELINE, folder / name))


def cells(run):
    """Ids by label."""
    entries = json.loads((run / "run.json").read_text())["cells"]
    return {entry["label"]: cell_id for cell_id, entry in entries.items()}


def cell_id(run, label):
    return next(found for name, found in cells(run).items() if name.startswith(label))


def edit_run(run, change):
    """Change `run.json` in place."""
    path = run / "run.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_launches(run, change, label="", kind=None):
    """Change launches of cells whose label starts so; a change that gives False removes the launch."""
    chosen = {found for name, found in cells(run).items() if name.startswith(label)}
    path = run / "launches.jsonl"
    kept = []
    for line in path.read_text().splitlines():
        launch = json.loads(line)
        is_meant = launch["cell_id"] in chosen and kind in (None, launch["kind"])
        if not is_meant or change(launch) is not False:
            kept.append(json.dumps(launch))
    path.write_text("".join(f"{line}\n" for line in kept))


def set_keys(**values):
    """A change that sets keys of a launch (`__` stands for a dot)."""
    return lambda launch: launch.update({key.replace("__", "."): value for key, value in values.items()})


def edit_samples(run, label, change):
    """Change the per-image table of one cell: from a dict of columns to another one."""
    (path,) = (run / "samples").glob(f"{cell_id(run, label)}-evaluate-*.images.parquet")
    pq.write_table(pa.table(change(pq.read_table(path).to_pydict())), path)


def edit_statistics(run, label, task, change):
    """Change one task's statistics [images, S] of one cell."""

    def changed(columns):
        name = f"statistics.{task}"
        return columns | {name: change(np.array(columns[name], dtype=float)).tolist()}

    edit_samples(run, label, changed)


def add_times(run, *, factor=1.0, label="", blocks=10, spread=0.01, seed=0, start=1.0e9, noise=None):
    """Append timed launches to cells whose label starts so, all else at factor 1; a pair starts five seconds apart."""
    rng = np.random.default_rng(seed)
    path = run / "launches.jsonl"
    evaluations = [json.loads(line) for line in path.read_text().splitlines()]
    keys = json.loads((run / "run.json").read_text())["current"]
    lines = []
    for launch in (launch for launch in evaluations if launch["kind"] == "evaluate"):
        name = next(name for name, found in cells(run).items() if found == launch["cell_id"])
        for block in range(blocks):
            times = 3.0 * np.exp(rng.normal(0, spread, INPUTS))
            times *= factor if name.startswith(label) else 1.0
            if noise is not None:
                times = noise(times, block)
            lines.append(
                launch
                | {
                    "kind": "time",
                    "block": block,
                    "launch_id": f"{launch['cell_id']}-time-{block}",
                    "started_unix_s": start + 60 * block,
                    "duration_s": 2.0,
                    "reuse_key": keys[launch["machine_id"]][launch["cell_id"]]["time"],
                    "latency_ms": float(times.mean()),
                    "floors_ms": times.tolist(),
                    "n_rounds": 5,
                    "energy_mj": None,
                    "warnings": [],
                }
            )
    with path.open("a") as journal:
        journal.writelines(json.dumps(line) + "\n" for line in sorted(lines, key=lambda line: line["block"]))


def found(comparison, label, metric):
    """The one finding of a cell and a column."""
    (finding,) = [f for f in comparison.findings if f.cell.startswith(label) and f.metric == metric]
    return finding
