"""How stored values become labels, for every way to store them that is right, and every usual one that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_folder import SIZE, describe, describe_task, make_folder, save
from PIL import Image

from mtlbench import tasks
from mtlbench.component import Options
from mtlbench.data.folder import Folder
from mtlbench.errors import DataError
from mtlbench.tasks._classmap import ClassMapTask
from mtlbench.tasks.depth import Depth

STEM = "a/1"
CLASSES = ["wall", "floor", "ball"]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def label(root: Path, task: str, stored: np.ndarray | None = None, **entry: Any) -> np.ndarray:
    """The label of the first training sample, stored as a .png or .npy (by its type) and described by `entry`."""
    describe_task(root, task, **entry)
    if stored is not None:
        (root / f"labels/{task}/{STEM}.png").unlink(missing_ok=True)
        (root / f"labels/{task}/a").mkdir(parents=True, exist_ok=True)
        np.save(root / f"labels/{task}/{STEM}.npy", stored)
    found: np.ndarray = Folder(path=str(root), size=SIZE).sample("train", 0).labels[task]
    return found


def refused(root: Path, task: str, stored: np.ndarray | None = None, **entry: Any) -> DataError:
    with pytest.raises(DataError) as error:
        label(root, task, stored, **entry)
    assert str(error.value.where).startswith(str(root / f"labels/{task}/{STEM}"))
    return error.value


def grid(*values: int, dtype: Any = np.uint8) -> np.ndarray:
    """A map in which each of `values` has an equal share."""
    return np.resize(np.repeat(np.array(values, dtype), 7), SIZE)


# Classes


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
        "Set `threshold: 128` if 255 means yes, or `ignore: 255` if it means unknown"
    )


def write_png(root: Path, task: str, picture: Image.Image, **options: Any) -> None:
    file = root / f"labels/{task}/{STEM}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file, **options)


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


# Files


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


BROKEN: dict[str, Callable[[Path], Any]] = {
    "truncated": truncate,
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("not a picture"),
    "a dangling link": lambda file: (file.unlink(), file.symlink_to("nowhere")),
}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize(
    "name", [f"images/{STEM}.png", f"labels/semseg/{STEM}.png", f"labels/depth/{STEM}.npy"]
)
def test_a_broken_file_is_named(made: Path, name: str, fault: str) -> None:
    describe(made)
    if name.endswith(".npy"):
        (made / name).with_suffix(".png").unlink()
        np.save(made / name, np.ones(SIZE))
    dataset = Folder(path=str(made))
    assert dataset.sample("train", 0).id == STEM
    BROKEN[fault](made / name)
    with pytest.raises(DataError, match=r"cannot be read|leads nowhere") as error:
        Folder(path=str(made)).sample("train", 0)
    assert error.value.where == str(made / name)
    assert dataset.sample("train", 1).id == "a/2"


def test_no_code_is_run_from_an_array(made: Path) -> None:
    (made / f"labels/depth/{STEM}.png").unlink()
    np.save(made / f"labels/depth/{STEM}.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        Folder(path=str(made)).sample("train", 0)


def test_an_archive_is_no_array(made: Path) -> None:
    (made / f"labels/depth/{STEM}.png").unlink()
    with (made / f"labels/depth/{STEM}.npy").open("wb") as stream:
        np.savez(stream, np.ones(SIZE))
    with pytest.raises(DataError, match="cannot be read: the magic string"):
        Folder(path=str(made)).sample("train", 0)


def test_a_label_of_another_size(made: Path) -> None:
    error = refused(made, "semseg", np.zeros((20, 60), np.uint8), classes=CLASSES)
    assert error.what == "the label is 20x60 pixels (height x width), its image 40x60"


def test_a_label_that_was_not_turned_with_its_image(made: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    (made / f"images/{STEM}.png").unlink()
    Image.new("RGB", (60, 40)).save(made / f"images/{STEM}.jpg", exif=exif)
    error = refused(made, "semseg", classes=CLASSES)
    assert "its image 60x40 once it is turned as its EXIF orientation says" in error.what
    assert "without an EXIF orientation" in str(error.fix)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA", "CMYK"])
def test_images_of_any_8_bit_mode_become_rgb(made: Path, mode: str) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    (made / f"images/{STEM}.png").unlink()
    Image.new("RGB", SIZE[::-1], (255, 255, 255)).convert(mode).save(made / f"images/{STEM}{suffix}")
    image = Folder(path=str(made), size=SIZE).sample("train", 0).image
    assert image.shape == (*SIZE, 3)
    assert image.min() > 250


def test_an_image_of_16_bits_is_refused(made: Path) -> None:
    save(made / f"images/{STEM}.png", np.zeros(SIZE, np.uint16))
    with pytest.raises(DataError, match="more than 8 bits per channel"):
        Folder(path=str(made)).sample("train", 0)
