"""How stored values become classes, for every way to store them that is right, and every usual one that is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from made_folder import SIZE, make_folder
from PIL import Image
from stored_labels import CLASSES, STEM, grid, label, refused, write_png


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.int64])
def test_indices_of_any_type(made: Path, dtype: Any) -> None:
    stored = grid(0, 1, 2, dtype=dtype)
    found = label(made, "semseg", stored, classes=CLASSES)
    assert found.dtype == np.uint8
    assert (found == stored).all()


def test_255_is_ignored_unless_something_else_is(made: Path) -> None:
    assert (label(made, "semseg", grid(0, 255), classes=CLASSES) == grid(0, 255)).all()
    assert (label(made, "semseg", grid(0, 1, 9), classes=CLASSES, ignore=9) == grid(0, 1, 255)).all()
    assert refused(made, "semseg", grid(0, 255), classes=CLASSES, ignore=[9]).what == (
        "the label holds the value 255, neither a class (0 to 2) nor ignored"
    )


def test_values_are_given_classes(made: Path) -> None:
    stored = grid(-1, 7, 8, 1000, dtype=np.int16)
    values = {7: "floor", 8: "floor", 1000: 2}
    assert (
        label(made, "semseg", stored, classes=CLASSES, values=values, ignore=-1) == grid(255, 1, 1, 2)
    ).all()
    assert (
        label(made, "semseg", stored, classes=CLASSES, values=values, ignore="rest") == grid(255, 1, 1, 2)
    ).all()
    assert (label(made, "semseg", grid(7, 255), classes=CLASSES, values=values) == grid(1, 255)).all()
    assert (label(made, "semseg", grid(7, 255), classes=CLASSES, values={7: 1, 255: 0}) == grid(1, 0)).all()
    assert refused(made, "semseg", stored, classes=CLASSES, values=values).what == (
        "the label holds the value -1, neither in `values` nor ignored"
    )


def test_unknown_values_are_listed_and_never_background(made: Path) -> None:
    error = refused(made, "semseg", grid(*range(20)), classes=CLASSES)
    assert error.what == (
        "the label holds the values 3, 4, 5, 6, 7, 8, 9, 10 and 9 more values, neither a class (0 to 2) nor ignored"
    )


def test_yes_and_no(made: Path) -> None:
    assert (label(made, "edge", grid(0, 1)) == grid(0, 1)).all()
    assert (label(made, "edge", grid(0, 127, 128, 255), threshold=128) == grid(0, 0, 1, 1)).all()
    assert (label(made, "edge", grid(0, 1, 255), ignore=255) == grid(0, 1, 255)).all()
    assert (label(made, "edge", grid(0, 99, 255), threshold=128, ignore=99) == grid(0, 255, 1)).all()
    assert (label(made, "edge", grid(0, 255), values={0: 0, 255: 1}) == grid(0, 1)).all()
    assert refused(made, "edge", grid(0, 255)).fix == (
        "In dataset.yaml, below `edge`: write `threshold: 128` if 255 means yes, "
        "or `ignore: 255` if it means unknown"
    )


TWO = ["pet", "rest"]
ADVICE: dict[str, tuple[dict[str, Any], list[int], int, list[int]]] = {
    "0 and 255": ({}, [0, 255], 1, [0, 1]),
    "0, 1 and 255": ({}, [0, 1, 255], 1, [0, 1, 1]),
    "0 and 38": ({}, [0, 38], 1, [0, 1]),
    "soft edges": ({}, [0, 20, 90, 127, 128, 200, 255], 1, [0, 0, 0, 0, 1, 1, 1]),
    "16 bits": ({}, [0, 9, 99, 32768, 40000, 65535], 1, [0, 0, 0, 1, 1, 1]),
    "trimap": ({}, [1, 2, 3], 2, [1, 0, 255]),
    "trimap without border": ({}, [1, 2], 1, [1, 0]),
    "grey trimap": ({}, [0, 128, 255], 2, [0, 255, 1]),
    "two names": ({"classes": TWO}, [1, 2, 3], 2, [1, 0, 255]),
    "another is ignored": ({"ignore": 9}, [0, 9, 255], 1, [0, 255, 1]),
    "trimap, another is ignored": ({"ignore": 9}, [1, 2, 3, 9], 2, [1, 0, 255, 255]),
    "counted from 1": ({"classes": CLASSES}, [1, 2, 3], 1, [0, 1, 2]),
    "counted from 1, with ignored": ({"classes": CLASSES}, [1, 2, 3, 255], 1, [0, 1, 2, 255]),
    "0 is unlabelled": ({"classes": CLASSES}, [0, 1, 2, 3], 2, [255, 0, 1, 2]),
    "0 and 255 are unlabelled": ({"classes": CLASSES}, [0, 1, 2, 3, 255], 2, [255, 0, 1, 2, 255]),
}


@pytest.mark.parametrize("case", ADVICE)
def test_what_is_advised_can_be_written_and_is_right(made: Path, case: str) -> None:
    entry, values, written, meant = ADVICE[case]
    task = "semseg" if "classes" in entry else "saliency"
    stored = grid(*values, dtype=np.uint16)
    fix = str(refused(made, task, stored, **entry).fix)
    assert fix.startswith(f"In dataset.yaml, below `{task}`: ")
    keys = re.findall(r"`([a-z]+: [^`]+)`", fix)[:written]
    advised = {key: value for pair in keys for key, value in yaml.safe_load(pair).items()}
    assert (label(made, task, stored, **{**entry, **advised}) == grid(*meant)).all()


def test_ids_can_be_in_between_values_too(made: Path) -> None:
    fix = str(refused(made, "semseg", grid(7, 8, 11), classes=CLASSES).fix)
    assert "{7: ..., 8: ...}" in fix
    assert "nearest neighbour" in fix
    many = [f"class {i}" for i in range(60)]
    fix = str(refused(made, "semseg", grid(1, 60), classes=many).fix)
    assert "12: class 11, ..., 60: class 59}" in fix


def test_a_palette_png_gives_its_indices(made: Path) -> None:
    picture = Image.fromarray(grid(0, 1, 2), "P")
    picture.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    for bits in (2, 4, 8):
        write_png(made, "semseg", picture, bits=bits)
        assert (label(made, "semseg", classes=CLASSES) == grid(0, 1, 2)).all()


def test_a_16_bit_png_gives_its_values(made: Path) -> None:
    write_png(made, "semseg", Image.fromarray(grid(0, 1, 300, dtype=np.uint16)))
    assert (label(made, "semseg", classes=CLASSES, values={0: 0, 1: 1, 300: 2}) == grid(0, 1, 2)).all()


def test_a_1_bit_png_gives_0_and_1(made: Path) -> None:
    write_png(made, "edge", Image.fromarray(grid(0, 1).astype(bool)))
    assert (label(made, "edge") == grid(0, 1)).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_gives_what_is_stored(made: Path, bits: int) -> None:
    """Pillow cannot write such files, so a grey header is put on the rows of a palette PNG by hand."""
    import struct
    import zlib

    stored = grid(*range(min(3, 2**bits)))
    rows = np.zeros((SIZE[0], -(-SIZE[1] * bits // 8)), np.uint8)
    for column in range(SIZE[1]):
        rows[:, column * bits // 8] |= stored[:, column] << (8 - bits - column * bits % 8)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    (made / f"labels/semseg/{STEM}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert (label(made, "semseg", classes=CLASSES) == stored).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colours_are_no_classes(made: Path, mode: str) -> None:
    write_png(made, "semseg", Image.fromarray(grid(0, 1)).convert(mode))
    error = refused(made, "semseg", classes=CLASSES)
    assert "the label" in error.what
    assert "one channel" in str(error.fix)


@pytest.mark.parametrize(
    "stored", [grid(0, 1).astype(np.float32), np.zeros((*SIZE, 1), np.uint8), np.uint8(1)]
)
def test_arrays_that_are_no_class_map(made: Path, stored: np.ndarray) -> None:
    assert "not one whole number per pixel" in refused(made, "semseg", stored, classes=CLASSES).what


def test_huge_values_are_no_classes(made: Path) -> None:
    assert (
        "which are no classes"
        in refused(made, "semseg", grid(0, 2**40, dtype=np.int64), classes=CLASSES).what
    )
