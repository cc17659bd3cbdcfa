"""The order of launches, and locks between processes."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.execute.schedule import RepeatBudget, block_order
from mtlbench.locks import file_lock, try_lock

MEMBERS = ["a", "b", "c"]


@given(block=st.integers(0, 50), order=st.sampled_from(["shuffled", "abba"]), group=st.text(max_size=5))
def test_a_block_launches_every_member_once(block, order, group):
    assert sorted(block_order(MEMBERS, block, order, group)) == MEMBERS
    assert block_order(MEMBERS, block, order, group) == block_order(MEMBERS, block, order, group)


def test_abba_runs_every_second_block_backwards():
    orders = [block_order(MEMBERS, block, "abba", "g") for block in range(4)]
    assert orders == [MEMBERS, MEMBERS[::-1], MEMBERS, MEMBERS[::-1]]


def test_shuffled_blocks_put_every_member_everywhere():
    firsts = Counter(block_order(MEMBERS, block, "shuffled", "g")[0] for block in range(300))
    assert set(firsts) == set(MEMBERS)
    assert min(firsts.values()) > 60


def test_a_disturbed_launch_is_repeated_at_most_so_often():
    budget = RepeatBudget(2)
    assert [budget.wants_another("a", disturbed=True) for _ in range(3)] == [True, True, False]
    assert not budget.wants_another("b", disturbed=False)
    assert budget.wants_another("c", disturbed=True)
    assert not budget.wants_another("c", disturbed=False)


def test_nothing_is_repeated_on_a_machine_that_is_never_quiet():
    budget = RepeatBudget(2)
    repeats = sum(budget.wants_another(i // 3, disturbed=True) for i in range(30))
    assert budget.gave_up
    assert repeats < 8
    calm = RepeatBudget(2)
    for i in range(40):
        calm.wants_another(i, disturbed=i % 4 == 0)
    assert not calm.gave_up


def test_repeats_can_be_switched_off():
    budget = RepeatBudget(0)
    assert not any(budget.wants_another(i, disturbed=True) for i in range(20))
    assert not budget.gave_up


def _hold(path, shared, held, release):
    with file_lock(path, shared=shared):
        held.set()
        release.wait(30)


def _holder(path, shared=False):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(path, shared, held, release))
    process.start()
    assert held.wait(30)
    return process, release


def test_an_exclusive_lock_waits_and_says_for_whom(tmp_path):
    path = tmp_path / "lock"
    process, release = _holder(path)
    said = []

    def on_wait(holder):
        said.append(holder)
        release.set()

    with file_lock(path, on_wait=on_wait):
        assert said == [f"pid {process.pid}"]
    process.join(30)


def test_shared_holders_share_and_keep_an_exclusive_one_out(tmp_path):
    path = tmp_path / "lock"
    process, release = _holder(path, shared=True)
    started = time.monotonic()
    with file_lock(path, shared=True):
        assert time.monotonic() - started < 5
    with try_lock(path) as holder:
        assert holder is not None
    release.set()
    process.join(30)
    with try_lock(path) as holder:
        assert holder is None


def test_a_dead_holder_holds_nothing(tmp_path):
    path = tmp_path / "lock"
    process, _ = _holder(path)
    process.kill()
    process.join(30)
    with try_lock(path) as holder:
        assert holder is None


def test_what_check_raises_ends_a_wait(tmp_path):
    path = tmp_path / "lock"
    process, release = _holder(path)

    def stop():
        raise InterruptedError

    with pytest.raises(InterruptedError), file_lock(path, check=stop):
        raise AssertionError("the lock was not free")
    with try_lock(path) as holder:
        assert holder == f"pid {process.pid}"
    release.set()
    process.join(30)
