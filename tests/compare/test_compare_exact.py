"""Tier 0 on copies of the baseline: what is equal passes, what was changed by hand is found, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import runs

from mtlbench.compare.comparing import compare_runs
from mtlbench.compare.verdict import Tier, Verdict

EXACT = "exact"


@pytest.fixture
def sides(tmp_path):
    return runs.copy(tmp_path, "base"), runs.copy(tmp_path, "head")


def compare(sides, **options):
    return compare_runs(*sides, tiers=EXACT, **options)


def others_pass(comparison, *expected):
    return {
        (f.cell.split("/")[0], f.metric) for f in comparison.findings if f.verdict is not Verdict.PASS
    } == {*expected}


def test_a_run_equals_itself(sides):
    comparison = compare(sides)
    assert comparison.counts.keys() == {Verdict.PASS}
    assert comparison.exit_code == 0
    assert {f.metric for f in comparison.findings} >= {"params", "macs_executed", "uncounted_ops", "paths"}


@pytest.mark.parametrize(
    ("metric", "kind", "factor", "verdict"),
    [
        ("params", "evaluate", 1 + 1e-6, Verdict.REGRESSION),
        ("macs_executed", "evaluate", 1 + 1e-6, Verdict.REGRESSION),
        ("macs_executed", "evaluate", 1 - 1e-6, Verdict.IMPROVEMENT),
        ("memory_tensors_mib", "profile", 1.005, Verdict.PASS),
        ("memory_tensors_mib", "profile", 1.02, Verdict.REGRESSION),
    ],
)
def test_a_count_of_a_static_cell_that_moved(sides, metric, kind, factor, verdict):
    runs.edit_launches(
        sides[1], lambda launch: launch.update({metric: launch[metric] * factor}), runs.STATIC, kind
    )
    comparison = compare(sides)
    assert runs.found(comparison, runs.STATIC, metric).verdict is verdict
    assert others_pass(comparison, *([] if verdict is Verdict.PASS else [("static_mtl", metric)]))


def test_new_uncounted_operators_are_named(sides):
    runs.edit_launches(sides[1], runs.set_keys(uncounted_ops=["aten.fft"]), runs.STATIC, "evaluate")
    finding = runs.found(compare(sides), runs.STATIC, "uncounted_ops")
    assert finding.verdict is Verdict.REGRESSION
    assert "aten.fft" in finding.sentence
    back = runs.found(compare(sides[::-1]), runs.STATIC, "uncounted_ops")
    assert back.verdict is Verdict.IMPROVEMENT


def test_a_refused_total_is_missing_not_equal(sides):
    runs.edit_launches(sides[1], runs.set_keys(macs_refused=True), runs.STATIC, "evaluate")
    comparison = compare(sides)
    assert runs.found(comparison, runs.STATIC, "macs_executed").verdict is Verdict.MISSING
    assert comparison.exit_code == 4


def test_an_adaptive_cell_may_move_within_its_tolerance(sides):
    def spend(share):
        runs.edit_launches(
            sides[1],
            lambda launch: launch.update(macs_executed=launch["macs_executed"] * share),
            runs.ADAPTIVE,
            "evaluate",
        )

    spend(1.004)
    assert compare(sides).exit_code == 0
    spend(1.02)
    assert runs.found(compare(sides), runs.ADAPTIVE, "macs_executed").verdict is Verdict.REGRESSION


def test_other_weights_may_decide_otherwise_by_more(sides):
    runs.edit_launches(
        sides[1],
        lambda launch: launch.update(macs_executed=launch["macs_executed"] * 1.02),
        runs.ADAPTIVE,
        "evaluate",
    )
    runs.edit_launches(sides[1], runs.set_keys(weights_hash="other"), runs.ADAPTIVE)
    comparison = compare(sides)
    assert runs.found(comparison, runs.ADAPTIVE, "macs_executed").verdict is Verdict.PASS
    assert not any(f.metric.startswith("predictions") for f in comparison.findings if "0.6" in f.cell)


def test_a_path_that_is_taken_more_often_is_named(sides):
    part = "macs_part.encoder.block.2"
    runs.edit_launches(
        sides[1], lambda launch: launch.update({part: launch[part] * 1.3}), runs.ADAPTIVE, "evaluate"
    )
    finding = runs.found(compare(sides), runs.ADAPTIVE, "paths")
    assert finding.verdict is Verdict.REGRESSION
    assert "encoder.block.2" in finding.sentence
    assert finding.head == pytest.approx(1.3 * finding.base)


def test_what_means_hide_is_seen_image_by_image(sides):
    def moved(columns):
        macs = np.array(columns["macs_executed"], dtype=float)
        macs[:4] *= 1.2
        macs[4:8] *= 0.8
        return columns | {"macs_executed": macs.tolist()}

    runs.edit_samples(sides[1], runs.ADAPTIVE, moved)
    comparison = compare(sides)
    finding = runs.found(comparison, runs.ADAPTIVE, "paths.images")
    assert finding.verdict is Verdict.REGRESSION
    assert finding.head == pytest.approx(100 * 8 / 32)
    assert others_pass(comparison, ("adamtl[budget=0.6]", "paths.images"))


def test_the_same_weights_must_predict_the_same(sides):
    runs.edit_statistics(sides[1], runs.STATIC, "depth", lambda values: values * 1.02)
    finding = runs.found(compare(sides), runs.STATIC, "predictions.depth")
    assert finding.verdict is Verdict.REGRESSION
    assert finding.change_percent == pytest.approx(2)


def test_images_in_another_order_are_the_same_predictions(sides):
    def reshuffled(columns):
        order = np.random.default_rng(0).permutation(len(columns["id"]))
        return {name: [values[row] for row in order] for name, values in columns.items()}

    runs.edit_samples(sides[1], runs.STATIC, reshuffled)
    comparison = compare_runs(*sides, tiers="exact,quality")
    assert comparison.counts.keys() == {Verdict.PASS}


@pytest.mark.parametrize("lost", [1, 31])
def test_fewer_images_are_not_comparable(sides, lost):
    runs.edit_samples(
        sides[1], runs.STATIC, lambda columns: {name: values[lost:] for name, values in columns.items()}
    )
    comparison = compare_runs(*sides, tiers="exact,quality")
    assert runs.found(comparison, runs.STATIC, "predictions.depth").verdict is Verdict.NOT_COMPARABLE
    finding = runs.found(comparison, runs.STATIC, "metrics")
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert f"32 and {32 - lost}" in finding.sentence


def test_thresholds_by_column_and_cell(sides):
    runs.edit_launches(
        sides[1], lambda launch: launch.update(params=launch["params"] * 1.03), kind="evaluate"
    )
    assert compare(sides).exit_code == 1
    assert compare(sides, overrides=["gate.thresholds.params=5"]).exit_code == 0
    only_static = compare(
        sides, overrides=["gate.thresholds.params=5", "gate.cells={'static*': {params: 1}}"]
    )
    assert others_pass(only_static, ("static_mtl", "params"))


def test_counts_by_other_rules_are_not_comparable(sides):
    runs.edit_launches(sides[1], runs.set_keys(code_version__measure=99))
    comparison = compare(sides)
    assert comparison.counts.keys() == {Verdict.NOT_COMPARABLE}
    assert all("`measure`" in f.sentence and f.tier is Tier.EXACT for f in comparison.findings)


def test_lost_predictions_are_missing_not_equal(sides):
    for path in (sides[1] / "samples").iterdir():
        path.unlink()
    comparison = compare(sides)
    assert runs.found(comparison, runs.STATIC, "predictions.depth").verdict is Verdict.MISSING
    assert comparison.exit_code == 4


def test_predictions_where_there_were_none_are_a_change(sides):
    runs.edit_statistics(sides[0], runs.STATIC, "depth", lambda values: 0 * values)
    assert runs.found(compare(sides), runs.STATIC, "predictions.depth").verdict is Verdict.REGRESSION


def test_what_only_head_measures_is_new_not_missing(sides):
    runs.edit_launches(sides[0], runs.set_keys(memory_tensors_mib=None), runs.STATIC, "profile")
    assert compare(sides).exit_code == 0
    assert runs.found(compare(sides[::-1]), runs.STATIC, "memory_tensors_mib").verdict is Verdict.MISSING


def test_another_training_may_decide_elsewhere(sides):
    part = "macs_part.encoder.block.2"
    runs.edit_launches(
        sides[1],
        lambda launch: launch.update({part: launch[part] * 1.3, "weights_hash": "other"}),
        runs.ADAPTIVE,
        "evaluate",
    )
    runs.edit_launches(sides[1], runs.set_keys(weights_hash="other"), runs.ADAPTIVE, "profile")
    assert runs.found(compare(sides), runs.ADAPTIVE, "paths").verdict is Verdict.PASS
    runs.edit_launches(sides[1], runs.set_keys(**{part.replace(".", "__"): 0.0}), runs.ADAPTIVE, "evaluate")
    assert runs.found(compare(sides), runs.ADAPTIVE, "paths").verdict is Verdict.REGRESSION
