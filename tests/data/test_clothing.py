from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from scipy.io import loadmat, savemat

from mtlbench import data, tasks
from mtlbench.data.clothing import NEAR_DUPLICATES, Clothing
from mtlbench.data.clothing_groups import GARMENTS, LABELS, PARTS, garment_of_label, part_of_label
from mtlbench.errors import DataError

SHARED = Path(os.environ.get("MTLBENCH_SHARED", Path(__file__).parents[3] / "shared"))
REAL = SHARED / "data" / "clothing-co-parsing"
needs_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"Clothing Co-Parsing is not at {REAL}")

SHIRT, HAIR, SHOES = 38, 19, 39


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Twenty photos of noise in the upstream layout; each shows a head, a shirt and shoes."""
    root = tmp_path / "clothing-co-parsing"
    (root / "photos").mkdir(parents=True)
    (root / "annotations/pixel-level").mkdir(parents=True)
    names = np.empty((1, len(LABELS)), object)
    names[0] = [label.name for label in LABELS]
    savemat(root / "label_list.mat", {"label_list": names})
    rng = np.random.default_rng(0)
    for i in range(1, 21):
        mask = np.zeros((48, 32), np.uint8)
        mask[4:12, 12:20], mask[12:30, 8:24], mask[40:44, 8:24] = HAIR, SHIRT, SHOES
        photo = rng.integers(0, 256, (48, 32, 3), dtype=np.uint8)
        Image.fromarray(photo).save(root / f"photos/{i:04d}.jpg")
        savemat(root / f"annotations/pixel-level/{i:04d}.mat", {"groundtruth": mask})
    return root


def first_of(root: Path, **options: Any) -> tuple[Clothing, str]:
    """The dataset in `root`, and the id of its first training sample."""
    dataset = Clothing(root=str(root), size=(24, 16), **options)
    return dataset, dataset.sample("train", 0).id


# The grouping table


def test_the_table_has_one_row_per_label_and_uses_every_group() -> None:
    assert [label.value for label in LABELS] == list(range(59))
    assert {label.part for label in LABELS} == set(PARTS)
    assert {label.garment for label in LABELS} == set(GARMENTS)
    assert len(PARTS) == 8
    assert PARTS[part_of_label()[SHOES]] == "feet"
    assert GARMENTS[garment_of_label()[SHOES]] == "footwear"


def test_background_is_class_0_of_both_groupings_and_nothing_else_is() -> None:
    assert (np.flatnonzero(part_of_label() == 0) == [0]).all()
    assert (np.flatnonzero(garment_of_label() == 0) == [0]).all()


@needs_data
def test_the_table_names_the_labels_as_upstream_does() -> None:
    upstream = [str(name.squeeze()) for name in loadmat(REAL / "label_list.mat")["label_list"].ravel()]
    assert [label.name for label in LABELS] == upstream


# Options and identity


def test_it_is_registered_and_declares_its_tasks_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    dataset = data.registry.get("clothing")
    declared = dataset.tasks(dataset.resolve({}))
    assert list(declared) == ["human_parts", "semseg", "saliency", "edge"]
    channels = [tasks.registry.get(name)(**options).channels for name, options in declared.items()]
    assert channels == [8, 13, 1, 1]


def test_where_the_data_lies_is_no_part_of_the_specification() -> None:
    assert Clothing.resolve({"root": "/anywhere"}) == Clothing.resolve({})
    assert Clothing.resolve({}) == {"size": [192, 128], "train": None, "val": None, "test": None}


@pytest.mark.parametrize("options", [{"size": [192]}, {"size": [4, 128]}, {"train": 0}, {"colour": "red"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Clothing(**options)


def test_the_fingerprint_follows_content_and_options_only(made: Path, tmp_path: Path) -> None:
    def fingerprint(root: Path, **options: Any) -> str:
        return Clothing(root=str(root), **options).fingerprint()

    moved = Path(shutil.copytree(made, tmp_path / "elsewhere"))
    before = fingerprint(made)
    assert fingerprint(moved) == before
    assert fingerprint(moved, size=(96, 64)) != before
    assert fingerprint(moved, test=2) != before

    photo = moved / "photos/0003.jpg"
    content = photo.read_bytes()
    photo.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert fingerprint(moved) != before
    photo.write_bytes(content)
    assert fingerprint(moved) == before
    savemat(moved / "annotations/pixel-level/0003.mat", {"groundtruth": np.ones((48, 32), np.uint8)})
    assert fingerprint(moved) != before


def test_the_environment_variable_names_the_data_root(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(made.parent))
    assert Clothing().fingerprint() == Clothing(root=str(made)).fingerprint()


# Samples


def test_labels_are_the_groups_of_the_mask_in_the_frame(made: Path) -> None:
    sample = Clothing(root=str(made), size=(48, 40)).sample("test", 0)
    parts, garments = sample.labels["human_parts"], sample.labels["semseg"]
    assert sample.image.shape == (48, 40, 3)
    assert (parts[:, :4] == 255).all()
    assert (parts[:, 36:] == 255).all()
    inside = np.s_[:, 4:36]
    assert [PARTS[parts[y, 20]] for y in (0, 8, 20, 42)] == ["background", "head", "upper_body", "feet"]
    assert [GARMENTS[garments[y, 20]] for y in (8, 20, 42)] == ["hair", "shirt", "footwear"]
    assert (sample.labels["saliency"][inside] == (parts[inside] > 0)).all()
    # Outlines of head (8 x 8; its 6 inner pixels next to the shirt, a higher class, do not count), shirt
    # (18 x 16) and shoes (4 x 16).
    assert sample.labels["edge"][inside].sum() == (28 - 6) + 64 + 36
    assert sample.attributes == {"complexity": 3.0, "person_share": (64 + 288 + 64) / (48 * 32)}


def test_a_mask_that_nobody_drew_labels_nothing(made: Path) -> None:
    dataset, name = first_of(made)
    savemat(made / f"annotations/pixel-level/{name}.mat", {"groundtruth": np.zeros((48, 32), np.uint8)})
    assert dataset.sample("train", 0).labels == {}


def test_limits_take_the_first_samples_of_the_same_order(made: Path) -> None:
    whole, small = Clothing(root=str(made)), Clothing(root=str(made), train=3, test=99)
    assert [whole.length(split) for split in whole.splits] == [14, 2, 4]
    assert [small.length(split) for split in small.splits] == [3, 2, 4]
    assert all(small.sample("train", i).id == whole.sample("train", i).id for i in range(3))


# Missing and corrupt data


def test_no_place_at_all_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    with pytest.raises(DataError, match=r"MTLBENCH_DATA is not set.*photos/NNNN.jpg.*Set MTLBENCH_DATA"):
        Clothing().fingerprint()


def test_an_empty_place_says_where_it_looked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"photos.*Set MTLBENCH_DATA") as error:
        Clothing().length("train")
    assert error.value.where == str(tmp_path / "clothing-co-parsing")


def test_no_masks_at_all_is_an_error(made: Path) -> None:
    for mask in (made / "annotations/pixel-level").iterdir():
        mask.unlink()
    with pytest.raises(DataError, match="holds no masks"):
        Clothing(root=str(made)).length("train")


def test_other_labels_than_the_tables_are_refused(made: Path) -> None:
    names = np.empty((1, 59), object)
    names[0] = [f"label {i}" for i in range(59)]
    savemat(made / "label_list.mat", {"label_list": names})
    with pytest.raises(DataError, match="labels are not those") as error:
        Clothing(root=str(made)).length("train")
    assert error.value.where == str(made / "label_list.mat")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


PHOTO_FAULTS = {
    "truncated": truncate,
    "empty": lambda file: file.write_bytes(b""),
    "no picture": lambda file: file.write_text("not a picture"),
    "missing": Path.unlink,
}

MASK_FAULTS = {
    "truncated": truncate,
    "empty": lambda file: file.write_bytes(b""),
    "no MATLAB file": lambda file: file.write_text("not a MATLAB file " * 20),
    "other key": lambda file: savemat(file, {"truth": np.zeros((48, 32), np.uint8)}),
    "other shape": lambda file: savemat(file, {"groundtruth": np.zeros((32, 48), np.uint8)}),
    "three axes": lambda file: savemat(file, {"groundtruth": np.zeros((48, 32, 3), np.uint8)}),
    "unknown label": lambda file: savemat(file, {"groundtruth": np.full((48, 32), 59, np.uint8)}),
    "fractions": lambda file: savemat(file, {"groundtruth": np.full((48, 32), 0.5)}),
    "no pixels": lambda file: savemat(file, {"groundtruth": np.zeros((0, 0), np.uint8)}),
}


@pytest.mark.parametrize("fault", PHOTO_FAULTS)
def test_a_corrupt_photo_is_named(made: Path, fault: str) -> None:
    dataset, name = first_of(made)
    file = made / f"photos/{name}.jpg"
    PHOTO_FAULTS[fault](file)
    with pytest.raises(DataError) as error:
        dataset.sample("train", 0)
    assert error.value.where == str(file)


@pytest.mark.parametrize("fault", MASK_FAULTS)
def test_a_corrupt_mask_is_named(made: Path, fault: str) -> None:
    dataset, name = first_of(made)
    file = made / f"annotations/pixel-level/{name}.mat"
    MASK_FAULTS[fault](file)
    with pytest.raises(DataError) as error:
        dataset.sample("train", 0)
    assert error.value.where == str(file)


def test_the_fingerprint_names_a_missing_photo(made: Path) -> None:
    (made / "photos/0007.jpg").unlink()
    with pytest.raises(DataError) as error:
        Clothing(root=str(made)).fingerprint()
    assert error.value.where == str(made / "photos/0007.jpg")


# The real data


@pytest.fixture(scope="module")
def real() -> Clothing:
    return Clothing(root=str(REAL))


@pytest.fixture(scope="module")
def is_labelled() -> dict[str, dict[str, bool]]:
    """For every real sample, by split and id, whether it carries labels."""
    dataset = Clothing(root=str(REAL), size=(8, 8))
    samples = {
        split: [dataset.sample(split, i) for i in range(dataset.length(split))] for split in dataset.splits
    }
    return {split: {sample.id: bool(sample.labels) for sample in found} for split, found in samples.items()}


@needs_data
def test_real_splits_are_fixed(is_labelled: dict[str, dict[str, bool]]) -> None:
    assert {split: len(ids) for split, ids in is_labelled.items()} == {"train": 704, "val": 100, "test": 200}
    assert {name for ids in is_labelled.values() for name in ids} == {f"{i:04d}" for i in range(1, 1005)}
    assert list(is_labelled["train"])[:3] == ["0749", "0945", "0379"]


@needs_data
def test_the_photo_without_a_mask_is_the_only_one(is_labelled: dict[str, dict[str, bool]]) -> None:
    assert [name for ids in is_labelled.values() for name, has in ids.items() if not has] == ["0536"]


@needs_data
def test_near_duplicates_lie_in_one_split(is_labelled: dict[str, dict[str, bool]]) -> None:
    for pair in NEAR_DUPLICATES:
        assert sum(bool(set(pair) & set(ids)) for ids in is_labelled.values()) == 1


@needs_data
def test_near_duplicates_look_alike() -> None:
    def thumbnail(name: str) -> np.ndarray:
        with Image.open(REAL / f"photos/{name}.jpg") as photo:
            return np.asarray(photo.convert("L").resize((16, 24), Image.Resampling.BOX), float).ravel()

    twins = [np.corrcoef(thumbnail(a), thumbnail(b))[0, 1] for a, b in NEAR_DUPLICATES]
    others = [
        np.corrcoef(thumbnail(a), thumbnail(b))[0, 1] for a, _ in NEAR_DUPLICATES for _, b in NEAR_DUPLICATES
    ]
    assert min(twins) > 0.84
    assert sum(value > 0.8 for value in others) == len(NEAR_DUPLICATES)


@needs_data
def test_real_samples_keep_the_contract(real: Clothing) -> None:
    layouts = {name: tasks.registry.get(name)(**options) for name, options in real.tasks({}).items()}
    for index in range(10):
        sample = real.sample("test", index)
        assert sample.image.shape == (192, 128, 3)
        assert sample.image.dtype == np.uint8
        assert list(sample.labels) == list(layouts)
        for name, task in layouts.items():
            label = sample.labels[name]
            assert label.shape == task.empty_label(192, 128).shape
            assert label.dtype == np.uint8
            assert label[label != 255].max() < max(task.channels, 2)
            assert (label == 255).mean() < 0.1


@needs_data
def test_every_class_is_frequent_enough_in_every_split(real: Clothing) -> None:
    for split in ("val", "test"):
        samples = [real.sample(split, index) for index in range(real.length(split))]
        for task, classes in (("human_parts", PARTS), ("semseg", GARMENTS)):
            labels = np.stack([sample.labels[task] for sample in samples])
            pixels = np.bincount(labels.ravel(), minlength=256)[: len(classes)] / labels.size
            images = [(labels == value).any(axis=(1, 2)).sum() for value in range(len(classes))]
            assert pixels.min() > 0.003, task
            assert min(images) >= 10, task


@needs_data
def test_the_fingerprint_of_the_real_data_is_known(real: Clothing) -> None:
    # Of the copy that shared/data/README.md describes: another value means other files or a version to raise.
    assert real.fingerprint() == "9fd44f082fc38cd7"
