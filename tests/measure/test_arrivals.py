"""Open loops against the closed form of a queue with one server, on a clock that the test moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.errors import UsageError
from mtlbench.measure.arrivals import fixed_rate, poisson, serve
from mtlbench.testing.fakes import FakeClock

# Each look at the fake clock takes this long; looks add up to under the tolerance of 0.7 ms.
TICK_NS = 5_000


def served(arrival_ns, service_ms, inputs=(0,)):
    clock = FakeClock(overhead_ns=TICK_NS)
    times = iter(service_ms)
    return serve(
        lambda _: clock.advance_ms(next(times)), inputs, clock, np.asarray(arrival_ns), sleep=clock.sleep
    )


def lindley(arrival_ms, service_ms):
    """Response times by Lindley's recursion, one number after the other."""
    responses, free = [], 0.0
    for arrival, service in zip(arrival_ms, service_ms, strict=True):
        free = max(arrival, free) + service
        responses.append(free - arrival)
    return responses


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0.1, 30)), min_size=1, max_size=30))
def test_response_times_are_those_of_the_queue(steps):
    gaps, service_ms = zip(*steps, strict=True)
    arrival_ms = np.cumsum(gaps)
    samples = served((arrival_ms * 1e6).astype(np.int64), service_ms)
    assert samples.response_ms == pytest.approx(lindley(arrival_ms, service_ms), abs=0.7)
    assert (samples.start_ns >= samples.arrival_ns).all()
    assert (samples.start_ns[1:] >= samples.finish_ns[:-1]).all()


def test_a_camera_that_is_too_fast_misses_more_and_more():
    samples = served(fixed_rate(100, 20), [15.0] * 20)
    # Every 10 ms comes a frame that takes 15 ms: frame k waits 5 k ms.
    assert samples.response_ms == pytest.approx([15 + 5 * k for k in range(20)], abs=0.7)
    assert samples.missed(10.0) == 1.0
    assert samples.missed(42.0) == pytest.approx(14 / 20)
    assert samples.busy_share == pytest.approx(1.0, abs=0.01)


def test_a_camera_that_is_slow_enough_misses_nothing_and_idles():
    samples = served(fixed_rate(50, 10), [5.0] * 10)
    assert samples.missed(20.0) == 0.0
    assert samples.response_ms == pytest.approx([5.0] * 10, abs=0.7)
    assert samples.busy_share == pytest.approx(50 / 185, abs=0.01)


def test_one_slow_frame_delays_those_behind_it():
    samples = served(fixed_rate(100, 5), [1.0, 25.0, 1.0, 1.0, 1.0])
    assert samples.missed(10.0) == pytest.approx(2 / 5)


def test_poisson_arrivals_have_exponential_gaps_and_come_from_the_seed():
    arrivals = poisson(200.0, 20_000, seed=3)
    gaps_ms = np.diff(arrivals) / 1e6
    assert gaps_ms.mean() == pytest.approx(5.0, rel=0.03)
    assert gaps_ms.std() == pytest.approx(5.0, rel=0.05)
    assert np.array_equal(arrivals, poisson(200.0, 20_000, seed=3))
    assert not np.array_equal(arrivals, poisson(200.0, 20_000, seed=4))


def test_percentiles_need_enough_arrivals():
    few, many = served(fixed_rate(100, 50), [1.0] * 50), served(fixed_rate(100, 700), [1.0] * 700)
    assert few.quantile_ms(0.99) is None
    assert many.quantile_ms(0.99) == pytest.approx(1.0, abs=0.7)


def test_clips_take_turns_and_begin_anew():
    clock, seen = FakeClock(overhead_ns=TICK_NS), []
    serve(
        seen.append,
        ["a", "b"],
        clock,
        fixed_rate(10, 5),
        clips=[range(0, 2)],
        before_clip=lambda: seen.append("new"),
        sleep=clock.sleep,
    )
    assert seen == ["new", "a", "b", "new", "a", "b", "new", "a"]


@pytest.mark.parametrize(("rate", "n"), [(0, 5), (-1, 5), (float("nan"), 5), (10, 0)])
def test_arrivals_that_never_come_are_refused(rate, n):
    with pytest.raises(UsageError):
        fixed_rate(rate, n)
    with pytest.raises(UsageError):
        poisson(rate, n, 0)


def test_an_empty_window_is_refused():
    with pytest.raises(UsageError, match="inputs and arrivals"):
        serve(print, [], FakeClock(), fixed_rate(10, 2))
