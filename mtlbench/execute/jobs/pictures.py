"""A few inputs with what was predicted on them, kept for the report.

Which inputs: some spread evenly over the test split, by position alone, so the same for every cell of a dataset; and,
where nominal MACs differ between inputs, the cheapest, the median and the dearest of this cell. Which those are is
known only after the evaluation, so they are run once more, in the calls in which they were evaluated.

The archive `<cell>.pictures.npz` holds, for the k-th input, `image.<k>` and, by task, `label.<task>.<k>` and
`prediction.<task>.<k>`, all uint8 [H, W, 3]; `errors.<task>.<k>`, uint8 [H, W], 0 = right, 254 = worst, 255 = ignored;
and `kept.<name>.<k>`, uint8 [h, w], 255 = kept through all layers. `facts` is JSON, see `_facts`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mtlbench.data.base import Sample
from mtlbench.execute.jobs.cell import OpenCell, TestBatch
from mtlbench.tasks.base import Task
from mtlbench.variants.base import Runnable

__all__ = ["choose", "keep_pictures"]

SPREAD = 3
LONGEST = 256
IGNORED, WORST = 255, 254


class _Shown(NamedTuple):
    """One input and what a call made of it."""

    sample: Sample
    predictions: dict[str, NDArray[np.float32]]
    kept: dict[str, NDArray[np.float32]]
    macs_nominal: float


def keep_pictures(cell: OpenCell, runnable: Runnable, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Run the chosen inputs again and write what they show.

    Args:
        cell: what was evaluated.
        runnable: what evaluated it; call this in inference mode.
        rows: what the evaluation found for each test image, in order: `macs_nominal` and `statistics.<task>`.
        path: the archive, replaced.
    """
    roles = choose([row["macs_nominal"] for row in rows])
    shown = _run(cell, runnable, roles, len(rows))
    tasks = _drawn(cell.tasks, [shown[i].sample for i in _spread(len(rows))], rows)
    arrays: dict[str, Any] = {}
    facts: list[dict[str, Any]] = []
    for k, (i, found) in enumerate(shown.items()):
        arrays |= {f"{name}.{k}": picture for name, picture in _pictures(found, tasks).items()}
        quality = {name: _primary(task, rows[i][f"statistics.{name}"]) for name, task in tasks.items()}
        identity = {"id": found.sample.id, "index": i, "roles": roles[i]}
        facts.append({**identity, "macs_nominal": found.macs_nominal, "quality": quality})
    arrays["facts"] = np.array(json.dumps(_facts(facts, tasks, len(rows))))
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, **arrays)
    partial.replace(path)


def choose(macs_nominal: Sequence[float]) -> dict[int, list[str]]:
    """Which of the test images to keep, and why: `spread`, `cheapest`, `median` and `dearest`, by position.

    Of images that cost the same the first is taken; the median is the lower one of an even number.
    """
    roles: dict[int, list[str]] = {i: ["spread"] for i in _spread(len(macs_nominal))}
    order = np.argsort(macs_nominal, kind="stable")
    if macs_nominal[order[0]] < macs_nominal[order[-1]]:
        costs = np.asarray(macs_nominal)
        named = {"cheapest": order[0], "median": order[(len(order) - 1) // 2], "dearest": order[-1]}
        for role, found in named.items():
            roles.setdefault(int(np.flatnonzero(costs == costs[found])[0]), []).append(role)
    return roles


def _spread(count: int) -> list[int]:
    """The middles of equal parts of the split."""
    return sorted({int((part + 0.5) * count / SPREAD) for part in range(SPREAD)})


def _run(cell: OpenCell, runnable: Runnable, indices: Collection[int], count: int) -> dict[int, _Shown]:
    """Single images by position, each from the call and the state in which it was evaluated."""
    normalise, units = cell.normaliser(), runnable.units()
    shown = {}
    for call in _calls(cell, runnable, {i // cell.batch for i in indices}):
        members = range(call * cell.batch, min((call + 1) * cell.batch, count))
        batch = TestBatch(tuple(cell.dataset.sample("test", i) for i in members))
        if cell.starts_clip(call) or not runnable.has_state:
            runnable.reset()
        predictions, trace = runnable(normalise(batch.images))
        macs = trace.nominal_macs(units)
        for at, i in enumerate(members):
            if i in indices:
                own, kept = _of(at, predictions), _of(at, trace.kept or {})
                shown[i] = _Shown(batch.samples[at], own, kept, macs[at])
    return shown


def _calls(cell: OpenCell, runnable: Runnable, wanted: Collection[int]) -> list[int]:
    """The calls that lead to the wanted ones: where a network remembers, its clips from their beginning."""
    if not runnable.has_state:
        return sorted(wanted)
    played: set[int] = set()
    for call in wanted:
        first = next(start for start in range(call, -1, -1) if start == 0 or cell.starts_clip(start))
        played.update(range(first, call + 1))
    return sorted(played)


def _of(at: int, tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """What belongs to one sample of a batch."""
    return {name: tensor[at].float().cpu().numpy() for name, tensor in tensors.items()}


def _drawn(
    tasks: Mapping[str, Task], spread: Sequence[Sample], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Task]:
    """The tasks as they draw this split: scales come from inputs that are the same for every cell."""
    drawn = {}
    for name, task in tasks.items():
        labels = [sample.labels[name] for sample in spread if name in sample.labels]
        drawn[name] = task.for_pictures(labels, np.sum([row[f"statistics.{name}"] for row in rows], axis=0))
    return drawn


def _pictures(shown: _Shown, tasks: Mapping[str, Task]) -> dict[str, NDArray[np.uint8]]:
    """All pictures of one input, by name without its number."""
    pictures = {"image": _small(shown.sample.image, Image.Resampling.LANCZOS)}
    for name, task in tasks.items():
        prediction, label = shown.predictions[name], shown.sample.labels.get(name)
        pictures[f"prediction.{name}"] = _small(task.render(task.decode(prediction)))
        if label is not None:
            wrong = task.errors(prediction, label)
            grades = np.where(np.isnan(wrong), IGNORED, np.rint(WORST * wrong)).astype(np.uint8)
            pictures |= {f"label.{name}": _small(task.render(label)), f"errors.{name}": _small(grades)}
    kept = {f"kept.{name}": np.rint(255 * share).astype(np.uint8) for name, share in shown.kept.items()}
    return pictures | kept


def _small(picture: NDArray[np.uint8], how: Image.Resampling = Image.Resampling.NEAREST) -> NDArray[np.uint8]:
    """At most `LONGEST` pixels on the long side; labels keep their exact colours."""
    height, width = picture.shape[:2]
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, how))


def _primary(task: Task, statistics: Sequence[float]) -> float | None:
    """The image's own primary metric; None where it has no label."""
    value = float(task.metrics(np.asarray(statistics, dtype=np.float64))[task.primary])
    return value if np.isfinite(value) else None


def _facts(inputs: list[dict[str, Any]], tasks: Mapping[str, Task], count: int) -> dict[str, Any]:
    """What the pictures are of.

    `inputs` has an entry for each k: `id`, `index` in the test split, `roles` (see `choose`), `macs_nominal` of the
    call that is shown, and `quality`, the image's own primary metric by task. `legends` has the (name, colour) pairs
    of each task, `worst` what its worst error means, `primary` the name of its metric; `count` images were evaluated.
    """
    return {
        "inputs": inputs,
        "legends": {name: task.legend() for name, task in tasks.items()},
        "worst": {name: task.worst for name, task in tasks.items()},
        "primary": {name: task.primary for name, task in tasks.items()},
        "count": count,
    }
