"""Columns that compare cells, against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtlbench.results.columns import ordered_columns
from mtlbench.results.comparisons import compare_cell, delta_m_over_seeds
from mtlbench.results.evidence import Evidence


def _entry(cell_id, **changes):
    return {
        "cell_id": cell_id,
        "reference_id": "dense",
        "baseline_ids": {"single_task": "single"},
        "companions": {"static_mtl": "dense"},
        "mode": "gathered",
        "decision": "token",
        "waivers": [],
        "spec": {"training": {}, "problem": {"tasks": [{"name": "depth", "options": {}}]}},
    } | changes


def _evidence(cell_id, latencies, macs, sessions=None, **changes):
    timings = {
        block: {"latency_ms": latency, "session": (sessions or {}).get(block, "s")}
        for block, latency in enumerate(latencies)
    }
    evaluation = {"macs_full": macs, "macs_executed": macs, "launch_id": "none"}
    return Evidence(_entry(cell_id, **changes), Path("nowhere"), evaluation, timings)


def _compare(own, others, nominal):
    row = {"macs_nominal": nominal, "macs_executed": nominal}
    return compare_cell(own, row, others, 100)


def test_realisation_is_the_share_of_the_promised_saving_that_arrives():
    dense = _evidence("dense", [10.0, 12.0, 11.0, 10.0, 14.0, 10.0], 100)
    own = _evidence("own", [0.7 * t for t in (10.0, 12.0, 11.0, 10.0, 14.0, 10.0)], 100)
    columns = _compare(own, {"dense": dense, "own": own}, nominal=50)
    assert columns["realisation"] == pytest.approx(0.3 / 0.5)
    assert columns["realisation.ci_low"] == pytest.approx(0.6)
    assert columns["realisation_reason"] is None
    assert columns["latency_vs_static_mtl"] == pytest.approx(0.7)
    assert columns["macs_vs_static_mtl"] == pytest.approx(0.5)
    assert columns["macs_reference"] == 100


def test_a_saving_that_costs_time_has_a_negative_realisation():
    dense = _evidence("dense", [10.0] * 6, 100)
    own = _evidence("own", [14.0] * 6, 100)
    assert _compare(own, {"dense": dense}, nominal=50)["realisation"] == pytest.approx(-0.8)


@pytest.mark.parametrize(
    ("changes", "nominal", "reason"),
    [
        ({}, 96, "under 5 %"),
        ({"mode": "masked"}, 50, "masked"),
        ({"reference_id": "absent"}, 50, "not measured"),
    ],
)
def test_realisation_is_empty_with_a_reason(changes, nominal, reason):
    dense = _evidence("dense", [10.0] * 6, 100)
    own = _evidence("own", [7.0] * 6, 100, **changes)
    columns = _compare(own, {"dense": dense}, nominal)
    assert columns["realisation"] is None
    assert reason in columns["realisation_reason"]


def test_launches_of_different_sessions_are_never_paired():
    dense = _evidence("dense", [10.0] * 6, 100, sessions=dict.fromkeys(range(6), "earlier"))
    own = _evidence("own", [7.0] * 6, 100)
    columns = _compare(own, {"dense": dense}, 50)
    assert columns["latency_vs_static_mtl"] is None
    assert "No block" in columns["realisation_reason"]


def _with_statistics(cell_id, errors, **changes):
    evidence = _evidence(cell_id, [1.0], 100, **changes)
    # depth: sum of squared errors, sum of relative errors, pixels within 1.25, valid pixels
    evidence.__dict__["statistics"] = {"depth": np.array([[e * e * 10, e, 10.0, 10.0] for e in errors])}
    return evidence


def test_delta_m_is_paired_over_images():
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.5, 2.0, 40)
    single = _with_statistics("single", errors)
    own = _with_statistics("own", 0.9 * errors)
    columns = _compare(own, {"single": single, "dense": own}, 100)
    assert columns["delta_m"] == pytest.approx(10.0)
    assert columns["delta_m.ci_low"] == pytest.approx(10.0)
    assert columns["delta_m.depth"] == pytest.approx(10.0)
    assert columns["n_seeds"] == 1


def test_delta_m_without_a_baseline_says_so():
    own = _with_statistics("own", [1.0, 2.0])
    columns = _compare(own, {"own": own}, 100)
    assert columns["delta_m"] is None
    assert "no single_task baseline" in columns["delta_m_reason"]


def test_the_baseline_itself_is_zero_by_definition():
    single = _with_statistics("single", [1.0, 2.0], baseline_ids={"single_task": "single"})
    result = delta_m_over_seeds([single], [single], 100)
    assert result.value == 0.0
    assert result.interval is None


def test_delta_m_over_seeds_takes_each_seed_against_its_own_baseline():
    singles = [_with_statistics(f"s{i}", [1.0 + i, 2.0 + i]) for i in range(3)]
    models = [_with_statistics(f"m{i}", [0.8 * (1.0 + i), 0.8 * (2.0 + i)]) for i in range(3)]
    result = delta_m_over_seeds(models, singles, 100)
    assert result.value == pytest.approx(20.0)
    assert result.n_seeds == 3


def test_columns_have_one_order_and_lose_nobody():
    names = ["zebra", "latency_ms.ci_low", "axis.keep", "run_id", "latency_ms", "metric.depth.rmse_m", "environment.a"]
    ordered = ordered_columns(names)
    assert sorted(ordered) == sorted(names)
    assert ordered.index("latency_ms.ci_low") == ordered.index("latency_ms") + 1
    assert ordered[0] == "run_id"
    assert ordered[-1] == "zebra"
