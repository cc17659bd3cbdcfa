"""Many places of one kind are told once, and what follows from something is not told as well."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from made_folder import DESCRIPTION, SIZE, SPLITS, STEMS, describe, make_folder, save, write_list

from mtlbench.data.check import Problem, check_folder


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "made")


def only(root: Path) -> Problem:
    """The one problem that there is, and not even a note beside it."""
    report = check_folder(root)
    assert report.notes == ()
    (problem,) = report.problems
    return problem


def test_endings_in_the_lists_are_one_problem_and_labels_are_read_all_the_same(made: Path) -> None:
    for split, stems in SPLITS.items():
        write_list(made, split, [f"{stem}.jpg" for stem in stems])
    problem = only(made)
    assert problem.what == "a line of a list has an ending, but stems have none"
    assert len(problem.places) == 6
    assert problem.places[0].detail == "'a/1.jpg', whose image is 1.png"
    assert problem.places[0].where.endswith("train.txt:1")
    save(made / "labels/semseg/c/1.png", np.full(SIZE, 9, np.uint8))
    assert len(check_folder(made).problems) == 2


def test_names_that_are_nearly_right_are_guessed_one_by_one(made: Path) -> None:
    write_list(made, "test", ["C/1", "images/c/2"])
    write_list(made, "val", ["b/01"])
    problem = only(made)
    assert [place.detail for place in problem.places] == [
        "'b/01': did you mean 'b/1'?",
        "'C/1': did you mean 'c/1'?",
        "'images/c/2': did you mean 'c/2'?",
    ]


def test_values_are_judged_over_all_labels_of_a_task(made: Path) -> None:
    describe(made, tasks={"saliency": {"folder": "labels/saliency"}})
    for value, stem in enumerate(STEMS[:3], 1):
        save(made / f"labels/saliency/{stem}.png", np.full(SIZE, value, np.uint8))
    for stem in STEMS[3:]:
        save(made / f"labels/saliency/{stem}.png", np.full(SIZE, 3, np.uint8))
    problem = only(made)
    assert problem.what == "labels of saliency hold the values 2, 3, neither a class (0 to 1) nor ignored"
    assert "`values: {1: 1, 2: 0}` and `ignore: 3`" in str(problem.fix)
    assert len(problem.places) == 5


def test_a_folder_of_labels_that_is_not_there(made: Path) -> None:
    tasks = DESCRIPTION["tasks"] | {"depth": {"folder": "label/depths", "scale": 0.001}}
    describe(made, tasks=tasks)
    problem = only(made)
    assert problem.what == "there is no folder of labels of depth"
    assert problem.fix == "Did you mean 'labels/depth'? Correct it in dataset.yaml"


def test_labels_that_no_sample_has(made: Path) -> None:
    for file in list((made / "labels/depth").rglob("*.png")):
        file.rename(file.with_name(f"depth_{file.name}"))
    problem = only(made)
    assert problem.what.startswith("no label of depth belongs to a listed stem")
    assert problem.fix == "Name labels like their images: 'a/1' instead of 'a/depth_1'"


def test_a_list_that_is_not_there(made: Path) -> None:
    (made / "splits/val.txt").rename(made / "splits/validation.txt")
    problem = only(made)
    assert problem.fix == "Did you mean 'splits/validation.txt'? Correct it in dataset.yaml"
    shutil.rmtree(made / "splits")
    assert len(only(made).places) == 3


def test_images_of_an_ending_that_is_not_read(made: Path) -> None:
    describe(made, images={"folder": "images", "suffixes": [".jpg"]})
    problem = only(made)
    assert problem.what == "there are no images, only files ending in .png"
    assert "`images.suffixes`" in str(problem.fix)
    (made / "images/a/1.png").rename(made / "images/a/1.jpg")
    problem = only(made)
    assert problem.what == "a listed stem has no image, because .png is not read"
    assert [place.detail for place in problem.places] == ["2.png", "3.png", "1.png", "1.png", "2.png"]


def test_labels_that_cannot_be_used_are_not_missed_as_well(made: Path) -> None:
    for stem in STEMS:
        save(made / f"labels/semseg/{stem}.png", np.zeros((*SIZE, 3), np.uint8))
    report = check_folder(made)
    assert report.notes == ()
    assert len(report.problems) == 1
    assert len(report.problems[0].places) == 6
    describe(made, tasks={"semseg": DESCRIPTION["tasks"]["semseg"]})
    report = check_folder(made)
    assert report.notes == ()
    assert [counts.unlabelled for counts in report.splits.values()] == [0, 0, 0]


def test_labels_of_an_ending_that_is_not_read_are_pointed_out(made: Path) -> None:
    file = made / "labels/depth/a/1.png"
    file.rename(file.with_suffix(".tif"))
    report = check_folder(made)
    assert report.usable
    assert report.notes == (
        "1 depth label not read because of the ending (1.tif): labels end in .png or .npy",
    )


def test_unreadable_files_are_one_problem_whatever_their_names(made: Path) -> None:
    (made / "images/a/1.png").write_bytes(b"")
    (made / "images/a/2.png").write_text("no picture")
    problem = only(made)
    assert problem.what == "an image cannot be read"
    assert [place.detail for place in problem.places] == ["the file is empty", "cannot identify image file"]


def test_a_renamed_key_is_not_missed_as_well(made: Path) -> None:
    describe(made, splits={"train": "splits/train.txt", "dev": "splits/val.txt", "test": "splits/test.txt"})
    problem = only(made)
    assert (problem.what, problem.fix) == ("unknown key `splits.dev`", "Did you mean 'val'")
    describe(made, splits={"training": "x", "valid": "y", "test": "z"})
    assert [(p.what, p.fix) for p in check_folder(made).problems] == [
        ("unknown key `splits.training`", "Did you mean 'train'"),
        ("unknown key `splits.valid`", "Did you mean 'val'"),
    ]
    describe(made, tasks={"semseg": {"folder": "labels/semseg", "clases": ["wall", "floor", "ball"]}})
    assert only(made).what == "unknown key `tasks.semseg.clases`"
