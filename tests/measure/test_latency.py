from __future__ import annotations

import gc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.errors import UsageError
from mtlbench.measure.latency import LatencySamples, time_calls
from mtlbench.testing.fakes import FakeClock


def timed(milliseconds: list[float], rounds: int, seed: int = 0, max_seconds: float = 1e6) -> LatencySamples:
    clock = FakeClock()
    return time_calls(
        clock.advance_ms, milliseconds, clock, rounds=rounds, max_seconds=max_seconds, seed=seed
    )


def test_floors_are_exact_and_per_input() -> None:
    clock = FakeClock()
    noise = iter(np.random.default_rng(0).permutation(np.repeat([0.0, 0.25, 7.0], 10)))

    def call(milliseconds: float) -> None:
        clock.advance_ms(milliseconds + next(noise))

    samples = time_calls(call, [1.0, 50.0, 3.0], clock, rounds=10, max_seconds=100, seed=3)
    by_hand = [
        min(t for t, i in zip(samples.latency_ns, samples.input_index, strict=True) if i == index) / 1e6
        for index in range(3)
    ]
    assert samples.floors_ms().tolist() == by_hand
    assert np.all(samples.floors_ms() - [1.0, 50.0, 3.0] <= 0.25)
    assert samples.mean_floor_ms() == pytest.approx(sum(by_hand) / 3)


def test_the_floor_is_not_the_cheapest_path() -> None:
    assert timed([1.0, 9.0], rounds=5).mean_floor_ms() == 5.0


@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 2**32))
@settings(deadline=None, max_examples=20)
def test_every_round_issues_every_input_once(n_inputs: int, rounds: int, seed: int) -> None:
    samples = timed([float(i + 1) for i in range(n_inputs)], rounds, seed)
    for done in range(rounds):
        issued = samples.input_index[samples.round == done]
        assert sorted(issued.tolist()) == list(range(n_inputs))
        assert samples.order[samples.round == done].tolist() == list(range(n_inputs))
    assert samples.latency_ns.tolist() == [(i + 1) * 1_000_000 for i in samples.input_index.tolist()]
    assert (samples.n_inputs, samples.n_rounds) == (n_inputs, rounds)


def test_types_are_those_of_the_record() -> None:
    samples = timed([1.0, 2.0], rounds=2)
    assert samples.latency_ns.dtype == np.int64
    assert {samples.input_index.dtype, samples.round.dtype, samples.order.dtype} == {np.dtype(np.int32)}


def test_orders_follow_the_seed_and_differ_between_rounds() -> None:
    one, again, other = (timed([1.0] * 8, 20, seed).input_index for seed in (1, 1, 2))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()
    assert len(Counter(map(tuple, one.reshape(20, 8).tolist()))) > 15


@pytest.mark.parametrize(
    ("max_seconds", "rounds", "done", "warnings"),
    [
        (100.0, 8, 8, ()),  # enough time
        (12.0, 8, 6, ()),  # the seventh round would end at 14 s
        (5.0, 8, 5, ()),  # five rounds of 2 s may take twice the limit
        (3.0, 8, 3, ("few_rounds",)),  # the fourth would end at 8 s > 2 * 3 s
        (0.0, 8, 1, ("few_rounds",)),  # the first always runs
        (100.0, 2, 2, ("few_rounds",)),  # no more than asked for
    ],
)
def test_the_loop_stops_between_rounds_by_the_stated_rule(
    max_seconds: float, rounds: int, done: int, warnings: tuple[str, ...]
) -> None:
    samples = timed([500.0, 1500.0], rounds, max_seconds=max_seconds)
    assert samples.n_rounds == done
    assert len(samples.latency_ns) == 2 * done
    assert samples.warnings == warnings


def test_what_runs_before_a_call_is_not_timed() -> None:
    clock = FakeClock()
    seen: list[str] = []

    def reset() -> None:
        seen.append("reset")
        clock.advance_ms(1000)

    def call(milliseconds: float) -> None:
        seen.append("call")
        clock.advance_ms(milliseconds)

    samples = time_calls(call, [2.0], clock, rounds=3, max_seconds=1e6, seed=0, before_clip=reset)
    assert samples.floors_ms().tolist() == [2.0]
    assert seen == ["reset", "call"] * 3


def test_results_are_dropped_outside_the_clock() -> None:
    clock = FakeClock()

    class Costly:
        def __del__(self) -> None:
            clock.advance_ms(1000)

    def call(milliseconds: float) -> Costly:
        clock.advance_ms(milliseconds)
        return Costly()

    samples = time_calls(call, [1.0, 2.0], clock, rounds=4, max_seconds=1e6, seed=0)
    assert samples.floors_ms().tolist() == [1.0, 2.0]
    assert clock.seconds > 8


def test_the_clock_is_read_twice_a_call_and_its_overhead_counted_once() -> None:
    clock = FakeClock(overhead_ns=50)
    samples = time_calls(clock.advance_ms, [1.0, 1.0], clock, rounds=3, max_seconds=1e6, seed=0)
    assert set(samples.latency_ns.tolist()) == {1_000_050}
    assert clock.readings == 2 * 6 + 3  # and once a round


def test_gc_is_off_inside_and_back_after_an_exception() -> None:
    gc.enable()
    states: list[bool] = []

    def call(_: float) -> None:
        states.append(gc.isenabled())
        if len(states) == 3:
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        time_calls(call, [1.0], FakeClock(), rounds=5, max_seconds=1, seed=0)
    assert states == [False] * 3
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40), st.floats(0.01, 1.0))
@settings(deadline=None)
def test_a_quantile_is_the_smallest_sample_that_covers_its_share(times: list[int], q: float) -> None:
    n = len(times)
    zeros = np.zeros(n, dtype=np.int32)
    samples = LatencySamples(np.array(times), zeros, np.arange(n, dtype=np.int32), zeros)
    covering = [t for t in sorted(times) if sum(s <= t for s in times) >= q * n - 1e-9]
    assert samples.quantile_ms(q) == pytest.approx(covering[0] / 1e6)


@pytest.mark.parametrize(("inputs", "rounds"), [([], 5), ([1.0], 0)])
def test_nothing_to_time_is_a_usage_error(inputs: list[float], rounds: int) -> None:
    with pytest.raises(UsageError, match="nothing to time"):
        timed(inputs, rounds)


def test_clips_are_replayed_whole_and_in_order() -> None:
    clock = FakeClock()
    seen: list[object] = []

    def call(frame: int) -> None:
        seen.append(frame)
        clock.advance_ms(1 + frame)

    clips = [range(0, 3), range(3, 4), range(4, 6)]
    samples = time_calls(
        call,
        range(6),
        clock,
        rounds=8,
        max_seconds=1e6,
        seed=1,
        clips=clips,
        before_clip=lambda: seen.append("new"),
    )
    played = "".join("|" if item == "new" else str(item) for item in seen).split("|")[1:]
    assert len(played) == 3 * 8
    assert set(played) == {"012", "3", "45"}
    orders = {tuple(played[i : i + 3]) for i in range(0, len(played), 3)}
    assert all(sorted(order) == ["012", "3", "45"] for order in orders)
    assert len(orders) > 1
    assert samples.floors_ms().tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    "clips",
    [[range(0, 2)], [range(0, 2), range(1, 3)], [range(2, 3), range(0, 2)], [range(0, 3), range(3, 3)]],
)
def test_clips_that_do_not_cover_the_inputs_are_refused(clips: list[range]) -> None:
    with pytest.raises(UsageError, match="do not cover"):
        time_calls(print, [1, 2, 3], FakeClock(), rounds=1, max_seconds=1, seed=0, clips=clips)
