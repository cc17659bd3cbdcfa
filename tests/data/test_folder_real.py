"""Genuine NYUD-v2 files as a `folder` dataset, against what is known about them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from made_folder import write_list
from PIL import Image

from mtlbench.data.check import check_folder, contact_sheet
from mtlbench.data.folder import Folder

SIZE = (480, 640)
# Of the Kinect's colour camera, from the toolbox of NYUD-v2: focal length and centre in pixels.
FOCAL, CENTRE = 518.86, (253.74, 325.58)

DESCRIPTION = f"""
title: nyud
images: {{folder: images}}
tasks:
  semseg: {{folder: semseg, classes: [{", ".join(f"c{i}" for i in range(40))}]}}
  depth: {{folder: depth, scale: 0.0002}}
  normals: {{folder: normals, encoding: unit_vectors, axes: [x, -z, y]}}
splits: {{train: splits/train.txt, val: splits/val.txt, test: splits/test.txt}}
"""


@pytest.fixture
def nyud(shared: Path, tmp_path: Path) -> Path:
    """The two images there are, and the first of them mirrored so that no split is empty."""
    source = shared / "data/nyud-v2-sample"
    if not source.is_dir():
        pytest.skip(f"no NYUD-v2 sample at {source}")
    for folder, stem in (("ExpNYUD_three", "000433"), ("ExpNYUD_joint", "000464")):
        for role, prefix in {
            "images": "",
            "semseg": "segm_gt_",
            "depth": "depth_gt_",
            "normals": "norm_gt_",
        }.items():
            (tmp_path / role).mkdir(exist_ok=True)
            file = source / folder / f"{prefix}{stem}.png"
            if file.exists():
                shutil.copy(file, tmp_path / role / f"{stem}.png")
    with Image.open(tmp_path / "images/000433.png") as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "images/mirrored.png")
    for split, stem in {"train": "000433", "val": "mirrored", "test": "000464"}.items():
        write_list(tmp_path, split, [stem])
    (tmp_path / "dataset.yaml").write_text(DESCRIPTION)
    return tmp_path


def test_it_is_usable_and_labels_are_as_described(nyud: Path) -> None:
    report = check_folder(nyud)
    assert report.usable
    assert {split: counts.labelled for split, counts in report.splits.items()} == {
        "train": {"semseg": 1, "depth": 1, "normals": 1},
        "val": {"semseg": 0, "depth": 0, "normals": 0},
        "test": {"semseg": 1, "depth": 1, "normals": 0},
    }
    nearest, *_, farthest = report.numbers["depth"].quantiles[0]
    assert 0.3 < nearest < farthest < 10  # the range of a Kinect in metres
    assert not any("point away" in note for note in report.notes)
    assert contact_sheet(nyud) is not None


def test_normals_agree_with_those_of_the_depth(nyud: Path) -> None:
    """Two labels that were made apart, compared in the camera frame: the axes are right and nothing is mirrored."""
    labels = Folder(path=str(nyud), size=SIZE).sample("train", 0).labels
    depth, normals = labels["depth"].astype(float), labels["normals"].astype(float)
    rows, columns = np.indices(SIZE)
    points = np.stack(
        [(columns - CENTRE[1]) * depth / FOCAL, (rows - CENTRE[0]) * depth / FOCAL, depth], axis=-1
    )
    step = 6
    inner = np.s_[step:-step, step:-step]
    right = points[step:-step, 2 * step :] - points[step:-step, : -2 * step]
    down = points[2 * step :, step:-step] - points[: -2 * step, step:-step]
    expected = np.cross(down, right)  # towards the camera: z below 0
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True) + 1e-12
    known = (depth[inner] > 0) & (np.abs(normals[inner]).sum(axis=-1) > 0)
    cosine = (expected * normals[inner]).sum(axis=-1)[known].clip(-1, 1)
    assert known.mean() > 0.5
    assert np.median(np.degrees(np.arccos(cosine))) < 25
