from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mtlbench.errors import UsageError
from mtlbench.measure.warmup import is_steady, warm_up
from mtlbench.testing.fakes import FakeClock

INPUTS = np.array([1.0, 4.0, 9.0])  # ms; three paths of an adaptive network


def trace(factors: Iterable[float], noise: float = 0.0, seed: int = 0) -> NDArray[np.int64]:
    """Rounds of the three inputs in ns, each slowed by its factor; noise only adds, as a scheduler's does."""
    factors = np.asarray(list(factors))
    extra = 1 + noise * np.random.default_rng(seed).exponential(size=(len(factors), len(INPUTS)))
    return np.rint(1e6 * INPUTS * factors[:, None] * extra).astype(np.int64)


def test_a_stationary_trace_is_steady() -> None:
    assert is_steady(trace([30, 1, 1, 1, 1]))
    for seed in range(50):
        assert is_steady(trace([30] + [1] * 30, noise=0.05, seed=seed))


@given(st.floats(0.03, 0.5), st.sampled_from([1, -1]), st.integers(8, 40))
@settings(deadline=None)
def test_a_drift_of_three_percent_a_round_is_not_steady(rate: float, sign: int, rounds: int) -> None:
    assert not is_steady(trace((1 + rate) ** (sign * np.arange(rounds))))


def test_a_slow_drift_is_seen_in_a_long_enough_trace() -> None:
    assert not is_steady(trace(1.005 ** np.arange(60)))


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 3.0])
def test_a_step_is_not_steady_until_it_lies_behind(factor: float) -> None:
    before, after = [1.0] * 10, [factor] * 40
    verdicts = [is_steady(trace(before + after[:n])) for n in range(1, 41)]
    assert not all(verdicts[:6])
    assert verdicts[-1]
    last_refusal = max(n for n, steady in enumerate(verdicts) if not steady)
    assert all(verdicts[last_refusal + 1 :])
    assert last_refusal < 20


def test_single_disturbed_calls_do_not_matter() -> None:
    disturbed = trace([1] * 13)
    disturbed[3, 0] *= 40
    disturbed[9, 2] *= 40
    assert is_steady(disturbed)


def test_a_slowdown_of_one_path_is_seen_though_the_others_are_faster() -> None:
    times = trace([1] * 9)
    times[-3:, 2] *= 2
    assert times.min() == trace([1] * 9).min()
    assert not is_steady(times)


def test_the_cold_round_is_no_evidence_and_four_more_are_needed() -> None:
    assert [is_steady(trace([1] * n)) for n in range(1, 7)] == [False] * 4 + [True] * 2


class Cooling:
    """A call whose time falls from round to round until it reaches its floor."""

    def __init__(self, clock: FakeClock, factors: list[float]) -> None:
        self.clock = clock
        self.factors = factors
        self.calls: Counter[float] = Counter()

    def __call__(self, milliseconds: float) -> None:
        nth = self.calls[milliseconds]
        self.calls[milliseconds] += 1
        self.clock.advance_ms(milliseconds * self.factors[min(nth, len(self.factors) - 1)])


def test_warm_up_ends_when_the_cooling_has_ended() -> None:
    clock = FakeClock()
    call = Cooling(clock, [50, 8, 6, 4.5, 3.4, 2.5, 1.9, 1.4, 1.2, 1.0])
    report = warm_up(call, list(INPUTS), clock, max_seconds=100)
    assert report.steady
    assert report.warnings == ()
    assert report.first_call_ms == 50 * INPUTS[0]
    assert report.seconds == clock.seconds
    assert set(call.calls) == set(INPUTS)
    assert len(set(call.calls.values())) == 1
    assert report.n_calls == sum(call.calls.values())
    assert 10 <= call.calls[1.0] < 25


def test_an_endless_drift_ends_at_the_time_limit_with_a_warning() -> None:
    clock = FakeClock()
    report = warm_up(Cooling(clock, list(1.1 ** np.arange(500))), list(INPUTS), clock, max_seconds=1.0)
    assert not report.steady
    assert report.warnings == ("not_steady",)
    assert 1.0 <= report.seconds < 1.0 * 1.25


@pytest.mark.parametrize(("min_rounds", "rounds"), [(0, 1), (1, 1), (2, 2), (7, 7)])
def test_the_first_rounds_run_whatever_the_limit_says(min_rounds: int, rounds: int) -> None:
    clock = FakeClock()
    report = warm_up(Cooling(clock, [1.0]), list(INPUTS), clock, max_seconds=0, min_rounds=min_rounds)
    assert report.n_calls == rounds * len(INPUTS)


def test_no_inputs_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no inputs"):
        warm_up(print, [], FakeClock(), max_seconds=1)
