"""docs/own-data.md: its example converts PASCAL-Part, what comes out is usable, and no key is left unexplained."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.io import savemat

from mtlbench.__main__ import main
from mtlbench.cli.data import data_check_command
from mtlbench.data.folder import Folder
from mtlbench.data.folder.description import Keys
from mtlbench.data.folder.encodings import ENCODINGS

PAGE = (Path(__file__).parents[2] / "docs/own-data.md").read_text()
SIZE = (40, 50)


def block(language: str, start: str = "") -> str:
    """The first fenced block of a language that starts with `start`."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return next(text for text in found if text.startswith(start))


@pytest.fixture
def convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the documented script on two folders; returns the dataset, below MTLBENCH_DATA."""
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    script = tmp_path / "work/convert.py"
    script.write_text(block("python"))

    def run(photos: Path, annotations: Path) -> Path:
        target = tmp_path / "pascal-part"
        monkeypatch.setattr(sys, "argv", ["convert.py", str(photos), str(annotations), str(target)])
        runpy.run_path(str(script), run_name="__main__")
        script.unlink()
        return target

    return run


def annotation(objects: list[tuple[int, np.ndarray, dict[str, np.ndarray]]]) -> dict[str, object]:
    """`anno` as upstream stores it: objects of a class with a mask, and parts of a name with a mask."""
    records = [
        {
            "class_ind": kind,
            "mask": mask,
            "parts": [{"part_name": name, "mask": part} for name, part in parts.items()],
        }
        for kind, mask, parts in objects
    ]
    return {"anno": {"objects": records}}


@pytest.fixture
def upstream(tmp_path: Path) -> tuple[Path, Path]:
    """Ten photos of a person beside a dog (classes 15 and 12), two of a dog alone, in the layout of PASCAL-Part."""
    photos, annotations = tmp_path / "JPEGImages", tmp_path / "Annotations_Part"
    photos.mkdir()
    annotations.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        dog, person, head = (np.zeros(SIZE, np.uint8) for _ in range(3))
        dog[20:, 5:15] = 1
        person[5:, 25:45] = 1
        head[5:12, 30:38] = 1
        objects: list[tuple[int, np.ndarray, dict[str, np.ndarray]]] = [(12, dog, {})]
        if i < 10:
            objects.append((15, person, {"head": head, "torso": person & (1 - head)}))
        savemat(annotations / f"2008_{i:06d}.mat", annotation(objects))
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(photos / f"2008_{i:06d}.jpg")
    return photos, annotations


def test_the_example_converts_checks_and_reads(convert, upstream, capsys: pytest.CaptureFixture[str]) -> None:
    root = convert(*upstream)
    assert data_check_command(root, None, None) == 0
    assert "no problems" in capsys.readouterr().out
    assert Path("data-check-pascal-part/contact-sheet.png").is_file()
    dataset = Folder(path="pascal-part", size=SIZE)
    assert [dataset.length(split) for split in dataset.splits] == [9, 1, 2]
    samples = [dataset.sample(split, i) for split in dataset.splits for i in range(dataset.length(split))]
    assert sum("human_parts" in sample.labels for sample in samples) == 10
    for sample in samples:
        assert sample.labels["semseg"][30, 10] == 12
        if "human_parts" in sample.labels:
            assert sample.labels["semseg"][20, 30] == 15
            assert [sample.labels["human_parts"][y, 33] for y in (0, 8, 20)] == [0, 1, 2]


def test_the_example_converts_the_genuine_files(convert, shared: Path) -> None:
    source = shared / "data/pascal-part"
    if not source.is_dir():
        pytest.skip(f"no PASCAL-Part sample at {source}")
    root = convert(source, source)
    assert data_check_command(root, None, None) == 0
    assert len(list((root / "labels/human_parts").iterdir())) == 8
    dataset = Folder(path="pascal-part")
    assert sum(dataset.length(split) for split in dataset.splits) == 18


def test_the_suite_of_the_page_is_valid(convert, upstream, capsys: pytest.CaptureFixture[str]) -> None:
    root = convert(*upstream)
    Path("parts.yaml").write_text(block("yaml", "suite:"))
    assert main(["validate", "parts.yaml"]) == 0
    assert "2 cells" in capsys.readouterr().out
    shutil.rmtree(root)
    assert main(["validate", "parts.yaml"]) == 2
    assert "no such folder of data" in capsys.readouterr().err


def test_the_command_of_the_page_works(convert, upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    convert(*upstream)
    monkeypatch.chdir(os.environ["MTLBENCH_DATA"])
    command = block("sh").split()
    assert command[0] == "mtlbench"
    assert main(command[1:]) == 0


def test_the_description_of_the_page_is_one(tmp_path: Path) -> None:
    content = yaml.safe_load(block("yaml", "title:"))
    Keys.model_validate(content)
    (tmp_path / "dataset.yaml").write_text(block("yaml", "title:"))
    assert list(Folder.resolve({"path": str(tmp_path)})["tasks"]) == ["semseg", "depth"]


def test_every_key_and_option_is_explained() -> None:
    keys = {*Keys.model_fields, *Folder.Options.model_fields}
    keys |= {name for encoding in ENCODINGS.values() for name in encoding.model_fields}
    assert {name for name in keys if f"`{name}" not in PAGE} == set()
