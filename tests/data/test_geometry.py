from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtlbench.data.geometry import Placement, part_boundaries

sides = st.integers(1, 300)
part_maps = arrays(np.uint8, (6, 7), elements=st.integers(0, 3))


@given(st.tuples(sides, sides), st.tuples(st.integers(8, 300), st.integers(8, 300)))
def test_a_picture_fills_the_frame_along_one_side_and_stays_inside(
    source: tuple[int, int], frame: tuple[int, int]
) -> None:
    placement = Placement.fit(source, frame)
    assert all(1 <= scaled <= side for scaled, side in zip(placement.scaled, frame, strict=True))
    assert any(scaled == side for scaled, side in zip(placement.scaled, frame, strict=True))
    assert placement.image(np.zeros((*source, 3), np.uint8)).shape == (*frame, 3)


def test_the_aspect_is_kept_and_the_picture_is_centred() -> None:
    placement = Placement.fit((384, 240), (192, 128))
    assert placement.scaled == (192, 120)
    assert placement.corner == (0, 4)
    assert Placement.fit((100, 200), (64, 64)) == Placement((64, 64), (32, 64), (16, 0))


def test_the_margin_repeats_the_border_and_its_labels_are_filled() -> None:
    placement = Placement.fit((20, 10), (20, 16))
    image = np.random.default_rng(0).integers(0, 256, (20, 10, 3), dtype=np.uint8)
    framed = placement.image(image)
    assert (framed[:, 3:13] == image).all()
    assert (framed[:, :3] == image[:, :1]).all()
    assert (framed[:, 13:] == image[:, -1:]).all()
    labels = placement.pad_labels(image[..., 0] // 64, 255)
    assert (labels[:, 3:13] == image[..., 0] // 64).all()
    assert (np.delete(labels, np.s_[3:13], axis=1) == 255).all()


def test_pictures_are_antialiased_and_labels_are_not_mixed() -> None:
    placement = Placement.fit((64, 64), (16, 16))
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    assert placement.image(np.dstack([stripes] * 3))[4:-4, 4:-4] == pytest.approx(100, abs=1)
    assert set(np.unique(placement.scale_labels(stripes))) <= {0, 200}


def test_picture_and_labels_are_aligned() -> None:
    step = np.zeros((96, 96), np.uint8)
    step[32:, 48:] = 255
    placement = Placement.fit((96, 96), (32, 32))
    assert (
        (placement.image(np.dstack([step] * 3))[..., 0] > 127) == (placement.scale_labels(step) > 0)
    ).all()


def brute_force_boundaries(parts: np.ndarray) -> np.ndarray:
    height, width = parts.shape
    edge = np.zeros_like(parts)
    for y in range(height):
        for x in range(width):
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < height and 0 <= u < width and parts[v, u] < parts[y, x]:
                    edge[y, x] = 1
    return edge


@given(part_maps)
def test_boundaries_equal_brute_force(parts: np.ndarray) -> None:
    assert (part_boundaries(parts) == brute_force_boundaries(parts)).all()


@given(part_maps)
def test_boundaries_of_the_mirrored_map_are_the_mirrored_boundaries(parts: np.ndarray) -> None:
    assert (part_boundaries(parts[:, ::-1]) == part_boundaries(parts)[:, ::-1]).all()


def test_the_outline_of_an_object_is_one_pixel_wide_and_on_the_object() -> None:
    parts = np.zeros((9, 9), np.uint8)
    parts[2:7, 2:7] = 3
    expected = parts > 0
    expected[3:6, 3:6] = False
    assert (part_boundaries(parts) == expected).all()
