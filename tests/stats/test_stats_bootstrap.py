"""The bootstrap against resampling one image at a time, theory and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from mtlbench.stats.bootstrap import bootstrap_metrics, image_weights, percentile_interval, resample_counts


def mean_metric(sums):
    """`mean` of statistics (sum, count), NaN without a count."""
    safe = np.where(sums[..., 1] > 0, sums[..., 1], 1)
    return {"mean": np.where(sums[..., 1] > 0, sums[..., 0] / safe, np.nan)}


def rows(values):
    return np.stack([values, np.ones_like(values)], axis=1)


def test_weights_are_counts_of_n_draws_of_n():
    weights = image_weights(7, 500, seed=3)
    assert weights.shape == (500, 7)
    assert weights.dtype == np.float64
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == np.round(weights)).all()
    # multinomial: mean 1, variance 1 - 1/n, covariance -1/n
    many = image_weights(7, 40_000, seed=0)
    np.testing.assert_allclose(many.mean(axis=0), 1, atol=0.02)
    expected = np.eye(7) - 1 / 7
    np.testing.assert_allclose(np.cov(many.T), expected, atol=0.03)


def test_weights_depend_on_the_seed_alone():
    np.testing.assert_array_equal(image_weights(9, 20, 1), image_weights(9, 20, 1))
    assert (image_weights(9, 20, 1) != image_weights(9, 20, 2)).any()


def test_a_resample_equals_pooling_its_images_one_by_one():
    rng = np.random.default_rng(0)
    stats = rng.random((6, 2))
    weights = image_weights(6, 50, seed=4)
    resampled = mean_metric(weights @ stats)["mean"]
    slow = []
    for counts in weights:
        picked = [stats[i] for i, c in enumerate(counts) for _ in range(int(c))]
        slow.append(sum(p[0] for p in picked) / sum(p[1] for p in picked))
    np.testing.assert_allclose(resampled, slow)
    expected = np.quantile(slow, [0.05, 0.95])
    found = bootstrap_metrics(stats, mean_metric, n_resamples=50, seed=4, level=0.9)["mean"]
    assert [found.low, found.high] == pytest.approx(expected)
    assert found.level == 0.9


def test_the_width_equals_the_standard_error_of_a_mean():
    values = np.random.default_rng(1).normal(size=400)
    found = bootstrap_metrics(rows(values), mean_metric, n_resamples=4000)["mean"]
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)


def test_simulated_coverage_of_a_pooled_ratio():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        size = rng.integers(1, 20, 60).astype(float)
        stats = np.stack([size * rng.normal(3, 1, 60), size], axis=1)
        found = bootstrap_metrics(stats, mean_metric, n_resamples=400, seed=0)["mean"]
        hits += found.low <= 3 <= found.high
    assert 0.90 <= hits / 300 <= 0.99


def test_images_without_labels_change_nothing_but_a_value_on_few_images_has_no_interval():
    values = np.random.default_rng(3).random(60)
    half = np.concatenate([rows(values), np.zeros((60, 2))])
    found = bootstrap_metrics(half, mean_metric)["mean"]
    assert found.low < values.mean() < found.high
    lonely = np.concatenate([rows(values[:1]), np.zeros((60, 2))])
    assert bootstrap_metrics(lonely, mean_metric) == {"mean": None}


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_images_have_no_interval(n):
    assert bootstrap_metrics(rows(np.ones(n)), mean_metric) == {"mean": None}


def test_nan_statistics_have_no_interval():
    assert bootstrap_metrics(rows(np.array([1.0, np.nan, 2.0])), mean_metric) == {"mean": None}


def test_percentiles_leave_out_a_few_undefined_resamples():
    drawn = np.arange(1000.0)
    drawn[:40] = np.nan
    found = percentile_interval(drawn, 0.95)
    assert (found.low, found.high) == pytest.approx(np.quantile(np.arange(40, 1000), [0.025, 0.975]))
    drawn[:60] = np.nan
    assert percentile_interval(drawn, 0.95) is None
    assert percentile_interval(np.array([]), 0.95) is None


def test_no_images_give_empty_counts():
    assert resample_counts(0, 5, np.random.default_rng(0)).shape == (5, 0)
