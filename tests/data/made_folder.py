"""A small `folder` dataset of noise with all built-in tasks, for tests to break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

SIZE = (40, 60)
SPLITS = {"train": ["a/1", "a/2", "a/3"], "val": ["b/1"], "test": ["c/1", "c/2"]}
STEMS = [stem for stems in SPLITS.values() for stem in stems]
DESCRIPTION: dict[str, Any] = {
    "title": "made",
    "images": {"folder": "images"},
    "tasks": {
        "semseg": {"folder": "labels/semseg", "classes": ["wall", "floor", "ball"]},
        "saliency": {"folder": "labels/saliency", "threshold": 128},
        "depth": {"folder": "labels/depth", "scale": 0.001},
        "normals": {"folder": "labels/normals", "encoding": "unit_vectors"},
    },
    "splits": {split: f"splits/{split}.txt" for split in SPLITS},
}


def make_folder(root: Path) -> Path:
    """Write the dataset: a ball (class 2, salient) on a wall above a floor; the last column has no depth."""
    rng = np.random.default_rng(0)
    for stem in STEMS:
        save(root / f"images/{stem}.png", rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
        semseg = np.zeros(SIZE, np.uint8)
        semseg[20:] = 1
        semseg[10:30, 10:30] = 2
        save(root / f"labels/semseg/{stem}.png", semseg)
        save(root / f"labels/saliency/{stem}.png", np.where(semseg == 2, 255, 0).astype(np.uint8))
        depth = np.full(SIZE, 2500, np.uint16)
        depth[:, -1] = 0
        save(root / f"labels/depth/{stem}.png", depth)
        normals = np.zeros((*SIZE, 3))
        normals[:24, :, 2] = -1
        normals[24:, :, 1] = -1
        save(root / f"labels/normals/{stem}.png", np.rint((normals + 1) * 127.5).astype(np.uint8))
    for split, stems in SPLITS.items():
        write_list(root, split, stems)
    describe(root)
    return root


def save(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


def write_list(root: Path, split: str, stems: list[str], end: str = "\n") -> None:
    (root / "splits").mkdir(exist_ok=True)
    (root / f"splits/{split}.txt").write_bytes("".join(stem + end for stem in stems).encode())


def describe(root: Path, **changes: Any) -> None:
    """Write `dataset.yaml` with other values of some keys; None leaves a key out."""
    content = {key: value for key, value in (DESCRIPTION | changes).items() if value is not None}
    (root / "dataset.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def describe_task(root: Path, name: str, **entry: Any) -> None:
    """Write `dataset.yaml` with this one task, its labels in `labels/<name>`."""
    describe(root, tasks={name: {"folder": f"labels/{name}", **entry}})
