"""The clips of `scenes`, against what each sample says of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.data.scenes import Scenes
from mtlbench.errors import UsageError


@given(count=st.integers(0, 40), length=st.integers(1, 12))
def test_clips_cut_a_split_into_pieces_of_one_length(count: int, length: int) -> None:
    clips = Scenes(size=(16, 16), val=count, clip_length=length).clips("val")
    assert [i for clip in clips for i in clip] == list(range(count))
    assert all(len(clip) == length for clip in clips[:-1])
    assert all(1 <= len(clip) <= length for clip in clips)


@pytest.mark.parametrize(("length", "cut"), [(1, False), (3, False), (4, True)])
def test_samples_agree_with_their_clip(length: int, cut: bool) -> None:
    dataset = Scenes(size=(16, 16), test=7, clip_length=length, cut=cut)
    for number, clip in enumerate(dataset.clips("test")):
        samples = [dataset.sample("test", i) for i in clip]
        assert [sample.attributes["clip"] for sample in samples] == [number] * len(clip)
        assert [sample.attributes["frame"] for sample in samples] == list(range(len(clip)))


def test_a_split_that_is_not_there_has_no_clips() -> None:
    with pytest.raises(UsageError, match="no split 'tests'"):
        Scenes().clips("tests")
