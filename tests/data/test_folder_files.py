"""Files of a `folder` dataset that are broken, of another size or of another mode than a newcomer thinks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_folder import SIZE, describe, make_folder, save
from PIL import Image
from stored_labels import CLASSES, STEM, refused

from mtlbench.data.folder import Folder
from mtlbench.errors import DataError


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


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
