"""What `dataset.yaml` may say, and the sentence for each thing that it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_folder import DESCRIPTION, describe, make_folder

from mtlbench.data.folder import Folder
from mtlbench.data.folder.description import read_description
from mtlbench.errors import DataError

SEMSEG = DESCRIPTION["tasks"]["semseg"]
NORMALS = DESCRIPTION["tasks"]["normals"]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def problems(root: Path) -> list[str]:
    found: list[DataError] = []
    description = read_description(root, found.append)
    assert (description is None) == bool(found)
    return [str(error).removeprefix(f"{root / 'dataset.yaml'}: ") for error in found]


def task(**entry: Any) -> dict[str, Any]:
    return {"tasks": {"semseg": SEMSEG | entry}}


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"image": {}}, "unknown key `image`. Did you mean 'images'."),
    "missing key": ({"title": None}, "key `title` is missing. Add `title:` there."),
    "nested missing key": (
        {"splits": {"train": "a", "test": "b"}},
        "key `splits.val` is missing. Add `val:` there.",
    ),
    "other split": (
        {"splits": {**DESCRIPTION["splits"], "vall": "c"}},
        "unknown key `splits.vall`. Did you mean 'val'.",
    ),
    "title": ({"title": "my/rooms"}, "`title` string should match pattern"),
    "no tasks": ({"tasks": {}}, "`tasks` mapping should have at least 1 item"),
    "unknown task": (
        {"tasks": {"dept": {"folder": "x"}}},
        "`tasks.dept`: unknown task 'dept'. Did you mean 'depth'.",
    ),
    "no folder": (
        {"tasks": {"depth": {}}},
        "key `tasks.depth.folder` is missing. Add `folder:` there.",
    ),
    "no classes": (
        {"tasks": {"semseg": {"folder": "x"}}},
        "key `tasks.semseg.classes` is missing. Add `classes:` there.",
    ),
    "boolean class": (
        task(classes=["yes", True]),
        "`tasks.semseg.classes.1` should be a valid string, not True",
    ),
    "unknown option": (task(clases=[]), "unknown key `tasks.semseg.clases`. Did you mean 'classes'."),
    "option of another": (task(scale=1.0), "unknown key `tasks.semseg.scale`."),
    "unknown class": (
        task(values={0: "wal"}),
        "`tasks.semseg`: `values.0`: there is no class 'wal'. Did you mean 'wall'.",
    ),
    "no such class": (task(values={0: 3}), "`tasks.semseg`: `values.0`: class 3 is not one of 0 to 2"),
    "both": (
        task(values={0: "wall", 7: "floor"}, ignore=[7, 8]),
        "`tasks.semseg`: the value 7 cannot be both in `values` and in `ignore`",
    ),
    "threshold": (
        task(threshold=128),
        "`tasks.semseg`: `threshold` is for labels of two classes, without `values`",
    ),
    "rest": (task(ignore="rest"), "`tasks.semseg`: `ignore: rest` needs `values`"),
    "ignore": (
        task(ignore="255"),
        "`tasks.semseg.ignore` must be a whole number, a list of them, or `rest`, not '255'",
    ),
    "values": (
        task(values={"0": "wall"}),
        "`tasks.semseg.values` must give whole numbers the name or the index of a class",
    ),
    "resize": (
        task(resize="mean"),
        "`tasks.semseg.resize` should be 'nearest', 'vote' or 'highest', not 'mean'",
    ),
    "encoding": (
        task(encoding="class_maps"),
        "`tasks.semseg`: unknown encoding 'class_maps'. Did you mean 'class_map'.",
    ),
    "encoding of other labels": (
        task(encoding="scalar"),
        "`tasks.semseg`: encoding 'scalar' does not give labels of its layout. Known: array, class_map.",
    ),
    "no encoding": (
        {"tasks": {"normals": {"folder": "x"}}},
        "`tasks.normals`: key `encoding` is missing, and three numbers per pixel can be a direction or not. "
        "Set `encoding: unit_vectors`",
    ),
    "axes": (
        {"tasks": {"normals": NORMALS | {"axes": ["x", "y", "-y"]}}},
        "`tasks.normals`: `axes` names each of x, y",
    ),
    "scale": (
        {"tasks": {"depth": {"folder": "x", "scale": 0}}},
        "`tasks.depth.scale` should be greater than 0",
    ),
    "absolute path": ({"images": {"folder": "/data"}}, "`images.folder` leads out of the dataset: '/data'."),
    "path up": (task(folder="../labels"), "`tasks.semseg.folder` leads out of the dataset: '../labels'."),
    "clips without attributes": (
        {"clips": "video"},
        "`clips: video` names a column, but there is no `attributes`.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_its_sentence(made: Path, fault: str) -> None:
    changes, sentence = FAULTS[fault]
    describe(made, **changes)
    (found,) = problems(made)
    assert found.startswith(sentence)


TEXT_FAULTS = {
    "no mapping": ("- title", "the file does not hold a mapping"),
    "empty": ("", "the file does not hold a mapping"),
    "bad YAML": ("title: [a\nb: c", ":2:2: the file is not YAML: expected ',' or ']'"),
    "a key twice": (
        "tasks:\n  depth: {}\n  depth: {}",
        ":3:3: the file is not YAML: key 'depth' is written twice",
    ),
    "a tag": ("title: !!python/none x", ":1:8: the file is not YAML: could not determine a constructor"),
}


@pytest.mark.parametrize("fault", TEXT_FAULTS)
def test_files_that_are_no_description(made: Path, fault: str) -> None:
    text, sentence = TEXT_FAULTS[fault]
    (made / "dataset.yaml").write_text(text)
    (found,) = problems(made)
    assert found.removeprefix(str(made / "dataset.yaml")).startswith(sentence)


def test_no_file_and_no_text(made: Path) -> None:
    (made / "dataset.yaml").write_bytes(b"title: caf\xe9")
    assert problems(made) == ["the file is not UTF-8 text. Save it as UTF-8."]
    (made / "dataset.yaml").unlink()
    assert problems(made)[0].startswith("there is no such file. Describe the data there")


def test_everything_is_told_at_once_and_the_dataset_says_how_much_more(made: Path) -> None:
    describe(made, tasks={"dept": {"folder": "x"}, "semseg": {}, "depth": {"folder": "/x", "scale": 1.0}})
    assert len(problems(made)) == 3
    with pytest.raises(DataError, match=r"unknown task 'dept' \(and 2 more\). Did you mean 'depth'"):
        Folder.resolve({"path": str(made)})


def test_a_byte_order_mark_is_no_part_of_the_text(made: Path) -> None:
    file = made / "dataset.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert problems(made) == []
