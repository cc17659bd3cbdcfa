"""Key frames, cuts and splits, each against its definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.data.batches import normalise
from mtlbench.data.scenes import Scenes
from mtlbench.variants.sharing.video_keys import best_split, change, picture_of
from mtlbench.variants.sharing.video_variant import VideoOptions

NUMBERS = st.lists(st.floats(-10, 10), max_size=8)


@given(NUMBERS)
def test_the_best_split_is_the_best_of_all(farther):
    sums = [sum(farther[:split]) for split in range(len(farther) + 1)]
    assert sums[best_split(farther)] == pytest.approx(min(sums), abs=1e-9)


def test_change_is_free_of_brightness_and_contrast():
    pictures = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pictures -= pictures.mean(dim=(2, 3), keepdim=True)
    a, b = pictures.split(1)
    whole = max(float(a.norm()), float(b.norm()))
    assert change(a, b) == pytest.approx(float((a - b).norm()) / whole, rel=1e-5)
    assert change(3 * a + 1, 3 * b + 1) == pytest.approx(change(a, b), rel=1e-5)
    assert change(a, a) == 0


def test_pictures_without_contrast():
    flat = torch.zeros(1, 3, 8, 8)
    assert not change(flat, flat) > 0  # nothing over nothing
    assert change(flat, flat + 1) == float("inf")


def test_the_default_finds_the_cuts_of_scenes_and_no_motion():
    scenes = Scenes(size=(32, 32), test=32, clip_length=8, cut=True)
    images = [scenes.sample("test", i).image for i in range(32)]
    pictures = [picture_of(normalise(image[None], (0.5,) * 3, (0.25,) * 3)) for image in images]
    changes = {i: change(pictures[i - 1], pictures[i]) for i in range(1, 32)}
    found = [i for i, share in changes.items() if share > VideoOptions().cut]
    assert found == [i for i in range(1, 32) if i % 4 == 0]
