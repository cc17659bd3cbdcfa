"""How far a run is from predicting one constant: `python benchmarks/constant_predictor.py RUN`.

For every task, the best constant is taken from the training labels (the most frequent class, the mean depth, the mean
normal, foreground everywhere) and judged by the same metrics on the same test labels as the run's cells.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench import load_results
from mtlbench.data.batches import LoadedSplit, load_split
from mtlbench.execute.jobs.cell import make_tasks, open_dataset
from mtlbench.results.folder import RunFolder
from mtlbench.tasks.base import Task
from mtlbench.training.artifact import named_from, problem_from


def constant_predictions(name: str, task: Task, labels: NDArray) -> list[NDArray[np.float32]]:
    """Candidate outputs [C] that a network without eyes could learn."""
    if name == "depth":
        return [np.array([np.median(labels[labels > 0])], np.float32)]
    if name == "normals":
        return [labels.reshape(-1, 3).sum(axis=0).astype(np.float32)]
    if task.channels == 1:
        return [np.array([logit], np.float32) for logit in (-5.0, 5.0)]
    counts = np.bincount(labels[labels != 255], minlength=task.channels)
    return [np.where(np.arange(task.channels) == counts.argmax(), 5.0, -5.0).astype(np.float32)]


def best_constant(name: str, task: Task, train: LoadedSplit, test: LoadedSplit) -> float:
    """The primary metric of the best constant on the test split."""
    height, width = test.images.shape[1:3]
    values = []
    for constant in constant_predictions(name, task, train.labels[name]):
        prediction = np.broadcast_to(constant[None, :, None, None], (len(test), len(constant), height, width))
        sums = task.statistics(np.ascontiguousarray(prediction), test.labels[name]).sum(axis=0)
        values.append(float(task.metrics(sums)[task.primary]))
    return max(values) if task.directions[task.primary] == "higher" else min(values)


def main(path: str) -> None:
    """Print constant and measured values of every task."""
    run = RunFolder(Path(path)).require_run()
    table = load_results(path)
    rows = []
    for cell_id, entry in run["cells"].items():
        problem = problem_from(entry["spec"]["problem"])
        dataset = open_dataset(named_from(entry["spec"]["dataset"]), {})
        tasks = make_tasks(problem)
        train, test = (load_split(dataset, split, tasks) for split in ("train", "test"))
        measured = table[table["cell_id"] == cell_id].iloc[0]
        for name, task in tasks.items():
            column = f"metric.{name}.{task.primary}"
            rows.append(
                {
                    "cell": entry["label"],
                    "metric": column,
                    "constant": best_constant(name, task, train, test),
                    "measured": measured[column],
                    "low": measured[f"{column}.ci_low"],
                    "high": measured[f"{column}.ci_high"],
                }
            )
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main(sys.argv[1])
