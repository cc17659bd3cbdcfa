from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mtlbench import component, tasks
from mtlbench.data.base import Dataset, Sample
from mtlbench.data.batches import (
    Augmentation,
    LoadedSplit,
    epoch_batches,
    eval_batches,
    load_split,
    normalise,
)
from mtlbench.errors import DataError, UnknownNameError, UsageError
from mtlbench.tasks.base import Task

H, W, N = 24, 20, 11
OFFERED: dict[str, dict[str, Any]] = {
    "semseg": {"classes": [str(i) for i in range(7)]},
    "depth": {},
    "normals": {},
}
STILL = Augmentation(flip=0)


def picture(index: int) -> np.ndarray:
    """An image whose pixels say where they were: red is 10 x, green 10 y, blue the sample."""
    y, x = np.mgrid[:H, :W]
    return np.stack([10 * x, 10 * y, np.full((H, W), index)], axis=-1).astype(np.uint8)


def true_labels(image: np.ndarray) -> dict[str, np.ndarray]:
    """The labels that belong to the pixels of a (changed) picture, before any mirroring of vectors."""
    x, y = image[..., 0] // 10, image[..., 1] // 10
    angle = (x + 2 * y).astype(np.float32)
    normals = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=-1)
    return {
        "semseg": ((x + 3 * y) % 7).astype(np.uint8),
        "depth": (1 + x + 100.0 * y).astype(np.float32),
        "normals": normals.astype(np.float32),
    }


class Grid(Dataset):
    """Samples whose labels follow from their pixels. Sample 4 has no depth; odd samples have an attribute."""

    name = "grid"

    class Options(component.Options):
        size: tuple[int, int] = (H, W)

    @classmethod
    def tasks(cls, options: dict[str, Any]) -> Mapping[str, dict[str, Any]]:
        return OFFERED

    def length(self, split: str) -> int:
        return {"train": N, "val": 0, "test": 5}[split]

    def sample(self, split: str, index: int) -> Sample:
        labels = true_labels(picture(index))
        if index == 4:
            del labels["depth"]
        return Sample(f"{split}{index}", picture(index), labels, {"odd": float(index)} if index % 2 else {})

    def fingerprint(self) -> str:
        return "grid"


@pytest.fixture(scope="module")
def layouts() -> dict[str, Task]:
    return {name: tasks.registry.get(name)(**options) for name, options in OFFERED.items()}


@pytest.fixture(scope="module")
def train(layouts: dict[str, Task]) -> LoadedSplit:
    return load_split(Grid(), "train", layouts)


# Loading


def test_a_split_is_loaded_as_the_dataset_gives_it(train: LoadedSplit) -> None:
    assert train.ids == tuple(f"train{i}" for i in range(N))
    for i in range(N):
        assert (train.images[i] == picture(i)).all()
        for name, label in true_labels(picture(i)).items():
            assert train.labels[name].dtype == label.dtype
            if (i, name) != (4, "depth"):
                assert (train.labels[name][i] == label).all()


def test_a_missing_label_is_the_tasks_empty_one(train: LoadedSplit, layouts: dict[str, Task]) -> None:
    assert (train.labels["depth"][4] == layouts["depth"].empty_label(H, W)).all()


def test_a_missing_attribute_is_nan(train: LoadedSplit) -> None:
    assert train.attributes["odd"][1::2] == pytest.approx(range(1, N, 2))
    assert np.isnan(train.attributes["odd"][::2]).all()


def test_a_limit_takes_the_first_samples(layouts: dict[str, Task]) -> None:
    assert load_split(Grid(), "train", layouts, limit=3).ids == ("train0", "train1", "train2")
    assert len(load_split(Grid(), "train", layouts, limit=99)) == N


def test_only_the_tasks_that_are_asked_for_are_held(layouts: dict[str, Task]) -> None:
    split = load_split(Grid(), "test", {"depth": layouts["depth"]})
    assert list(split.labels) == ["depth"]
    assert split.nbytes == 5 * H * W * (3 + 4)


def test_an_empty_split_stays_usable(layouts: dict[str, Task]) -> None:
    split = load_split(Grid(), "val", layouts)
    assert len(split) == 0
    assert split.images.shape == (0, H, W, 3)
    assert list(eval_batches(split, 4)) == []


def test_an_unknown_split_or_task_is_refused(layouts: dict[str, Task]) -> None:
    with pytest.raises(UnknownNameError, match=r"split of dataset 'grid': 'tests'.*Did you mean 'test'"):
        load_split(Grid(), "tests", layouts)
    with pytest.raises(UnknownNameError, match="task of dataset 'grid': 'edge'"):
        load_split(Grid(), "test", {"edge": tasks.registry.get("edge")()})


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("image", np.zeros((H, W + 1, 3), np.uint8)),
        ("image", np.zeros((H, W, 3), np.float32)),
        ("semseg", np.zeros((H - 1, W), np.uint8)),
        ("semseg", np.zeros((H, W), np.int64)),
    ],
)
def test_a_sample_that_breaks_the_layout_is_named(
    layouts: dict[str, Task], what: str, value: np.ndarray
) -> None:
    class Broken(Grid):
        def sample(self, split: str, index: int) -> Sample:
            sample = super().sample(split, index)
            if index != 2:
                return sample
            if what == "image":
                return Sample(sample.id, value, sample.labels)
            return Sample(sample.id, sample.image, {**sample.labels, what: value})

    with pytest.raises(DataError, match=f"{what} is") as error:
        load_split(Broken(), "train", layouts)
    assert error.value.where == "sample train2"


# Normalising


def test_normalising_equals_the_formula() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    x = normalise(images, mean, std)
    expected = ((images / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert x.dtype == torch.float32
    assert x.is_contiguous()
    assert x.numpy() == pytest.approx(expected, abs=1e-5)


def test_normalising_leaves_the_images_alone() -> None:
    images = np.full((1, 2, 2, 3), 7, np.uint8)
    normalise(images, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert (images == 7).all()


# Batches


def test_evaluation_sees_every_sample_once_in_order(train: LoadedSplit) -> None:
    batches = list(eval_batches(train, 4))
    assert [len(images) for images, _ in batches] == [4, 4, 3]
    assert (np.concatenate([images for images, _ in batches]) == train.images).all()
    for name, label in train.labels.items():
        assert (np.concatenate([labels[name] for _, labels in batches]) == label).all()


def test_training_drops_the_remainder_and_repeats_no_sample(
    train: LoadedSplit, layouts: dict[str, Task]
) -> None:
    batches = list(epoch_batches(train, 4, layouts, 0, 1, Augmentation()))
    assert [batch.images.shape for batch in batches] == [(4, H, W, 3)] * 2
    assert len({int(i) for batch in batches for i in batch.indices}) == 8


def test_labels_are_tensors_in_the_stored_layout(train: LoadedSplit, layouts: dict[str, Task]) -> None:
    batch = next(epoch_batches(train, 4, layouts, 0, 1, Augmentation(shift=0.3, jitter=0.3)))
    assert {name: (label.dtype, tuple(label.shape)) for name, label in batch.labels.items()} == {
        "semseg": (torch.uint8, (4, H, W)),
        "depth": (torch.float32, (4, H, W)),
        "normals": (torch.float32, (4, H, W, 3)),
    }


def epoch(
    split: LoadedSplit, layouts: dict[str, Task], seed: int, number: int, augment: Augmentation
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices, images and semseg labels of a whole epoch."""
    batches = list(epoch_batches(split, 4, layouts, seed, number, augment))
    return (
        np.concatenate([batch.indices for batch in batches]),
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.labels["semseg"].numpy() for batch in batches]),
    )


def test_an_epoch_is_fixed_by_seed_and_number(train: LoadedSplit, layouts: dict[str, Task]) -> None:
    augment = Augmentation(shift=0.3, jitter=0.3)
    first = epoch(train, layouts, 3, 1, augment)
    np.random.default_rng(0).random()
    torch.manual_seed(99)
    again = epoch(train, layouts, 3, 1, augment)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    for seed, number in ((3, 2), (4, 1)):
        assert (epoch(train, layouts, seed, number, augment)[0] != first[0]).any()


def test_the_order_does_not_depend_on_the_augmentation(train: LoadedSplit, layouts: dict[str, Task]) -> None:
    plain = epoch(train, layouts, 0, 1, STILL)[0]
    assert (epoch(train, layouts, 0, 1, Augmentation(flip=1, shift=0.5, jitter=0.5))[0] == plain).all()


def test_the_split_in_memory_never_changes(layouts: dict[str, Task]) -> None:
    split, untouched = (load_split(Grid(), "train", layouts) for _ in range(2))
    list(epoch_batches(split, 4, layouts, 0, 1, Augmentation(flip=1, shift=0.5, jitter=0.5)))
    assert (split.images == untouched.images).all()
    assert all((split.labels[name] == label).all() for name, label in untouched.labels.items())


def test_a_batch_larger_than_the_split_is_refused_at_once(
    train: LoadedSplit, layouts: dict[str, Task]
) -> None:
    with pytest.raises(UsageError, match="batch of 12 images is larger than the training split of 11"):
        epoch_batches(train, N + 1, layouts, 0, 1, STILL)


# Augmentation


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.5, 1.0]))
def test_labels_still_belong_to_the_pixels_of_the_changed_image(seed: int, shift: float, flip: float) -> None:
    layouts = {name: tasks.registry.get(name)(**options) for name, options in OFFERED.items()}
    split = load_split(Grid(), "train", layouts, limit=4)
    batch = next(epoch_batches(split, 4, layouts, seed, 1, Augmentation(flip=flip, shift=shift)))
    for i in range(4):
        expected = true_labels(batch.images[i])
        mirrored = int(batch.images[i, 0, 0, 0]) > int(batch.images[i, 0, -1, 0])
        expected["normals"][..., 0] *= -1 if mirrored else 1
        kept = batch.labels["semseg"][i].numpy() != 255
        for name, task in layouts.items():
            label = batch.labels[name][i].numpy()
            assert label[kept] == pytest.approx(expected[name][kept])
            assert (label[~kept] == task.empty_label(H, W)[~kept]).all()
        if flip in (0.0, 1.0):
            assert mirrored == bool(flip)


def test_exactly_what_moves_in_is_ignored(train: LoadedSplit, layouts: dict[str, Task]) -> None:
    reached = set()
    for number in range(60):
        for image, label in zip(
            *epoch(train, layouts, 0, number, Augmentation(flip=0, shift=0.1))[1:], strict=True
        ):
            # Red is 10 x and green 10 y of where the pixel in the middle came from.
            right = W // 2 - int(image[H // 2, W // 2, 0]) // 10
            down = H // 2 - int(image[H // 2, W // 2, 1]) // 10
            reached.add((down, right))
            ignored = np.ones((H, W), bool)
            ignored[max(down, 0) : H + min(down, 0), max(right, 0) : W + min(right, 0)] = False
            assert ((label == 255) == ignored).all()
    assert reached == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_half_of_the_samples_are_mirrored(train: LoadedSplit, layouts: dict[str, Task]) -> None:
    images = np.concatenate(
        [epoch(train, layouts, 0, number, Augmentation(flip=0.5))[1] for number in range(100)]
    )
    mirrored = (images[:, 0, 0, 0] > images[:, 0, -1, 0]).mean()
    assert mirrored == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / len(images)))


def test_jitter_scales_brightness_and_contrast_within_its_limits(
    train: LoadedSplit, layouts: dict[str, Task]
) -> None:
    """Each jittered image is `mean + c (v - mean)` of `b v`: fit both factors back, away from saturation."""
    found = []
    for number in range(40):
        indices, images, labels = epoch(train, layouts, 0, number, Augmentation(flip=0, jitter=0.2))
        assert (labels == train.labels["semseg"][indices]).all()
        for index, image in zip(indices, images, strict=True):
            before = train.images[index].astype(float)
            unclipped = (image > 0) & (image < 255)
            slope, offset = np.polyfit(before[unclipped], image[unclipped], 1)
            # slope = b c and offset = b mean (1 - c).
            brightness = slope + offset / before.mean()
            found.append((brightness, slope / brightness))
    factors = np.array(found)
    assert np.abs(factors - 1).max() < 0.21
    assert (factors.min(axis=0) < 0.85).all()
    assert (factors.max(axis=0) > 1.15).all()
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.2


@pytest.mark.parametrize("setting", [{"flip": 1.1}, {"shift": 0.6}, {"jitter": 1.0}, {"zoom": 2}])
def test_augmentation_refuses_what_it_cannot_do(setting: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Augmentation(**setting)
