"""Untrained networks are told what to decide; trained ones never are. Clips begin where the dataset says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mtlbench.execute.jobs.cell import OpenCell
from mtlbench.variants.base import Trace


class Forcing:
    """A runnable that notes with which seeds it was asked for decisions."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def forced(self, x, seed):
        self.seeds.append(seed)
        return Trace(len(x), decisions=seed)


def opened(*, trained: bool, batch: int = 1, clips=()) -> OpenCell:
    cell = object.__new__(OpenCell)
    cell.trained, cell.batch = trained, batch
    cell.dataset = SimpleNamespace(clips=lambda split: list(clips))
    return cell


def test_only_untrained_networks_are_told_what_to_decide():
    runnable, x = Forcing(), torch.zeros(2, 3, 8, 8)
    told = [opened(trained=False).decisions(runnable, x, index) for index in range(3)]
    assert [trace.decisions for trace in told] == runnable.seeds == [0, 1, 2]
    assert opened(trained=True).decisions(Forcing(), x, 0) is None


@pytest.mark.parametrize(
    ("batch", "starts"),
    [(1, [True, False, False, True, True, False]), (2, [True, True, True]), (3, [True, True])],
)
def test_a_batch_begins_a_clip_where_one_of_its_frames_does(batch, starts):
    cell = opened(trained=True, batch=batch, clips=[range(0, 3), range(3, 4), range(4, 6)])
    assert [cell.starts_clip(index) for index in range(len(starts))] == starts


def test_the_clips_of_the_fixed_inputs_cover_them():
    cell = opened(trained=True, clips=[range(0, 3), range(3, 4), range(4, 6)])
    assert cell._clips(5) == [range(0, 3), range(3, 4), range(4, 5)]
