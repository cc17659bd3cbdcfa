"""Tier Q and the front on copies of the baseline: planted losses, other weights, seeds, undefined metrics."""

from __future__ import annotations

import json

import numpy as np
import pytest
import runs

from mtlbench.compare.comparing import compare_runs
from mtlbench.compare.verdict import Verdict

MIOU, RMSE = "metric.semseg.miou", "metric.depth.rmse_m"


@pytest.fixture
def sides(tmp_path):
    return runs.copy(tmp_path, "base"), runs.copy(tmp_path, "head")


def compare(sides, tiers="quality", **options):
    return compare_runs(*sides, tiers=tiers, **options)


def with_other_weights(run):
    runs.edit_launches(run, runs.set_keys(weights_hash="retrained"))


def seeds(run, n):
    """Repeat every cell for n seeds, whose networks differ a little."""
    description = json.loads((run / "run.json").read_text())
    launches = [json.loads(line) for line in (run / "launches.jsonl").read_text().splitlines()]
    cells, lines, current = {}, [], {}
    machine = launches[0]["machine_id"]
    for seed in range(n):
        for cell, entry in description["cells"].items():
            new = json.loads(json.dumps(entry).replace("/s0", f"/s{seed}"))
            new["spec"]["seed"] = seed
            new["cell_id"] = f"{cell}-{seed}"
            new["baseline_ids"] = {name: f"{found}-{seed}" for name, found in entry["baseline_ids"].items()}
            cells[new["cell_id"]] = new
            current[new["cell_id"]] = description["current"][machine][cell]
        for launch in launches:
            renamed = launch["launch_id"].replace("-", f"-{seed}-", 1)
            lines.append(launch | {"cell_id": f"{launch['cell_id']}-{seed}", "launch_id": renamed})
            samples = run / "samples" / f"{launch['launch_id']}.images.parquet"
            if launch["kind"] == "evaluate":
                (run / "samples" / f"{renamed}.images.parquet").write_bytes(samples.read_bytes())
    description |= {"cells": cells, "current": {machine: current}}
    (run / "run.json").write_text(json.dumps(description))
    (run / "launches.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def lose_a_hundredth_of(label_class):
    """A hundredth of a class's pixels that were right become another class's, in every image, whole pixels only."""

    def change(rows):
        matrices = rows.reshape(len(rows), 12, 12).copy()
        right = matrices[:, label_class, label_class]
        lost = np.floor(right / 100 + np.random.default_rng(0).random(len(rows)))
        matrices[:, label_class, label_class] -= lost
        matrices[:, label_class, (label_class + 1) % 12] += lost
        return matrices.reshape(len(rows), -1)

    return change


def test_a_hundredth_of_a_class_is_found_and_nothing_else(sides):
    runs.edit_statistics(sides[1], runs.STATIC, "semseg", lose_a_hundredth_of(0))
    comparison = compare(sides)
    finding = runs.found(comparison, runs.STATIC, MIOU)
    assert finding.verdict is Verdict.REGRESSION
    assert finding.interval_percent.high < 0
    assert finding.change_percent > -0.6
    untouched = [f for f in comparison.findings if not f.cell.startswith(runs.STATIC) or f.metric == RMSE]
    assert {f.verdict for f in untouched} == {Verdict.PASS}


def test_single_pixels_that_turn_either_way_are_no_loss(sides):
    def flip(rows):
        rows = rows.copy()
        rows[3, 0] -= 1
        rows[3, 1] += 1
        rows[9, 1] -= min(1, rows[9, 1])
        rows[9, 0] += 1
        return rows

    runs.edit_statistics(sides[1], runs.STATIC, "semseg", flip)
    assert runs.found(compare(sides), runs.STATIC, MIOU).verdict is not Verdict.REGRESSION


def test_what_is_better_is_an_improvement_whatever_its_direction(sides):
    runs.edit_statistics(sides[1], runs.STATIC, "depth", lambda rows: rows * [0.9, 1, 1, 1])
    finding = runs.found(compare(sides), runs.STATIC, RMSE)
    assert finding.verdict is Verdict.IMPROVEMENT
    assert finding.change_percent > 0
    assert finding.head < finding.base


def test_delta_m_moves_with_the_model_and_not_with_noise_of_both(sides):
    runs.edit_statistics(sides[1], runs.STATIC, "depth", lambda rows: rows * [1.3, 1, 1, 1])
    finding = runs.found(compare(sides), runs.STATIC, "delta_m")
    assert finding.verdict is Verdict.REGRESSION
    assert finding.head - finding.base == pytest.approx(finding.change_percent)


def test_weights_of_one_seed_may_differ_by_what_another_seed_would(sides):
    with_other_weights(sides[1])
    runs.edit_statistics(sides[1], runs.STATIC, "depth", lambda rows: rows * [1.05, 1, 1, 1])
    finding = runs.found(compare(sides), runs.STATIC, RMSE)
    assert finding.threshold_percent == 10
    assert finding.verdict is Verdict.PASS
    assert "seeds are few" in finding.sentence
    runs.edit_statistics(sides[1], runs.STATIC, "depth", lambda rows: rows * [2, 1, 1, 1])
    assert runs.found(compare(sides), runs.STATIC, RMSE).verdict is Verdict.REGRESSION


def test_three_seeds_tell_a_smaller_loss_and_are_one_finding(sides):
    for run in sides:
        seeds(run, 3)
    with_other_weights(sides[1])
    for name in [name for name in runs.cells(sides[1]) if name.startswith(runs.STATIC)]:
        runs.edit_statistics(sides[1], name, "depth", lambda rows: rows * [1.08, 1, 1, 1])
    finding = runs.found(compare(sides), runs.STATIC, RMSE)
    assert finding.threshold_percent == 1
    assert finding.verdict is Verdict.REGRESSION
    assert "/s" not in finding.cell.rpartition("cpu-1t-b1")[2]


def test_another_processor_rounds_otherwise_so_more_passes(sides):
    runs.edit_launches(sides[1], runs.set_keys(environment__cpu_model="another"))
    assert runs.found(compare(sides), runs.STATIC, MIOU).threshold_percent == 0.5


def test_other_data_is_not_comparable(sides):
    runs.edit_launches(sides[1], runs.set_keys(data_hash="other"))
    comparison = compare(sides, tiers="exact,quality")
    assert comparison.exit_code == 4
    assert runs.found(comparison, runs.STATIC, "metrics").verdict is Verdict.NOT_COMPARABLE
    assert runs.found(comparison, runs.ADAPTIVE, "macs_executed").verdict is Verdict.NOT_COMPARABLE


@pytest.mark.parametrize(
    ("undefined", "verdict"),
    [((1,), Verdict.NOT_COMPARABLE), ((0, 1), Verdict.INCONCLUSIVE)],
)
def test_a_metric_that_is_no_number(sides, undefined, verdict):
    for side in undefined:
        runs.edit_statistics(sides[side], runs.STATIC, "depth", lambda rows: rows * np.nan)
    finding = runs.found(compare(sides), runs.STATIC, RMSE)
    assert finding.verdict is verdict
    assert "undefined" in finding.sentence


def test_one_image_tells_nothing(sides):
    for run in sides:
        runs.edit_samples(
            run, runs.STATIC, lambda columns: {name: values[:1] for name, values in columns.items()}
        )
    finding = runs.found(compare(sides), runs.STATIC, RMSE)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.interval_percent is None


def test_baselines_that_saw_other_images_leave_delta_m_out(sides):
    for run in sides:
        runs.edit_samples(
            run, runs.SINGLE, lambda columns: {name: values[1:] for name, values in columns.items()}
        )
    finding = runs.found(compare(sides, tiers="quality,front"), runs.STATIC, "delta_m")
    assert finding.verdict is Verdict.NOT_COMPARABLE


def test_lost_samples_are_missing(sides):
    for path in (sides[1] / "samples").iterdir():
        path.unlink()
    comparison = compare(sides)
    assert {f.verdict for f in comparison.findings} == {Verdict.MISSING}


@pytest.mark.parametrize("side", [0, 1])
def test_a_task_whose_predictions_were_not_kept_is_missing(sides, side):
    def forget(columns):
        return {name: values for name, values in columns.items() if name != "statistics.depth"}

    runs.edit_samples(sides[side], runs.STATIC, forget)
    finding = runs.found(compare(sides, tiers="quality,front"), runs.STATIC, "metrics")
    assert finding.verdict is Verdict.MISSING
    assert "depth" in finding.sentence


def test_another_version_of_a_task_is_not_comparable(sides):
    runs.edit_launches(sides[1], runs.set_keys(**{"code_version__task:depth": 99}))
    comparison = compare(sides)
    assert runs.found(comparison, runs.STATIC, RMSE).verdict is Verdict.NOT_COMPARABLE
    assert runs.found(comparison, runs.STATIC, MIOU).verdict is Verdict.PASS


def test_the_front_says_who_left_it(sides):
    comparison = compare(sides, tiers="front")
    assert comparison.counts == {Verdict.PASS: 1}
    runs.edit_statistics(sides[1], runs.ADAPTIVE, "depth", lambda rows: rows * [9, 1, 1, 1])
    (finding,) = compare(sides, tiers="front").findings
    assert finding.verdict is Verdict.REGRESSION
    assert finding.head < finding.base
    runs.edit_launches(
        sides[1],
        lambda launch: launch.update(macs_executed=launch["macs_executed"] * 3),
        runs.ADAPTIVE,
        "evaluate",
    )
    (finding,) = compare(sides, tiers="front").findings
    assert "Lost from it: adamtl[budget=0.6]" in finding.sentence


def test_cells_that_others_beat_have_no_say_in_the_front(sides):
    runs.edit_statistics(sides[1], runs.ADAPTIVE, "depth", lambda rows: rows * [1.5, 1, 1, 1])
    (alone,) = compare(sides, tiers="front").findings
    for run in sides:
        runs.edit_launches(
            run,
            lambda launch: launch.update(macs_executed=launch["macs_executed"] * 50),
            "computation_sharing",
            "evaluate",
        )
        runs.edit_statistics(run, "computation_sharing", "depth", lambda rows: rows * [9, 1, 1, 1])
    (beside,) = compare(sides, tiers="front").findings
    assert beside.change_percent == pytest.approx(alone.change_percent)


def test_resamples_without_a_value_are_no_evidence(sides):
    def one_image(rows):
        return rows * (np.arange(len(rows)) == 0)[:, None]

    for run in sides:
        runs.edit_statistics(run, runs.STATIC, "depth", one_image)
    finding = runs.found(compare(sides), runs.STATIC, RMSE)
    assert finding.p == 1
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "carry" in finding.sentence
