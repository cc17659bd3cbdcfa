"""Made-up inputs of a made-up run: what each cost and how well it went, and archives of a few with pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fake_run import PRIMARY, TASKS

MACHINE = "m-51c0"


def made_inputs(
    table: pd.DataFrame,
    images: int = 200,
    slope: float = 1.0,
    timed: int = 40,
    tasks: tuple[str, ...] = TASKS,
) -> pd.DataFrame:
    """Rows of every cell; cells of fewer nominal than reference MACs adapt.

    `slope` is how far cost rises from the easiest to the hardest input, in shares of its mean; noise is a tenth.
    """
    rng = np.random.default_rng(5)
    hardness = rng.permutation(np.linspace(0, 1, images))
    parts = []
    for number, (_, row) in enumerate(table.iterrows()):
        adapts = row["macs_nominal"] < 0.95 * row["macs_reference"]
        wobble = slope * (hardness - 0.5) + rng.normal(0, 0.1, images) if adapts else np.zeros(images)
        macs = row["macs_nominal"] * (1 + wobble)
        floors = row["latency_ms"] * (1 + 0.3 * wobble + rng.normal(0, 0.01, images))
        parts.append(
            {
                "cell_id": [row["cell_id"]] * images,
                "machine_id": [row["machine_id"]] * images,
                "image": [f"image/{k}" for k in range(images)],
                "macs_nominal": macs,
                "macs_executed": macs * 1.05,
                "floor_ms": np.where(np.arange(images) < timed, floors, np.nan),
                "attribute.complexity": hardness,
                **{f"quality.{task}": quality(task, hardness, number) for task in tasks},
            }
        )
    frame = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
    return frame.astype(dict.fromkeys(("cell_id", "machine_id", "image"), "category"))


def quality(task: str, hardness: Any, seed: int) -> Any:
    """Worse for harder images, with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.05, len(hardness))
    if PRIMARY[task]["direction"] == "higher":
        return np.clip(0.8 - 0.5 * hardness + noise, 0, 1)
    return 10 + 20 * hardness + noise


def keep(
    folder: Path,
    table: pd.DataFrame,
    tasks: tuple[str, ...] = TASKS,
    size: tuple[int, int] = (48, 64),
    noise: bool = False,
) -> None:
    """An archive for each cell, as `mtlbench.execute.jobs.pictures` writes them."""
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    for number, (_, row) in enumerate(table.iterrows()):
        adapts = row["macs_nominal"] < 0.95 * row["macs_reference"]
        roles = [["spread"], ["spread"], ["spread"]]
        roles += [["cheapest"], ["median"], ["dearest"]] if adapts else []
        arrays: dict[str, Any] = {}
        inputs = []
        for k, why in enumerate(roles):
            arrays[f"image.{k}"] = np.stack([(x + 40 * k) % 256, y * 2, (x + y) % 200], -1).astype(np.uint8)
            for task in tasks:
                disc = (x - 20 - 4 * k) ** 2 + (y - 24) ** 2 < (13 + k) ** 2
                arrays[f"label.{task}.{k}"] = painted(disc)
                arrays[f"prediction.{task}.{k}"] = painted(np.roll(disc, number + 1, 1))
                if noise:
                    arrays[f"prediction.{task}.{k}"] = np.random.default_rng(k).integers(
                        0, 255, (*size, 3), np.uint8
                    )
                wrong = 254 * (disc != np.roll(disc, number + 1, 1))
                arrays[f"errors.{task}.{k}"] = np.where(y < 4, 255, wrong).astype(np.uint8)
            if adapts:
                arrays[f"kept.all.{k}"] = np.linspace(50, 255, 12).reshape(3, 4).round().astype(np.uint8)
            measured = {
                "macs_nominal": row["macs_nominal"] * (1 + k / 9),
                "quality": dict.fromkeys(tasks, 0.5),
            }
            inputs.append({"id": f"image/{k}", "index": 30 * k, "roles": why, **measured})
        facts = {
            "inputs": inputs,
            "legends": {
                task: [["ground", "#000000"], ["thing", "#e69f00"], ["unseen", "#0072b2"]] for task in tasks
            },
            "worst": dict.fromkeys(tasks, "wrong class"),
            "primary": {task: PRIMARY[task]["metric"] for task in tasks},
            "count": 200,
        }
        arrays["facts"] = np.array(json.dumps(facts))
        np.savez_compressed(folder / "samples" / f"{row['cell_id']}.pictures.npz", **arrays)


def painted(disc: Any) -> Any:
    return np.where(disc[..., None], [230, 159, 0], 0).astype(np.uint8)
