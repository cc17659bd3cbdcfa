from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.gate_noise import (
    CROWDED,
    QUIET,
    Noise,
    burst_length,
    classify,
    describe,
    fit,
    floors,
    read_trace,
    scattered,
    sides,
    usual_ms,
    windows,
)

CHAIN = np.array([[0.9, 0.08, 0.02], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])


def trace_of(states: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Launches of 50 calls of about 3 ms, none, a third or two thirds of them twice as long."""
    calls = 3 + 0.05 * rng.random((len(states), 50))
    slow = np.array([0, 17, 34])[states]
    calls[np.arange(50) < slow[:, None]] *= 2
    return rng.permuted(calls, axis=1)


def chain(length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    states = [0]
    for _ in range(length - 1):
        states.append(int(rng.choice(3, p=CHAIN[states[-1]])))
    return np.array(states)


def machine(jitter: float = 0.0) -> Noise:
    """Six launches, two of each state; call c of launch l takes 100 * l + c ms."""
    donors = 100.0 * np.arange(6)[:, None] + np.arange(50) + 1
    return Noise(CHAIN, donors, np.array([0, 0, 1, 1, 2, 2]), jitter)


def test_a_trace_is_read_as_ms(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps([1_000_000 * launch, 2_500_000]) + "\n" for launch in (1, 2)))
    np.testing.assert_array_equal(read_trace(path), [[1, 2.5], [2, 2.5]])


def test_a_floor_is_the_fastest_of_an_inputs_five_rounds() -> None:
    calls = np.full((2, 50), 9.0)
    calls[0, [3, 13]] = 4, 5  # both of input 3
    calls[1, 49] = 1  # the last round of input 9
    expected = np.full((2, 10), 9.0)
    expected[0, 3], expected[1, 9] = 4, 1
    np.testing.assert_array_equal(floors(calls), expected)


def test_states_and_transitions_of_a_planted_trace_are_found_again() -> None:
    rng = np.random.default_rng(0)
    states = chain(6000, rng)
    calls = trace_of(states, rng)
    np.testing.assert_array_equal(classify(calls, usual_ms(calls)), states)
    noise = fit(calls)
    counted = np.zeros((3, 3))
    for now, then in pairwise(states.tolist()):
        counted[now, then] += 1
    # Half a transition is added to each of at least 500 from every state.
    np.testing.assert_allclose(noise.transitions, counted / counted.sum(axis=1, keepdims=True), atol=0.002)
    assert 0 < noise.jitter < 0.01


def test_a_trace_without_a_crowded_launch_cannot_be_fitted() -> None:
    calls = trace_of(np.array([0, 1, 0, 1, 0, 0, 0]), np.random.default_rng(0))
    with pytest.raises(ValueError, match="no launch of the trace is crowded"):
        fit(calls)


def test_streams_follow_the_chain_and_go_on_from_the_state_before() -> None:
    noise, rng = machine(), np.random.default_rng(1)
    np.testing.assert_allclose(noise.shares(), np.linalg.matrix_power(CHAIN, 200)[0], atol=1e-9)
    before = np.repeat([0, 1, 2], 20_000)
    states = noise.draw_states(rng, 2, before)
    first = np.array([np.bincount(states[before == state, 0], minlength=3) for state in range(3)]) / 20_000
    np.testing.assert_allclose(first, CHAIN, atol=0.015)
    again = np.array([np.bincount(states[states[:, 0] == s, 1], minlength=3) for s in range(3)])
    np.testing.assert_allclose(again / again.sum(axis=1, keepdims=True), CHAIN, atol=0.02)


def test_busier_changes_how_often_bursts_begin_and_how_long_they_last() -> None:
    twice = machine().busier(frequent=2, long=4).transitions
    np.testing.assert_allclose(twice.sum(axis=1), 1)
    np.testing.assert_allclose(twice[QUIET, 1:], 2 * CHAIN[QUIET, 1:])
    np.testing.assert_allclose(twice[1:, QUIET], CHAIN[1:, QUIET] / 4)
    np.testing.assert_allclose(twice[1, 1] / twice[1, 2], CHAIN[1, 1] / CHAIN[1, 2])
    np.testing.assert_allclose(machine().busier().transitions, CHAIN)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_share_of_launches_can_be_asked_for(share: float) -> None:
    assert 1 - machine().with_share(share).shares()[QUIET] == pytest.approx(share, abs=1e-3)
    assert machine().with_share(share, [CROWDED]).shares()[CROWDED] == pytest.approx(share, abs=1e-3)


def test_calls_come_in_stretches_from_one_launch_of_the_state() -> None:
    states = np.repeat([[0, 1, 2]], 300, axis=0)
    calls = machine().draw_calls(np.random.default_rng(2), states)
    assert calls.shape == (300, 3, 50)
    donor, place = np.divmod(calls - 1, 100)
    assert (donor == donor[:, :, :1]).all()
    assert all(set(donor[:, state].ravel()) == {2 * state, 2 * state + 1} for state in range(3))
    assert (place[:, :, 0] == 0).all()
    assert (place[:, :, 1:] > 0).all()
    follows = (place[:, :, 2:] - place[:, :, 1:-1]) % 49 == 1
    assert follows.mean() == pytest.approx(0.9 + 0.1 / 49, abs=0.01)


def test_jitter_scales_all_calls_of_a_launch_alike() -> None:
    states = np.zeros(4000, dtype=np.int64)
    still, moved = (machine(jitter).draw_calls(np.random.default_rng(3), states) for jitter in (0.0, 0.02))
    factors = np.log(moved / still)
    np.testing.assert_allclose(factors, np.repeat(factors[:, :1], 50, axis=1), atol=1e-12)
    assert factors[:, 0].std() == pytest.approx(0.02, rel=0.05)


def test_in_turns_a_pair_is_two_neighbours_and_the_cells_come_round() -> None:
    cells, pairs = 3, 40
    launches = np.arange(2 * cells * pairs, dtype=float).reshape(1, -1, 1)
    base, head = sides(launches, cells, np.random.default_rng(0))
    assert base.shape == head.shape == (cells, pairs, 1)
    place = np.arange(pairs)[None, :] * cells + np.arange(cells)[:, None]
    np.testing.assert_array_equal(np.minimum(base, head)[:, :, 0], 2 * place)
    np.testing.assert_array_equal(np.abs(base - head), 1)
    assert 0.3 < (base < head).mean() < 0.7


def test_serial_has_all_of_base_before_all_of_head() -> None:
    launches = np.arange(24, dtype=float).reshape(2, 12)  # two streams, two cells, three pairs
    base, head = sides(launches, 2, np.random.default_rng(0), "serial")
    np.testing.assert_array_equal(base, [[0, 1, 2], [3, 4, 5], [12, 13, 14], [15, 16, 17]])
    np.testing.assert_array_equal(head, base + 6)


def test_no_stream_has_no_sides() -> None:
    base, head = sides(np.empty((0, 40, 10)), 1, np.random.default_rng(0))
    assert base.shape == head.shape == (0, 20, 10)


def test_windows_are_all_stretches_and_scattered_pairs_are_neighbours_met_once() -> None:
    trace = np.arange(9, dtype=float)[:, None]
    np.testing.assert_array_equal(windows(trace, 8, 2)[:, :, 0], [range(8)] * 2 + [range(1, 9)] * 2)
    drawn = scattered(trace, 3, 200, np.random.default_rng(0))[:, :, 0]
    assert drawn.shape == (200, 6)
    np.testing.assert_array_equal(drawn[:, 1::2] - drawn[:, ::2], 1)
    assert all(len(set(trial)) == 6 for trial in drawn.tolist())
    assert set(drawn[:, ::2].ravel()) == set(range(8))


def test_bursts_are_runs() -> None:
    assert burst_length(np.array([True, True, False, True, False, False, True])) == pytest.approx(4 / 3)
    assert burst_length(np.zeros(5, dtype=bool)) == 0


def test_in_the_states_of_the_trace_the_fit_looks_like_it(shared: Path) -> None:
    calls = read_trace(shared / "data" / "timing-noise" / "latency_ns.jsonl")[:85]
    noise, rng = fit(calls), np.random.default_rng(0)
    drawn = noise.draw_calls(rng, np.tile(noise.states, 30))
    seen, simulated = (describe(part, usual_ms(calls)) for part in (calls, drawn))
    for name in (name for name in seen if "%" in name and "99" not in name and not name.startswith("mean")):
        assert simulated[name] == pytest.approx(seen[name], rel=0.05), name
    assert 1 - noise.shares()[QUIET] == pytest.approx(seen["launches in bursts, share"], abs=0.1)
