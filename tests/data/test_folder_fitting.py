"""Scaling against brute force, and properties of each way to fit."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mtlbench.data.folder.fitting import Fitting, scale_highest, scale_mean, scale_nearest, scale_vote

sides = st.tuples(st.integers(1, 30), st.integers(1, 30))
seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=60, deadline=None)


def noise(size: tuple[int, int], seed: int, values: list[int]) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array(values, np.uint8), size)


def cells(label: np.ndarray, size: tuple[int, int]) -> list[list[np.ndarray]]:
    """The source pixels that each target pixel touches, found by comparing every pair of intervals."""

    def touched(source: int, target: int, i: int) -> list[int]:
        return [s for s in range(source) if s * target < (i + 1) * source and (s + 1) * target > i * source]

    rows, columns = ([touched(label.shape[a], size[a], i) for i in range(size[a])] for a in (0, 1))
    return [[label[np.ix_(r, c)] for c in columns] for r in rows]


@some
@given(sides, sides, seeds)
def test_nearest_takes_the_pixel_under_the_centre(
    source: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    label = noise(source, seed, list(range(256)))
    rows, columns = (
        [math.floor(Fraction(2 * i + 1, 2 * target[axis]) * source[axis]) for i in range(target[axis])]
        for axis in (0, 1)
    )
    assert (scale_nearest(label, target) == label[np.ix_(rows, columns)]).all()


@pytest.mark.parametrize("target", [(7, 9), (21, 81), (10, 17)])
def test_nearest_is_pillows_where_no_centre_lies_on_a_border(target: tuple[int, int]) -> None:
    label = noise((21, 27), 0, list(range(256)))
    expected = np.asarray(Image.fromarray(label).resize(target[::-1], Image.Resampling.NEAREST))
    assert (scale_nearest(label, target) == expected).all()


@some
@given(sides, sides, seeds)
def test_votes_are_counted(source: tuple[int, int], target: tuple[int, int], seed: int) -> None:
    label = noise(source, seed, [0, 1, 2, 255])
    voted = scale_vote(label, target)
    for voted_row, row in zip(voted, cells(label, target), strict=True):
        for winner, cell in zip(voted_row, row, strict=True):
            assert winner == np.bincount(cell.ravel()).argmax()


@some
@given(sides, sides, seeds)
def test_the_highest_class_wins_over_ignored(
    source: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    label = noise(source, seed, [0, 0, 0, 1, 255, 255])
    highest = scale_highest(label, target, 255)
    for found_row, row in zip(highest, cells(label, target), strict=True):
        for found, cell in zip(found_row, row, strict=True):
            known = cell[cell != 255]
            assert found == (known.max() if known.size else 255)


@some
@given(sides, sides, seeds)
def test_directions_are_means_of_what_is_known(
    source: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(*source, 3))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors[rng.random(source) < 0.3] = 0
    mean = scale_mean(vectors.astype(np.float32), target)
    assert mean.dtype == np.float32
    for found_row, row in zip(mean, cells(vectors, target), strict=True):
        for found, cell in zip(found_row, row, strict=True):
            total = cell.reshape(-1, 3).sum(axis=0)
            length = np.linalg.norm(total)
            np.testing.assert_allclose(found, total / length if length > 1e-6 else 0 * total, atol=1e-4)


def test_directions_that_cancel_out_are_missing() -> None:
    vectors = np.array([[[1, 0, 0], [-1, 0, 0], [0, 0.6, 0.8], [0, -0.6, -0.8]]], np.float32)
    assert (scale_mean(vectors, (1, 1)) == 0).all()


def test_a_thin_line_stays_whole() -> None:
    line = np.eye(96, dtype=np.uint8)
    line[40:50] = 255
    assert np.diag(scale_highest(line, (24, 24), 255))[:10].tolist() == [1] * 10
    assert np.diag(scale_nearest(line, (24, 24)))[:10].sum() == 10
    off = np.roll(line, 1, axis=1)
    assert np.diag(scale_nearest(off, (24, 24)))[:10].sum() == 0
    assert np.diag(scale_highest(off, (24, 24), 255))[:10].sum() == 10


def marked(source: tuple[int, int]) -> np.ndarray:
    """A label that says of each pixel where it was: row and column."""
    return np.stack(np.indices(source), axis=-1).astype(np.float32)


def fitted(fit: Any, source: tuple[int, int], frame: tuple[int, int]) -> np.ndarray:
    """Where each pixel of the frame comes from; -1 in a margin."""
    return Fitting.of(fit, source, frame).label(
        marked(source), scale_nearest, np.full((*frame, 2), -1, np.float32)
    )


@pytest.mark.parametrize("fit", ["letterbox", "crop", "stretch"])
def test_the_same_size_is_left_alone(fit: Any) -> None:
    assert (fitted(fit, (13, 17), (13, 17)) == marked((13, 17))).all()
    picture = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    assert (Fitting.of(fit, (13, 17), (13, 17)).image(picture) == picture).all()


def test_letterbox_keeps_everything_in_the_middle() -> None:
    placed = fitted("letterbox", (40, 80), (40, 40))
    assert (placed[:10] == -1).all()
    assert (placed[30:] == -1).all()
    assert (placed[10:30] >= 0).all()
    assert placed[10:30, :, 1].min() <= 1
    assert placed[10:30, :, 1].max() >= 78


def test_crop_keeps_the_middle_and_fills_the_frame() -> None:
    placed = fitted("crop", (40, 80), (20, 20))
    assert (placed >= 0).all()
    assert (placed[..., 0].min(), placed[..., 0].max()) == (1, 39)
    assert (placed[..., 1].min(), placed[..., 1].max()) == (21, 59)


def test_stretch_keeps_everything_and_fills_the_frame() -> None:
    placed = fitted("stretch", (40, 80), (20, 20))
    assert (placed[..., 0].min(), placed[..., 0].max()) == (1, 39)
    assert (placed[..., 1].min(), placed[..., 1].max()) == (2, 78)


@some
@given(sides, sides, st.sampled_from(["letterbox", "crop", "stretch"]))
def test_any_size_comes_into_any_frame(source: tuple[int, int], frame: tuple[int, int], fit: Any) -> None:
    fitting = Fitting.of(fit, source, frame)
    assert fitting.image(np.zeros((*source, 3), np.uint8)).shape == (*frame, 3)
    placed = fitted(fit, source, frame)
    assert fit == "letterbox" or (placed >= 0).all()
    assert (placed >= 0).any()


@pytest.mark.parametrize("fit", ["letterbox", "crop", "stretch"])
@pytest.mark.parametrize("source", [(60, 90), (90, 60), (200, 31)])
def test_labels_lie_where_the_image_shows_them(fit: Any, source: tuple[int, int]) -> None:
    """A bright disc in the image and its mask have the same centre after fitting."""
    y, x = np.indices(source)
    disc = np.hypot(y - source[0] * 0.45, x - source[1] * 0.55) < min(source) / 4
    fitting = Fitting.of(fit, source, (48, 40))
    image = fitting.image(np.repeat(disc[..., None] * np.uint8(255), 3, axis=2))[..., 0] / 255.0
    mask = fitting.label(disc.astype(np.uint8), scale_nearest, np.zeros((48, 40), np.uint8)).astype(float)
    rows, columns = np.indices((48, 40))
    for axis in (rows, columns):
        assert abs((axis * image).sum() / image.sum() - (axis * mask).sum() / mask.sum()) < 0.5
