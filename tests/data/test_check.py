"""What a check finds: counts, histograms, problems and notes, each against what was planted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from made_folder import (
    DESCRIPTION,
    SIZE,
    SPLITS,
    STEMS,
    describe,
    describe_task,
    make_folder,
    save,
    write_list,
)
from PIL import Image

from mtlbench.data.check import CheckReport, Place, check_folder, contact_sheet


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "made")


def whats(report: CheckReport) -> list[str]:
    return [problem.what for problem in report.problems]


def has_note(report: CheckReport, text: str) -> bool:
    return any(text in note for note in report.notes)


def test_a_sound_dataset_has_neither_problems_nor_notes(made: Path) -> None:
    report = check_folder(made)
    assert report.usable
    assert report.notes == ()
    assert report.title == "made"
    for split, stems in SPLITS.items():
        counts = report.splits[split]
        assert counts.listed == counts.read == len(stems)
        assert counts.labelled == dict.fromkeys(DESCRIPTION["tasks"], len(stems))
        assert counts.unlabelled == 0
    assert report.images.sizes == {SIZE: 6}
    assert report.images.modes == {"RGB": 6}


def test_colours_are_those_of_all_pixels(made: Path) -> None:
    pixels = np.concatenate(
        [np.asarray(Image.open(made / f"images/{stem}.png")).reshape(-1, 3) for stem in STEMS]
    )
    images = check_folder(made).images
    np.testing.assert_allclose(images.mean, (pixels / 255.0).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(images.std, (pixels / 255.0).std(axis=0), rtol=1e-12)


def test_the_histogram_of_classes(made: Path) -> None:
    save(made / "labels/semseg/a/1.png", np.full(SIZE, 255, np.uint8))
    shares = check_folder(made).classes["semseg"]
    ball = 20 * 20 / 2400
    wall = 0.5 - 10 * 20 / 2400
    assert shares.names == ("wall", "floor", "ball")
    assert shares.images == (5, 5, 5)
    assert shares.ignored == pytest.approx(1 / 6)
    assert shares.pixels == pytest.approx((wall, wall, ball))
    assert check_folder(made).classes["saliency"].names == ("0", "1")


def test_quantiles_of_depths_and_directions(made: Path) -> None:
    depth = np.tile(np.arange(1000, 1060, dtype=np.uint16), (40, 1))
    for stem in STEMS:
        save(made / f"labels/depth/{stem}.png", depth)
    numbers = check_folder(made).numbers
    assert numbers["depth"].missing == 0
    found = numbers["depth"].quantiles[0]
    np.testing.assert_allclose(found, np.quantile(depth / 1000, [0, 0.05, 0.5, 0.95, 1]), atol=0.003)
    np.testing.assert_allclose((found[0], found[-1]), (1.0, 1.059), rtol=1e-6)
    assert len(numbers["normals"].quantiles) == 3
    np.testing.assert_allclose([row[0] for row in numbers["normals"].quantiles], [0, -1, -1], atol=0.01)
    np.testing.assert_allclose([row[-1] for row in numbers["normals"].quantiles], [0, 0, 0], atol=0.01)


def test_every_problem_is_found_at_once(made: Path) -> None:
    (made / "images/a/1.png").write_bytes(b"")
    (made / "images/a/2.png").write_text("no")
    (made / "labels/depth/a/3.png").write_bytes((made / "labels/depth/a/3.png").read_bytes()[:60])
    save(made / "labels/semseg/b/1.png", np.full(SIZE, 9, np.uint8))
    save(made / "labels/semseg/c/1.png", np.full(SIZE, 9, np.uint8))
    save(made / "labels/saliency/c/2.png", np.zeros((8, 8), np.uint8))
    write_list(made, "val", ["b/1", "b/2", "a/1"])
    report = check_folder(made)
    places = {place for problem in report.problems for place in problem.places}
    assert {place.where for place in places} == {
        *(str(made / f"images/a/{name}.png") for name in "12"),
        str(made / "labels/depth/a/3.png"),
        *(str(made / f"labels/semseg/{name}/1.png") for name in "bc"),
        str(made / "labels/saliency/c/2.png"),
        *(f"{made / 'splits/val.txt'}:{line}" for line in (2, 3)),
    }
    (unknown,) = [problem for problem in report.problems if "the value 9" in problem.what]
    assert unknown.what.startswith("labels of semseg hold the value 9")
    assert len(unknown.places) == 2
    assert report.splits["train"].listed == 3
    assert report.splits["train"].read == 1
    assert report.splits["val"].labelled == {"semseg": 0, "saliency": 1, "depth": 1, "normals": 1}


def test_a_description_that_makes_no_sense_is_all_there_is_to_say(made: Path) -> None:
    describe(made, images={}, tasks={"dept": {}}, splits=None)
    report = check_folder(made)
    assert whats(report) == ["key `images.folder` is missing", "key `splits` is missing"]
    assert report.splits == {}
    assert contact_sheet(made) is None


def test_twins_across_splits_are_leakage_and_within_one_are_not(made: Path) -> None:
    shutil.copy(made / "images/a/1.png", made / "images/a/2.png")
    assert check_folder(made).usable
    shutil.copy(made / "images/a/1.png", made / "images/b/1.png")
    report = check_folder(made)
    assert whats(report) == ["the image is the same as 'a/1', but one is in train and one in val"]
    assert report.problems[0].places == (Place(str(made / "images/b/1.png"), ""),)
    shutil.copy(made / "images/a/3.png", made / "images/c/2.png")
    (problem,) = check_folder(made).problems
    assert [place.detail for place in problem.places] == [
        "in val, the same as 'a/1' in train",
        "in test, the same as 'a/3' in train",
    ]


def test_notes_name_what_may_not_be_meant(made: Path) -> None:
    shutil.rmtree(made / "labels/depth/b")
    for task in DESCRIPTION["tasks"]:
        (made / f"labels/{task}/a/1.png").unlink()
    save(made / "labels/semseg/a/2.png", np.full(SIZE, 255, np.uint8))
    save(made / "images/spare.png", np.zeros((4, 4, 3), np.uint8))
    save(made / "labels/depth/c/9.png", np.zeros((4, 4), np.uint16))
    describe(
        made,
        clips="folder",
        tasks=DESCRIPTION["tasks"]
        | {
            "semseg": {"folder": "labels/semseg", "classes": ["wall", "floor", "ball", "lamp"]},
            "normals": {"folder": "labels/normals", "encoding": "unit_vectors", "axes": ["x", "y", "-z"]},
        },
    )
    write_list(made, "test", ["c/1"])
    write_list(made, "val", ["b/1", "c/2"])
    report = check_folder(made)
    assert report.usable
    assert has_note(report, "1 image without any label")
    assert has_note(report, "semseg label says nothing: every pixel is ignored or missing (2.png)")
    assert has_note(report, "semseg: no pixel is lamp")
    assert has_note(report, "normals: most directions point away")
    assert has_note(report, "clip c has frames in test and val")
    assert has_note(report, "1 image in no list (spare.png)")
    assert has_note(report, "1 depth label in no list (9.png)")
    shutil.rmtree(made / "labels/depth/c")
    assert has_note(check_folder(made), "val has no label of depth")


def test_turned_images_are_pointed_out(made: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    (made / "images/a/1.png").unlink()
    Image.new("L", SIZE[::-1]).save(made / "images/a/1.jpg", exif=exif)
    report = check_folder(made)
    assert report.usable
    assert has_note(report, "1 image with an EXIF orientation")
    assert report.images.modes == {"RGB": 5, "L": 1}


def test_a_limit_reads_less_and_says_so(made: Path) -> None:
    (made / "images/a/3.png").write_bytes(b"")
    report = check_folder(made, limit=2)
    assert report.usable
    assert [counts.read for counts in report.splits.values()] == [2, 1, 2]
    assert has_note(report, "only the first 2 samples of each split were read")
    assert not has_note(check_folder(made, limit=3), "only the first")


def test_no_sample_at_all_is_not_the_end(made: Path) -> None:
    shutil.rmtree(made / "images")
    report = check_folder(made)
    assert whats(report) == ["there is no folder of images"], "all else follows from it"
    assert report.notes == ()
    assert contact_sheet(made) is None


def test_the_sheet_shows_labels_and_says_what_lacks_them(made: Path) -> None:
    whole = contact_sheet(made, per_split=1)
    assert whole is not None
    ink = np.asarray(whole)
    assert {(0, 0, 0), (86, 180, 233), (255, 255, 255)} <= {
        tuple(colour) for colour in ink.reshape(-1, 3).tolist()
    }
    (made / "labels/semseg/a/1.png").unlink()
    (made / "images/b/1.png").write_bytes(b"")
    (made / "labels/depth/c/1.png").write_bytes(b"")
    lacking = contact_sheet(made, per_split=1)
    assert lacking is not None
    assert lacking.size == whole.size
    assert (np.asarray(lacking) != ink).any()


def test_more_rows_make_a_taller_sheet(made: Path) -> None:
    heights = [sheet.height for n in (1, 2, 99) if (sheet := contact_sheet(made, per_split=n)) is not None]
    assert (heights[1] - heights[0]) * 3 == (heights[2] - heights[0]) * 2


def test_names_that_a_font_lacks_and_long_ones_are_drawn(made: Path) -> None:
    stem = "\u5ba4/" + "x" * 200
    (made / "images/\u5ba4").mkdir()
    shutil.copy(made / "images/b/1.png", made / f"images/{stem}.png")
    write_list(made, "val", [stem])
    describe_task(made, "semseg", classes=["wall\x1b[31m", "floor", "\u5ba4" * 40])
    assert contact_sheet(made) is not None
