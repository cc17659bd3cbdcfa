"""Reading one stored label of a `folder` dataset, for tests of every way to store it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_folder import SIZE, describe_task
from PIL import Image

from mtlbench.data.folder import Folder
from mtlbench.errors import DataError

STEM = "a/1"
CLASSES = ["wall", "floor", "ball"]


def label(root: Path, task: str, stored: np.ndarray | None = None, **entry: Any) -> np.ndarray:
    """The label of the first training sample, stored as a .png or .npy (by its type) and described by `entry`."""
    describe_task(root, task, **entry)
    if stored is not None:
        (root / f"labels/{task}/{STEM}.png").unlink(missing_ok=True)
        (root / f"labels/{task}/a").mkdir(parents=True, exist_ok=True)
        np.save(root / f"labels/{task}/{STEM}.npy", stored)
    found: np.ndarray = Folder(path=str(root), size=SIZE).sample("train", 0).labels[task]
    return found


def refused(root: Path, task: str, stored: np.ndarray | None = None, **entry: Any) -> DataError:
    with pytest.raises(DataError) as error:
        label(root, task, stored, **entry)
    assert str(error.value.where).startswith(str(root / f"labels/{task}/{STEM}"))
    return error.value


def grid(*values: int, dtype: Any = np.uint8) -> np.ndarray:
    """A map in which each of `values` has an equal share."""
    return np.resize(np.repeat(np.array(values, dtype), 7), SIZE)


def write_png(root: Path, task: str, picture: Image.Image, **options: Any) -> None:
    file = root / f"labels/{task}/{STEM}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file, **options)
