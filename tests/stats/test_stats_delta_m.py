"""Delta-m against published rows, closed forms, a slow bootstrap and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from mtlbench.errors import UsageError
from mtlbench.stats.delta_m import delta_m, paired_delta_m

UP, DOWN = "higher", "lower"


def mean_metric(sums):
    safe = np.where(sums[..., 1] > 0, sums[..., 1], 1)
    return {"mean": np.where(sums[..., 1] > 0, sums[..., 0] / safe, np.nan)}


TASKS = {"iou": (mean_metric, "mean", UP), "error": (mean_metric, "mean", DOWN)}


def rows(values):
    values = np.asarray(values, dtype=float)
    return np.stack([values, np.ones_like(values)], axis=1)


def constant(iou, error, n=10):
    return {"iou": rows(np.full(n, iou)), "error": rows(np.full(n, error))}


def noisy(rng, n, iou, error, spread=0.1):
    return {"iou": rows(rng.normal(iou, spread, n)), "error": rows(rng.normal(error, spread, n))}


def test_the_row_of_mtlora_recomputes():
    # MTLoRA issue 6 against the paper's single-task row: semseg, human parts, saliency up; normals down
    directions = {"semseg": UP, "human_parts": UP, "saliency": UP, "normals": DOWN}
    single = dict(zip(directions, (67.21, 61.93, 62.35, 17.97), strict=True))
    user = dict(zip(directions, (68.38, 59.58, 63.85, 16.76), strict=True))
    assert float(delta_m(user, single, directions)) == pytest.approx(1.771, abs=5e-4)


def test_a_tenth_better_everywhere_is_ten_percent():
    directions = {"a": UP, "b": DOWN}
    assert delta_m({"a": 1.1, "b": 0.9}, {"a": 1, "b": 1}, directions) == pytest.approx(10)
    assert delta_m({"a": 0.9, "b": 1.1}, {"a": 1, "b": 1}, directions) == pytest.approx(-10)
    assert delta_m({"a": 1.1, "b": 1.1}, {"a": 1, "b": 1}, directions) == pytest.approx(0)


def test_arrays_go_through_element_by_element():
    rng = np.random.default_rng(0)
    values, baselines = rng.random((2, 2, 3, 4)) + 0.5
    found = delta_m({"a": values[0], "b": values[1]}, {"a": baselines[0], "b": 2.0}, {"a": UP, "b": DOWN})
    assert found.shape == (3, 4)
    for i in np.ndindex(3, 4):
        a = (values[0][i] - baselines[0][i]) / baselines[0][i]
        b = -(values[1][i] - 2) / 2
        assert found[i] == pytest.approx(100 * (a + b) / 2)


def test_a_zero_or_missing_baseline_is_nan():
    for bad in (0.0, np.nan):
        assert np.isnan(delta_m({"a": 1.0, "b": 1.0}, {"a": bad, "b": 1.0}, {"a": UP, "b": UP}))


def test_tasks_must_agree():
    for values, baselines, directions in (
        ({"a": 1}, {"b": 1}, {"a": UP}),
        ({"a": 1}, {"a": 1}, {"a": UP, "b": UP}),
        ({}, {}, {}),
    ):
        with pytest.raises(UsageError, match="same tasks"):
            delta_m(values, baselines, directions)


def test_constant_scores_have_the_closed_form_and_no_width():
    found = paired_delta_m([constant(0.55, 1.8)] * 3, [constant(0.5, 2.0)] * 3, TASKS, n_resamples=50)
    assert found.value == pytest.approx(10)
    assert (found.interval.low, found.interval.high) == pytest.approx((10, 10))
    assert (found.n_seeds, found.n_images, found.reason) == (3, 10, None)
    assert found.per_task["iou"].value == pytest.approx(10)
    assert found.per_task["error"].value == pytest.approx(10)


def test_the_value_is_the_mean_over_seeds_and_the_tasks_average_to_it():
    found = paired_delta_m(
        [constant(0.6, 2.0), constant(0.5, 1.0)], [constant(0.5, 2.0), constant(0.4, 2.0)], TASKS
    )
    by_seed = [(20 + 0) / 2, (25 + 50) / 2]
    assert found.value == pytest.approx(np.mean(by_seed))
    assert found.value == pytest.approx(np.mean([part.value for part in found.per_task.values()]))


def test_the_width_over_seeds_is_that_of_a_t_interval():
    gains = np.random.default_rng(9).normal(5, 2, 40)
    ours = [{"iou": rows(np.full(4, 1 + gain / 100))} for gain in gains]
    base = [{"iou": rows(np.ones(4))}] * 40
    found = paired_delta_m(ours, base, {"iou": TASKS["iou"]}, n_resamples=8000)
    expected = t.interval(0.95, 39, gains.mean(), gains.std(ddof=1) / np.sqrt(40))
    assert [found.interval.low, found.interval.high] == pytest.approx(expected, abs=0.1)


def test_images_are_resampled_in_step_for_model_baseline_and_tasks():
    # the model's score is a fixed multiple of the baseline's on each image: paired, nothing is left to vary
    rng = np.random.default_rng(1)
    hard = rng.random(40) + 0.1
    base = {"iou": rows(hard), "error": rows(2 * hard)}
    ours = {"iou": rows(1.2 * hard), "error": rows(2.2 * hard)}
    found = paired_delta_m([ours], [base], TASKS)
    assert (found.value, found.interval.low, found.interval.high) == pytest.approx((5, 5, 5))


def test_the_interval_over_images_equals_a_slow_bootstrap():
    rng = np.random.default_rng(2)
    base, ours = noisy(rng, 30, 0.5, 2.0), noisy(rng, 30, 0.6, 1.9)
    found = paired_delta_m([ours], [base], TASKS, n_resamples=4000)
    slow = []
    for _ in range(4000):
        images = rng.integers(30, size=30)
        mine, theirs = ({task: side[task][images, 0].mean() for task in TASKS} for side in (ours, base))
        slow.append(delta_m(mine, theirs, {"iou": UP, "error": DOWN}))
    low, high = np.quantile(slow, [0.025, 0.975])
    assert [found.interval.low, found.interval.high] == pytest.approx([low, high], abs=0.1 * (high - low))


@pytest.mark.parametrize("seed_spread", [0.0, 0.05, 0.5])
def test_simulated_coverage_over_images_and_three_seeds(seed_spread):
    rng = np.random.default_rng(3)
    task = {"iou": TASKS["iou"]}
    base = [{"iou": rows(np.ones(60))}] * 3
    hits = 0
    for _ in range(300):
        images = rng.normal(1.05, 0.2, 60)
        ours = [{"iou": rows(images + shift)} for shift in rng.normal(0, seed_spread, 3)]
        found = paired_delta_m(ours, base, task, n_resamples=300)
        hits += found.interval.low <= 5 <= found.interval.high
    assert hits / 300 >= 0.91


def test_seeds_are_drawn_independently_of_images():
    effect = np.random.default_rng(6).normal(0, 0.1, 40)
    ours = [{"iou": rows(1 + effect + shift)} for shift in effect]
    base = [{"iou": rows(np.ones(40))}] * 40
    found = paired_delta_m(ours, base, {"iou": TASKS["iou"]}, n_resamples=4000)
    images = 100 * effect.std() / np.sqrt(40)
    seeds = 100 * effect.std(ddof=1) / np.sqrt(40) * t.ppf(0.975, 39) / 1.96
    assert found.interval.high - found.interval.low == pytest.approx(3.92 * np.hypot(images, seeds), rel=0.1)


def test_it_is_a_function_of_its_arguments():
    rng = np.random.default_rng(4)
    ours, base = [noisy(rng, 20, 0.6, 2.0)], [noisy(rng, 20, 0.5, 2.0)]
    first, again = (paired_delta_m(ours, base, TASKS, n_resamples=99, seed=5) for _ in range(2))
    assert first == again
    assert first != paired_delta_m(ours, base, TASKS, n_resamples=99, seed=6)


def test_swapping_two_images_on_one_side_is_seen():
    rng = np.random.default_rng(5)
    hard = rng.random(40) + 0.1
    base = {"iou": rows(hard)}
    shuffled = {"iou": rows(1.2 * rng.permutation(hard))}
    found = paired_delta_m([shuffled], [base], {"iou": TASKS["iou"]})
    assert found.interval.high - found.interval.low > 5


@pytest.mark.parametrize("weak", [0.0, 1e-13])
def test_a_baseline_at_zero_has_no_delta_m(weak):
    found = paired_delta_m([constant(0.6, 2.0)], [constant(weak, 2.0)], TASKS)
    assert (found.value, found.interval) == (None, None)
    assert found.reason == "The baseline's mean of iou is not clearly away from zero."
    assert found.per_task["iou"] == (None, None)
    assert found.per_task["error"].value == 0


def test_a_baseline_whose_interval_includes_zero_has_no_delta_m():
    values = np.zeros(10)
    values[0] = 1.0  # one image in ten: a third of all resamples miss it
    base = {"iou": rows(values), "error": rows(np.full(10, 2.0))}
    found = paired_delta_m([constant(0.6, 2.0)], [base], TASKS)
    assert found.value is None
    assert "not clearly away from zero" in found.reason


@pytest.mark.parametrize("side", ["model", "baseline"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_undefined_metric_says_which_and_whose(side, value):
    broken, fine = constant(value, 2.0), constant(0.5, 2.0)
    with np.errstate(invalid="ignore"):  # 0 * inf is what this test plants
        found = paired_delta_m(
            [broken if side == "model" else fine], [broken if side == "baseline" else fine], TASKS
        )
    assert found.value is None
    assert found.reason == f"mean of iou is undefined for the {side}."


def test_missing_seeds_are_left_out_in_pairs():
    good, other = constant(0.5, 2.0), constant(0.6, 2.0)
    lacking = {"iou": good["iou"]}
    found = paired_delta_m([other, other, None, other, lacking], [good, None, good, lacking], TASKS)
    assert (found.value, found.n_seeds) == (pytest.approx(10), 1)


def test_nothing_to_pair_is_a_reason_and_no_exception():
    good = constant(0.5, 2.0)
    none = paired_delta_m([], [good], TASKS)
    assert (none.value, none.n_seeds, none.reason) == (None, 0, "No seed has every task on both sides.")
    other = paired_delta_m([constant(0.5, 2.0, n=9)], [good], TASKS)
    assert (other.value, other.reason) == (None, "The images differ: 9 and 10 of them were evaluated.")
    assert paired_delta_m([good], [good], {}).reason == "No task was named."
    empty = constant(0.5, 2.0, n=0)
    assert paired_delta_m([empty], [empty], TASKS).reason == "No image was evaluated."


def test_one_image_has_a_value_but_no_interval():
    found = paired_delta_m([constant(0.55, 2.0, n=1)] * 2, [constant(0.5, 2.0, n=1)] * 2, TASKS)
    assert found.value == pytest.approx(5)
    assert found.interval is None
