"""Split lists, and the files that belong to a stem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_folder import SIZE, describe, make_folder, save, write_list

from mtlbench.data.folder import Folder
from mtlbench.data.folder.description import read_description
from mtlbench.data.folder.files import raise_first
from mtlbench.data.folder.index import Index, read_index
from mtlbench.errors import DataError

TINY = np.zeros((*SIZE, 3), np.uint8)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def index(root: Path) -> tuple[Index, list[DataError]]:
    found: list[DataError] = []
    description = read_description(root, raise_first)
    assert description is not None
    return read_index(description, found.append), found


def only_problem(root: Path) -> DataError:
    (error,) = index(root)[1]
    with pytest.raises(DataError) as raised:
        Folder(path=str(root)).length("train")
    assert str(raised.value) == str(error)
    return error


def test_a_sound_dataset_has_no_problem(made: Path) -> None:
    found, errors = index(made)
    assert errors == []
    assert {split: [entry.stem for entry in entries] for split, entries in found.splits.items()} == {
        "train": ["a/1", "a/2", "a/3"],
        "val": ["b/1"],
        "test": ["c/1", "c/2"],
    }


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n", " \n", "\t\r\n"])
def test_lists_with_any_line_ends(made: Path, end: str) -> None:
    write_list(made, "train", ["\ufeffa/1", "a/2", "a/3"], end)
    found, errors = index(made)
    assert errors == []
    assert [entry.stem for entry in found.splits["train"]] == ["a/1", "a/2", "a/3"]


def test_a_stem_in_two_splits_is_leakage(made: Path) -> None:
    write_list(made, "test", ["c/1", "a/2"])
    error = only_problem(made)
    assert error.what == "'a/2' is in two splits, so what is tested was trained on"
    assert error.where == f"{made / 'splits/test.txt'}:2"
    assert f"{made / 'splits/train.txt'}:2" in str(error.fix)


def test_a_stem_twice_in_a_split(made: Path) -> None:
    write_list(made, "train", ["a/1", "a/2", "a/1"])
    assert only_problem(made).what == "'a/1' is listed twice"
    assert len(index(made)[0].splits["train"]) == 2


@pytest.mark.parametrize("text", ["", "\n \r\n", "\ufeff"])
def test_an_empty_split(made: Path, text: str) -> None:
    (made / "splits/val.txt").write_text(text)
    assert only_problem(made).what == "the list of val is empty"


def test_no_list(made: Path) -> None:
    (made / "splits/val.txt").unlink()
    error = only_problem(made)
    assert error.what == "there is no such file"
    assert error.where == str(made / "splits/val.txt")


def test_a_list_that_is_no_text(made: Path) -> None:
    (made / "splits/val.txt").write_bytes(b"caf\xe9")
    assert index(made)[1][0].what == "the file is not UTF-8 text"


@pytest.mark.parametrize("line", ["../b/1", "/b/1", "./b/1", "b//1", "b/1/"])
def test_what_is_no_stem(made: Path, line: str) -> None:
    write_list(made, "val", [line, "b/1"])
    assert only_problem(made).what == f"{line!r} is not a stem"


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("b/1.png", "List the stem without its ending: b/1"),
        ("b/1.jpg", "List the stem without its ending: b/1"),
        ("bb/1", "Did you mean '"),
        ("B/1", "Did you mean 'b/1'"),
        ("b/11", "Restore the image, or take the stem out of the list"),
    ],
)
def test_a_stem_without_an_image(made: Path, line: str, fix: str) -> None:
    write_list(made, "val", [line, "b/1"])
    error = only_problem(made)
    assert error.what == f"there is no image for {line!r}"
    assert error.where == f"{made / 'splits/val.txt'}:1"
    assert str(error.fix).startswith(fix)
    found, _ = index(made)
    assert found.listed["val"] == 2
    assert [entry.stem for entry in found.splits["val"]] == ["b/1"]


def test_several_files_for_one_stem(made: Path) -> None:
    save(made / "images/a/1.JPG", TINY)
    assert only_problem(made).what == "several files for 'a/1': 1.JPG, 1.png"
    (made / "images/a/1.JPG").unlink()
    np.save(made / "labels/depth/a/1.npy", np.ones(SIZE))
    assert only_problem(made).what == "several files for 'a/1': 1.npy, 1.png"


def test_a_task_without_any_label(made: Path) -> None:
    folder = made / "labels/depth"
    for file in list(folder.rglob("*.png")):
        file.rename(file.with_suffix(".tiff"))
    assert only_problem(made).what == "there are no labels of depth, only files ending in .tiff"
    for file in list(folder.rglob("*.tiff")):
        file.rename(file.with_name(f"depth_{file.stem}.png"))
    assert only_problem(made).what.startswith(
        "no label of depth belongs to a listed stem; there is one for 'a/depth_1'"
    )


@pytest.mark.parametrize(("folder", "what"), [("images", "images"), ("labels/semseg", "labels of semseg")])
def test_no_folder(made: Path, folder: str, what: str) -> None:
    (made / folder).rename(made / "elsewhere")
    assert index(made)[1][0].what == f"there is no folder of {what}"


def test_suffixes_can_be_chosen(made: Path) -> None:
    save(made / "images/a/1.bmp", TINY)
    describe(made, images={"folder": "images", "suffixes": [".png"]})
    assert index(made)[1] == []


def test_files_in_no_list_are_known_and_hidden_ones_are_not(made: Path) -> None:
    save(made / "images/spare.png", TINY)
    save(made / "images/._spare.png", TINY)
    save(made / "labels/semseg/d/9.png", TINY)
    (made / "images/Thumbs.db").write_bytes(b"")
    found, errors = index(made)
    assert errors == []
    assert found.unlisted["images"] == (made / "images/spare.png",)
    assert found.unlisted["semseg"] == (made / "labels/semseg/d/9.png",)
    assert found.unlisted["depth"] == ()
