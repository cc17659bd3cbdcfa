"""Columns that compare cells, against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtlbench.results.columns import ordered_columns
from mtlbench.results.comparisons import compare_cell, delta_m_over_seeds
from mtlbench.results.evidence import Evidence
from mtlbench.results.folder import RunFolder


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


def _evidence(cell_id, latencies, macs, started=None, **changes):
    timings = {
        block: {"latency_ms": latency, "started_unix_s": (started or {}).get(block, 60.0 * block)}
        for block, latency in enumerate(latencies)
    }
    evaluation = {"macs_full": macs, "macs_executed": macs, "macs_refused": False, "launch_id": "none"}
    evaluation |= {"kind": "evaluate", "data_hash": "data", "code_version.training": 1}
    evidence = Evidence(_entry(cell_id, **changes), RunFolder(Path("nowhere")), evaluation, timings=timings)
    evidence.__dict__["image_ids"] = ["a", "b"]
    return evidence


def _compare(own, others, nominal):
    # Over all images it may save another share than on those that were timed.
    row = {"macs_nominal": 0.9 * nominal, "macs_nominal_timed": nominal, "macs_executed": nominal}
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


def test_launches_that_ran_apart_are_never_paired():
    yesterday = dict.fromkeys(range(6), -86400.0)
    dense = _evidence("dense", [10.0] * 6, 100, started=yesterday)
    own = _evidence("own", [7.0] * 6, 100)
    columns = _compare(own, {"dense": dense}, 50)
    assert columns["latency_vs_static_mtl"] is None
    assert "side by side" in columns["realisation_reason"]


def test_a_block_that_a_kill_split_is_paired_when_resumed_soon():
    dense = _evidence("dense", [10.0] * 6, 100, started={3: 60.0 * 3 + 120})
    own = _evidence("own", [7.0] * 6, 100)
    assert _compare(own, {"dense": dense}, 50)["latency_vs_static_mtl.ci_low"] == pytest.approx(0.7)


def test_the_ceiling_is_the_time_share_of_the_skipped_work():
    dense, own = _evidence("dense", [10.0] * 6, 100), _evidence("own", [7.0] * 6, 100)
    # Half of the encoder and nothing of the head is skipped. The encoder has 80 % of the MACs and 60 % of the time, so
    # of a nominal saving of 40 % at most 30 % of the time can go.
    dense.evaluation |= {"macs_full_part.encoder": 80, "macs_full_part.head.depth": 20}
    own.evaluation |= {"macs_nominal_timed_part.encoder": 40.0, "macs_nominal_timed_part.head.depth": 20.0}
    own.evaluation["macs_nominal_timed_part.policy"] = 1.0
    parts = {"time_part.encoder": 6.0, "time_part.head.depth": 3.0, "time_part.other": 1.0}
    dense.profile = {**parts, "time_watched_ms": 10.0}
    columns = _compare(own, {"dense": dense}, nominal=60)
    assert columns["realisation_ceiling"] == pytest.approx(0.3 / 0.4)
    assert columns["realisation"] == pytest.approx(0.3 / 0.4)
    own.evaluation["macs_nominal_timed_part.neck"] = 1.0  # which part of the reference would that be?
    assert _compare(own, {"dense": dense}, nominal=60)["realisation_ceiling"] is None


def test_without_a_profile_there_is_no_ceiling():
    dense, own = _evidence("dense", [10.0] * 6, 100), _evidence("own", [7.0] * 6, 100)
    columns = _compare(own, {"dense": dense}, nominal=60)
    assert columns["realisation_ceiling"] is None
    assert columns["realisation"] is not None


def test_energy_is_realised_like_time():
    dense = _evidence("dense", [10.0] * 6, 100)
    own = _evidence("own", [7.0] * 6, 100)
    for evidence, joules in ((dense, 100.0), (own, 80.0)):
        for launch in evidence.timings.values():
            launch["energy_mj"] = joules
    columns = _compare(own, {"dense": dense}, 50)
    assert columns["realisation_energy"] == pytest.approx(0.2 / 0.5)


def test_a_refused_total_is_divided_by_nobody():
    dense = _evidence("dense", [10.0] * 6, 100)
    dense.evaluation["macs_refused"] = True
    assert _compare(_evidence("own", [7.0] * 6, 100), {"dense": dense}, 50)["macs_vs_static_mtl"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [({"data_hash": "other"}, "different data"), ({"code_version.training": 2}, "different code")],
)
def test_a_baseline_of_other_data_or_code_is_none(change, words):
    single = _with_statistics("single", [1.0, 2.0])
    single.evaluation |= change
    own = _with_statistics("own", [1.0, 2.0])
    columns = _compare(own, {"single": single, "own": own}, 100)
    assert columns["delta_m"] is None
    assert words in columns["delta_m_reason"]
    assert columns["macs_vs_single_task"] is None


def test_a_baseline_on_other_images_is_none():
    single, own = _with_statistics("single", [1.0, 2.0]), _with_statistics("own", [1.0, 2.0])
    single.__dict__["image_ids"] = ["a", "c"]
    columns = _compare(own, {"single": single, "own": own}, 100)
    assert columns["delta_m"] is None
    assert "different images" in columns["delta_m_reason"]


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
    names = [
        "zebra",
        "latency_ms.ci_low",
        "axis.keep",
        "run_id",
        "latency_ms",
        "metric.depth.rmse_m",
        "environment.a",
    ]
    ordered = ordered_columns(names)
    assert sorted(ordered) == sorted(names)
    assert ordered.index("latency_ms.ci_low") == ordered.index("latency_ms") + 1
    assert ordered[0] == "run_id"
    assert ordered[-1] == "zebra"
