"""The dataset `folder`: identity, samples, fingerprint, clips and attributes."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_folder import SIZE, SPLITS, STEMS, describe, describe_task, make_folder, save, write_list
from PIL import Image
from pydantic import ValidationError

from mtlbench import tasks
from mtlbench.data.batches import load_split
from mtlbench.data.folder import Folder
from mtlbench.data.folder import content as content_module
from mtlbench.errors import DataError, UsageError


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "made")


def opened(root: Path, **options: Any) -> Folder:
    return Folder(path=str(root), **{"size": SIZE, **options})


# Identity


def test_the_specification_is_size_fit_title_and_tasks(made: Path) -> None:
    resolved = Folder.resolve({"path": str(made), "size": [40, 60]})
    assert resolved == {
        "size": [40, 60],
        "fit": "letterbox",
        "title": "made",
        "tasks": {
            "semseg": {"classes": ["wall", "floor", "ball"]},
            "saliency": {},
            "depth": {},
            "normals": {},
        },
    }
    assert Folder.places({"path": str(made)}) == {"path": str(made)}


def test_a_resolved_specification_needs_no_disk(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = Folder.resolve({"path": str(made)})
    shutil.rmtree(made)
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    assert Folder.resolve(resolved) == resolved
    assert list(Folder.tasks(resolved)) == ["semseg", "saliency", "depth", "normals"]
    assert list(Folder(**resolved).labelled()) == ["semseg", "saliency", "depth", "normals"]


def test_a_worker_opens_what_the_suite_resolved(made: Path) -> None:
    resolved = Folder.resolve({"path": str(made), "size": [20, 30]})
    assert Folder(**resolved, path=str(made)).fingerprint() == opened(made, size=(20, 30)).fingerprint()


def test_without_a_path_the_title_is_the_folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(made.parent))
    by_title, by_path = Folder(title="made", size=SIZE), Folder(path="made", size=SIZE)
    assert by_title.fingerprint() == by_path.fingerprint() == opened(made).fingerprint()
    assert Folder(**Folder.resolve({"title": "made"})).length("test") == 2


def test_another_dataset_than_the_suite_names_is_refused(made: Path) -> None:
    with pytest.raises(DataError, match="this is the dataset 'made', not 'other'"):
        Folder(path=str(made), title="other")
    resolved = Folder.resolve({"path": str(made)})
    describe_task(made, "depth", scale=0.001)
    with pytest.raises(DataError, match="not those that the suite was resolved with"):
        Folder(**resolved, path=str(made)).length("train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the dataset is not named. Set `path`"),
        ({"tasks": {"depth": {}}}, "tasks but no title"),
        ({"title": "t", "tasks": {"dept": {}}}, "unknown task 'dept'. Did you mean 'depth'"),
        ({"title": "t", "tasks": {"depth": {"colour": 1}}}, "unknown key `tasks.depth.colour`"),
        ({"title": "nowhere"}, "no such folder of data.*Set MTLBENCH_DATA"),
    ],
)
def test_options_that_name_no_dataset(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    with pytest.raises(UsageError, match=message):
        Folder.resolve(options)


def test_a_relative_path_without_a_root_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    with pytest.raises(DataError, match="MTLBENCH_DATA is not set"):
        Folder(path="made")


@pytest.mark.parametrize(
    "options", [{"size": [192]}, {"size": [4, 9]}, {"fit": "zoom"}, {"root": "x"}, {"title": "../x"}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Folder.resolve({"path": "anywhere", **options})


# Samples


def test_a_sample_holds_the_image_and_every_label(made: Path) -> None:
    sample = opened(made).sample("test", 1)
    assert sample.id == "c/2"
    with Image.open(made / "images/c/2.png") as picture:
        assert (sample.image == np.asarray(picture)).all()
    assert sample.labels["semseg"][15, 15] == 2
    assert (sample.labels["saliency"] == (sample.labels["semseg"] == 2)).all()
    assert (sample.labels["depth"][:, :-1] == np.float32(2.5)).all()
    assert (sample.labels["depth"][:, -1] == 0).all()
    np.testing.assert_allclose(sample.labels["normals"][5, 5], [0, 0, -1], atol=0.01)
    np.testing.assert_allclose(np.linalg.norm(sample.labels["normals"], axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("fit", ["letterbox", "crop", "stretch"])
def test_splits_load_in_the_layouts_of_their_tasks(made: Path, fit: str) -> None:
    dataset = opened(made, size=(24, 24), fit=fit)
    known = {name: tasks.registry.get(name)(**options) for name, options in dataset.labelled().items()}
    for split, stems in SPLITS.items():
        loaded = load_split(dataset, split, known)
        assert loaded.ids == tuple(stems)
        assert set(np.unique(loaded.labels["semseg"])) <= {0, 1, 2, 255}
        assert ((loaded.labels["semseg"] == 255).any()) == (fit == "letterbox")


def test_a_label_that_is_not_there_is_missing(made: Path) -> None:
    (made / "labels/depth/a/2.png").unlink()
    dataset = opened(made)
    assert set(dataset.sample("train", 1).labels) == {"semseg", "saliency", "normals"}
    assert set(dataset.sample("train", 0).labels) == set(dataset.labelled())


def test_names_in_any_spelling_and_suffixes_in_any_case_are_found(made: Path) -> None:
    composed, decomposed = "caf\u00e9/\u5ba4 1", "cafe\u0301/\u5ba4 1"
    (made / "images/cafe\u0301").mkdir()
    (made / "images/c/1.png").rename(made / f"images/{decomposed}.PNG")
    (made / "labels/semseg/caf\u00e9").mkdir()
    (made / "labels/semseg/c/1.png").rename(made / f"labels/semseg/{composed}.Png")
    write_list(made, "test", [composed, "c/2"], end="\r\n")
    sample = opened(made).sample("test", 0)
    assert sample.id == composed
    assert "semseg" in sample.labels


def test_links_to_files_and_folders_are_followed(made: Path, tmp_path: Path) -> None:
    before = opened(made).fingerprint()
    shutil.move(made / "images", tmp_path / "elsewhere")
    (made / "images").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    label = made / "labels/semseg/a/1.png"
    shutil.move(label, tmp_path / "label.png")
    label.symlink_to(tmp_path / "label.png")
    (tmp_path / "elsewhere/a/loop").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert opened(made).fingerprint() == before


def test_an_exif_orientation_is_applied(made: Path) -> None:
    pixels = np.zeros((60, 40, 3), np.uint8)
    pixels[:, :20, 0] = 255  # left half red, as stored
    file = made / "images/a/1.png"
    file.unlink()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    Image.fromarray(pixels).save(made / "images/a/1.jpg", exif=exif, quality=100, subsampling=0)
    image = opened(made).sample("train", 0).image
    assert image.shape == (*SIZE, 3)
    assert image[:18, :, 0].min() > 200
    assert image[22:, :, 0].max() < 50


# Clips and attributes


def test_subfolders_are_clips(made: Path) -> None:
    write_list(made, "train", ["a/2", "a/3", "solo", "a/1"])
    save(made / "images/solo.png", np.zeros((*SIZE, 3), np.uint8))
    describe(made, clips="folder")
    with pytest.raises(
        DataError, match="frames of clip 'a' stand apart in the list of train, again from 'a/1'"
    ):
        opened(made).sample("train", 0)
    write_list(made, "train", ["a/2", "a/3", "a/1", "solo"])
    dataset = opened(made)
    assert dataset.clips("train") == [range(3), range(3, 4)]
    assert dataset.clips("test") == [range(2)]
    samples = [dataset.sample("train", i).attributes for i in range(4)]
    assert samples == [
        {"clip": 0, "frame": 0},
        {"clip": 0, "frame": 1},
        {"clip": 0, "frame": 2},
        {"clip": 1, "frame": 0},
    ]
    assert dataset.sample("test", 1).attributes == {"clip": 3, "frame": 1}


def test_without_clips_every_image_is_a_still(made: Path) -> None:
    assert opened(made).clips("train") == [range(0, 1), range(1, 2), range(2, 3)]
    assert opened(made).sample("train", 0).attributes == {}


def test_a_column_names_clips_and_others_are_attributes(made: Path) -> None:
    rows = ["stem,video,light", "a/1,x,0.5", "a/2,x,", "", 'a/3,"y, z",-1e3', "elsewhere,y,9"]
    (made / "about.csv").write_bytes(("\ufeff" + "\r\n".join(rows)).encode())
    describe(made, attributes="about.csv", clips="video")
    dataset = opened(made)
    assert dataset.clips("train") == [range(2), range(2, 3)]
    assert dataset.sample("train", 0).attributes == {"light": 0.5, "clip": 0, "frame": 0}
    assert dataset.sample("train", 1).attributes == {"clip": 0, "frame": 1}
    assert dataset.sample("train", 2).attributes == {"light": -1000, "clip": 1, "frame": 0}


ATTRIBUTE_FAULTS = {
    "no stem": ("name,x\na/1,1", "has no column 'stem'", 1),
    "text": ("stem,x\na/1,1\n\na/2,dark", "column 'x' holds 'dark'", 4),
    "infinite": ("stem,x\na/1,inf", "column 'x' holds 'inf'", 2),
    "two rows": ("stem,x\na/1,1\na/1,2", "'a/1' has two rows", 3),
    "cells": ("stem,x\na/1", "the row has 1 cells, the first line 2", 2),
    "twice": ("stem,x,x\na/1,1,2", "names a column twice", 1),
}


@pytest.mark.parametrize("fault", ATTRIBUTE_FAULTS)
def test_attributes_that_make_no_sense_say_the_line(made: Path, fault: str) -> None:
    text, message, line = ATTRIBUTE_FAULTS[fault]
    (made / "about.csv").write_text(text)
    describe(made, attributes="about.csv")
    with pytest.raises(DataError, match=message) as error:
        opened(made).sample("train", 0)
    assert error.value.where == f"{made / 'about.csv'}:{line}"


def test_a_reserved_column_is_refused_where_clips_fill_it(made: Path) -> None:
    (made / "about.csv").write_text("stem,frame\na/1,7")
    describe(made, attributes="about.csv", clips="folder")
    with pytest.raises(DataError, match="column 'frame', which `clips` fills"):
        opened(made).sample("train", 0)
    describe(made, attributes="about.csv")
    assert opened(made).sample("train", 0).attributes == {"frame": 7}


# The fingerprint


def changed(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    "name", ["dataset.yaml", "splits/val.txt", "images/a/1.png", "labels/depth/c/2.png", "about.csv"]
)
def test_the_fingerprint_follows_every_file(made: Path, tmp_path: Path, name: str) -> None:
    (made / "about.csv").write_text("stem,light\na/1,1\n")
    describe(made, attributes="about.csv")
    with (made / "dataset.yaml").open("a") as stream:
        stream.write("# 0")
    write_list(made, "val", ["b/1"], end="\n\n ")
    before = opened(made).fingerprint()
    moved = Path(shutil.copytree(made, tmp_path / "moved"))
    assert opened(moved).fingerprint() == before
    (moved / "images/nobody-lists-me.png").write_bytes(b"")
    assert opened(moved).fingerprint() == before
    changed(moved / name)
    if name == "splits/val.txt":  # the last byte is a space, which means nothing there
        (moved / name).write_text("b/1\n")
    assert opened(moved).fingerprint() != before


def test_the_fingerprint_follows_the_options_and_missing_labels(made: Path) -> None:
    before = opened(made).fingerprint()
    assert opened(made, size=(16, 16)).fingerprint() != before
    assert opened(made, fit="crop").fingerprint() != before
    (made / "labels/depth/a/1.png").unlink()
    assert opened(made).fingerprint() != before


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_hashes_are_remembered_until_a_file_is_touched(
    made: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_module, "SETTLED_NS", 0)
    read: list[Path] = []
    real = content_module._sha256
    monkeypatch.setattr(content_module, "_sha256", lambda file: read.append(file) or real(file))
    before = opened(made).fingerprint()
    assert len(read) == len(set(read)) == 4 + 6 * 5
    assert list(cache.rglob("*.json"))
    read.clear()
    assert opened(made).fingerprint() == before
    assert read == []
    file = made / "images/a/1.png"
    stat = file.stat()
    changed(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time: still noticed
    assert opened(made).fingerprint() != before
    assert read == [file]


def test_a_file_that_was_just_written_is_not_remembered(made: Path, cache: Path) -> None:
    opened(made).fingerprint()
    assert not list(cache.rglob("*.json"))


@pytest.mark.parametrize("content", ["not JSON", "[]", "\udcff"])
def test_a_broken_cache_is_replaced(
    made: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    before = opened(made).fingerprint()
    monkeypatch.setattr(content_module, "SETTLED_NS", 0)
    opened(made).fingerprint()
    (stored,) = cache.rglob("*.json")
    good = stored.read_bytes()
    stored.write_bytes(content.encode(errors="surrogateescape"))
    assert opened(made).fingerprint() == before
    assert stored.read_bytes() == good


def test_one_image_in_two_splits_is_refused(made: Path) -> None:
    shutil.copy(made / "images/a/1.png", made / "images/c/2.png")
    with pytest.raises(DataError, match="the same as 'a/1', but one is in train and one in test") as error:
        opened(made).fingerprint()
    assert error.value.where == str(made / "images/c/2.png")


def test_reading_writes_nothing_beside_the_data(made: Path) -> None:
    def state() -> dict[str, tuple[int, str]]:
        return {
            str(file): (
                file.stat().st_mtime_ns,
                hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "",
            )
            for file in [made, *made.rglob("*")]
        }

    before = state()
    dataset = opened(made)
    dataset.fingerprint()
    for split, stems in SPLITS.items():
        for i in range(len(stems)):
            dataset.sample(split, i)
    assert state() == before
    assert len(before) > len(STEMS) * 5
