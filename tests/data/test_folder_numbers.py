"""How stored values become depths, directions and the labels of any other task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_folder import SIZE, make_folder, save
from stored_labels import CLASSES, STEM, grid, label, refused

from mtlbench import tasks
from mtlbench.component import Options
from mtlbench.data.folder import Folder
from mtlbench.tasks._classmap import ClassMapTask
from mtlbench.tasks.depth import Depth


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


# Numbers


def test_depth_from_a_png(made: Path) -> None:
    found = label(made, "depth", scale=0.002)
    assert found.dtype == np.float32
    assert (found[:, :-1] == np.float32(5.0)).all()
    assert (found[:, -1] == 0).all()
    save(made / f"labels/depth/{STEM}.png", grid(1, 200))
    assert (label(made, "depth", scale=0.5) == grid(1, 200) * np.float32(0.5)).all()


def test_whole_numbers_need_a_scale(made: Path) -> None:
    assert "Set `scale`" in str(refused(made, "depth"))
    assert "Set `scale`" in str(refused(made, "depth", np.ones(SIZE, np.int32)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_depth_from_an_array(made: Path, dtype: Any) -> None:
    stored = np.full(SIZE, 1.5, dtype)
    stored[0, :4] = [np.nan, np.inf, 0, 99]
    found = label(made, "depth", stored, missing=[0, 99])
    assert found.dtype == np.float32
    assert (found[0, :4] == 0).all()
    assert (found.ravel()[4:] == 1.5).all()
    assert (label(made, "depth", stored, scale=2.0).ravel()[4:] == 3.0).all()


def test_missing_may_be_one_number(made: Path) -> None:
    found = label(made, "depth", grid(7, 9, dtype=np.uint16), scale=1.0, missing=9)
    assert (found == grid(7, 0)).all()


@pytest.mark.parametrize("stored", [np.zeros((*SIZE, 3)), np.zeros(SIZE, bool), np.zeros(SIZE, complex)])
def test_arrays_that_are_no_depth(made: Path, stored: np.ndarray) -> None:
    assert "not one number per pixel" in refused(made, "depth", stored, scale=1.0).what


def test_shrunk_depth_holds_only_measured_values(made: Path) -> None:
    stored = np.where(grid(0, 1) == 1, np.float32(1.0), np.float32(9.0))
    stored[::3, ::3] = 0
    label(made, "depth", stored)
    shrunk = Folder(path=str(made), size=(17, 25), fit="stretch").sample("train", 0).labels["depth"]
    assert set(np.unique(shrunk)) == {0.0, 1.0, 9.0}


# Directions


def directions(seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(*SIZE, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_directions_from_a_png(made: Path) -> None:
    units = directions()
    save(made / f"labels/normals/{STEM}.png", np.rint((units + 1) * 127.5).astype(np.uint8))
    found = label(made, "normals", encoding="unit_vectors")
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-6)
    assert np.degrees(np.arccos((found * units).sum(axis=-1).clip(-1, 1))).max() < 0.6


def test_black_grey_and_white_are_no_directions(made: Path) -> None:
    stored = np.full((*SIZE, 3), (128, 128, 0), np.uint8)
    stored[0], stored[1], stored[2] = 0, 128, 255
    save(made / f"labels/normals/{STEM}.png", stored)
    found = label(made, "normals", encoding="unit_vectors", resize="nearest")
    assert (found[:3] == 0).all()
    np.testing.assert_allclose(found[3:], np.broadcast_to([0, 0, -1], (SIZE[0] - 3, SIZE[1], 3)), atol=0.01)


def test_axes_say_which_stored_axis_is_which(made: Path) -> None:
    stored = directions() * 3.0
    stored[0, 0], stored[0, 1] = 0, np.nan
    found = label(made, "normals", stored, encoding="unit_vectors", axes=["x", "-z", "y"])
    assert (found[0, :2] == 0).all()
    known = np.ones(SIZE, bool)
    known[0, :2] = False
    expected = np.stack([stored[..., 0], -stored[..., 2], stored[..., 1]], axis=-1) / 3
    np.testing.assert_allclose(found[known], expected[known], atol=1e-6)


@pytest.mark.parametrize("stored", [np.zeros(SIZE), np.zeros((*SIZE, 4)), np.zeros((*SIZE, 3), np.int32)])
def test_arrays_that_are_no_directions(made: Path, stored: np.ndarray) -> None:
    assert "not one direction per pixel" in refused(made, "normals", stored, encoding="unit_vectors").what


# Any other task, by the layout of its labels


class Materials(ClassMapTask):
    name = "materials"


class Flow(Depth):
    """Two numbers per pixel, unknown where NaN."""

    name = "flow"
    channels = 2

    def empty_label(self, height: int, width: int) -> np.ndarray:
        return np.full((height, width, 2), np.nan, np.float32)


class Heat(Depth):
    name = "heat"
    Options = Options

    def empty_label(self, height: int, width: int) -> np.ndarray:
        return np.full((height, width), np.nan, np.float64)


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in (Materials, Flow, Heat):
        monkeypatch.setitem(tasks.registry._targets, task.name, task)


@pytest.mark.usefixtures("foreign")
def test_any_class_map_is_read(made: Path) -> None:
    found = label(made, "materials", grid(3, 4), classes=["wood", "steel"], values={3: "wood", 4: "steel"})
    assert (found == grid(0, 1)).all()


@pytest.mark.usefixtures("foreign")
def test_any_number_is_read(made: Path) -> None:
    found = label(made, "heat", grid(0, 100, dtype=np.uint16), scale=0.1)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.where(grid(0, 1) == 1, 10.0, np.nan))


@pytest.mark.usefixtures("foreign")
def test_any_array_is_taken_as_it_is(made: Path) -> None:
    stored = np.random.default_rng(0).normal(size=(*SIZE, 2)).astype(np.float32)
    stored[0, 0] = np.nan
    np.testing.assert_array_equal(label(made, "flow", stored), stored)
    boxed = Folder(path=str(made), size=(20, 40)).sample("train", 0).labels["flow"]
    np.testing.assert_array_equal(boxed[:, 5:35], stored[1::2, 1::2])
    assert np.isnan(boxed[:, :5]).all()
    assert refused(made, "flow", stored.astype(np.float64)).what == (
        "the label is float64 [40, 60, 2] in .npy, not float32 [height, width, 2] in .npy"
    )


@pytest.mark.usefixtures("foreign")
def test_an_array_can_be_asked_for(made: Path) -> None:
    stored = np.full((*SIZE, 3), 0.25, np.float32)
    assert (label(made, "normals", stored, encoding="array") == stored).all()
    assert (label(made, "semseg", grid(0, 77), classes=CLASSES, encoding="array") == grid(0, 77)).all()
