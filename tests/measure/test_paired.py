"""Calls against each other: exact on a fake clock, also while the machine drifts."""

from __future__ import annotations

import pytest

from mtlbench.errors import UsageError
from mtlbench.measure.paired import compare_calls
from mtlbench.testing.fakes import FakeClock


def test_ratios_are_paired_by_block():
    clock = FakeClock()
    calls = {"one": clock.advance_ms, "two": lambda ms: clock.advance_ms(1.25 * ms)}
    times = compare_calls(calls, [4.0, 8.0], clock, blocks=6)
    assert times.latency_ms("one") == pytest.approx(6.0)
    ratio = times.ratio("two", "one")
    assert ratio.value == pytest.approx(1.25)
    assert ratio.interval.low == pytest.approx(1.25)
    assert times.ratio("one", "one").value == 1.0


def test_a_machine_that_slows_down_moves_no_ratio_much():
    clock = FakeClock()
    slower = iter(range(10_000))

    def call(share):
        # Each call takes 0.01 % longer than the last one, so the end is far slower than the beginning.
        return lambda ms: clock.advance_ms(ms * share * (1 + 1e-4 * next(slower)))

    times = compare_calls({"a": call(1.0), "b": call(1.03)}, [10.0], clock, blocks=20)
    ratio = times.ratio("b", "a")
    assert times.block_ms["a"][-1] > 1.015 * times.block_ms["a"][0]
    assert ratio.interval.low <= 1.03 <= ratio.interval.high
    assert ratio.interval.high - ratio.interval.low < 0.01


def test_every_call_is_warm_and_blocks_are_shuffled():
    clock, seen = FakeClock(), []
    calls = {name: lambda ms, name=name: (seen.append(name), clock.advance_ms(ms)) for name in "abc"}
    compare_calls(calls, [1.0], clock, blocks=4, rounds=1)
    last = ["".join(seen[len(seen) - 12 :][i : i + 3]) for i in range(0, 12, 3)]
    assert all(sorted(block) == ["a", "b", "c"] for block in last)
    assert len(set(last)) > 1


def test_few_blocks_have_no_interval():
    clock = FakeClock()
    times = compare_calls({"a": clock.advance_ms, "b": clock.advance_ms}, [1.0], clock, blocks=3)
    assert times.ratio("a", "b").interval is None


def test_nothing_to_compare_is_refused():
    with pytest.raises(UsageError, match="compare nothing"):
        compare_calls({"a": print}, [1.0], FakeClock())
