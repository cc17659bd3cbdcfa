"""Does accuracy hold between key frames? Streams of rooms under a moving camera, with and without a cut in the middle.

    python benchmarks/sharing_stream.py --weights nano.pt     # trains a nano network first: some minutes
    python benchmarks/sharing_stream.py --weights nano.pt     # the same weights again: a minute
    python benchmarks/sharing_stream.py --epochs 0            # random weights: costs alone mean something

The weights are those of `computation_sharing`, trained on single frames. Every interval and temporal density runs all
clips frame by frame. Printed for each: MACs as a share of the dense single-task networks' (mean, dearest frame) and
the primary metric of every task, over all frames and on the worst one. Then drift: the metric by frames since the key
frame, less what it is where the same frames are key frames.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mtlbench.cost.units import total_macs
from mtlbench.data.batches import load_split
from mtlbench.data.scenes import Scenes
from mtlbench.execute.jobs.cell import make_tasks, normaliser
from mtlbench.tasks.base import Task
from mtlbench.training.artifact import Named, Problem, Source, in_training_order
from mtlbench.training.loop import train
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.variants import registry
from mtlbench.variants.base import Point, Variant
from mtlbench.variants.sharing.video_variant import ComputationSharingVideo

AGES = (0, 1, 2, 3, 5, 7, 11, 15)
SIZE, TASKS = (64, 64), ("semseg", "depth", "normals")
TRAINED_AT: Point = {"interval": 1, "density": 1.0, "temporal_density": 1.0, "shared_blocks": 0}


@dataclass
class Found:
    """What one setting made of all frames.

    Args:
        macs: of each frame.
        ages: of each frame, frames since its key frame.
        sums: by task, the sufficient statistics of each frame.
    """

    macs: list[float] = field(default_factory=list)
    ages: list[int] = field(default_factory=list)
    sums: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def metric(self, name: str, task: Task, frames: Sequence[int] | slice = slice(None)) -> float:
        """The primary metric over frames; over all by default."""
        sums = np.stack(self.sums[name])[frames].sum(axis=0)
        return float(task.metrics(sums)[task.primary])

    def lost(self, name: str, task: Task, age: int, alone: Found) -> str:
        """The metric on frames of one age, less what it is on the same frames of a setting of key frames alone."""
        frames = [i for i, found in enumerate(self.ages) if found == age]
        if not frames:
            return ""
        return f"{self.metric(name, task, frames) - alone.metric(name, task, frames):+.3f}"

    def worst(self, name: str, task: Task) -> float:
        """The primary metric of the worst frame."""
        values = [float(task.metrics(sums)[task.primary]) for sums in self.sums[name]]
        return min(values) if task.directions[task.primary] == "higher" else max(values)


def made(encoder: str, split: int | None) -> Variant:
    """The variant for three tasks of the rooms."""
    labels = Scenes.tasks({"size": SIZE})
    problem = Problem(
        SIZE,
        Named(encoder, {"arch": "nano", "patch": 8 if encoder == "vit" else 4}),
        Named("multiscale", {"width": 32}),
        tuple(Named(name, labels[name]) for name in TASKS),
    )
    return ComputationSharingVideo(problem, split=split)


def trained(variant: Variant, epochs: int) -> list[dict[str, Tensor]]:
    """States of the variant's artifacts, trained in this process on single frames."""
    protocol = TrainingProtocol(epochs=epochs, lr=2e-3)
    scenes = Scenes(size=SIZE, train=512, val=64)
    source = Source(Named("scenes"), scenes.fingerprint(), protocol.model_dump(), 0)
    artifacts = variant.artifacts(TRAINED_AT, source)
    states: dict[str, dict[str, Tensor]] = {}
    for artifact in in_training_order(artifacts, lambda a: a.key in states):
        print(f"training {artifact.label}", flush=True)
        own = registry.get(artifact.variant)(artifact.problem, **artifact.options)
        tasks = make_tasks(artifact.problem)
        states[artifact.key] = train(
            own.recipe(artifact),
            protocol,
            tasks,
            load_split(scenes, "train", tasks),
            load_split(scenes, "val", tasks),
            seed=0,
            parents={role: states[parent.key] for role, parent in artifact.parents.items()},
            normalise=normaliser(artifact.problem),
        ).state
    return [states[artifact.key] for artifact in artifacts]


def streamed(variant: Variant, point: Point, scenes: Scenes, frames: list[Any]) -> Found:
    """All clips through the network at one point."""
    runnable, found = variant.configure(point), Found()
    units, tasks, normalise = runnable.units(), make_tasks(variant.problem), normaliser(variant.problem)
    starts = {clip.start for clip in scenes.clips("test")}
    with torch.inference_mode():
        for index, sample in enumerate(frames):
            if index in starts:
                runnable.reset()
            predictions, trace = runnable(normalise(sample.image[None]))
            found.macs += trace.nominal_macs(units)
            found.ages.append(trace.decisions[0].age)
            for name, task in tasks.items():
                label = sample.labels[name][None]
                found.sums.setdefault(name, []).append(task.statistics(predictions[name].numpy(), label)[0])
    return found


def settings(arguments: argparse.Namespace) -> Iterator[Point]:
    """Key frames alone, and then every interval with every temporal density."""
    point = {**TRAINED_AT, "density": arguments.density}
    yield point
    for interval, density in product(arguments.intervals, arguments.temporal):
        yield {**point, "interval": interval, "temporal_density": density}


def show(
    console: Console, title: str, found: Mapping[str, Found], tasks: Mapping[str, Task], dense: float
) -> None:
    """Two tables: cost and quality of every setting, and what quality loses with every frame since the key frame."""
    alone, seen = next(iter(found.values())), {age for one in found.values() for age in one.ages}
    ages = [age for age in AGES if age in seen]
    pairs = [column for name in tasks for column in (name, "worst")]
    whole = Table("interval, temporal density", "MACs", "dearest", *pairs, title=title)
    drift = Table("interval, temporal density", "task", *map(str, ages), title=f"{title}: drift")
    for setting, one in found.items():
        row = [f"{np.mean(one.macs) / dense:.2f}", f"{max(one.macs) / dense:.2f}"]
        for name, task in tasks.items():
            row += [f"{one.metric(name, task):.3f}", f"{one.worst(name, task):.3f}"]
            if one is not alone:
                drift.add_row(setting, name, *(one.lost(name, task, age, alone) for age in ages))
        whole.add_row(setting, *row)
    console.print(whole)
    console.print(drift)


def main() -> None:
    """Train or load, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, help="kept here after training, and loaded where it is there")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--encoder", choices=("vit", "swin"), default="vit")
    parser.add_argument("--split", type=int, help="measured where it is left out")
    parser.add_argument("--density", type=float, default=0.5)
    parser.add_argument("--intervals", type=int, nargs="+", default=[2, 4, 16])
    parser.add_argument("--temporal", type=float, nargs="+", default=[0.5, 0.3, 0.1])
    parser.add_argument("--clips", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    variant = made(arguments.encoder, arguments.split)
    states = None
    if arguments.weights is not None and arguments.weights.exists():
        states = torch.load(arguments.weights, weights_only=True)
    elif arguments.epochs:
        states = trained(variant, arguments.epochs)
        if arguments.weights is not None:
            torch.save(states, arguments.weights)
    variant.build(TRAINED_AT, 0, states)
    dense, console = float(total_macs(variant.dense().units())), Console(width=160, highlight=False)
    tasks = make_tasks(variant.problem)
    for cut in (False, True):
        scenes = Scenes(size=SIZE, test=16 * arguments.clips, clip_length=16, cut=cut)
        frames = [scenes.sample("test", index) for index in range(scenes.length("test"))]
        found = {
            f"{point['interval']}, {point['temporal_density']:g}": streamed(variant, point, scenes, frames)
            for point in settings(arguments)
        }
        show(console, "a cut in each clip" if cut else "moving camera", found, tasks, dense)


if __name__ == "__main__":
    main()
