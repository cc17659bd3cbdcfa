"""Guesses of what a name that does not exist was meant to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.data.folder.names import Names, nearest_path

STEMS = ["kitchen/000001", "kitchen/000002", "bedroom/000001", "street", "avenue_07"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("kitchen/000001.png", "kitchen/000001"),
        ("kitchen/000001.JPG", "kitchen/000001"),
        ("Kitchen/000001", "kitchen/000001"),
        ("kitchen/1", "kitchen/000001"),
        ("kitchen/img_000001", "kitchen/000001"),
        ("kichen/000001", "kitchen/000001"),
        ("000002", "kitchen/000002"),
        ("rgb/kitchen/000002.jpg", "kitchen/000002"),
        ("kitchen/000002.jpg labels/kitchen/000002.png", "kitchen/000002"),
        ("kitchen/000002 1", "kitchen/000002"),
        ("stret", "street"),
        ("avenue-07", "avenue_07"),
        ("kitchen/000003", None),
        ("avenue_08", None),
        ("000001", None),
        ("something else", None),
        ("", None),
    ],
)
def test_usual_slips(name: str, meant: str | None) -> None:
    assert Names(STEMS).meant(name) == meant


@given(st.lists(st.text(min_size=1, max_size=12), max_size=6), st.text(max_size=20))
def test_a_guess_exists_and_a_name_that_exists_is_no_guess(stems: list[str], name: str) -> None:
    assert Names(stems).meant(name) in {None, *stems}
    for stem in stems:
        assert Names(stems).meant(stem) == stem


def test_paths(tmp_path: Path) -> None:
    for file in (
        "splits/train.txt",
        "splits/validation.txt",
        "splits/a[1].txt",
        "labels/depth/1.png",
        "depth.zip",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()

    def near(path: str, *, folder: bool = False, taken: tuple[str, ...] = ()) -> str | None:
        return nearest_path(tmp_path, path, folder=folder, taken=taken)

    assert near("splits/val.txt") == "splits/validation.txt"
    assert near("split/val.txt") == "splits/validation.txt"
    assert near("splits/trian.txt") == "splits/train.txt"
    assert near("splits/trian.txt", taken=("splits/train.txt",)) is None
    assert near("train.txt") == "splits/train.txt"
    assert near("a[1].txt") == "splits/a[1].txt"
    assert near("label/depth", folder=True) == "labels/depth"
    assert near("depth", folder=True) == "labels/depth"
    assert near("labels/depths", folder=True) == "labels/depth"
    assert near("depth.zip/x", folder=True) is None
    assert near("nothing/like/it") is None
